"""Each source tested by labelers that have never seen a label of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import DataError, Labelled, Split, hookimpl
from harness_plugins.splitters._units import hashed_order, units


@dataclass(frozen=True)
class LeaveSourceOut:
    """One fold for each source: its rows test, other rows train.

    A share of the others' rows trains.
    """

    name: ClassVar[str] = "leave_source_out"

    ratio: float = 1.0  # share of the other sources' labelled rows that trains

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise ValueError(f"ratio must be more than 0 and at most 1, got {self.ratio:g}")

    def splits(self, dataset: Labelled, seed: int) -> Iterator[Split]:
        """Yield the folds in the order of the sources' names.

        The seed chooses which of the other rows train.

        A unit (a row, or a group) with a row in the tested source does not train: its other rows are spare.
        """
        if dataset.sources is None:
            raise DataError("splitter 'leave_source_out' needs the column of the sources; name it as data.source")
        sources = np.unique(dataset.sources)
        if len(sources) < 2:
            raise DataError(f"splitter 'leave_source_out' needs two sources or more, there is {len(sources)}")
        names, unit = units(dataset)
        place = np.empty(len(names), np.int64)
        place[hashed_order(names, f"train {seed}")] = np.arange(len(names))
        for fold, source in enumerate(sources):
            testing = dataset.sources == source
            others = np.flatnonzero(~np.isin(unit, unit[testing]))
            # Whole units in the hashed order, as long as they fit; at least one.
            others = others[np.argsort(place[unit[others]], kind="stable")]
            if len(others) == 0:
                raise DataError(f"splitter 'leave_source_out': every group has a row of source {str(source)!r}")
            last = np.flatnonzero(np.diff(unit[others], append=-1))  # where a unit ends
            size = max(round(len(others) * self.ratio), last[0] + 1)
            training = np.zeros(len(unit), np.bool_)
            training[others[: last[last < size][-1] + 1]] = True
            spare = ~training & ~testing
            yield Split(dataset.rows[training], dataset.rows[testing], dataset.rows[spare], seed, None, fold)


@hookimpl
def harness_splitters():
    return [LeaveSourceOut]
