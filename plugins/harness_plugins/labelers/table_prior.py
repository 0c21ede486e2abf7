"""Class shares of the labelled rows of one cell of a table.

A baseline that every method should beat: it knows where a row comes from and what is said of it, not its text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import Block, NotApplicable, On, Task, hookimpl

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

    def learn(self, task: Task) -> "TableRule":
        return count_cells(task, self.on)

    def label(self, task: Task) -> np.ndarray:
        return self.learn(task).label(task.blocks, task.to_label)


@dataclass(frozen=True)
class SourcePrior:
    """Class shares of the rows of the same source.

    It is a table of one category, under the name it has on every board.
    """

    name: ClassVar[str] = "source_prior"

    on: On = "source"

    def learn(self, task: Task) -> "TableRule":
        return count_cells(task, self.on)

    def label(self, task: Task) -> np.ndarray:
        return self.learn(task).label(task.blocks, task.to_label)


@dataclass(frozen=True, eq=False)
class TableRule:
    """The class shares of each cell that has labelled rows."""

    on: tuple[str, ...]
    cells: np.ndarray  # (u, bytes) uint8, the bits of each cell's one-hot columns
    share: np.ndarray  # (u + 1, C) of each cell, last of one without labelled rows

    def label(self, blocks: Mapping[str, Block], rows: np.ndarray) -> np.ndarray:
        """Return (rows, C) class shares of each row's cell.

        Where no labelled row is in the cell, those of all labelled rows.
        """
        bits = _pack([blocks[name] for name in self.on], self.on, rows)
        both = np.concatenate([self.cells, bits])
        cell = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)  # (u + rows,)
        place = np.full(int(cell.max(initial=0)) + 1, len(self.cells))
        place[cell[: len(self.cells)]] = np.arange(len(self.cells))
        return self.share[place[cell[len(self.cells) :]]]


def count_cells(task: Task, on: On) -> TableRule:
    """Count the classes of the labelled rows in each cell of the table."""
    n, C = len(task.y), task.n_classes
    names = (on,) if isinstance(on, str) else on
    cells, cell = np.unique(_pack(task.chosen(on), names, task.labelled), axis=0, return_inverse=True)
    u = len(cells)
    counts = np.bincount(cell.reshape(-1) * C + task.y, minlength=(u + 1) * C).reshape(u + 1, C)
    prior = np.bincount(task.y, minlength=C) / n
    table = counts + PRIOR_WEIGHT * prior
    table /= table.sum(axis=1, keepdims=True)
    return TableRule(names, cells, table)


def _pack(blocks: list[Block], names: tuple[str, ...], rows: np.ndarray) -> np.ndarray:
    """Return (rows, bytes) the packed bits of the blocks' columns."""
    bits = []
    for name, block in zip(names, blocks, strict=True):
        if block.kind != "feature":
            raise NotApplicable(f"it counts rows by category; block {name!r} holds embeddings")
        values = np.asarray(block.array[rows])
        if not ((values == 0) | (values == 1)).all():
            raise NotApplicable(f"it counts rows by category; block {name!r} holds other numbers than 0 and 1")
        bits.append(values == 1)
    return np.packbits(np.concatenate(bits, axis=1), axis=1)  # few bytes, and quick to sort


@hookimpl
def harness_labelers():
    return [TablePrior, SourcePrior]
