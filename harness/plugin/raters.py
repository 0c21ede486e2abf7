"""The labels of raters who each labelled some of the rows."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.plugin.block import Rows


@dataclass(frozen=True, eq=False)
class RaterLabels:
    """The labels that R raters gave to some of N rows: v triples.

    They are sorted by row, then rater; the arrays are read-only.
    """

    rows: Rows  # (v,) row numbers, 0..N-1
    raters: NDArray[np.int64]  # (v,) 0..R-1
    labels: NDArray[np.int64]  # (v,) 0..C-1
    n_rows: int
    n_raters: int

    def __post_init__(self) -> None:
        arrays = [np.asarray(array, np.int64) for array in (self.rows, self.raters, self.labels)]
        order = np.lexsort((arrays[1], arrays[0]))
        for name, array in zip(("rows", "raters", "labels"), arrays, strict=True):
            copy = array[order]  # a copy: nothing leads back to the labels of other rows
            copy.setflags(write=False)
            object.__setattr__(self, name, copy)

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled array comes back writable; the constructor makes read-only copies again.
        return RaterLabels, tuple(getattr(self, part.name) for part in fields(self))

    def of(self, rows: Rows) -> "RaterLabels":
        """Return the labels of `rows` (k,), which are then 0 to k - 1."""
        start = np.searchsorted(self.rows, np.arange(self.n_rows + 1))
        counts = np.diff(start)[rows]
        new_rows = np.repeat(np.arange(len(rows)), counts)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        place = np.repeat(start[rows], counts) + np.arange(len(new_rows)) - first
        return RaterLabels(new_rows, self.raters[place], self.labels[place], len(rows), self.n_raters)

    def arrays(self) -> tuple[NDArray[np.int64], ...]:
        """Return the three arrays, each (v,)."""
        return self.rows, self.raters, self.labels

    def counts(self, n_classes: int) -> NDArray[np.int64]:
        """Return (N, C) numbers of raters by row and class."""
        cells = np.bincount(self.rows * n_classes + self.labels, minlength=self.n_rows * n_classes)
        return cells.reshape(self.n_rows, n_classes)

    def table(self) -> NDArray[np.int64]:
        """Return (N, R) labels by rater, -1 where a rater gave none."""
        table = np.full((self.n_rows, self.n_raters), -1)
        table[self.rows, self.raters] = self.labels
        return table
