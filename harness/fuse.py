"""Blocks of columns, and how several of them become one matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

CHUNK = 16_384  # rows gathered at a time: a chunk of 1,024 float32 columns is 64 MB


@dataclass(frozen=True, eq=False)
class Block:
    """One group of columns for every row of the population.

    A block with a path is a memory map: it travels to a worker as that path, never as data.
    """

    array: Floats  # (N, d), read-only
    kind: Literal["embedding", "feature"] = "feature"
    names: tuple[str, ...] = ()  # of the d columns, where they have names
    path: str | None = None

    def __post_init__(self) -> None:
        if self.array.flags.writeable:
            view = self.array.view()
            view.setflags(write=False)
            object.__setattr__(self, "array", view)

    @classmethod
    def open(cls, path: str, kind: Literal["embedding", "feature"], names: tuple[str, ...] = ()) -> "Block":
        """Map the ``.npy`` file at `path`."""
        return cls(np.load(Path(path), mmap_mode="r", allow_pickle=False), kind, names, path)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is not None:
            return Block.open, (self.path, self.kind, self.names)
        return Block, (self.array, self.kind, self.names)


def fuse(blocks: Sequence[Block], fitted_on: Rows, *wanted: Rows) -> tuple[Floats, ...]:
    """Put `blocks` side by side for each set of `wanted` rows.

    Embeddings stay as they are. Features are z-scored with the mean and the standard deviation of the rows
    `fitted_on` only; a column that is constant there is centred and left unscaled.

    Returns one (len(rows), d) float32 matrix per set of rows, d being the sum over the blocks.
    """
    width = sum(block.array.shape[1] for block in blocks)
    matrices = tuple(np.empty((len(rows), width), np.float32) for rows in wanted)
    left = 0
    for block in blocks:
        right = left + block.array.shape[1]
        standard = _standard(block, fitted_on) if block.kind == "feature" else None
        for matrix, rows in zip(matrices, wanted, strict=True):
            for start in range(0, len(rows), CHUNK):
                part = block.array[rows[start : start + CHUNK]]
                matrix[start : start + CHUNK, left:right] = (
                    part if standard is None else (part - standard[0]) / standard[1]
                )
        left = right
    return matrices


def _standard(block: Block, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = block.array[rows].astype(np.float64)  # (n, d)
    scale = values.std(axis=0)
    return values.mean(axis=0), np.where(scale > 0, scale, 1.0)
