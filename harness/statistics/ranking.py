"""Ranks of m labelers over D data sets: means, intervals, tests.

A data set is one unit: a labeler's rank on it is one number, however many rows it has. Demšar 2006 for the plan;
Benavoli, Corani & Mangili 2016 for pairs by signed ranks, which do not depend on who else is ranked.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.statistics.distributions import mean_ranks, normal_quantile, student_quantile
from harness.statistics.signed_rank import signed_rank_p
from harness.statistics.significance import ALPHA, holm, pairs_of, rank_intervals

Floats = NDArray[np.float64]

DRAWS = 4_000


@dataclass(frozen=True, eq=False)
class Ranking:
    """m labelers on D data sets, and all P = m (m - 1) / 2 pairs."""

    ranks: Floats  # (D, m) 1 is the best, ties share their mean
    mean_rank: Floats  # (m,)
    interval: Floats  # (m, 2) 95 % of the mean rank
    won: NDArray[np.int64]  # (P,) data sets on which the first of a pair is better
    tied: NDArray[np.int64]
    p: Floats  # (P,) of the signed ranks
    adjusted: Floats  # (P,) by Holm
    separated: NDArray[np.bool_]
    places: NDArray[np.int64]  # (m, 2) lowest and highest rank that the separated pairs leave

    @property
    def win_rate(self) -> Floats:
        """The mean share (m,) of the other labelers that one is better than."""
        return _win_rate(self.mean_rank)

    @property
    def win_rate_interval(self) -> Floats:
        """Its 95 % interval (m, 2), which follows from that of the mean rank."""
        return _win_rate(self.interval[:, ::-1])

    @property
    def order(self) -> NDArray[np.intp]:
        """The labelers by mean rank."""
        return np.argsort(self.mean_rank, kind="stable")


def rank_over_data_sets(values: Floats, factors: list[Floats], seed: int = 0) -> Ranking:
    """Rank labelers by values (D, m), of which the larger is the better.

    `factors` (m, r) span the errors of each data set's values: see `error_factor`.
    """
    n, m = values.shape
    ranks = mean_ranks(-values)
    a, b = pairs_of(m)
    differences = values[:, a] - values[:, b]  # (D, P)
    p = np.array([signed_rank_p(column) for column in differences.T])
    adjusted = holm(p)
    separated = adjusted < ALPHA
    first_wins = np.array([_signed_rank_sum(column) > 0 for column in differences.T], np.bool_)
    mean_rank = ranks.mean(axis=0)
    return Ranking(
        ranks,
        mean_rank,
        _interval(mean_rank, _draw_mean_ranks(values, factors, seed), n),
        (differences > 0).sum(axis=0),
        (differences == 0).sum(axis=0),
        p,
        adjusted,
        separated,
        rank_intervals(m, separated & first_wins, separated & ~first_wins),
    )


def error_factor(variance: Floats) -> Floats:
    """Return F (m, r) such that F z, z normal, has the given differences.

    `variance` (m, m) is that of the difference of each pair. Torgerson 1952: F F' is the covariance of the values less
    their mean, the only part that ranks depend on. What no covariance has, as of rounded variances, is cut off.
    """
    centre = np.eye(len(variance)) - 1 / len(variance)
    size, direction = np.linalg.eigh(-centre @ variance @ centre / 2)
    return np.asarray(direction * np.sqrt(np.maximum(size, 0.0)))


def friedman_test(ranks: Floats) -> tuple[float, float] | None:
    """Return chi-squared and p of all m labelers being alike, of (D, m).

    Friedman 1937, corrected for ties. None for fewer than three labelers, or where all are tied.
    """
    n, m = ranks.shape
    spread = ((ranks - (m + 1) / 2) ** 2).sum()  # n m (m^2 - 1) / 12 without ties
    if m < 3 or spread == 0:
        return None
    from scipy.special import chdtrc

    between = n * ((ranks.mean(axis=0) - (m + 1) / 2) ** 2).sum()
    statistic = float(n * (m - 1) * between / spread)
    return statistic, float(chdtrc(m - 1, statistic))


def cliques(ranking: Ranking) -> list[tuple[int, int]]:
    """Return first and last place of the longest runs without a separation.

    Places count through the labelers by mean rank, from 0; a run has at least two, and none lies inside another.
    """
    m, order = len(ranking.mean_rank), ranking.order
    apart = np.zeros((m, m), np.bool_)
    apart[pairs_of(m)] = ranking.separated
    apart = (apart | apart.T)[np.ix_(order, order)]
    runs: list[tuple[int, int]] = []
    for first in range(m):
        last = first
        while last + 1 < m and not apart[first : last + 1, last + 1].any():
            last += 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def _signed_rank_sum(differences: Floats) -> float:
    nonzero = differences[differences != 0]
    return float((np.sign(nonzero) * mean_ranks(np.abs(nonzero))).sum()) if len(nonzero) else 0.0


def _win_rate(mean_rank: Floats) -> Floats:
    m = len(mean_rank)
    return (m - mean_rank) / max(m - 1, 1)


def _draw_mean_ranks(values: Floats, factors: list[Floats], seed: int) -> Floats:
    """Return (DRAWS, m) mean ranks of other data sets, rows and seeds.

    The weights of the data sets are exponential (the Bayesian bootstrap, Rubin 1981). One data set more, on which all
    are alike, stands for what D data sets have not shown: who was best on all five is not best everywhere.
    """
    rng = np.random.default_rng(seed)
    n, m = values.shape
    weights = rng.standard_exponential((DRAWS, n + 1))
    weights /= weights.sum(axis=1, keepdims=True)
    drawn = weights[:, n:] * mean_ranks(rng.standard_normal((DRAWS, m)))
    for i, (row, factor) in enumerate(zip(values, factors, strict=True)):
        errors = rng.standard_normal((DRAWS, factor.shape[1])) @ factor.T
        drawn += weights[:, i : i + 1] * mean_ranks(-(row + errors))
    return drawn


def _interval(mean_rank: Floats, drawn: Floats, n: int) -> Floats:
    """Return (m, 2) ends, as wide as by Student's t of n data sets.

    The draws are centred on the mean rank: their errors and the data set more pull them to the middle.
    """
    m = len(mean_rank)
    if n < 2:
        return np.tile([1.0, float(m)], (m, 1))
    ends = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2], axis=0) - drawn.mean(axis=0)
    width = float(student_quantile(1 - ALPHA / 2, n - 1) / normal_quantile(1 - ALPHA / 2))
    return np.asarray(np.clip(mean_rank + width * ends, 1.0, float(m)).T)
