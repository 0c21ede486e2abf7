"""The classes of a target: their values in the data, order and names.

Labelers see numbers from 0 alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Value = bool | int | float | str
"""A value as a suite or a data file has it."""

MAX_CLASSES = 256
MAX_LISTED = 20  # distinct numbers of a column that are taken as its classes; more are measurements
TOLERANCE = 1e-6  # a number so close to a class is that class: float32 has 1.0000001 for 1
HUB_METADATA = b"huggingface"  # of a schema: the features that the `datasets` library has written


@dataclass(frozen=True)
class Classes:
    """C values of a target in the order of their numbers 0 to C - 1."""

    values: tuple[Value, ...]
    ordered: bool = True  # False: names without an order, for which no distance means anything
    cuts: tuple[float, ...] = ()  # thresholds between the classes of a continuous score, increasing
    stored: Literal["values", "numbers", "texts"] = "values"  # in the data: values, 0 to C - 1, or values as text

    @classmethod
    def numbered(cls, n: int) -> Self:
        """Return the classes 0 to n - 1."""
        return cls(tuple(range(n)))

    @classmethod
    def cut(cls, cuts: tuple[float, ...]) -> Self:
        """Return the ordered classes of scores between thresholds.

        A score equal to a threshold is of the upper class.
        """
        ends = [f"{cut:g}" for cut in cuts]
        between = [f"{low} to {high}" for low, high in pairwise(ends)]
        return cls((f"< {ends[0]}", *between, f">= {ends[-1]}"), cuts=cuts)

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The classes as people read them."""
        return tuple(map(write_value, self.values))

    @property
    def are_numbered(self) -> bool:
        """True for the whole numbers 0 to C - 1."""
        return not self.cuts and self.values == tuple(range(len(self))) and not isinstance(self.values[0], bool)

    @cached_property
    def numbers(self) -> NDArray[np.float64] | None:
        """The numbers (C,) that stand for the classes in the data, if any do."""
        if self.stored == "numbers":
            return np.arange(len(self), dtype=np.float64)
        if self.cuts or any(isinstance(value, str) for value in self.values):
            return None
        return np.array([float(value) for value in self.values])

    def __str__(self) -> str:
        if self.are_numbered:
            return f"0 to {len(self) - 1}"
        return ", ".join(self.names)

    def number_values(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the class numbers (N,) of numbers (N,); -1 for no class."""
        if self.cuts:
            return np.where(np.isfinite(values), np.digitize(values, self.cuts), -1)
        numbers = self.numbers
        if numbers is None:
            return np.full(len(values), -1)
        order = np.argsort(numbers)
        nearest = np.clip(np.searchsorted(numbers[order], values), 1, len(numbers) - 1)
        below = values - numbers[order][nearest - 1] < numbers[order][nearest] - values
        codes = order[np.where(below, nearest - 1, nearest)]
        with np.errstate(invalid="ignore"):
            close = np.abs(values - numbers[codes]) <= TOLERANCE
        return np.where(close, codes, -1)

    def number_texts(self, column: pa.Array) -> NDArray[np.int64]:
        """Return the class numbers (N,) of texts (N,); -1 for no class."""
        encoded = column.dictionary_encode()
        number = {name: code for code, name in enumerate(self.names)}
        texts = encoded.dictionary.to_pylist()
        codes = np.array([number.get(text, -1) for text in texts] or [-1])
        places = pc.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False)
        return np.asarray(codes[places])

    def expect(self, proba: NDArray[Any]) -> NDArray[np.float64]:
        """Return the expected value (rows,) of probabilities (rows, C).

        Of the values, where these are numbers, else of 0 to C - 1.
        """
        numbers = np.arange(len(self), dtype=np.float64) if self.numbers is None else self.numbers
        return np.asarray(proba @ numbers)

    def decode(self, codes: NDArray[Any]) -> pa.Array:
        """Return the values (rows,) of class numbers, as they came in."""
        if self.are_numbered or self.stored == "numbers":
            return pa.array(codes, pa.int16() if len(self) > 127 else pa.int8())
        values = pa.array(self.names if self.stored == "texts" else self.values)
        return values.take(pa.array(codes, pa.int64()))


def write_value(value: Value) -> str:
    """Return the text of a value: true, 3, 0.5, good."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def find_value_error(values: Sequence[Value]) -> str | None:
    """Return what is wrong with a list of classes, or None."""
    names = [write_value(value) for value in values]
    if not 2 <= len(values) <= MAX_CLASSES:
        return f"must be from 2 to {MAX_CLASSES} classes, got {len(values)}"
    if len(set(names)) < len(names):
        return f"the class {next(name for name in names if names.count(name) > 1)} is given twice"
    if not all(name.strip() and name.isprintable() for name in names):
        return "the name of a class must be text that can be printed"
    numbers = sorted(float(value) for value in values if not isinstance(value, str))
    if numbers and len(numbers) < len(values):
        return "must be all numbers or all names"
    if not np.isfinite(numbers).all() or (np.diff(numbers) <= 2 * TOLERANCE).any():
        return f"numbers must be finite and differ by more than {2 * TOLERANCE:g}"
    return None


def listed_in_schema(field: pa.Field, metadata: dict[bytes, bytes] | None) -> Classes | None:
    """Return the classes that a file's schema names for a column, or None.

    The `datasets` library writes those of a ClassLabel; they have no order.
    """
    try:
        features = json.loads((metadata or {})[HUB_METADATA])["info"]["features"]
        feature = features[field.name]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
    except (KeyError, TypeError, ValueError):
        return None
    if not isinstance(names, list) or find_value_error(names) or not pa.types.is_integer(field.type):
        return None
    return Classes(tuple(names), ordered=False, stored="numbers")


def take_classes(
    column: pa.Array, dictionary: pa.DictionaryArray | None, missing: Sequence[Value] = ()
) -> Classes | str:
    """Return the classes of a column as it is, or why they are not plain.

    Text and booleans have no order, nor has a `dictionary` that names none; numbers have theirs. Values of `missing`
    are no classes.
    """
    no_label = {"", *map(write_value, missing)}
    if dictionary is not None:
        values = tuple(value for value in dictionary.dictionary.to_pylist() if write_value(value) not in no_label)
        order = bool(dictionary.type.ordered)
        classes = Classes(values if order else tuple(sorted(values, key=str)), order)
        return find_value_error(classes.values) or classes
    if pa.types.is_boolean(column.type):
        return Classes((False, True), ordered=False)
    present = [value for value in pc.unique(column.drop_null()).to_pylist() if value == value]
    distinct = [value for value in present if write_value(value) not in no_label]
    if all(isinstance(value, str) for value in distinct):
        if 2 * len(distinct) > len(column) or len(distinct) > MAX_CLASSES:
            return f"has {len(distinct):,} different texts in {len(column):,} rows"
        classes = Classes(tuple(sorted(distinct)), ordered=False)
    else:
        numbers = sorted({round(float(value), 6) for value in distinct})
        if len(numbers) > MAX_LISTED:
            return f"has {len(numbers):,} different numbers"
        if numbers and all(number.is_integer() for number in numbers):
            classes = Classes(tuple(map(int, numbers)))
        else:
            classes = Classes(tuple(numbers))
    return find_value_error(classes.values) or classes
