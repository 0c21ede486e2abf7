"""Read columns of labels as the numbers of their classes."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.data.classes import (
    MAX_CLASSES,
    Classes,
    Value,
    listed_in_schema,
    take_classes,
    write_value,
)
from harness.data.column_reader import ColumnReader, is_text, is_valid, numbers_of
from harness.errors import DataError, did_you_mean
from harness.plugin.block import Rows

Labels = tuple[NDArray[np.int64], NDArray[np.bool_]]
"""(N,) class numbers and (N,) bool, False where a row has no label."""
Scores = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""(N,) numbers and (N,) bool, False where a row has no label."""


@dataclass(frozen=True)
class LabelReader:
    """A reader of the label columns of one table."""

    columns: ColumnReader
    classes: Classes
    missing: tuple[Value, ...] = ()  # values that mean "no label", beside null

    def labels(self, name: str, role: str = "target or raters") -> Labels:
        """Return the class numbers of a column, and which rows have one.

        Raises DataError with the rows of a value that is no class.
        """
        column = self.columns.read(name, role)
        is_labelled = is_valid(column)
        kind = column.type
        if pa.types.is_null(kind):
            return np.zeros(self.columns.size, np.int64), is_labelled
        if pa.types.is_boolean(kind):
            column, kind = self._of_booleans(name, column)
        if is_text(kind):
            is_labelled = is_labelled & ~self._is_missing_text(column)
            codes = np.where(is_labelled, self.classes.number_texts(column), 0)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            values, is_labelled = self._numbers(name, column)
            codes = np.where(is_labelled, self._number(values), 0)
        else:
            where = f"{self.columns.table.display_name}: column {name!r}"
            raise DataError(f"{where}: labels must be numbers, text or true and false, are {kind}; convert them")
        wrong = np.flatnonzero(codes < 0)
        if len(wrong):
            raise self.columns.fail(name, wrong, *self._fault(column, is_labelled, int(wrong[0])))
        return codes.astype(np.int64), is_labelled

    def scores(self, name: str, role: str = "target or raters") -> Scores:
        """Return the numbers of a column, and which rows have one.

        Raises DataError where they are no finite numbers.
        """
        column = self.columns.read(name, role)
        kind = column.type
        if pa.types.is_null(kind):
            return np.zeros(self.columns.size), is_valid(column)
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            where = f"{self.columns.table.display_name}: column {name!r}"
            raise DataError(f"{where}: a score that is cut into classes must be numbers, is {kind}", ("data", "cut"))
        values, is_labelled = self._numbers(name, column)
        infinite = np.flatnonzero(~np.isfinite(values))
        if len(infinite):
            raise self.columns.fail(name, infinite, "an infinite score", "write a number, or null")
        return values.astype(np.float64), is_labelled

    def rater(self, name: str, rows: Rows) -> NDArray[np.int64]:
        """Return the class numbers of `rows`, all of which need one."""
        codes, is_labelled = self.labels(name)
        absent = rows[~is_labelled[rows]]
        if len(absent):
            raise self.columns.fail(name, absent, "no label of this rater", "leave the rater out, or unlabel the rows")
        return codes[rows]

    def _numbers(self, name: str, column: pa.Array) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the numbers (N,) of a column, 0 without a label, and a mask."""
        present = is_valid(column)
        values = np.where(present, numbers_of(column), 0)
        is_labelled = present & ~self._is_missing_number(values)
        absent = np.flatnonzero(np.isnan(values) & is_labelled)
        if len(absent):
            raise self.columns.fail(name, absent, "NaN", "write null where there is no label")
        return np.where(is_labelled, values, 0), is_labelled

    def _number(self, values: NDArray[np.generic]) -> NDArray[np.int64]:
        if self.classes.numbers is not None or self.classes.cuts:
            return self.classes.number_values(values.astype(np.float64))
        distinct, place = np.unique(values, return_inverse=True)
        texts = pa.array([write_value(value) for value in distinct.tolist()], pa.string())
        return self.classes.number_texts(texts)[place]

    def _of_booleans(self, name: str, column: pa.Array) -> tuple[pa.Array, pa.DataType]:
        """Return true and false as 1 and 0, or as text for named classes."""
        if self.classes.numbers is None:
            return column.cast(pa.string()), pa.string()
        if len(self.classes) != 2:
            where = f"{self.columns.table.display_name}: column {name!r}"
            raise DataError(f"{where}: its labels are true and false; write 'classes: [false, true]'")
        return column.cast(pa.int8()), pa.int8()

    def _is_missing_text(self, column: pa.Array) -> NDArray[np.bool_]:
        missing = [write_value(value) for value in self.missing]
        if "" not in self.classes.names:
            missing.append("")  # an empty cell of a table of text
        return is_true(pc.is_in(column, pa.array(missing, pa.string()).cast(column.type)))

    def _is_missing_number(self, values: NDArray[np.generic]) -> NDArray[np.bool_]:
        numbers = [float(value) for value in self.missing if not isinstance(value, str)]
        if self.classes.stored == "numbers":
            numbers.append(-1)  # of named classes, as the `datasets` library writes it
        return np.isin(values.astype(np.float64), numbers)

    def _fault(self, column: pa.Array, is_labelled: NDArray[np.bool_], row: int) -> tuple[str, str]:
        """Return what is wrong with a row's value, and what to do about it."""
        value = column[row].as_py()
        if is_text(column.type):
            named = f"the label {value!r}"
            return named, f"the classes are {self.classes}{did_you_mean(str(value), self.classes.names)}"
        shown = f"the label {value:.9g}" if isinstance(value, float) else f"the label {value:g}"
        if not self.classes.are_numbered:
            return shown, f"the classes are {self.classes}"
        return shown, self._advice(numbers_of(column)[is_labelled].astype(np.float64))

    def _advice(self, labels: NDArray[np.float64]) -> str:
        """Return what to do about labels (n,) that are not 0 to C - 1."""
        allowed = f"labels are whole numbers from 0 to {len(self.classes) - 1}"
        low, high = labels.min(), labels.max()  # may be infinite
        are_whole = bool(np.isfinite(labels).all() and (labels == np.floor(labels)).all())
        if are_whole and low == 1 and high <= len(self.classes):
            listed = ", ".join(str(value) for value in range(1, int(high) + 1))
            return f"{allowed}; these are from 1 to {high:g}: write 'classes: [{listed}]'"
        if are_whole and low == 0 and high < MAX_CLASSES:
            return f"{allowed}; set 'classes: {high + 1:g}' if {high:g} is a class, or map them"
        return f"{allowed}; map them, or list the values as 'classes: [...]'"


