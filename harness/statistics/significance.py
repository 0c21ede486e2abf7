"""Tests of differences between labelers; see docs/statistics.md.

m labelers are measured on the same test rows in J seeds. The part of an error that comes from the
rows is a covariance; the part that comes from the seed is a variance for each labeler.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.statistics.discordance import Discordance
from harness.statistics.distributions import student_quantile, student_tail
from harness.statistics.seed_variance import (
    MIN_SEEDS,
    SeedVariances,
    own_seed_variances,
    paired_seed_variances,
)

Floats = NDArray[np.float64]

ALPHA = 0.05  # of all false separations of a comparison together
POWER = 0.8  # with which the smallest detectable difference would be found
SMALL_POOL = 3.0  # degrees of freedom of a pool whose weight in those of a difference is doubled
NUMBER_WORDS = ("no", "one", "two")
MIN_UNITS = 30  # test rows, or groups of them, below which nothing is separated


@dataclass(frozen=True, eq=False)
class Measurements:
    """Values of m labelers on the same rows, with their covariances."""

    values: Floats  # (m, J) one for each seed
    rows: Floats  # (m, m) covariance of the labelers' means over seeds by the draw of the test rows
    units: int  # test rows, or groups of them where rows come in groups
    own_rows: Floats | None = None  # (m, m) covariance of one seed's values by what the rows do in that seed alone
    discordant: Mapping[int, Discordance] = field(default_factory=dict)  # pairs that differ on a handful of units

    @property
    def seeds(self) -> int:
        return int(self.values.shape[1])

    @property
    def untested(self) -> str | None:
        """Why no difference can be tested, or None."""
        if self.units < MIN_UNITS:
            return f"fewer than {MIN_UNITS} test units"
        return f"{NUMBER_WORDS[self.seeds]} seed{'s' * (self.seeds > 1)}" if self.seeds < MIN_SEEDS else None


@dataclass(frozen=True, eq=False)
class Estimates:
    """Differences (or values) with their errors, each array (P,)."""

    value: Floats
    se: Floats
    df: Floats  # of Student's t
    exact: Mapping[int, Discordance] = field(default_factory=dict)  # of those that rest on a handful of units

    @property
    def p(self) -> Floats:
        """Two-sided p-values of no difference, exact ones where larger."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(self.value == 0, 0.0, np.abs(self.value) / self.se)
        p = np.asarray(2 * student_tail(t, self.df))
        for place, discordance in self.exact.items():
            p[place] = max(p[place], discordance.p)
        return p

    @property
    def interval(self) -> tuple[Floats, Floats]:
        """Ends of the 95 % intervals of the single estimates."""
        half = student_quantile(1 - ALPHA / 2, self.df) * self.se
        low, high = self.value - half, self.value + half
        for place, discordance in self.exact.items():
            ends = discordance.interval(ALPHA)
            low[place], high[place] = min(low[place], ends[0]), max(high[place], ends[1])
        return low, high


def pairs_of(m: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the second of all m (m - 1) / 2 pairs."""
    return np.triu_indices(m, 1)


def estimate_differences(measured: Measurements) -> Estimates:
    """Estimate the first minus the second of every pair.

    SE^2 = variance by the rows + (s2_a + s2_b - what the rows do in one seed alone) / J.
    """
    a, b = pairs_of(len(measured.values))
    means = measured.values.mean(axis=1)
    seeds = measured.seeds
    variances = paired_seed_variances(measured.values) if seeds > 1 else None
    value = means[a] - means[b]
    estimates = _estimates(value, measured, variances, lambda cov: _of_difference(cov, a, b), (a, b))
    return replace(estimates, exact=measured.discordant)


def estimate_values(measured: Measurements) -> Estimates:
    """Estimate each labeler's own value (m,)."""
    m, seeds = measured.values.shape
    variances = own_seed_variances(measured.values) if seeds > 1 else None
    return _estimates(measured.values.mean(axis=1), measured, variances, np.diag, (np.arange(m),))


def _of_difference(cov: Floats, a: NDArray[np.intp], b: NDArray[np.intp]) -> Floats:
    return np.asarray(cov[a, a] + cov[b, b] - 2 * cov[a, b])


def _estimates(
    value: Floats,
    measured: Measurements,
    variances: SeedVariances | None,
    pick: Callable[[Floats], Floats],
    sides: tuple[NDArray[np.intp], ...],
) -> Estimates:
    """Add both variances; their degrees of freedom by Satterthwaite (1946).

    `pick` takes the variances of the values out of a covariance, `sides` are the labelers that each is made of. What
    the rows do in one seed alone is in both variances and is taken off the second.
    """
    by_rows, seeds = np.maximum(pick(measured.rows), 0.0), measured.values.shape[1]
    rows_df = max(measured.units - 1, 1)
    if variances is None:
        return Estimates(value, np.sqrt(by_rows), np.full(len(value), float(rows_df)))
    own_rows = 0.0 if measured.own_rows is None else np.maximum(pick(measured.own_rows), 0.0)
    by_seed = np.maximum(sum(variances.s2[side] for side in sides) - own_rows, 0.0) / seeds
    variance = by_rows + by_seed
    with np.errstate(divide="ignore", invalid="ignore"):
        # Satterthwaite's formula is liberal where a variance has two or three degrees of freedom.
        weight = 1 + SMALL_POOL / variances.pool_df
        precision = weight**2 * variances.precision(*sides) / seeds**2 + by_rows**2 / rows_df
        df = (by_rows + weight * by_seed) ** 2 / precision
    return Estimates(value, np.sqrt(variance), np.where(variance > 0, df, float(rows_df)))


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
