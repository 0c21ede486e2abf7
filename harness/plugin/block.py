"""Blocks of columns, and how several of them become one matrix."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Places = NDArray[np.int32]
Standard = tuple[NDArray[np.float64], NDArray[np.float64]]  # mean and scale (d,) of a block's columns

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
    key: str | None = None  # hash of its content, or of how it is made; None: not known, so no list can be of it

    def __post_init__(self) -> None:
        if self.array.flags.writeable:
            view = self.array.view()
            view.setflags(write=False)
            object.__setattr__(self, "array", view)

    @classmethod
    def open(
        cls, path: str, kind: Literal["embedding", "feature"], names: tuple[str, ...] = (), key: str | None = None
    ) -> "Block":
        """Map the ``.npy`` file at `path`."""
        return cls(np.load(Path(path), mmap_mode="r", allow_pickle=False), kind, names, path, key)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is not None:
            return Block.open, (self.path, self.kind, self.names, self.key)
        return Block, (self.array, self.kind, self.names, None, self.key)


def fuse(blocks: Sequence[Block], fitted_on: Rows, *wanted: Rows) -> tuple[Floats, ...]:
    """Put `blocks` side by side for each set of `wanted` rows.

    Embeddings stay as they are. Features are z-scored with the mean and the standard deviation of the rows
    `fitted_on` only; a column that is constant there is centred and left unscaled.

    Returns one (len(rows), d) float32 matrix per set of rows, d being the sum over the blocks.
    """
    standards = _standards(blocks, fitted_on)
    matrices = tuple(_empty(blocks, len(rows)) for rows in wanted)
    for matrix, rows in zip(matrices, wanted, strict=True):
        for start in range(0, len(rows), CHUNK):
            _fill(matrix[start : start + CHUNK], blocks, standards, rows[start : start + CHUNK])
    return matrices


def parts(blocks: Sequence[Block], fitted_on: Rows, rows: Rows, size: int) -> Iterator[tuple[slice, Floats]]:
    """Yield what ``fuse`` makes of `rows`, `size` of them at a time: (which of the rows, (len, d) float32)."""
    standards = _standards(blocks, fitted_on)
    for start in range(0, len(rows), size):
        place = slice(start, min(start + size, len(rows)))
        part = _empty(blocks, place.stop - start)
        _fill(part, blocks, standards, rows[place])
        yield place, part


def _empty(blocks: Sequence[Block], rows: int) -> Floats:
    return np.empty((rows, sum(block.array.shape[1] for block in blocks)), np.float32)


def _fill(matrix: Floats, blocks: Sequence[Block], standards: Sequence[Standard | None], rows: Rows) -> None:
    left = 0
    for block, standard in zip(blocks, standards, strict=True):
        right = left + block.array.shape[1]
        part = block.array[rows]
        matrix[:, left:right] = part if standard is None else (part - standard[0]) / standard[1]
        left = right


def _standards(blocks: Sequence[Block], rows: Rows) -> list[Standard | None]:
    return [_standard(block, rows) if block.kind == "feature" else None for block in blocks]


def _standard(block: Block, rows: Rows) -> Standard:
    values = block.array[rows].astype(np.float64)  # (n, d)
    scale = values.std(axis=0)
    return values.mean(axis=0), np.where(scale > 0, scale, 1.0)
