"""Selective prediction: accuracy by coverage, thresholds by accuracy.

The confidence of a row is the probability of its most probable class. Rows of one confidence cannot be told apart, so
they are accepted together, and where they must be ordered every order counts the same.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.statistics.distributions import tie_groups
from harness.statistics.intervals import ALPHA, binomial_lower_bound, lower_bound
from harness.statistics.metrics import CALIBRATION_BINS, Numbers, count_by_row

COVERAGE_STEPS = 20  # coverages of a curve, and of the thresholds that are tried: 5 %, 10 %, ... 100 %


@dataclass(frozen=True)
class Threshold:
    """The least confidence that is accepted, and the rows at or above it."""

    confidence: float | None  # None where no threshold keeps the target
    bound: float  # lower bound (95 %) of the accuracy of the accepted rows; of the strictest where none keeps it
    coverage: float = 0.0  # their share
    accuracy: float | None = None


@dataclass(frozen=True)
class CalibrationBin:
    """Rows of about one confidence."""

    rows: int
    confidence: float  # sums over the rows
    hits: int


def top_probability(proba: Numbers) -> NDArray[np.float32]:
    """Return (..., m) the probability of each row's most probable class."""
    return np.asarray(proba.max(axis=-1))


def accuracy_by_coverage(confidence: Numbers, hit: Numbers) -> NDArray[np.float64]:
    """Return (..., COVERAGE_STEPS) accuracies from confidence, hits (..., m).

    They are those of the most confident 1, 2, ... COVERAGE_STEPS of COVERAGE_STEPS parts of the rows.
    """
    n_rows = np.maximum(np.arange(1, COVERAGE_STEPS + 1) * confidence.shape[-1] // COVERAGE_STEPS, 1)
    return np.asarray(1 - _expected_errors(confidence, hit)[..., n_rows - 1] / n_rows)


def aurc(confidence: Numbers, hit: Numbers) -> NDArray[np.float64]:
    """Return (...) areas under the risk-coverage curve (Geifman et al. 2019).

    It is the mean over k of the error rate of the k most confident rows. Rows of one confidence err evenly: the mean
    over all orders of them.
    """
    return np.asarray((_expected_errors(confidence, hit) / np.arange(1, confidence.shape[-1] + 1)).mean(axis=-1))


def find_threshold(
    confidence: Numbers, hit: Numbers, target: float, unit: Numbers | None = None, alpha: float = ALPHA
) -> Threshold:
    """Find the lowest confidence that keeps an accuracy of at least `target`.

    `confidence` and `hit` (n,) are of rows whose truth is known and that nothing was fitted on; rows of one `unit`
    (n,), a group, are not independent. The thresholds are a fixed sequence: from the strictest on, each tested by its
    lower bound at `alpha`, and no more after the first that fails. So a threshold whose accuracy is too low is taken
    with a chance of `alpha` at most, however many there are (Angelopoulos, Bates, Candès, Jordan and Lei 2021). The
    strictest has as many rows, or groups, as it takes to show the target where the accuracy is half-way from it to 1.
    """
    order = np.sort(confidence)[::-1]
    levels = np.unique(order[_accepted_rows(len(order)) - 1])[::-1] if len(order) else np.empty(0)  # highest first
    needed, found = rows_to_show((1 + target) / 2, target, alpha), Threshold(None, 0.0)
    for level in levels:
        accepted = confidence >= level
        inside = None if unit is None else unit[accepted]
        if (accepted.sum() if inside is None else len(np.unique(inside))) < needed and level > levels[-1]:
            continue
        bound = lower_bound(hit[accepted], inside, alpha)
        if bound < target:
            return found if found.confidence is not None else Threshold(None, bound)
        found = Threshold(float(level), bound, float(accepted.mean()), float(hit[accepted].mean()))
    return found


@lru_cache
def _accepted_rows(m: int) -> NDArray[np.int64]:
    """Return the numbers of rows, of m, that the tried thresholds accept."""
    return np.unique(np.ceil(np.arange(1, COVERAGE_STEPS + 1) / COVERAGE_STEPS * m).astype(np.int64))


@lru_cache
def rows_to_show(accuracy: float, target: float, alpha: float) -> int:
    """Return the number of rows of an `accuracy` whose bound is the target."""
    rows = 1
    while binomial_lower_bound(accuracy * rows, rows, alpha) < target:
        rows = int(np.ceil(rows * 1.02))
    return rows


def find_class_thresholds(
    confidence: Numbers, label: Numbers, hit: Numbers, n_classes: int, target: float, unit: Numbers | None = None
) -> list[Threshold]:
    """Return a threshold for the rows labelled as each class.

    All of them hold together at the stated confidence.
    """
    thresholds = []
    for c in range(n_classes):
        rows = label == c
        inside = None if unit is None else unit[rows]
        thresholds.append(find_threshold(confidence[rows], hit[rows], target, inside, ALPHA / n_classes))
    return thresholds


def accept(confidence: Numbers, label: Numbers, thresholds: Numbers, keep: float = 0.0) -> Numbers:
    """Return (m,) True where confidence reaches the threshold of the label.

    `thresholds` is (C,). Of the rows labelled as a class at least the share `keep` is accepted, the most confident
    first, whatever its level: without it a class that is rare and hard vanishes.
    """
    accepted = confidence >= thresholds[label]
    for c in np.unique(label) if keep > 0 else ():
        rows = np.flatnonzero(label == c)
        most_confident = rows[np.argsort(-confidence[rows], kind="stable")]
        accepted[most_confident[: int(np.ceil(keep * len(rows)))]] = True
    return np.asarray(accepted)


def top_share(score: Numbers, share: float) -> Numbers:
    """Return (m,) True for the `share` of rows with the highest score.

    It is one row at least; ties go to earlier rows.
    """
    accepted = np.zeros(len(score), np.bool_)
    accepted[np.argsort(-score, kind="stable")[: max(1, int(share * len(score)))]] = True
    return accepted


def reliability_bins(confidence: Numbers, hit: Numbers) -> list[CalibrationBin]:
    """Return the CALIBRATION_BINS bins of the calibration error.

    They are equally wide in confidence (Guo et al. 2017).
    """
    return to_bins(reliability_sums(confidence, hit))


def to_bins(sums: NDArray[np.float64]) -> list[CalibrationBin]:
    """Return the bins of `reliability_sums` (3, bins)."""
    return [CalibrationBin(int(rows), confidence, int(hits)) for rows, confidence, hits in sums.T.tolist()]


def reliability_sums(confidence: Numbers, hit: Numbers) -> NDArray[np.float64]:
    """Return (..., 3, bins) sums of rows, confidence and hits by bin.

    They are of confidence and hits (..., m).
    """
    exact = confidence.astype(np.float64)
    row_bin = np.minimum((exact * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    weights = (np.ones(hit.shape), exact, hit)
    return np.stack([count_by_row(row_bin, CALIBRATION_BINS, weight) for weight in weights], axis=-2)


def _expected_errors(confidence: Numbers, hit: Numbers) -> NDArray[np.float64]:
    """Return (..., m) expected errors among the k most confident rows."""
    order = np.argsort(-confidence, axis=-1, kind="stable")
    first, size = tie_groups(np.take_along_axis(confidence, order, axis=-1))
    errors = np.add.reduceat(1.0 - np.take_along_axis(hit, order, axis=-1).ravel(), first)
    return np.cumsum(np.repeat(errors / size, size).reshape(confidence.shape), axis=-1)
