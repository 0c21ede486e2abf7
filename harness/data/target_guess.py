"""Find the column of the labels, and its classes."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.data.classes import MAX_CLASSES, Classes, Value
from harness.data.column_names import NO_LABEL, SCALES, SCORES, TARGETS, rank
from harness.data.column_reader import ColumnReader
from harness.data.column_sample import ColumnSample
from harness.data.label_reader import LabelReader, choose_classes
from harness.errors import DataError, first_few

MAX_TARGET_VALUES = 50  # different ones in the sample; more are measurements or names
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
ROWS_PER_CLASS = 2  # where many numbers are taken for classes
MAX_NAMED = 8  # columns in a message


@dataclass(frozen=True)
class Target:
    """The column of the labels."""

    name: str
    classes: Classes
    missing: tuple[Value, ...]  # values that mean "no label"
    labelled: int  # rows with a label


def choose_target(columns: Sequence[ColumnSample], file: str) -> str:
    """Return the column that is most likely the target.

    Raises DataError where none is, or several are equally likely.
    """
    few = [column.name for column in columns if may_be_target(column)]
    many = [column.name for column in columns if column.kind in ("whole", "number") and column.name not in few]
    ranks = {name: fit for name in (*few, *many) if (fit := rank(name, TARGETS)) is not None}
    scores = {name: fit for name, fit in ranks.items() if name in many}  # continuous, and named as targets are
    best = (
        _least({name: fit for name, fit in ranks.items() if name in few})
        or _least({name: fit for name, fit in scores.items() if fit[0] == 0})
        or few
        or _least(scores)
    )
    if len(best) == 1:
        return best[0]
    if best:
        raise DataError(f"{file}: which column is the target: {first_few(best, MAX_NAMED)}? Name it by --target")
    named = first_few((column.name for column in columns), MAX_NAMED)
    raise DataError(
        f"{file}: no column looks like a target, with a few values that repeat, among {named}; name one by --target"
    )


def _least(ranks: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return the names of the least rank; several may share it."""
    return [name for name, fit in ranks.items() if fit == min(ranks.values())]


def may_be_target(column: ColumnSample) -> bool:
    """Return True for a column of a few values that repeat."""
    values = len(column.values) - column.values.null_count
    is_plain = column.kind in ("name", "whole", "number", "flag")
    return is_plain and 2 <= column.distinct <= min(MAX_TARGET_VALUES, values // 2)


def read_target(reader: ColumnReader, name: str) -> Target:
    """Return a target with its classes, from all of its values.

    A continuous score is cut in three. Raises DataError where texts are too many to be classes.
    """
    try:
        taken_classes, _ = choose_classes(reader, name, None, None)
    except DataError:
        column = reader.read(name, "target")
        if (classes := _numbered_classes(name, column)) is not None:
            return _with_classes(reader, name, classes, ())
        if not (cuts := _thirds(column)):
            raise
        return _with_classes(reader, name, Classes.cut(cuts), ())
    missing = _missing_values(taken_classes)
    values = tuple(value for value in taken_classes.values if value not in missing)
    classes = replace(taken_classes, values=values)
    if not classes.ordered and classes.stored != "numbers" and (scale := _in_scale(values)):
        classes = replace(classes, values=scale, ordered=True)
    if isinstance(values[0], bool):
        classes = replace(classes, ordered=True)
    return _with_classes(reader, name, classes, missing)


def _with_classes(reader: ColumnReader, name: str, classes: Classes, missing: tuple[Value, ...]) -> Target:
    _, is_labelled = LabelReader(reader, classes, missing).labels(name)
    return Target(name, classes, missing, int(np.count_nonzero(is_labelled)))


def _numbered_classes(name: str, column: pa.Array) -> Classes | None:
    """Return 0 to C - 1 where whole numbers name classes, or None.

    All of them must be there and repeat, in a column that is not called a score.
    """
    if not pa.types.is_integer(column.type) or rank(name, SCORES) is not None:
        return None
    numbers = sorted(pc.unique(column.drop_null()).to_pylist())
    n = len(numbers)
    if n > MAX_CLASSES or numbers != list(range(n)) or len(column) < ROWS_PER_CLASS * n:
        return None
    return replace(Classes.numbered(n), ordered=False)


def _thirds(column: pa.Array) -> tuple[float, ...]:
    """Return two thresholds that cut numbers in thirds, or ()."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return ()
    numbers = column.drop_null().cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    low, high = np.quantile(numbers[np.isfinite(numbers)], [1 / 3, 2 / 3]) if np.isfinite(numbers).any() else (0, 0)
    digits = 2 - int(np.floor(np.log10(high - low))) if high > low else 0
    return (round(float(low), digits), round(float(high), digits)) if high > low else ()


def _missing_values(classes: Classes) -> tuple[Value, ...]:
    """Return the values that mean "no label": -1 below 0, "n/a"."""
    if classes.stored == "numbers":
        return ()
    if all(isinstance(value, str) for value in classes.values):
        missing = tuple(value for value in classes.values if str(value).strip().lower() in NO_LABEL)
    else:
        numbers = [float(value) for value in classes.values]
        missing = (-1,) if min(numbers) == -1 and sorted(numbers)[1] in (0, 1) else ()
    return missing if len(classes) - len(missing) >= 2 else ()


def _in_scale(values: Collection[Value]) -> tuple[Value, ...] | None:
    """Return names in the order of a scale that has all of them.

    Numbers that are text are one.
    """
    numbers = {value: float(value) for value in values if NUMBER.fullmatch(str(value))}
    if len(numbers) == len(values):
        return tuple(sorted(numbers, key=numbers.__getitem__))
    for scale in SCALES:
        places = {value: scale.index(str(value).lower()) for value in values if str(value).lower() in scale}
        if len(places) == len(values):
            return tuple(sorted(places, key=places.__getitem__))
    return None
