"""Quantiles, tails and ranks without scipy.stats.

scipy.special returns the same numbers; scipy.stats takes a second to import.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def student_quantile(p: Any, df: Any) -> Any:
    """Return the p-quantile of Student's t, 0 < p <= 1."""
    from scipy.special import stdtrit

    return stdtrit(df, p)


def student_tail(t: Any, df: Any) -> Any:
    """Return P(T > t) of Student's t with df degrees of freedom."""
    from scipy.special import stdtr

    return stdtr(df, -t)


def beta_quantile(p: Any, a: Any, b: Any) -> Any:
    """Return the p-quantile of the beta distribution with parameters a and b."""
    from scipy.special import betaincinv

    return betaincinv(a, b, p)


def normal_quantile(p: Any) -> Any:
    """Return the p-quantile of the standard normal distribution."""
    from scipy.special import ndtri

    return ndtri(p)


def mean_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the ranks (..., n) of values (..., n), from 1, in each row.

    Ties get their mean rank.
    """
    order = np.argsort(values, axis=-1)
    first, size = tie_groups(np.take_along_axis(values, order, axis=-1))
    mean = first % values.shape[-1] + (size + 1) / 2
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, np.repeat(mean, size).reshape(values.shape), axis=-1)
    return ranks


def tie_groups(in_order: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return first place and size of the groups of equal values (..., n).

    Each row is sorted; places are counted through the rows, one after the other.
    """
    begins = np.ones(in_order.shape, np.bool_)
    begins[..., 1:] = in_order[..., 1:] != in_order[..., :-1]
    first = np.flatnonzero(begins)
    return first, np.diff(first, append=in_order.size)


def chi_square_tail(x: Any, df: Any) -> Any:
    """Return P(X > x) of chi-square with df degrees of freedom."""
    from scipy.special import chdtrc

    return chdtrc(df, x)


def rank_tail(k: int, rank: int, n: int, m: int) -> float:
    """Return P(k or more of m values are under the rank-th least of n).

    All n + m are drawn alike, so of the k + rank - 1 smallest fewer than `rank` are then of the n: hypergeometric.
    """
    from scipy.special import gammaln

    def log_choose(a: Any, b: Any) -> Any:
        return gammaln(a + 1) - gammaln(b + 1) - gammaln(a - b + 1)

    drawn = k + rank - 1
    of_n = np.arange(max(0, drawn - m), min(rank - 1, n, drawn) + 1)
    return float(np.exp(log_choose(n, of_n) + log_choose(m, drawn - of_n) - log_choose(n + m, drawn)).sum())
