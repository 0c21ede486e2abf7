"""What raters said of each row, as columns."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import DataError, Items, hookimpl

MAX_COLUMNS = 1_000  # 300,000 rows of as many columns are 1.2 GB


@dataclass(frozen=True)
class Raters:
    """How many raters gave a row each class, and which rater gave which.

    It needs raters on all rows. Columns are called "raters for 2" (a number of raters) and "rater 1=2" (0 or 1), with
    the numbers of the classes and of the raters; a rater who left a row out has zeros there.
    """

    name: ClassVar[str] = "raters"

    one_hot: bool = True  # a column for each rater and class; False: the numbers of raters alone

    def features(self, items: Items) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return (rows, C + R * C) numbers, float32, and their names."""
        labels = items.rater_labels
        if labels is None:
            advice = "name them under data, as 'raters: {columns: [...], on: all}'"
            raise DataError(f"{items.path}: no raters are seen on all rows; {advice}")
        assert items.file_raters is not None
        C = int(items.file_raters.labels.max()) + 1
        counts = labels.counts(C).astype(np.float32)
        names = [f"raters for {c}" for c in range(C)]
        if not self.one_hot:
            return counts, tuple(names)
        columns = C + labels.n_raters * C
        if columns > MAX_COLUMNS:
            many = f"{labels.n_raters:,} raters of {C} classes are {columns:,} columns, more than {MAX_COLUMNS:,}"
            raise DataError(f"{items.path}: {many}; set 'one_hot: false' for the numbers of raters alone")
        said = np.zeros((labels.n_rows, labels.n_raters * C), np.float32)
        said[labels.rows, labels.raters * C + labels.labels] = 1
        names += [f"rater {r + 1}={c}" for r in range(labels.n_raters) for c in range(C)]
        return np.concatenate([counts, said], axis=1), tuple(names)


@hookimpl
def harness_features():
    return [Raters]
