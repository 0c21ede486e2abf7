"""Labels that people gave to chosen rows: joined to the data by id.

They were not drawn at random, so labelers learn from them and nothing is measured on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data.classes import Classes
from harness.data.dataset import Dataset
from harness.errors import DataError, did_you_mean, printable
from harness.label.answer_file import Answer, read_answers
from harness.label.folds import NO_ROWS
from harness.plugin.block import Rows
from harness.statistics.intervals import Numbers

MAX_PROBLEMS = 20  # lines that are printed
MAX_COMPARED_IDS = 10_000  # of data, that an unknown id may be like


@dataclass(frozen=True, eq=False)
class Chosen:
    """Rows that were chosen to be labelled, and their labels."""

    rows: Rows  # (g,) of the dataset, increasing
    y: Numbers  # (g,)
    files: tuple[str, ...]


NO_CHOSEN = Chosen(NO_ROWS, NO_ROWS, ())


def read_chosen(files: Sequence[Path], dataset: Dataset, are_row_numbers: bool, first_row: int) -> Chosen:
    """Read the labels of chosen rows; raise DataError, a line a mistake.

    Ids are those of the dataset, or if `are_row_numbers` counted from row `first_row` of it.
    """
    answers, problems = [], []
    for file in files:
        of_file, faults = read_answers(file)
        answers += of_file
        problems += faults
    ids = dataset.items.ids - first_row if are_row_numbers else dataset.items.ids
    row_of = {str(name): row for row, name in enumerate(ids.tolist())}
    label_of = dict(zip(dataset.labelled.tolist(), dataset.y.tolist(), strict=True))
    place_of: dict[int, str] = {}  # row -> where it was answered
    label_of_row: dict[int, int] = {}
    for answer in answers:
        row, label = row_of.get(answer.id), number_class(dataset.classes, answer.label)
        if row is None:
            suggestion = did_you_mean(answer.id, row_of) if len(row_of) <= MAX_COMPARED_IDS else ""
            suggestion = suggestion if suggestion.startswith("; did") else ""  # no list of all ids
            problems.append(
                f"{answer.place}: no row of {dataset.table.display_name} has the id {_shown(answer)}{suggestion}"
            )
        elif label is None:
            names = dataset.classes.names
            problems.append(
                f"{answer.place}: id {_shown(answer)}: the label {printable(answer.label)!r} is no class of "
                f"{dataset.classes}{did_you_mean(answer.label, names) if not dataset.classes.are_numbered else ''}"
            )
        elif row in label_of:
            name = dataset.classes.names[label_of[row]]
            problems.append(f"{answer.place}: id {_shown(answer)} has a label in the data already: {name}")
        elif row in place_of:
            problems.append(f"{answer.place}: id {_shown(answer)} is answered twice, first at {place_of[row]}")
        else:
            place_of[row], label_of_row[row] = answer.place, label
    if problems:
        rest = [f"... and {len(problems) - MAX_PROBLEMS:,} more"] if len(problems) > MAX_PROBLEMS else []
        raise DataError("\n".join(problems[:MAX_PROBLEMS] + rest))
    if not label_of_row:
        raise DataError(f"--gold {', '.join(map(str, files))}: no row has an answer")
    rows = np.array(sorted(label_of_row), np.int64)
    y = np.array([label_of_row[row] for row in rows.tolist()], np.int64)
    return Chosen(rows, y, tuple(file.name for file in files))


def number_class(classes: Classes, text: str) -> int | None:
    """Return the number of the class that a text names, or None.

    It is the class's name, or a number that is of the class: "3.0" is 3, as a table of pandas with gaps has it.
    """
    if text in classes.names:
        return classes.names.index(text)
    if text.lower() in classes.names:  # True and FALSE of tables
        return classes.names.index(text.lower())
    try:
        value = float(text)
    except ValueError:
        return None
    if classes.numbers is None and not classes.cuts:
        return None
    code = int(classes.number_values(np.array([value]))[0])
    return None if code < 0 else code


def _shown(answer: Answer) -> str:
    return repr(printable(answer.id)[:80])
