"""Cut a continuous score into classes at quantiles of some of its rows."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.data.classes import Classes, find_value_error

SUM_TOLERANCE = 1e-5  # of the shares, whose sum is 1
SHARE_DIGITS = 12  # of a sum of shares: 0.1 + 0.2 is 0.3
RANK_DIGITS = 6  # of a number of rows, before it is rounded: a third of 9 is 3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """Classes of a continuous score by their shares of each train set."""

    shares: tuple[float, ...]  # of the labelled rows of a train set, from the lowest class up; their sum is 1

    def __post_init__(self) -> None:
        if not all(share > 0 for share in self.shares):
            raise ValueError(f"shares must be positive, got {list(self.shares)}")
        total = round(sum(self.shares), SHARE_DIGITS)
        if not abs(total - 1) <= SUM_TOLERANCE:
            raise ValueError(f"shares must sum to 1, {list(self.shares)} sum to {total:.6g}")
        if fault := find_value_error(self._names()):
            raise ValueError(f"shares: {fault}")

    @property
    def classes(self) -> Classes:
        """The classes, whose thresholds are not known yet."""
        return Classes(self._names())

    def find_thresholds(self, scores: Floats) -> tuple[float, ...]:
        """Return the C - 1 quantiles of scores (n,) between the classes.

        Each is the score of the row that has as many rows below it as the shares say, rounded to a whole number. It is
        the least score of its upper class, so that equal scores are of one class. Raises ValueError where a class is
        left without a score.
        """
        below = np.floor((self._quantiles() * len(scores)).round(RANK_DIGITS) + 0.5).astype(np.int64)
        thresholds = np.append(np.sort(scores), np.inf)[below]
        present = np.unique(np.digitize(scores, thresholds))
        if len(present) < len(self.shares):
            absent = next(c for c in range(len(self.shares)) if c not in present)
            values, counts = np.unique(scores, return_counts=True)
            commonest = f"the commonest score, {values[counts.argmax()]:.6g}, has {counts.max():,} of {len(scores):,}"
            raise ValueError(f"no row is left for the class {self._names()[absent]!r} ({commonest})")
        return tuple(thresholds.tolist())

    def _quantiles(self) -> Floats:
        return np.cumsum(self.shares).round(SHARE_DIGITS)[:-1]

    def _names(self) -> tuple[str, ...]:
        ends = [f"{100 * end:.6g}" for end in (0.0, *self._quantiles().tolist(), 1.0)]
        return tuple(f"{low} to {high} %" for low, high in pairwise(ends))


@dataclass(frozen=True, eq=False)
class Scores:
    """The continuous scores of n labelled rows, from which classes are cut."""

    target: Floats  # (n,)
    raters: Floats | None = None  # (n, R)
    shares: Shares | None = None  # None: the thresholds are the same for every train set

    def cut(self, classes: Classes, train: NDArray[np.intp]) -> Classes:
        """Return the classes with the thresholds of `train` positions."""
        if self.shares is None:
            return classes
        return replace(classes, cuts=self.shares.find_thresholds(self.target[train]))

    def number(self, classes: Classes) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Return the class numbers (n,) of the target, and (n, R) of raters."""
        return classes.number_values(self.target), None if self.raters is None else classes.number_values(self.raters)


def mean_scores(scores: Floats, y: NDArray[np.int64], classes: Classes) -> Floats:
    """Return the mean score (C,) of the rows of each class.

    scores (n,) with class numbers y (n,). A class without a row has the middle of its thresholds, or the only one.
    """
    ends = np.array([classes.cuts[0], *classes.cuts, classes.cuts[-1]])
    counts, sums = (np.bincount(y, weights, len(classes)) for weights in (None, scores))
    return np.where(counts > 0, sums / np.maximum(counts, 1), (ends[:-1] + ends[1:]) / 2)
