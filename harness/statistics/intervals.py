"""Confidence intervals of shares, means and other statistics.

Rows may come in groups (units) whose rows depend on each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.statistics.distributions import beta_quantile, student_quantile

Numbers = NDArray[Any]
ALPHA = 0.05  # how often an interval may miss the truth
BOOTSTRAP_DRAWS = 500


@dataclass(frozen=True)
class Interval:
    """A number measured on n rows with its 95 % confidence interval."""

    value: float
    low: float
    high: float
    n: int

    def holds(self, truth: float) -> bool:
        """Return True if the truth lies inside."""
        return bool(self.low <= truth <= self.high)


def share_interval(hits: Numbers, unit: Numbers | None = None, alpha: float = ALPHA) -> Interval | None:
    """Return the share of True in `hits` (n,) with its exact interval.

    Clopper and Pearson 1934; None of no rows. Rows of one `unit` (n,) (a group) are not independent: their number is
    cut to the effective one (Korn and Graubard 1998).
    """
    if len(hits) == 0:
        return None
    value, n = float(np.mean(hits)), effective_sample_size(hits, unit)
    return Interval(
        value,
        binomial_lower_bound(value * n, n, alpha / 2),
        1 - binomial_lower_bound((1 - value) * n, n, alpha / 2),
        len(hits),
    )


def lower_bound(hits: Numbers, unit: Numbers | None = None, alpha: float = ALPHA) -> float:
    """Return the lower bound of the true share of hits at 1 - `alpha`.

    It is 0 of no rows.
    """
    if len(hits) == 0:
        return 0.0
    n = effective_sample_size(hits, unit)
    return binomial_lower_bound(float(np.mean(hits)) * n, n, alpha)


def mean_interval(values: Numbers, unit: Numbers | None = None, alpha: float = ALPHA) -> Interval:
    """Return the mean of `values` (n,) with its cluster-robust t interval."""
    value, (variance, units) = float(np.mean(values)), variance_of_mean(values, unit)
    half = float(_t_quantile(alpha, units) * np.sqrt(variance)) if units > 1 else np.inf
    return Interval(value, value - half, value + half, len(values))


def variance_of_mean(values: Numbers, unit: Numbers | None = None) -> tuple[float, int]:
    """Return the variance of the mean of values (n,), and the number of units.

    Rows of one unit may depend on each other: a sandwich estimate over the sums of the units (Liang and Zeger 1986)
    with the factor U / (U - 1).
    """
    deviation = np.asarray(values, np.float64) - np.mean(values)
    if unit is not None:
        _, row_unit = np.unique(unit, return_inverse=True)
        deviation = np.bincount(row_unit.reshape(-1), deviation)
    units = len(deviation)
    if units < 2:
        return np.inf, units
    return float((deviation**2).sum() * units / (units - 1) / len(values) ** 2), units


def bootstrap_interval(
    statistic: Callable[[Numbers], float], n: int, unit: Numbers | None = None, alpha: float = ALPHA, seed: int = 0
) -> Interval:
    """Return a statistic with its bootstrap percentile interval (Efron 1979).

    Whole units are drawn. `statistic` is given (n,) counts: how often each row stands in the resample.
    """
    row_unit = np.arange(n) if unit is None else np.unique(unit, return_inverse=True)[1].reshape(-1)
    units, rng = int(row_unit.max(initial=-1)) + 1, np.random.default_rng(seed)
    draws = [
        statistic(np.bincount(rng.integers(0, units, units), minlength=units)[row_unit]) for _ in range(BOOTSTRAP_DRAWS)
    ]
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2])
    return Interval(statistic(np.ones(n, np.int64)), float(low), float(high), n)


def effective_sample_size(hits: Numbers, unit: Numbers | None) -> float:
    """Return the effective number of independent rows among hits (n,)."""
    n, p = len(hits), float(np.mean(hits))
    if unit is None:
        return n
    variance, units = variance_of_mean(hits, unit)
    if variance == 0 or units < 2:  # all hits or none: a unit counts as one row
        return units
    effective = p * (1 - p) / variance * (_t_quantile(ALPHA, n) / _t_quantile(ALPHA, units)) ** 2
    return float(min(n, effective))


def binomial_lower_bound(hits: float, n: float, alpha: float) -> float:
    """Return the exact lower bound of a share, `hits` of n, at 1 - `alpha`.

    Clopper and Pearson 1934; neither number need be whole.
    """
    return float(beta_quantile(alpha, hits, n - hits + 1)) if hits > 0 else 0.0


def _t_quantile(alpha: float, units: int) -> float:
    return float(student_quantile(1 - alpha / 2, units - 1))
