"""The paired bootstrap of metrics of a confusion table: all labelers are weighed by the same draws of the test rows.

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
REPLICATES_PER_BATCH = 256  # replicates

Metric = Callable[[NDArray[Any]], NDArray[np.float64]]  # of tables (..., C, C)


@dataclass(frozen=True, eq=False)
class SplitOutcomes:
    """One split: what each labeler said of its rows."""

    unit: NDArray[np.intp]  # (n,) the unit that each row is drawn with: itself, or its group
    cells: NDArray[np.integer[Any]]  # (m, n) truth x C + label


def bootstrap_covariance(
    splits: list[SplitOutcomes], n_units: int, n_classes: int, metric: Metric, seed: int
) -> NDArray[np.float64]:
    """Return the (m, m) covariance of the labelers' means over the splits of `metric`, by the draw of the units."""
    rng = np.random.default_rng(seed)
    blocks = min(n_units, MAX_BLOCKS)
    block = rng.permutation(n_units) % blocks
    counted = [_counts(split, block, blocks, n_classes**2) for split in splits]
    m = len(splits[0].cells)
    found = np.zeros((m, REPLICATES))
    for start in range(0, REPLICATES, REPLICATES_PER_BATCH):
        here = slice(start, min(start + REPLICATES_PER_BATCH, REPLICATES))
        weights = rng.standard_exponential((blocks, here.stop - start), np.float32)
        for counts in counted:
            tables = (counts @ weights).reshape(m, n_classes, n_classes, -1).transpose(0, 3, 1, 2)
            found[:, here] += metric(tables.astype(np.float64)) / len(splits)
    return np.atleast_2d(np.cov(found))


def _counts(split: SplitOutcomes, block: NDArray[np.intp], blocks: int, n_cells: int) -> NDArray[np.float32]:
    """Return (m x cells, blocks) numbers of rows of each block in each cell of each labeler."""
    at = block[split.unit]
    found = [np.bincount(cells.astype(np.int64) * blocks + at, minlength=n_cells * blocks) for cells in split.cells]
    return np.concatenate(found).reshape(-1, blocks).astype(np.float32)