def is_true(column: pa.Array) -> NDArray[np.bool_]:
    """Return (N,) bool of a column of true, false and null."""
    return numbers_of(pc.fill_null(column, False).cast(pa.uint8())).view(np.bool_)


def choose_classes(
    columns: ColumnReader, name: str, classes: Classes | None, ordered: bool | None, missing: tuple[Value, ...] = ()
) -> tuple[Classes, str | None]:
    """Return the classes of a target, and a line on what was not given.

    Raises DataError where a column without given classes is not plain.
    """
    columns.require(name, "target or raters")
    field, metadata = columns.schema_of(name)
    if classes is not None:
        classes = replace(classes, stored=_storage(classes, field.type))
        return classes if ordered is None else replace(classes, ordered=ordered), None
    column = columns.read_encoded(name, "target")
    dictionary = column if pa.types.is_dictionary(column.type) else None
    plain = listed_in_schema(field, metadata) or take_classes(column, dictionary, missing)
    if isinstance(plain, str):
        where = f"{columns.table.display_name}: column {name!r}"
        raise DataError(f"{where}: {plain}; set data.classes, or data.cut for a continuous score", ("data", "target"))
    if ordered is not None:
        plain = replace(plain, ordered=ordered)
    if plain.stored == "values":
        plain = replace(plain, stored=_storage(plain, field.type))
    order = "ordered" if plain.ordered else "without an order"
    return plain, f"column {name!r} has the classes {plain}, {order} (data.classes is not set)"


def _storage(classes: Classes, kind: pa.DataType) -> Literal["values", "numbers", "texts"]:
    """Return what stands for the classes in a column of a type."""
    if is_text(kind) or (pa.types.is_dictionary(kind) and is_text(kind.value_type)):
        return "texts"
    named = not classes.cuts and any(isinstance(value, str) for value in classes.values)
    return "numbers" if named and pa.types.is_integer(kind) else "values"
