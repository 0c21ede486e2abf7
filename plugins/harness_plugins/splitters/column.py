"""A split that the data have already, in a column."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import DataError, Labelled, Split, hookimpl

MAX_NAMED = 5  # values of a column in a message


@dataclass(frozen=True)
class ColumnSplit:
    """Train and test rows as a column of the data names them.

    Rows whose value is named nowhere, and rows without one, are spare. Validation rows train too, but a labeler that
    holds rows out to choose its epoch, its round or its penalty takes these. Of several columns, seed 0 takes the
    first, seed 1 the second, and so on.
    """

    name: ClassVar[str] = "column"

    column: str | tuple[str, ...]
    train: tuple[str, ...] = ("train",)
    test: tuple[str, ...] = ("test",)
    validation: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        values = (*self.train, *self.test, *self.validation)
        if repeated := {value for value in values if values.count(value) > 1}:
            raise ValueError(f"a value stands on one side only, got {min(repeated)!r} twice")
        if not self.split_columns or not self.train or not self.test:
            raise ValueError("column, train and test must name at least one each")

    @property
    def split_columns(self) -> tuple[str, ...]:
        return (self.column,) if isinstance(self.column, str) else self.column

    def splits(self, dataset: Labelled, seed: int) -> Iterator[Split]:
        """Yield the split of one column; the seed is its place."""
        if seed >= len(self.split_columns):
            columns = "one column" if len(self.split_columns) == 1 else f"{len(self.split_columns)} columns"
            raise DataError(f"splitter 'column': {columns}, and seed {seed} is the place of none: seeds count from 0")
        column = self.split_columns[seed]
        value = dataset.columns[column]
        sides = {}
        for side in ("train", "validation", "test"):
            sides[side] = np.isin(value, np.array(getattr(self, side), value.dtype))
            if getattr(self, side) and not sides[side].any():
                have = ", ".join(sorted(set(value.tolist()))[:MAX_NAMED])
                wanted = " or ".join(getattr(self, side))
                raise DataError(f"splitter 'column': no labelled row has {wanted} in column {column!r}; it has {have}")
        learning = sides["train"] | sides["validation"]
        spare = ~learning & ~sides["test"]
        rows = dataset.rows
        yield Split(rows[learning], rows[sides["test"]], rows[spare], seed, validation=rows[sides["validation"]])


@hookimpl
def harness_splitters():
    return [ColumnSplit]
