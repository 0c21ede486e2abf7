"""Intervals of values that lie in a range, which never leave it."""

import numpy as np

from harness.statistics.distributions import beta_quantile, student_quantile
from harness.statistics.significance import ALPHA, Estimates, Floats


def value_interval(estimates: Estimates, bounds: tuple[float, float], units: int) -> tuple[Floats, Floats]:
    """Return the ends of the 95 % intervals of values (m,) of a metric.

    `bounds` are the least and the largest value. A value in [0, 1] has the interval of a share (Clopper and Pearson
    1934) of as many rows as its standard error is worth, cut for the t of few seeds (Korn and Graubard 1998); others
    are scaled to [0, 1] first. Without an upper bound it is Student's t on the logarithm.
    """
    low, high = bounds
    t = student_quantile(1 - ALPHA / 2, estimates.df)
    if not np.isfinite(low):
        return estimates.interval
    if not np.isfinite(high):
        shift = np.maximum(estimates.value - low, 1e-12)
        factor = np.exp(t * estimates.se / shift)
        return low + shift / factor, low + shift * factor
    share, error = np.clip((estimates.value - low) / (high - low), 0.0, 1.0), estimates.se / (high - low)
    inside = (share > 0) & (share < 1) & (error > 0)
    widening = (student_quantile(1 - ALPHA / 2, max(units - 1, 1)) / t) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = (np.where(inside, share * (1 - share) / error**2 + 1, units)) * widening
    hits = share * rows
    return low + (high - low) * _lower(hits, rows), high - (high - low) * _lower(rows - hits, rows)


def _lower(hits: Floats, rows: Floats) -> Floats:
    """Return lower bounds of shares, 0 where nothing is hit."""
    safe = np.maximum(hits, 1e-12)
    return np.where(hits > 1e-9, beta_quantile(ALPHA / 2, safe, rows - hits + 1), 0.0)
