"""Selective prediction: accuracy against coverage, and thresholds of confidence that keep a target accuracy.

The confidence of a row is the probability of its most probable class. Rows of one confidence cannot be told apart, so
they are accepted together, and where they must be ordered every order counts the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.statistics.intervals import ALPHA, lower_bound
from harness.statistics.metrics import CALIBRATION_BINS, Numbers

COVERAGE_STEPS = 20  # coverages that a curve is shown at, and thresholds are tried at: 5 %, 10 %, ... 100 %


@dataclass(frozen=True)
class Threshold:
    """The least confidence that is accepted, and the rows at or above it."""

    confidence: float | None  # None where no threshold keeps the target
    bound: float  # lower bound (95 %) of the accuracy of the accepted rows; the best one where confidence is None
    coverage: float = 0.0  # their share
    accuracy: float | None = None


@dataclass(frozen=True)
class CalibrationBin:
    """Rows of about one confidence."""

    rows: int
    confidence: float  # sums over the rows
    hits: int


def top_probability(proba: Numbers) -> NDArray[np.float32]:
    """Return (m,) the probability of each row's most probable class."""
    return np.asarray(proba.max(axis=1))


def accuracy_by_coverage(confidence: Numbers, hit: Numbers) -> NDArray[np.float64]:
    """Return (COVERAGE_STEPS,) accuracies of the surest 1/COVERAGE_STEPS, 2/COVERAGE_STEPS, ... of the rows, from
    confidence and hits (m,)."""
    taken = _counts(len(confidence), COVERAGE_STEPS)
    wrong = _expected_errors(confidence, hit)
    return np.asarray(1 - wrong[taken - 1] / taken)


def aurc(confidence: Numbers, hit: Numbers) -> float:
    """Area under the risk-coverage curve: the mean over k of the error rate of the k surest rows (Geifman et al. 2019).

    Rows of one confidence err evenly: the mean over all orders of them.
    """
    return float((_expected_errors(confidence, hit) / np.arange(1, len(confidence) + 1)).mean())


def find_threshold(
    confidence: Numbers, hit: Numbers, target: float, unit: Numbers | None = None, alpha: float = ALPHA
) -> Threshold:
    """Find the lowest confidence above which the accuracy is at least `target`.

    `confidence` and `hit` (n,) are of rows whose truth is known and that nothing was fitted on; rows of one `unit`
    (n,), a group, are no independent witnesses. Each of COVERAGE_STEPS thresholds is tested by its lower bound at its
    share of
    `alpha`, so that the bound holds although the threshold is chosen by it (Bonferroni; Geifman and El-Yaniv 2017).
    """
    order = np.sort(confidence)[::-1]
    sizes = np.unique(np.ceil(np.arange(1, COVERAGE_STEPS + 1) / COVERAGE_STEPS * len(order)).astype(np.int64))
    levels = np.unique(order[sizes - 1]) if len(order) else np.empty(0)  # lowest first
    best = 0.0
    for level in levels:
        accepted = confidence >= level
        bound = lower_bound(hit[accepted], None if unit is None else unit[accepted], alpha / COVERAGE_STEPS)
        if bound >= target:
            return Threshold(float(level), bound, float(accepted.mean()), float(hit[accepted].mean()))
        best = max(best, bound)
    return Threshold(None, best)


def find_class_thresholds(
    confidence: Numbers, label: Numbers, hit: Numbers, n_classes: int, target: float, unit: Numbers | None = None
) -> list[Threshold]:
    """Return a threshold for the rows labelled as each class, all of them together at the stated confidence."""
    thresholds = []
    for c in range(n_classes):
        rows = label == c
        inside = None if unit is None else unit[rows]
        thresholds.append(find_threshold(confidence[rows], hit[rows], target, inside, ALPHA / n_classes))
    return thresholds


def accept(confidence: Numbers, label: Numbers, thresholds: Numbers, keep: float = 0.0) -> Numbers:
    """Return (m,) True for the rows whose confidence is at least the level (C,) of their label.

    Of the rows labelled as a class at least the share `keep` is accepted, the surest first, whatever its level: without
    it a class that is rare and hard vanishes.
    """
    accepted = confidence >= thresholds[label]
    for c in np.unique(label) if keep > 0 else ():
        rows = np.flatnonzero(label == c)
        surest = rows[np.argsort(-confidence[rows], kind="stable")]
        accepted[surest[: int(np.ceil(keep * len(rows)))]] = True
    return np.asarray(accepted)


def top_share(score: Numbers, share: float) -> Numbers:
    """Return (m,) True for the `share` of rows with the highest score, one at least; ties to earlier rows."""
    accepted = np.zeros(len(score), np.bool_)
    accepted[np.argsort(-score, kind="stable")[: max(1, int(share * len(score)))]] = True
    return accepted


def reliability_bins(confidence: Numbers, hit: Numbers) -> list[CalibrationBin]:
    """Return the CALIBRATION_BINS equally wide bins of confidence that the calibration error is made of (Guo et al.
    2017)."""
    place = np.minimum((confidence.astype(np.float64) * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    rows, hits = np.bincount(place, minlength=CALIBRATION_BINS), np.bincount(place, hit, minlength=CALIBRATION_BINS)
    total = np.bincount(place, confidence.astype(np.float64), minlength=CALIBRATION_BINS)
    return [CalibrationBin(int(n), float(s), int(h)) for n, s, h in zip(rows, total, hits, strict=True)]


def _counts(m: int, steps: int) -> NDArray[np.int64]:
    return np.maximum(np.arange(1, steps + 1) * m // steps, 1)


def _expected_errors(confidence: Numbers, hit: Numbers) -> NDArray[np.float64]:
    """Return (m,) the errors to expect among the k surest rows, for k from 1."""
    order = np.argsort(-confidence, kind="stable")
    _, first, size = np.unique(-confidence[order], return_index=True, return_counts=True)
    errors = np.add.reduceat(1.0 - hit[order], first)
    return np.cumsum(np.repeat(errors / size, size))
