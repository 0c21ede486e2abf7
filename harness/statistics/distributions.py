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
    """Return the ranks (n,) of values (n,), from 1; ties get their mean rank."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[group], np.float64)
