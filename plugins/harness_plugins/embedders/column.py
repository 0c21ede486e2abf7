"""Embeddings that the data already hold: a column of lists of numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness import DataError, Items, hookimpl


@dataclass(frozen=True)
class Column:
    """Vectors in the list column `column`, all of one length.

    Lists may be of fixed size or not, of floats or of integers of any width.
    """

    name: ClassVar[str] = "column"

    column: str

    def embed(self, items: Items, start: int) -> Iterator[np.ndarray]:
        """Yield (rows, d) float32 arrays; d is the length of the first row of all.

        Raises DataError, with the first ids, where the column holds no lists of numbers, a null, or another length.
        """
        width = None
        if start:
            first = next(self._batches(items, 0), None)
            width = None if first is None else self._width(items, first)
        at = start
        for batch in self._batches(items, start):
            if width is None:
                width = self._width(items, batch)
            yield self._matrix(items, batch, at, width)
            at += len(batch)

    def _batches(self, items: Items, start: int) -> Iterator[pa.Array]:
        try:
            yield from items.batches(self.column, start)
        except pa.ArrowInvalid as error:  # how Arrow greets a null it has itself written into a fixed-size list
            raise DataError(
                f"{items.path}: column {self.column!r} cannot be read: {error}; if it is a fixed-size list with null "
                "rows, take them out of the file, or embed the text instead"
            ) from error

    def _width(self, items: Items, batch: pa.Array) -> int:
        kind = batch.type
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
        if not is_list or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
            raise DataError(f"{items.path}: column {self.column!r} must hold lists of numbers, holds {kind}")
        width = pc.list_value_length(batch)[0].as_py()
        if not width:
            problem = "a null" if width is None else "an empty list"
            raise DataError(self._complaint(items, f"{problem} where a vector should be", np.array([0])))
        return int(width)

    def _matrix(self, items: Items, batch: pa.Array, at: int, width: int) -> np.ndarray:
        if batch.null_count:
            rows = at + np.flatnonzero(batch.is_null().to_numpy(zero_copy_only=False))
            raise DataError(self._complaint(items, "a null where a vector should be", rows))
        lengths = pc.list_value_length(batch).to_numpy()
        if (lengths != width).any():
            rows = at + np.flatnonzero(lengths != width)
            problem = f"vectors of another length than the first row's {width:,} ({lengths[rows[0] - at]:,})"
            raise DataError(self._complaint(items, problem, rows))
        numbers = batch.flatten()
        if numbers.null_count:
            rows = at + np.unique(np.flatnonzero(numbers.is_null().to_numpy(zero_copy_only=False)) // width)
            raise DataError(self._complaint(items, "vectors with a null element", rows))
        with np.errstate(over="ignore"):  # problem float32 cannot hold becomes an infinity, which the harness reports
            return numbers.to_numpy().reshape(-1, width).astype(np.float32, copy=False)

    def _complaint(self, items: Items, problem: str, rows: np.ndarray) -> str:
        ids = ", ".join(str(each) for each in items.ids[rows[:3]])
        more = ", ..." if len(rows) > 3 else ""
        return (
            f"{items.path}: column {self.column!r} has {problem}, id {ids}{more}; "
            "mend these rows or take them out of the file, or embed the text instead"
        )


@hookimpl
def harness_embedders():
    return [Column]
