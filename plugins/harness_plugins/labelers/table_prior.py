"""Class shares of the labelled rows of one cell of a table.

A baseline that every method should beat: it knows where a row comes from and what is said of it, not its text.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import NotApplicable, On, Task, hookimpl

PRIOR_WEIGHT = 1e-3
"""Rows' worth of the train prior that is added to every cell. An empty cell so takes the prior, and a tie goes to the
class more frequent in train. Counts differ by at least 1, so nothing but a tie can be turned by it; it is not smaller
because the tie must still show in float32."""


@dataclass(frozen=True)
class TablePrior:
    """Class shares of the rows of the same cell.

    A cell has the same values in all one-hot blocks of `on`.
    """

    name: ClassVar[str] = "table_prior"

    on: On

    def label(self, task: Task) -> np.ndarray:
        return shares(task, self.on)


@dataclass(frozen=True)
class SourcePrior:
    """Class shares of the rows of the same source.

    It is a table of one category, under the name it has on every board.
    """

    name: ClassVar[str] = "source_prior"

    on: On = "source"

    def label(self, task: Task) -> np.ndarray:
        return shares(task, self.on)


def shares(task: Task, on: On) -> np.ndarray:
    """Return (m, C) class shares of each row's cell.

    Where no labelled row is in the cell, those of all labelled rows.
    """
    n, C = len(task.y), task.n_classes
    cell = _cells(task, on)  # (n + m,)
    n_cells = int(cell.max()) + 1
    counts = np.bincount(cell[:n] * C + task.y, minlength=n_cells * C).reshape(n_cells, C)
    prior = np.bincount(task.y, minlength=C) / n
    table = counts + PRIOR_WEIGHT * prior
    table /= table.sum(axis=1, keepdims=True)
    return table[cell[n:]]


def _cells(task: Task, on: On) -> np.ndarray:
    """Return (n + m,) cell numbers, labelled rows first."""
    rows = np.concatenate([task.labelled, task.to_label])
    names = (on,) if isinstance(on, str) else on
    bits = []
    for name, block in zip(names, task.chosen(on), strict=True):
        if block.kind != "feature":
            raise NotApplicable(f"it counts rows by category; block {name!r} holds embeddings")
        values = np.asarray(block.array[rows])
        if not ((values == 0) | (values == 1)).all():
            raise NotApplicable(f"it counts rows by category; block {name!r} holds other numbers than 0 and 1")
        bits.append(values == 1)
    packed = np.packbits(np.concatenate(bits, axis=1), axis=1)  # (n + m, bytes): few, and quick to sort
    return np.unique(packed, axis=0, return_inverse=True)[1].reshape(-1)


@hookimpl
def harness_labelers():
    return [TablePrior, SourcePrior]
