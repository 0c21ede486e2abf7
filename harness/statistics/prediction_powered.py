"""Means over the pool from few labels and many predictions.

Their intervals hold however bad the predictions are.

Prediction-powered inference (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic 2023): the mean of the predictions over
the unlabelled rows, put right by their mean error over the labelled ones. The predictions count with the weight that
makes the interval shortest, 0 where they are worthless (PPI++: Angelopoulos, Duchi and Zrnic 2023). No labeler may have
learnt from the rows it is put right on, so each fold has its own labeler, its own labelled rows and its own part of the
unlabelled ones (as in Zrnic and Candès 2024).

It takes for granted that the labelled rows were drawn at random from the pool. Where they were not, no interval from
them is right, and neither is this one.
"""

from dataclasses import dataclass

import numpy as np

from harness.statistics.distributions import student_quantile
from harness.statistics.intervals import ALPHA, Interval, Numbers, mean_interval, share_interval, variance_of_mean

MIN_LABELLED_ROWS = 10  # labelled rows of a kind: under it the normal approximation fails


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of one side, labelled or not, with their folds and groups."""

    fold: Numbers  # (n,) whose labeler predicted the row
    unit: Numbers | None = None  # (n,) group of the row


@dataclass(frozen=True)
class PoolEstimate:
    """A mean over the pool, three ways."""

    powered: Interval  # labelled and unlabelled rows
    labelled: Interval  # the labelled rows alone
    naive: float  # as if the predictions were the truth, so its error is unknown
    weight: float  # of the predictions, from 0 to 1


def estimate_mean(
    truth: Numbers, guess: Numbers, guess_pool: Numbers, labelled: Sample, pool: Sample, naive: float
) -> PoolEstimate:
    """Estimate a mean over the pool from labelled and predicted rows.

    `truth` and `guess` (n,) are of the labelled rows, `guess_pool` (p,) of unlabelled ones, no guess by a labeler that
    was trained on the row. Where the truth is yes or no (a class share) the labelled rows alone have their exact
    interval; with fewer than MIN_LABELLED_ROWS of either kind it is the result as well.
    """
    yes_or_no = truth.dtype == np.bool_
    alone = share_interval(truth, labelled.unit) if yes_or_no else mean_interval(truth, labelled.unit)
    assert alone is not None
    if len(guess_pool) == 0 or (yes_or_no and min(truth.sum(), (~truth).sum()) < MIN_LABELLED_ROWS):
        return PoolEstimate(alone, alone, naive, 0.0)
    n, p = len(truth), len(guess_pool)
    spread = float(np.var(guess)) * (1 + n / p)
    covariance = float(np.mean((truth - truth.mean()) * (guess - guess.mean())))
    weight = float(np.clip(covariance / spread, 0, 1)) if spread > 0 else 0.0
    errors = truth - weight * guess
    value = float(errors.mean()) + weight * _balanced_mean(guess_pool, labelled.fold, pool.fold)
    variance, units = variance_of_mean(errors, labelled.unit)
    variance += weight**2 * variance_of_mean(guess_pool, pool.unit)[0]
    quantile = float(student_quantile(1 - ALPHA / 2, units - 1)) if units > 1 else np.inf
    half = quantile * float(np.sqrt(variance))
    low, high = value - half, value + half
    powered = Interval(value, max(low, 0.0), min(high, 1.0), n + p) if yes_or_no else Interval(value, low, high, n + p)
    return PoolEstimate(powered, alone, naive, weight)


def _balanced_mean(guess_pool: Numbers, fold: Numbers, fold_pool: Numbers) -> float:
    """Return the mean guess over the pool, folds weighed by labelled rows."""
    total = 0.0
    for number, count in zip(*np.unique(fold, return_counts=True), strict=True):
        total += count / len(fold) * float(guess_pool[fold_pool == number].mean())
    return total
