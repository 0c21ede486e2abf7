"""One-hot columns of the values of data columns."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness import DataError, Items, hookimpl

MAX_CATEGORIES = 1_000  # distinct values of a column; 300,000 rows of as many columns are 1.2 GB


@dataclass(frozen=True)
class OneHot:
    """One 0/1 column per distinct value of each of `columns`.

    Values are sorted, null last; a column is named like "source=dolly".

    Takes integer, boolean, string and dictionary columns. Null is a category of its own, "source=null"; should the
    text "null" stand beside nulls, it is written in quotes.

    With `categories`, as "source=dolly", these are the columns, whatever values the data have: a row with another value
    has zeros.
    """

    name: ClassVar[str] = "one_hot"

    columns: tuple[str, ...]
    categories: tuple[str, ...] = ()  # columns to make; without them those of the values in the data

    @property
    def rowwise(self) -> bool:
        return bool(self.categories)

    def fitted(self, items: Items, names: tuple[str, ...]) -> Self:
        """Return the set with the categories that it has met."""
        return replace(self, categories=names)

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("columns must name at least one column")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns names a column twice: {', '.join(self.columns)}")
        strange = [name for name in self.categories if column_of(name, self.columns) is None]
        if strange:
            raise ValueError(f"categories must be a column, '=' and a value, got {strange[0]!r}")

    def features(self, items: Items) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return (rows, d) zeros and ones, float32, and the d names.

        Raises DataError for a column that does not hold categories or holds more than a thousand.
        """
        coded = [_code(items, column) for column in self.columns]
        if self.categories:
            return _place(coded, self.categories), self.categories
        names = tuple(name for _, names in coded for name in names)
        array = np.zeros((len(items), len(names)), np.float32)
        offset = 0
        for code, own in coded:
            array[np.arange(len(items)), offset + code] = 1
            offset += len(own)
        return array, names


def column_of(name: str, columns: tuple[str, ...]) -> str | None:
    """Return the column that a category "source=dolly" is of, or None."""
    return max((column for column in columns if name.startswith(f"{column}=")), key=len, default=None)


def _place(coded: list[tuple[np.ndarray, list[str]]], categories: tuple[str, ...]) -> np.ndarray:
    """Return (rows, d) the codes (rows,) of each column as `categories`."""
    place = {name: number for number, name in enumerate(categories)}
    array = np.zeros((len(coded[0][0]), len(categories)), np.float32)
    for code, own in coded:
        target = np.array([place.get(name, -1) for name in own] or [-1])[code]
        known = np.flatnonzero(target >= 0)
        array[known, target[known]] = 1
    return array


def _code(items: Items, column: str) -> tuple[np.ndarray, list[str]]:
    try:
        return encode_categories(column, items.values(column))
    except DataError as error:
        raise DataError(f"{items.path}: {error}") from None


def encode_categories(column: str, values: pa.Array) -> tuple[np.ndarray, list[str]]:
    """Return (rows,) category numbers and the categories' names.

    Raises DataError for values that are no categories, or more than MAX_CATEGORIES.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not _is_category(values.type):
        raise DataError(f"column {column!r} holds {values.type}; one-hot needs categories: integers, booleans or text")
    distinct = pc.unique(values).to_pylist()
    if len(distinct) > MAX_CATEGORIES:
        raise DataError(
            f"column {column!r} has {len(distinct):,} distinct values, one-hot takes at "
            f"most {MAX_CATEGORIES:,}; "
            "group them, or leave the column out"
        )
    categories = sorted(value for value in distinct if value is not None)
    nulls = len(categories) < len(distinct)
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in categories]
    names = [f"{column}={text!r}" if nulls and text == "null" else f"{column}={text}" for text in texts]
    code = pc.fill_null(pc.index_in(values, pa.array(categories, values.type)), len(categories))  # null comes last
    return code.to_numpy(zero_copy_only=False), names + [f"{column}=null"] * nulls


def _is_category(kind: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
    return any(check(kind) for check in checks)


@hookimpl
def harness_features():
    return [OneHot]
