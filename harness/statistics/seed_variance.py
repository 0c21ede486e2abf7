"""The variance of labelers' values by the seed, each labeler's own.

A seed is another train set of the same size and other random numbers. With few seeds one labeler's variance is hardly
measured, so that alike labelers share a pool; one that scatters more counts with its own, and one that scatters far
more leaves the pool, so that it does not blunt the others (docs/statistics.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ERRATIC_FACTOR = 6.0  # variance over the median of all, above which a labeler leaves the pool
MIN_SEEDS = 3  # with two, a labeler of any variance has two equal values in one run of some


@dataclass(frozen=True, eq=False)
class SeedVariances:
    """The variance of one seed's value of m labelers.

    Where `pooled` (m,) is True a labeler has the pool's.
    """

    s2: Floats  # (m,)
    pooled: NDArray[np.bool_]
    pool_df: float  # degrees of freedom of the pool
    df: float  # and of one labeler's own variance: J - 1

    def precision(self, *sides: NDArray[np.intp]) -> Floats:
        """Return the (P,) sum of s2^2 / df over the labelers of both sides.

        The pool is one estimate: two labelers that have it count (2 s2)^2 / df.
        """
        own = sum(np.where(self.pooled[side], 0.0, self.s2[side] ** 2) for side in sides)
        shared = sum(np.where(self.pooled[side], self.s2[side], 0.0) for side in sides)
        return np.asarray(own / self.df + shared**2 / self.pool_df)


def paired_seed_variances(values: Floats) -> SeedVariances:
    """Estimate variances for differences of values (m, J), 2 seeds or more.

    What a seed does to all labelers alike, because they learn from the same rows and are tested on the same, cancels in
    a difference and is taken off before: Grubbs' (1948) estimates, which of two labelers are half the variance of their
    difference each.
    """
    m, seeds = values.shape
    pool = np.ones(m, np.bool_)
    if m == 1:
        return _with_pool(values.var(axis=1, ddof=1), pool, seeds, seeds - 1)
    for _ in range(2):
        estimates = _grubbs(values, pool)
        calm = estimates <= ERRATIC_FACTOR * np.median(estimates)
        if m < 3 or calm.sum() < 2 or (calm == pool).all():
            break
        pool = calm
    estimates = _grubbs(values, pool)
    return _with_pool(estimates, pool, seeds, (int(pool.sum()) - 1) * (seeds - 1))


def own_seed_variances(values: Floats) -> SeedVariances:
    """Estimate variances for the values (m, J) themselves, 2 seeds or more."""
    m, seeds = values.shape
    own = values.var(axis=1, ddof=1)
    pool = own <= ERRATIC_FACTOR * np.median(own) if m > 2 else np.ones(m, np.bool_)
    return _with_pool(own, pool, seeds, int(pool.sum()) * (seeds - 1))


def _grubbs(values: Floats, pool: NDArray[np.bool_]) -> Floats:
    """Estimate (m,) variances after taking off each seed's mean of the pool."""
    k = int(pool.sum())
    around = (values - values[pool].mean(axis=0)).var(axis=1, ddof=1)
    of_mean = around[pool].sum() / (k * (k - 1))  # variance of the pool's mean
    inside = around * 2 if k == 2 else (around - of_mean) * k / (k - 2)
    return np.asarray(np.where(pool, inside, around - of_mean))


def _with_pool(estimates: Floats, pool: NDArray[np.bool_], seeds: int, most: float) -> SeedVariances:
    """Raise the variances that are below the pool's mean to it.

    The pool's degrees of freedom are Satterthwaite's, for variances that need not be equal: `most` if they are.
    """
    df = seeds - 1
    inside = np.maximum(estimates[pool], 0.0)
    mean = float(np.maximum(estimates[pool].mean(), 0.0))
    squares = float((inside**2).sum()) * df / (df + 2)  # a variance's square is (df + 2) / df times too large
    effective = inside.sum() ** 2 / squares * df if squares > 0 else most
    pooled = estimates <= mean
    if pool.sum() <= 2:
        pooled = pooled | pool  # of two each has half of one variance
    return SeedVariances(np.where(pooled, mean, estimates), pooled, float(np.clip(effective, df, max(most, df))), df)
