"""Paired bootstrap of metrics of the confusion matrix.

All labelers are weighed by the same draws of the test rows.
Weights are exponential with mean 1 (the Bayesian bootstrap, Rubin 1981): unlike counts they never lose a rare class
altogether. Many rows are drawn in random blocks, so that the time hardly depends on their number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPLICATES = 2_000  # a standard error of 1.6 % of the standard error
MAX_BLOCKS = 4_096  # another 1.1 %
REPLICATES_PER_BATCH = 256

Metric = Callable[[NDArray[Any]], NDArray[np.float64]]  # of tables (..., C, C)


@dataclass(frozen=True, eq=False)
class SplitOutcomes:
    """The labels of one split, by labeler."""

    unit: NDArray[np.intp]  # (n,) the unit that each row is drawn with: itself, or its group
    cells: NDArray[np.integer[Any]]  # (m, n) truth x C + label


def bootstrap_covariance(
    splits: list[SplitOutcomes], n_units: int, n_classes: int, metric: Metric, seed: int
) -> NDArray[np.float64]:
    """Return the (m, m) covariance of labelers' values by the draw of units.

    A value is the mean of `metric` over the splits.
    """
    rng = np.random.default_rng(seed)
    blocks = min(n_units, MAX_BLOCKS)
    block = rng.permutation(n_units) % blocks
    counts_of_splits = [_block_counts(split, block, blocks, n_classes**2) for split in splits]
    m = len(splits[0].cells)
    values = np.zeros((m, REPLICATES))
    for start in range(0, REPLICATES, REPLICATES_PER_BATCH):
        batch = slice(start, min(start + REPLICATES_PER_BATCH, REPLICATES))
        weights = rng.standard_exponential((blocks, batch.stop - start), np.float32)
        for counts in counts_of_splits:
            tables = (counts @ weights).reshape(m, n_classes, n_classes, -1).transpose(0, 3, 1, 2)
            values[:, batch] += metric(tables.astype(np.float64)) / len(splits)
    return np.atleast_2d(np.cov(values))


def _block_counts(split: SplitOutcomes, block: NDArray[np.intp], blocks: int, n_cells: int) -> NDArray[np.float32]:
    """Return (m x cells, blocks) numbers of rows by labeler, cell and block."""
    row_block = block[split.unit]
    counts = [
        np.bincount(cells.astype(np.int64) * blocks + row_block, minlength=n_cells * blocks) for cells in split.cells
    ]
    return np.concatenate(counts).reshape(-1, blocks).astype(np.float32)
