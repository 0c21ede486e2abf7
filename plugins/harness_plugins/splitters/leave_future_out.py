"""The latest rows tested by labelers that have seen only earlier ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import DataError, Labelled, Split, hookimpl
from harness_plugins.splitters._units import check_ratios, hashed_order, units


@dataclass(frozen=True)
class LeaveFutureOut:
    """The latest rows test, earlier ones train.

    Rows of one time stand on one side.
    """

    name: ClassVar[str] = "leave_future_out"

    ratios: tuple[float, ...]  # train rows as shares of all labelled rows
    test: float = 0.2  # share of the labelled rows that is tested, at least; the latest ones

    def __post_init__(self) -> None:
        if not 0 < self.test < 1:
            raise ValueError(f"test must be between 0 and 1, got {self.test:g}")
        check_ratios(self.ratios, below=1 - self.test)

    def splits(self, dataset: Labelled, seed: int) -> Iterator[Split]:
        """Yield a split per ratio; the seed chooses which earlier rows train.

        A unit (a row, or a group) with a tested row does not train: its other rows are spare.
        """
        if dataset.times is None:
            raise DataError("splitter 'leave_future_out' needs the column of the times; name it as data.time")
        n = len(dataset.rows)
        first = np.sort(dataset.times)[n - max(round(n * self.test), 1)]  # the earliest time that is tested
        testing = dataset.times >= first
        names, unit = units(dataset)
        place = np.empty(len(names), np.int64)
        place[hashed_order(names, f"train {seed}")] = np.arange(len(names))
        earlier = np.flatnonzero(~np.isin(unit, unit[testing]))
        if len(earlier) == 0:
            raise DataError("splitter 'leave_future_out': no row, and no group, lies before the rows that are tested")
        earlier = earlier[np.argsort(place[unit[earlier]], kind="stable")]
        last = np.flatnonzero(np.diff(unit[earlier], append=-1))  # where a unit ends
        for ratio in self.ratios:
            # Whole units in the hashed order, as long as they fit; at least one.
            size = max(min(round(n * ratio), len(earlier)), last[0] + 1)
            training = np.zeros(n, np.bool_)
            training[earlier[: last[last < size][-1] + 1]] = True
            spare = ~training & ~testing
            yield Split(dataset.rows[training], dataset.rows[testing], dataset.rows[spare], seed, ratio)


@hookimpl
def harness_splitters():
    return [LeaveFutureOut]
