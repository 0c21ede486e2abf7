"""Tests of differences between labelers; see docs/statistics.md.

m labelers are measured on the same test rows in J seeds. The part of an error that comes from the
rows is a covariance; the part that comes from the seed is a variance for each labeler.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.statistics.distributions import student_quantile, student_tail

Floats = NDArray[np.float64]

ALPHA = 0.05  # of all false separations of a comparison together
POWER = 0.8  # with which the smallest detectable difference would be found
MIN_UNITS = 30  # test rows, or groups of them, below which nothing is separated


@dataclass(frozen=True, eq=False)
class Measurements:
    """Values of m labelers on the same rows, with their covariance."""

    values: Floats  # (m, J) one for each seed, the mean over its folds
    rows: Floats  # (m, m) covariance of the labelers' means over seeds by the draw of the test rows
    units: int  # test rows, or groups of them where rows come in groups
    same_rows: bool = True  # every seed is tested on the same rows


@dataclass(frozen=True, eq=False)
class Estimates:
    """Differences (or values) with their errors, each array (P,)."""

    value: Floats
    se: Floats
    df: Floats  # of Student's t

    @property
    def p(self) -> Floats:
        """Two-sided p-values of no difference."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(self.value == 0, 0.0, np.abs(self.value) / self.se)
        return np.asarray(2 * student_tail(t, self.df))

    @property
    def interval(self) -> tuple[Floats, Floats]:
        """Ends of the 95 % intervals of the single estimates."""
        half = student_quantile(1 - ALPHA / 2, self.df) * self.se
        return self.value - half, self.value + half


def pairs_of(m: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the second of all m (m - 1) / 2 pairs."""
    return np.triu_indices(m, 1)


def estimate_differences(measured: Measurements) -> Estimates:
    """Estimate the first minus the second of every pair.

    SE^2 = (s2_a + s2_b) / J + variance by the rows.
    """
    a, b = pairs_of(len(measured.values))
    means, cov = measured.values.mean(axis=1), measured.rows
    by_rows = np.maximum(cov[a, a] + cov[b, b] - 2 * cov[a, b], 0.0)
    s2, df = seed_variances(measured)
    return _estimates(means[a] - means[b], by_rows, s2[a] + s2[b], df, measured)


def estimate_values(measured: Measurements) -> Estimates:
    """Estimate each labeler's own value (m,)."""
    s2, df = seed_variances(measured)
    return _estimates(measured.values.mean(axis=1), np.diag(measured.rows), s2, df, measured)


def _estimates(value: Floats, by_rows: Floats, s2: Floats, df: float, measured: Measurements) -> Estimates:
    """Add both variances; their degrees of freedom by Satterthwaite (1946)."""
    by_seed = s2 / measured.values.shape[1]
    variance = by_rows + by_seed
    with np.errstate(divide="ignore", invalid="ignore"):
        joint = variance**2 / (by_seed**2 / df + by_rows**2 / max(measured.units - 1, 1))
    return Estimates(value, np.sqrt(variance), np.where(variance > 0, joint, max(measured.units - 1.0, 1.0)))


def seed_variances(measured: Measurements) -> tuple[Floats, float]:
    """Return (m,) variances of one seed's value and their degrees of freedom.

    Zeros where there is one seed. Pooled over the labelers, df = m (J - 1); one of three or more that scatters more
    than that counts with its own. Where seeds test different rows, the mean over the labelers, mostly luck of the rows,
    is subtracted before, df = (m - 1) (J - 1).
    """
    values = measured.values
    m, seeds = values.shape
    if seeds == 1:
        return np.zeros(m), np.inf
    own, df = values.var(axis=1, ddof=1), m * (seeds - 1)
    if not measured.same_rows and m > 1:
        own = (values - values.mean(axis=0)).var(axis=1, ddof=1) * m / (m - 1)
        df = (m - 1) * (seeds - 1)
    pooled = np.full(m, own.mean())
    return (np.maximum(own, pooled) if m > 2 else pooled), float(df)


def holm(p: Floats) -> Floats:
    """Adjust p-values (..., P) of P tests by Holm (1979).

    The chance of any false positive among those below a level is at most that level. The smallest is multiplied by P,
    the next by P - 1, and none is below one before.

    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    order = np.argsort(p, axis=-1, kind="stable")
    factors = p.shape[-1] - np.arange(p.shape[-1])
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, -1) * factors, axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1.0), -1)
    return adjusted


def rank_intervals(m: int, better: NDArray[np.bool_], worse: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return (m, 2) lowest and highest rank of each labeler.

    The lowest is 1 + the number significantly better, the highest m - the number significantly worse. `better` (P,) is
    True for pairs whose first is significantly better, `worse` for those whose second is.
    """
    a, b = pairs_of(m)
    above = np.bincount(b[better], minlength=m) + np.bincount(a[worse], minlength=m)
    below = np.bincount(a[better], minlength=m) + np.bincount(b[worse], minlength=m)
    return np.stack([1 + above, m - below], axis=1)


def detectable_difference(estimates: Estimates, alpha: float) -> float:
    """Return the least difference detectable at `alpha` with POWER.

    It is that of a pair of median standard error.
    """
    se, df = np.median(estimates.se), np.median(estimates.df)
    return float(se * (student_quantile(1 - alpha / 2, df) + student_quantile(POWER, df)))


def row_covariance(shares: NDArray[Any], weights: Floats) -> Floats:
    """Return the (m, m) covariance of sums of shares by the draw of rows.

    `shares` (m, U) is what each row (or group) adds to each labeler's value and `weights` (U,), which sum to 1, what it
    would add if every row's loss were 1. The residuals share - weight x value are summed as squares and products: the
    variance of a mean where weights are equal, the linearised cluster variance of a ratio where they are not.
    """
    units = len(weights)
    residuals = shares - weights * shares.sum(axis=1, keepdims=True)
    return np.asarray(residuals @ residuals.T * (units / max(units - 1, 1)))
