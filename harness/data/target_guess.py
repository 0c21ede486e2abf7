"""Find the column of the labels, and its classes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.data.classes import Classes, Value
from harness.data.column_names import NO_LABEL, SCALES, TARGETS, rank
from harness.data.column_reader import ColumnReader
from harness.data.column_sample import ColumnSample
from harness.data.label_reader import LabelReader, choose_classes
from harness.errors import DataError, first_few

MAX_TARGET_VALUES = 50  # different ones in the sample; more are measurements or names
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
    candidates = [column for column in columns if may_be_target(column)]
    ranks = {column.name: fit for column in candidates if (fit := rank(column.name, TARGETS)) is not None}
    best = [name for name, fit in ranks.items() if fit == min(ranks.values())]
    best = best or [column.name for column in candidates]
    if len(best) == 1:
        return best[0]
    if best:
        raise DataError(f"{file}: which column is the target: {first_few(best, MAX_NAMED)}? Name it by --target")
    named = first_few((column.name for column in columns), MAX_NAMED)
    raise DataError(
        f"{file}: no column looks like a target, with a few values that repeat, among {named}; name one by --target"
    )


def may_be_target(column: ColumnSample) -> bool:
    """Return True for a column of a few values that repeat."""
    values = len(column.values) - column.values.null_count
    is_plain = column.kind in ("name", "whole", "number", "flag")
    return is_plain and 2 <= column.distinct <= min(MAX_TARGET_VALUES, values // 2)


def read_target(reader: ColumnReader, name: str) -> Target:
    """Return a target with its classes, from all of its values.

    Raises DataError where it has too many.
    """
    found_classes, _ = choose_classes(reader, name, None, None)
    missing = _missing_values(found_classes)
    values = tuple(value for value in found_classes.values if value not in missing)
    classes = replace(found_classes, values=values)
    if not classes.ordered and classes.stored != "numbers" and (scale := _in_scale(values)):
        classes = replace(classes, values=scale, ordered=True)
    if isinstance(values[0], bool):
        classes = replace(classes, ordered=True)
    _, is_labelled = LabelReader(reader, classes, missing).labels(name)
    return Target(name, classes, missing, int(np.count_nonzero(is_labelled)))


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
    """Return names in the order of the scale that has all of them."""
    for scale in SCALES:
        places = {value: scale.index(str(value).lower()) for value in values if str(value).lower() in scale}
        if len(places) == len(values):
            return tuple(sorted(places, key=places.__getitem__))
    return None
