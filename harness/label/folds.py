"""Which rows each fold's labeler learns from and answers for."""

from collections.abc import Iterator

import numpy as np

from harness.data.dataset import Dataset
from harness.errors import DataError
from harness.label import learning_curve
from harness.plugin.block import Rows
from harness.plugin.protocols import Split
from harness.run.plan import EvaluationSplit
from harness.statistics.intervals import Numbers

POOL_ROWS_PER_LABEL = 4  # unlabelled rows the folds answer for, for each labelled one: more hardly shorten an interval
SHARED_POOL_ROWS = 3_000  # of these, rows that all folds answer for
NO_ROWS = np.empty(0, np.int64)


def assign_folds(dataset: Dataset, folds: int) -> Numbers:
    """Return (n,) the fold of each labelled row.

    Groups stay whole; without groups every class is spread evenly.
    """
    n, rng = len(dataset.labelled), np.random.default_rng(0)
    if dataset.groups is None:
        order = rng.permutation(n)
        order = order[np.argsort(dataset.y[order], kind="stable")]
        unit, units = np.arange(n), n
    else:
        unit = np.unique(dataset.groups[dataset.labelled], return_inverse=True)[1].reshape(-1)
        units = int(unit.max()) + 1
        order = rng.permutation(units)
    if min(units, folds) < 2:
        raise DataError(
            f"{dataset.table.display_name}: {n} labelled rows in {units} groups cannot be dealt to two folds; "
            "label more"
        )
    fold = np.empty(units, np.int64)
    fold[order] = np.arange(units) % min(folds, units)
    return np.asarray(fold[unit])


def assign_chosen(dataset: Dataset, fold: Numbers, chosen: Rows, y: Numbers) -> Numbers:
    """Return (g,) the fold of each row that was chosen to be labelled.

    `dataset` and `fold` are those of the labelled rows that were not, whose folds stay as they are; y (g,) are labels.
    A row whose group is in a fold goes there; the others are dealt, groups whole, without groups every class evenly.
    """
    chosen_fold, folds = _fold_of(dataset, chosen, fold), int(fold.max()) + 1
    free = np.flatnonzero(chosen_fold < 0)
    if dataset.groups is None:
        unit = np.argsort(np.argsort(y[free], kind="stable"))  # a place in the order of classes
    else:
        unit = np.unique(dataset.groups[chosen[free]], return_inverse=True)[1].reshape(-1)
    chosen_fold[free] = unit % folds
    return chosen_fold


def learning_curve_splits(dataset: Dataset, train: Rows, queries: Rows, fold: int) -> Iterator[EvaluationSplit]:
    """Yield a fold's learning-curve splits, the smallest first.

    They are trained on an eighth, a quarter and a half of its train rows.
    """
    unit = None if dataset.groups is None else dataset.groups[train]
    parts = learning_curve.nested_parts(dataset.y[dataset.positions(train)], unit, fold)
    if len({len(train), *map(len, parts)}) <= len(parts):
        units = "" if unit is None else f" in {len(np.unique(unit)):,} groups"
        raise DataError(
            f"{dataset.table.display_name}: --labels-for trains on parts of a fold's labels, and {len(train):,} "
            f"labelled rows{units} are too few for an eighth, a quarter and a half; label more, or leave it out"
        )
    for share, part in zip(learning_curve.TRAIN_SHARES, parts, strict=True):
        yield EvaluationSplit(f"fewer labels, {share:.4g} of them", Split(train[part], queries, NO_ROWS, 0, fold=fold))


def choose_pool(dataset: Dataset, unlabelled: Rows, fold: Numbers) -> tuple[Rows, Numbers]:
    """Choose the pool: (p,) unlabelled rows, (p,) the fold that answers.

    A row that a fold holds out itself, or whose group it holds out, goes to that fold, so that to each fold's labeler
    its rows of the pool are as new as its held-out ones; the others are dealt. Both are empty where the rows are too
    few for every fold: estimates of the pool then go without.
    """
    rng, folds = np.random.default_rng(1), int(fold.max()) + 1
    pool = np.sort(rng.permutation(unlabelled)[: POOL_ROWS_PER_LABEL * len(fold)])
    pool_fold = rng.permutation(len(pool)) % folds
    held_out_by = _fold_of(dataset, pool, fold)
    pool_fold = np.where(held_out_by >= 0, held_out_by, pool_fold)
    if len(np.unique(pool_fold)) < folds:
        return NO_ROWS, NO_ROWS
    return pool, pool_fold


def choose_shared_pool(dataset: Dataset, pool: Rows, fold: Numbers) -> tuple[Rows, Numbers]:
    """Choose the rows of the pool that all folds answer for, to compare them.

    Returns (q,) rows and (K, q) True where the fold's labeler answers for the row: it must not have learnt from the
    row's group.
    """
    shared_pool = np.sort(np.random.default_rng(2).permutation(pool)[:SHARED_POOL_ROWS])
    held_out_by = _fold_of(dataset, shared_pool, fold)
    return shared_pool, (held_out_by < 0) | (held_out_by == np.arange(int(fold.max()) + 1)[:, None])


def _fold_of(dataset: Dataset, rows: Rows, fold: Numbers) -> Numbers:
    """Return (r,) the fold that holds out each row, or its group; -1 for none."""
    units = np.arange(len(dataset)) if dataset.groups is None else dataset.groups
    of_unit = np.full(int(units.max()) + 1, -1)
    of_unit[units[dataset.labelled]] = fold
    return np.asarray(of_unit[units[rows]])
