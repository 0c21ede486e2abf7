"""The score of the labels against a truth that the file itself has.

Nothing has learnt from it: it is read to be scored against, when it is asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from harness.data.classes import Classes
from harness.data.dataset import Dataset
from harness.data.table import DataTable
from harness.errors import DataError
from harness.plugin.block import Rows
from harness.report.markdown import escape, format_table
from harness.statistics.intervals import Numbers
from harness.statistics.metrics import accuracy, count_confusion, macro_f1, mae


@dataclass(frozen=True)
class TruthScore:
    """Metrics of the labels on the rows whose truth a column has."""

    column: str
    rows: int
    accuracy: float
    macro_f1: float
    mae: float | None  # None where the classes have no order

    def section(self) -> Iterable[str]:
        """Yield the paragraphs of the card's section, Markdown."""
        yield "## Against the truth of the file"
        yield (
            f"{self.rows:,} of the labelled rows have a truth in the column {escape(self.column)}. Nothing has learnt "
            "from it, and nothing else on this page rests on it."
        )
        values = {"Accuracy": self.accuracy, "Macro-F1": self.macro_f1, "MAE": self.mae}
        rows = [[name, f"{value:.4f}"] for name, value in values.items() if value is not None]
        yield format_table(["Number", "On these rows"], rows, left_columns=("Number",))


@dataclass(frozen=True, eq=False)
class TruthColumn:
    """The truth of the rows of a file, where it is there."""

    name: str
    y: Numbers  # (N,) class of every row
    present: Numbers  # (N,) bool: False where it is null

    def score(self, rows: Rows, label: Numbers, classes: Classes) -> TruthScore:
        """Score the labels (m,) of `rows` (m,) that have a truth."""
        scored = self.present[rows]
        confusion = count_confusion(self.y[rows[scored]], label[scored], len(classes))
        right, f1, distance = (float(measure(confusion)) for measure in (accuracy, macro_f1, mae))
        return TruthScore(self.name, int(scored.sum()), right, f1, distance if classes.ordered else None)


def read_truth(table: DataTable, name: str, dataset: Dataset, rows: Rows) -> TruthColumn:
    """Read a column of labels; raise DataError if none of `rows` has one."""
    y, present = dataset.read_labels(table, name, "--truth")
    if not np.any(present[rows]):
        raise DataError(f"{table.display_name}: --truth {name}: none of the rows to label has a value there")
    return TruthColumn(name, y, present)
