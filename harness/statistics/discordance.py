"""Differences that rest on a handful of rows, tested exactly.

Two labelers that differ on k rows are compared by these alone, as McNemar's (1947) test does: without a difference each
of them favours either side with equal chance. Student's t would take the n - k equal rows for evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_DISCORDANT = 25  # units; of more the sum is nearly normal


@dataclass(frozen=True)
class Discordance:
    """The units on which two labelers differ."""

    count: float  # units of equal weight that they are worth
    wins: float  # of these that favour the first
    total: float  # sum of the sizes of the differences

    @property
    def p(self) -> float:
        """Two-sided p-value of the exact sign test."""
        from scipy.special import betainc

        more = max(self.wins, self.count - self.wins)
        tail = float(betainc(more, self.count - more + 1, 0.5)) if more > 0 else 1.0
        return min(1.0, 2 * tail)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return ends of the difference by the interval of the share won.

        Clopper and Pearson 1934.
        """
        from scipy.special import betaincinv

        lost = self.count - self.wins
        low = float(betaincinv(self.wins, lost + 1, alpha / 2)) if self.wins > 0 else 0.0
        high = float(betaincinv(self.wins + 1, lost, 1 - alpha / 2)) if lost > 0 else 1.0
        return self.total * (2 * low - 1), self.total * (2 * high - 1)


def few_discordant(shares: Floats) -> Mapping[int, Discordance]:
    """Return the pairs that differ on a handful of units, by their number.

    `shares` (m, U) is what each unit adds to each labeler's value, at least 0; pairs are numbered as in `pairs_of`.
    """
    m = len(shares)
    first, second = np.triu_indices(m, 1)
    squares = shares @ shares.T
    distance = squares[first, first] + squares[second, second] - 2 * squares[first, second]
    limit = MAX_DISCORDANT * float(shares.max(initial=0.0)) ** 2
    pairs = {}
    for place in np.flatnonzero(distance <= limit * (1 + 1e-9)):
        difference = shares[first[place]] - shares[second[place]]
        difference = difference[np.abs(difference) > 1e-12]
        if 0 < len(difference) <= MAX_DISCORDANT:
            pairs[int(place)] = _discordance(difference)
    return pairs


def few_differing(
    labels: NDArray[np.integer[Any]], values: Floats, covariance: Floats, largest_step: float
) -> Mapping[int, Discordance]:
    """Return the pairs whose labels (m, n) differ on a handful of rows.

    Of a metric that is no mean over rows, such as macro-F1: whichever way each row pulls, k rows are no stronger
    evidence than k that all favour one side. `values` (m,) and their covariance (m, m) by the draw of the rows leave
    out most pairs, `largest_step` being what one row can change.
    """
    first, second = np.triu_indices(len(labels), 1)
    variance = covariance[first, first] + covariance[second, second] - 2 * covariance[first, second]
    pairs = {}
    for place in np.flatnonzero(variance <= MAX_DISCORDANT * largest_step**2):
        count = int((labels[first[place]] != labels[second[place]]).sum())
        if 0 < count <= MAX_DISCORDANT:
            wins = count if values[first[place]] > values[second[place]] else 0
            size = abs(float(values[first[place]] - values[second[place]]))
            pairs[int(place)] = Discordance(count, wins, size)
    return pairs


def _discordance(difference: Floats) -> Discordance:
    total = float(np.abs(difference).sum())
    count = total**2 / float((difference**2).sum())
    return Discordance(count, count * float(difference[difference > 0].sum()) / total, total)
