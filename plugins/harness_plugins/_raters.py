"""Group rows by what raters said of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import NotApplicable, RaterLabels, Task

MAX_TABLE_ROWS = 40  # that a page shows of a table


@dataclass(frozen=True, eq=False)
class Patterns:
    """The u distinct patterns of rows: the same raters, labels and gold.

    Rows of one pattern have the same posterior, so a fit goes over patterns: three raters of six classes have at most
    216 of them, however many rows there are.
    """

    of_row: np.ndarray  # (N,) pattern of each row
    weight: np.ndarray  # (u,) rows of each pattern
    gold: np.ndarray  # (u,) class of the rows' label, -1 for none
    answers: RaterLabels  # of the patterns in place of rows

    def one_hot(self, n_classes: int) -> Any:
        """Return the sparse (u, R * C) matrix, 1 where a rater said a class."""
        from scipy.sparse import csr_array

        cells = self.answers.raters * n_classes + self.answers.labels
        shape = self.answers.n_rows, self.answers.n_raters * n_classes
        return csr_array((np.ones(len(cells)), (self.answers.rows, cells)), shape=shape)


def labels_of_raters(task: Task) -> RaterLabels:
    """Return what raters said of all rows; NotApplicable where none is seen."""
    if task.rater_labels is None:
        advice = "name them under data, as 'raters: {columns: [...], on: all}'"
        raise NotApplicable(f"the rows to label have no raters; {advice}")
    return task.rater_labels


def gold_labels(task: Task, n_rows: int) -> np.ndarray:
    """Return (N,) classes of the labelled rows, -1 for the others.

    A label that is a prediction is no gold.
    """
    gold = np.full(n_rows, -1)
    real = np.ones(len(task.y), np.bool_) if task.pseudo is None else ~task.pseudo
    gold[task.labelled[real]] = task.y[real]
    return gold


def find_patterns(labels: RaterLabels, gold: np.ndarray, n_classes: int) -> Patterns:
    """Group the rows by their raters, their labels and their gold (N,)."""
    start = np.searchsorted(labels.rows, np.arange(labels.n_rows + 1))
    counts = np.diff(start)
    answer = labels.raters * n_classes + labels.labels + 1  # 0 stands for no further answer
    of_row = gold + 1
    for k in range(int(counts.max(initial=0))):  # the k-th answer of each row
        further = np.zeros(labels.n_rows, np.int64)
        has = counts > k
        further[has] = answer[start[:-1][has] + k]
        key = of_row * (labels.n_raters * n_classes + 1) + further
        of_row = np.unique(key, return_inverse=True)[1].reshape(-1)
    _, first, of_row, weight = np.unique(of_row, return_index=True, return_inverse=True, return_counts=True)
    return Patterns(of_row.reshape(-1), weight.astype(np.float64), gold[first], labels.of(first))


def raters_table(given: np.ndarray, name: str, values: np.ndarray) -> dict[str, Any]:
    """Return the table of raters with their labels (R,) and a number (R,)."""
    rows = [
        [f"rater {i + 1}", int(number), float(value)]
        for i, (number, value) in enumerate(zip(given, values, strict=True))
    ]
    rows.sort(key=lambda row: -row[1])
    return {"columns": ["Rater", "Labels", name], "rows": rows[:MAX_TABLE_ROWS]}
