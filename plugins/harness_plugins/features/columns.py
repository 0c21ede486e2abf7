"""Columns of the data as they are: numbers, yes and no, categories."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

import numpy as np
import pyarrow as pa

from harness import DataError, Items, hookimpl
from harness_plugins.features.one_hot import encode_categories

MIN_COUNTED_ROWS = 100  # fewer rows may be numbered by chance
GLOB_MARKS = "*?["


@dataclass(frozen=True)
class Columns:
    """The numbers of `columns`, and a 0/1 column per category.

    A name may be a pattern such as "x_*", which takes those columns of the data that can be used; the target is never
    among them. Numbers keep their scale: a labeler gets features z-scored on its train rows. True and false are 1 and
    0. Text is a category, one-hot. A null number is the mean of the column, and one more column says where, as
    "age=null"; a null category is a category. A column that does not vary is left out.
    """

    name: ClassVar[str] = "columns"

    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("columns must name at least one column")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns names a column twice: {', '.join(self.columns)}")

    def features(self, items: Items) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return (rows, d) float32 numbers and the d names.

        Raises DataError for a named column that holds vectors, conversations, row numbers or too many categories, and
        for a pattern that takes none.
        """
        arrays, names = [], []
        for column in self._chosen(items):
            try:
                array, own = _encode(column, items.values(column))
            except DataError as error:
                if column not in self.columns:  # of a pattern
                    continue
                raise DataError(f"{items.path}: {error}") from None
            arrays.append(array)
            names += own
        if not arrays:
            raise DataError(f"{items.path}: no column of {', '.join(self.columns)} has numbers or categories")
        X = np.concatenate(arrays, axis=1)
        varies = X.max(axis=0, initial=-np.inf) > X.min(axis=0, initial=np.inf)
        kept = varies if varies.any() else np.ones(len(varies), np.bool_)
        return X[:, kept], tuple(name for name, keep in zip(names, kept, strict=True) if keep)

    def _chosen(self, items: Items) -> list[str]:
        chosen: dict[str, None] = {}
        for pattern in self.columns:
            matching = [column for column in items.columns if fnmatchcase(column, pattern)]
            if any(mark in pattern for mark in GLOB_MARKS) and pattern not in items.columns:
                if not matching:
                    raise DataError(f"{items.path}: no column is called {pattern!r}")
                chosen |= dict.fromkeys(matching)
            else:
                chosen[pattern] = None
        return list(chosen)


def _encode(column: str, values: pa.Array) -> tuple[np.ndarray, list[str]]:
    """Return (rows, k) float32 and the k names of one column."""
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _encode_numbers(column, values)
    if pa.types.is_boolean(kind) and not values.null_count:
        return _encode_numbers(column, values.cast(pa.uint8()))
    code, names = encode_categories(column, values)
    if len(values) >= MIN_COUNTED_ROWS and 2 * len(names) > len(values):
        raise DataError(
            f"column {column!r} has {len(names):,} categories in {len(values):,} rows: names, not categories"
        )
    array = np.zeros((len(values), len(names)), np.float32)
    array[np.arange(len(values)), code] = 1
    return array, names


def _encode_numbers(column: str, values: pa.Array) -> tuple[np.ndarray, list[str]]:
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)  # null is NaN
    with np.errstate(invalid="ignore"):
        steps = np.diff(numbers)
    if len(numbers) >= MIN_COUNTED_ROWS and (steps == 1).all():
        raise DataError(f"column {column!r} numbers the rows: as a feature it says where a row stands in the file")
    with np.errstate(over="ignore"):
        array = numbers.astype(np.float32)
    present = np.isfinite(array)
    if not present.any():
        raise DataError(f"column {column!r} has no finite number")
    if present.all():
        return array[:, None], [column]
    mean = numbers[present].mean()
    absent = (~present).astype(np.float32)
    return np.stack([np.where(present, array, np.float32(mean)), absent], axis=1), [column, f"{column}=null"]


@hookimpl
def harness_features():
    return [Columns]
