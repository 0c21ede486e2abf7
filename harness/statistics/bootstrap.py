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

from harness.statistics.distributions import normal_quantile, student_quantile
from harness.statistics.intervals import ALPHA, Interval

REPLICATES = 2_000  # a standard error of 1.6 % of the standard error
MAX_BLOCKS = 4_096  # another 1.1 %
REPLICATES_PER_BATCH = 256
MIN_FREEDOM = 2.0  # an interval is at most 2.2 times as wide as that of many rows

Floats = NDArray[np.float64]
Metric = Callable[[NDArray[Any]], Floats]  # of tables (..., C, C)


@dataclass(frozen=True, eq=False)
class SplitOutcomes:
    """The labels of one test set, by labeler."""

    unit: NDArray[np.intp]  # (n,) the unit that each row is drawn with: itself, or its group
    cells: NDArray[np.integer[Any]]  # (m, n) truth x C + label
    seed: int = 0


def bootstrap_covariances(
    test_sets: list[SplitOutcomes], n_units: int, n_classes: int, metric: Metric, seed: int
) -> tuple[Floats, Floats | None]:
    """Return (m, m) covariances of labelers' values by the draw of units.

    The first is that of the means over the seeds of `metric`, the second that of one seed's value by what the rows do
    in that seed alone: None where there is one seed. A seed's value is the mean over its test sets.
    """
    rng = np.random.default_rng(seed)
    blocks = min(n_units, MAX_BLOCKS)
    block = rng.permutation(n_units) % blocks
    counts_of_sets = [_block_counts(test_set, block, blocks, n_classes**2) for test_set in test_sets]
    seeds = list(dict.fromkeys(test_set.seed for test_set in test_sets))
    sets_of_seed = [[i for i, test_set in enumerate(test_sets) if test_set.seed == number] for number in seeds]
    m = len(test_sets[0].cells)
    values = np.zeros((len(seeds), m, REPLICATES))
    for start in range(0, REPLICATES, REPLICATES_PER_BATCH):
        batch = slice(start, min(start + REPLICATES_PER_BATCH, REPLICATES))
        weights = rng.standard_exponential((blocks, batch.stop - start), np.float32)
        for j, places in enumerate(sets_of_seed):
            for i in places:
                tables = (counts_of_sets[i] @ weights).reshape(m, n_classes, n_classes, -1).transpose(0, 3, 1, 2)
                values[j, :, batch] += metric(tables.astype(np.float64)) / len(places)
    mean = values.mean(axis=0)
    rows = np.atleast_2d(np.cov(mean))
    if len(seeds) == 1:
        return rows, None
    own = np.sum([np.atleast_2d(np.cov(of_seed - mean)) for of_seed in values], axis=0) / (len(seeds) - 1)
    return rows, np.asarray(own)


def table_interval(
    y: NDArray[np.int64], label: NDArray[np.int64], n_classes: int, metric: Metric, unit: NDArray[Any] | None = None
) -> Interval:
    """Return the 95 % interval of a metric of the confusion of y and label.

    Both are (n,); rows of one `unit` (n,), a group, are weighed together. Draws are those of the Bayesian bootstrap,
    with a prior of one row, spread evenly over the cells of the table: a class of two rows that are both right may
    still be labelled wrong. The width is that of Student's t, with the units of an average class less one, or of a
    mean over classes where rare ones leave less.
    """
    rows = np.arange(len(y)) if unit is None else np.unique(unit, return_inverse=True)[1].reshape(-1)
    rng, units = np.random.default_rng(0), int(rows.max()) + 1
    blocks = min(units, MAX_BLOCKS)
    block = rng.permutation(units) % blocks
    confusion = y * n_classes + label
    counts = _block_counts(SplitOutcomes(rows, confusion[None]), block, blocks, n_classes**2)
    draws = []
    for start in range(0, REPLICATES, REPLICATES_PER_BATCH):
        size = min(start + REPLICATES_PER_BATCH, REPLICATES) - start
        tables = counts @ rng.standard_exponential((blocks, size), np.float32)
        tables = tables.T + rng.gamma(1 / n_classes**2, size=(size, n_classes**2))
        draws.append(metric(tables.reshape(size, n_classes, n_classes)))
    value = float(metric(counts.sum(axis=1).reshape(n_classes, n_classes)))
    drawn = np.concatenate(draws)
    # Few rows pull the draws to one side, as they have pulled the value: it is not done twice.
    low, high = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2]) - drawn.mean()
    of_class = np.bincount(y)
    freedom = max(min(units / n_classes - 1, _freedom(of_class[of_class > 0] * units / len(y))), MIN_FREEDOM)
    width = float(student_quantile(1 - ALPHA / 2, freedom) / normal_quantile(1 - ALPHA / 2))
    return Interval(value, value + width * float(low), value + width * float(high), len(y))


def _freedom(rows: NDArray[np.float64]) -> float:
    """Return the degrees of freedom of a mean over classes of `rows` (C,).

    Satterthwaite 1946: the variance of a class is taken to be as 1 / rows.
    """
    variance = 1 / rows
    return float(variance.sum() ** 2 / (variance**2 / np.maximum(rows - 1, 0.5)).sum())


def _block_counts(split: SplitOutcomes, block: NDArray[np.intp], blocks: int, n_cells: int) -> NDArray[np.float32]:
    """Return (m x cells, blocks) numbers of rows by labeler, cell and block."""
    row_block = block[split.unit]
    counts = [
        np.bincount(cells.astype(np.int64) * blocks + row_block, minlength=n_cells * blocks) for cells in split.cells
    ]
    return np.concatenate(counts).reshape(-1, blocks).astype(np.float32)
