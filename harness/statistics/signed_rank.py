"""Wilcoxon's signed-rank test, exact for any number of data sets."""

import numpy as np
from numpy.typing import NDArray

from harness.statistics.distributions import mean_ranks

Floats = NDArray[np.float64]


def signed_rank_p(differences: Floats) -> float:
    """Return the two-sided p of differences (D,) that lie around 0.

    Wilcoxon 1945: differences of 0 are left out, equal sizes share their mean rank. The distribution is that of all
    signs being equally likely, exact with ties too, so the least p of D differences is 2 ** (1 - D).

    >>> signed_rank_p(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    0.0625
    """
    nonzero = differences[differences != 0]
    if len(nonzero) == 0:
        return 1.0
    doubled = np.rint(2 * mean_ranks(np.abs(nonzero))).astype(np.int64)  # mean ranks are halves at the finest
    share = np.zeros(doubled.sum() + 1)  # of all signs, by the sum of the doubled ranks of positive differences
    share[0] = 1.0
    for rank in doubled:
        share[rank:] += share[:-rank].copy()
        share /= 2
    positive = int(doubled[nonzero > 0].sum())
    extreme = min(positive, len(share) - 1 - positive)
    return float(min(1.0, 2 * share[: extreme + 1].sum()))


def least_p(n: int) -> float:
    """Return the least p that the test of n differences can have."""
    return float(min(1.0, 2.0 ** (1 - n)))


def data_sets_needed(pairs: int, alpha: float) -> int:
    """Return how many data sets Holm's least p below `alpha` takes."""
    return next(n for n in range(1, 10_000) if pairs * least_p(n) < alpha)
