"""Columns of the data as they are: numbers, yes and no, categories."""

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from harness import DataError, Items, hookimpl
from harness_plugins.features.one_hot import column_of, encode_categories

MIN_COUNTED_ROWS = 100  # fewer rows may be numbered by chance
GLOB_MARKS = "*?["


@dataclass(frozen=True)
class Columns:
    """The numbers of `columns`, and a 0/1 column per category.

    A name may be a pattern such as "x_*", which takes those columns of the data that can be used; the target is never
    among them. Numbers keep their scale: a labeler gets features z-scored on its train rows. True and false are 1 and
    0. Text is a category, one-hot. A null number is the mean of the column, and one more column says where, as
    "age=null"; a null category is a category. A column that does not vary is left out.

    With `kept` these are the columns, whatever the data have: `means` are those of the numbers, and a row with another
    category has zeros.
    """

    name: ClassVar[str] = "columns"

    columns: tuple[str, ...]
    kept: tuple[str, ...] = ()  # names of the columns to make; without them those that the data have
    means: dict[str, float] = field(default_factory=dict, hash=False)  # of the columns of numbers, where kept is given

    @property
    def rowwise(self) -> bool:
        return bool(self.kept)

    def fitted(self, items: Items, names: tuple[str, ...]) -> Self:
        """Return the set with the columns and the means of these rows."""
        used = tuple(c for c in self._chosen(items) if c in names or any(column_of(n, (c,)) for n in names))
        means = {}
        for column in used:
            values = items.values(column)
            if is_number(values):
                means[column] = _mean(_to_numbers(values))
        return replace(self, columns=used, kept=names, means=means)

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
        if self.kept:
            return self._kept_columns(items), self.kept
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

    def _kept_columns(self, items: Items) -> np.ndarray:
        """Return (rows, d) the columns `kept`; zeros for other categories."""
        made: dict[str, np.ndarray] = {}
        for column in self.columns:
            values = items.values(column)
            if column in self.means:
                array = _fill(_to_numbers(values), self.means[column])
                made |= {column: array[:, 0], f"{column}=null": array[:, 1]}
            else:
                code, own = encode_categories(column, values)
                made |= {name: (code == number).astype(np.float32) for number, name in enumerate(own)}
        zeros = np.zeros(len(items), np.float32)
        return np.stack([made.get(name, zeros) for name in self.kept], axis=1)

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
    if is_number(values):
        return _encode_numbers(column, values)
    code, names = encode_categories(column, values)
    if len(values) >= MIN_COUNTED_ROWS and 2 * len(names) > len(values):
        raise DataError(
            f"column {column!r} has {len(names):,} categories in {len(values):,} rows: names, not categories"
        )
    array = np.zeros((len(values), len(names)), np.float32)
    array[np.arange(len(values)), code] = 1
    return array, names


def is_number(values: pa.Array) -> bool:
    """Return True for a column that counts by its numbers."""
    kind = values.type
    if pa.types.is_boolean(kind):
        return not values.null_count
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _to_numbers(values: pa.Array) -> np.ndarray:
    """Return (rows,) float64; null is NaN."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    return values.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _mean(numbers: np.ndarray) -> float:
    """Return the mean of the numbers (rows,) that float32 can hold."""
    with np.errstate(over="ignore"):
        present = np.isfinite(numbers.astype(np.float32))
    return float(numbers[present].mean()) if present.any() else 0.0


def _fill(numbers: np.ndarray, mean: float) -> np.ndarray:
    """Return (rows, 2) float32: numbers, or the mean; where it stands."""
    with np.errstate(over="ignore"):
        array = numbers.astype(np.float32)
    present = np.isfinite(array)
    return np.stack([np.where(present, array, np.float32(mean)), (~present).astype(np.float32)], axis=1)


def _encode_numbers(column: str, values: pa.Array) -> tuple[np.ndarray, list[str]]:
    numbers = _to_numbers(values)
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
    return _fill(numbers, _mean(numbers)), [column, f"{column}=null"]


@hookimpl
def harness_features():
    return [Columns]
