"""What a labeler's confidence is worth: accuracy of the rows it is surest of, and whether it means what it says.

The confidence of a row is the probability of its most probable class. Rows of one confidence cannot be told apart, so
they are accepted together, and where they must be ordered every order counts the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics import BINS, Numbers

GRID = 20  # coverages that a curve is shown at: 5 %, 10 %, ... 100 %
TRIED = 100  # coverages among which the largest that reaches a target is chosen
LEVEL = 0.95  # of the lower bound, for all TRIED at once


@dataclass(frozen=True)
class Accepted:
    """The rows taken as they are because the labeler is sure enough of them."""

    coverage: float  # their share; 0 where no confidence is enough
    accuracy: float | None
    bound: float | None  # lower bound of the accuracy
    threshold: float | None  # the least confidence among them


@dataclass(frozen=True)
class Bin:
    """Rows of about one confidence."""

    rows: int
    confidence: float  # sums over the rows
    hits: int


def confidence(proba: Numbers) -> NDArray[np.float32]:
    """Return (m,) the probability of each row's most probable class."""
    return np.asarray(proba.max(axis=1))


def accuracies(sure: Numbers, hit: Numbers) -> NDArray[np.float64]:
    """Return (GRID,) accuracies of the surest 1/GRID, 2/GRID, ... of the rows, from confidence and hits (m,)."""
    taken = _counts(len(sure), GRID)
    wrong = _wrong(sure, hit)
    return np.asarray(1 - wrong[taken - 1] / taken)


def aurc(sure: Numbers, hit: Numbers) -> float:
    """Area under the risk-coverage curve: the mean over k of the error rate of the k surest rows (Geifman et al. 2019).

    Rows of one confidence err evenly: the mean over all orders of them.
    """
    return float((_wrong(sure, hit) / np.arange(1, len(sure) + 1)).mean())


def accepted(sure: Numbers, hit: Numbers, target: float) -> Accepted:
    """Return the largest of TRIED coverages whose accuracy is at least `target`, by a lower bound.

    The bound is the one-sided one of Clopper and Pearson (1934) at 1 - (1 - LEVEL) / TRIED, so that it holds although
    the coverage was chosen by it (Bonferroni; Geifman and El-Yaniv 2017 choose a threshold alike).
    """
    from scipy.stats import beta

    order = np.argsort(-sure, kind="stable")
    ranked, right = sure[order], np.cumsum(hit[order])
    # With the last row of each count, all rows of its confidence.
    taken = np.unique(len(sure) - np.searchsorted(ranked[::-1], ranked[_counts(len(sure), TRIED) - 1], side="left"))
    hits = right[taken - 1]
    bound = beta.ppf((1 - LEVEL) / TRIED, np.maximum(hits, 1), taken - hits + 1) * (hits > 0)
    enough = np.flatnonzero(bound >= target)
    if not len(enough):
        return Accepted(0.0, None, None, None)
    k, best = int(taken[enough[-1]]), float(bound[enough[-1]])
    return Accepted(k / len(sure), float(right[k - 1] / k), best, float(ranked[k - 1]))


def reliability(sure: Numbers, hit: Numbers) -> list[Bin]:
    """Return the BINS equally wide bins of confidence that the calibration error is made of (Guo et al. 2017)."""
    place = np.minimum((sure.astype(np.float64) * BINS).astype(np.int64), BINS - 1)
    rows, hits = np.bincount(place, minlength=BINS), np.bincount(place, hit, minlength=BINS)
    total = np.bincount(place, sure.astype(np.float64), minlength=BINS)
    return [Bin(int(n), float(s), int(h)) for n, s, h in zip(rows, total, hits, strict=True)]


def _counts(m: int, steps: int) -> NDArray[np.int64]:
    return np.maximum(np.arange(1, steps + 1) * m // steps, 1)


def _wrong(sure: Numbers, hit: Numbers) -> NDArray[np.float64]:
    """Return (m,) the errors to expect among the k surest rows, for k from 1."""
    order = np.argsort(-sure, kind="stable")
    _, first, size = np.unique(-sure[order], return_index=True, return_counts=True)
    errors = np.add.reduceat(1.0 - hit[order], first)
    return np.cumsum(np.repeat(errors / size, size))
