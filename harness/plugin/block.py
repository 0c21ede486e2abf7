"""Blocks of columns, and the matrix of several blocks side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Indices = NDArray[np.int32]
Scaling = tuple[NDArray[np.float64], NDArray[np.float64]]  # mean and scale (d,) of a block's columns

GATHER_ROWS = 16_384  # rows gathered at a time: a chunk of 1,024 float32 columns is 64 MB


@dataclass(frozen=True, eq=False)
class Block:
    """One group of columns for every row of the population.

    A block with a path is a memory map: it travels to a worker as that path, never as data.
    """

    array: Floats  # (N, d), read-only
    kind: Literal["embedding", "feature"] = "feature"
    names: tuple[str, ...] = ()  # of the d columns, where they have names
    path: str | None = None
    key: str | None = None  # hash of its content or recipe; None: unknown, no neighbour list is found beforehand

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


def fuse(blocks: Sequence[Block], fitted_on: Rows, *row_sets: Rows) -> tuple[Floats, ...]:
    """Concatenate the columns of `blocks` for each of the `row_sets`.

    Embeddings stay as they are. Features are z-scored with the mean and the standard deviation of the rows
    `fitted_on` only; a column that is constant there is centred and left unscaled.

    Returns one (len(rows), d) float32 matrix per set of rows, d being the sum over the blocks.
    """
    scalings = fit_scalings(blocks, fitted_on)
    return tuple(scaled_matrix(blocks, scalings, rows) for rows in row_sets)


def parts(blocks: Sequence[Block], fitted_on: Rows, rows: Rows, size: int) -> Iterator[tuple[slice, Floats]]:
    """Yield the fused matrix of `rows` in chunks: (slice, (len, d) float32).

    The slice selects the chunk among `rows`; a chunk has `size` rows, the last one what remains.
    """
    yield from scaled_parts(blocks, fit_scalings(blocks, fitted_on), rows, size)


def fit_scalings(blocks: Sequence[Block], rows: Rows) -> list[Scaling | None]:
    """Return each block's mean and scale (d,) on `rows`; None: embeddings."""
    return [_fit_scaling(block, rows) if block.kind == "feature" else None for block in blocks]


def scaled_matrix(blocks: Sequence[Block], scalings: Sequence[Scaling | None], rows: Rows) -> Floats:
    """Return the (len(rows), d) matrix of blocks whose scalings are fitted."""
    matrix = _allocate(blocks, len(rows))
    for start in range(0, len(rows), GATHER_ROWS):
        _fill(matrix[start : start + GATHER_ROWS], blocks, scalings, rows[start : start + GATHER_ROWS])
    return matrix


def scaled_parts(
    blocks: Sequence[Block], scalings: Sequence[Scaling | None], rows: Rows, size: int
) -> Iterator[tuple[slice, Floats]]:
    """Yield chunks as `parts` does, of blocks whose scalings are fitted."""
    for start in range(0, len(rows), size):
        chunk = slice(start, min(start + size, len(rows)))
        matrix = _allocate(blocks, chunk.stop - start)
        _fill(matrix, blocks, scalings, rows[chunk])
        yield chunk, matrix


def _allocate(blocks: Sequence[Block], rows: int) -> Floats:
    return np.empty((rows, sum(block.array.shape[1] for block in blocks)), np.float32)


def _fill(matrix: Floats, blocks: Sequence[Block], scalings: Sequence[Scaling | None], rows: Rows) -> None:
    start = 0
    for block, scaling in zip(blocks, scalings, strict=True):
        stop = start + block.array.shape[1]
        values = block.array[rows]
        matrix[:, start:stop] = values if scaling is None else (values - scaling[0]) / scaling[1]
        start = stop


def _fit_scaling(block: Block, rows: Rows) -> Scaling:
    values = block.array[rows].astype(np.float64)  # (n, d)
    scale = values.std(axis=0)
    return values.mean(axis=0), np.where(scale > 0, scale, 1.0)
