"""The trainings of a labelling: on all labelled rows, and on folds.

The refit labeler learns from all labelled rows and labels the others; those of the folds measure how well. All are
ordinary cells in a run of their own, so a kill loses one of them at most. A fold's labeler answers for its held-out
rows, for a part of the unlabelled ones, which is its alone, and for the shared pool, unlabelled rows that all labelers
answer for: these show how far two trainings of one labeler differ.
"""

from dataclasses import dataclass, replace

import numpy as np

from harness.data.dataset import Dataset, load_dataset
from harness.data.population import Population
from harness.data.table import DataTable
from harness.errors import DataError
from harness.label import folds as label_folds
from harness.label import learning_curve
from harness.label.folds import NO_ROWS
from harness.plugin.block import Rows
from harness.plugin.protocols import Split, iter_plugins
from harness.run import blocks
from harness.run.plan import Cell, EvaluationSplit, plan
from harness.run.runner import Options, Run, cache_of
from harness.run.store import Store
from harness.statistics.intervals import Numbers
from harness.suite.catalog import Catalog
from harness.suite.suite import Candidate, Suite


@dataclass(frozen=True, eq=False)
class LabelRun:
    """A planned labelling.

    The first cell of its run is the refit, then come the folds, then, if there is to be a learning curve, for each fold
    its trainings on fewer labels.
    """

    run: Run
    unlabelled: Rows  # (m,) rows of the dataset
    fold: Numbers  # (n,) of each labelled row
    pool: Rows  # (p,) unlabelled rows that the folds answer for
    pool_fold: Numbers  # (p,)
    shared_pool: Rows  # (q,) rows of the pool that all folds answer for
    shared_pool_mask: Numbers  # (K, q) False where the fold has learnt from the row's group, and does not answer

    @property
    def dataset(self) -> Dataset:
        return self.run.dataset

    @property
    def labelled_groups(self) -> Numbers | None:
        """(n,) group of each labelled row, where the suite has groups."""
        return None if self.dataset.groups is None else self.dataset.groups[self.dataset.labelled]

    @property
    def labeler(self) -> str:
        """The title of the labeler."""
        return self.run.cells[0].candidate.title

    @property
    def cells(self) -> list[Cell]:
        """The cells of the labels: the refit, and the folds in their order."""
        return self.run.cells[: 2 + int(self.fold.max())]

    @property
    def curve_cells(self) -> list[Cell]:
        """The cells of the learning curve, fold by fold, the smallest first."""
        return self.run.cells[len(self.cells) :]


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Class probabilities by the refit labeler and those of the folds."""

    refit: Numbers  # (m, C) of the unlabelled rows, by the refit labeler
    held_out: Numbers  # (n, C) of the labelled rows, out of fold
    pool: Numbers  # (p, C) of the pool, by the labelers of the folds
    shared_pool: Numbers  # (K, q, C) of the shared pool by each fold's labeler, NaN where it does not answer


def plan_label_run(
    suite: Suite,
    candidate: Candidate,
    table: DataTable,
    catalog: Catalog,
    options: Options,
    folds: int,
    with_curve: bool = False,
) -> LabelRun:
    """Open every row of the table and plan the cells; run nothing.

    `with_curve` plans those of the learning curve, too. Raises DataError.
    """
    dataset = load_dataset(suite.data, Population(), table)
    dataset = dataset.cut_by(dataset.labelled)  # the train set of the labels, whose classes the folds have, too
    unlabelled = np.setdiff1d(np.arange(len(dataset)), dataset.labelled)
    if len(unlabelled) == 0:
        raise DataError(
            f"{table.display_name}: column {' + '.join(suite.data.hidden)}: all {len(dataset):,} rows have a label; "
            "those to label have null"
        )
    fold = label_folds.assign_folds(dataset, folds)
    pool, pool_fold = label_folds.choose_pool(dataset, unlabelled, fold)
    shared_pool, shared_pool_mask = label_folds.choose_shared_pool(dataset, pool, fold)
    evaluations = [EvaluationSplit("labels", Split(dataset.labelled, unlabelled, NO_ROWS, 0))]
    curve: list[EvaluationSplit] = []
    transductive = any(getattr(plugin, "transductive", False) for plugin in iter_plugins(candidate.labeler))
    for number in np.unique(fold):
        train, held_out = dataset.labelled[fold != number], dataset.labelled[fold == number]
        shared = shared_pool[shared_pool_mask[number]]
        queries = np.unique(np.concatenate([held_out, pool[pool_fold == number], shared]))
        evaluations.append(EvaluationSplit("out of fold", Split(train, queries, NO_ROWS, 0, fold=int(number))))
        if with_curve:
            # To a transductive labeler other rows to label would be another task.
            curve_queries = queries if transductive else held_out
            curve += label_folds.learning_curve_splits(dataset, train, curve_queries, int(number))
    cache = cache_of(options)
    label_suite = replace(suite, name=f"{suite.name}-labels", population=Population(), labelers=(candidate,))
    recipes = blocks.recipes(suite.blocks, dataset, catalog, cache / "digests")
    cells = plan(label_suite, dataset, evaluations + curve, recipes, catalog, options.hardware, cache / "digests")
    store = Store(options.output / "runs" / label_suite.name)
    run = Run(label_suite, catalog, options, dataset, recipes, cells, store)
    return LabelRun(run, unlabelled, fold, pool, pool_fold, shared_pool, shared_pool_mask)


def read_probabilities(label_run: LabelRun) -> Probabilities:
    """Read the finished cells; raise DataError if one is missing or failed."""
    run, dataset = label_run.run, label_run.dataset
    for cell in label_run.cells:
        if reason := _missing_reason(run, cell):
            raise DataError(f"{cell.candidate.title} ({cell.evaluation}): {reason}")
    refit, *folds = label_run.cells
    held_out = np.empty((len(dataset.labelled), dataset.n_classes), np.float32)
    pool = np.empty((len(label_run.pool), dataset.n_classes), np.float32)
    shared_pool = np.full((*label_run.shared_pool_mask.shape, dataset.n_classes), np.nan, np.float32)
    for cell in folds:
        split = cell.evaluation.split
        proba = np.asarray(run.store.read(cell.key).proba)
        rows = label_run.fold == split.fold
        held_out[rows] = proba[np.searchsorted(split.test, dataset.labelled[rows])]
        pool_rows = label_run.pool_fold == split.fold
        pool[pool_rows] = proba[np.searchsorted(split.test, label_run.pool[pool_rows])]
        shared = label_run.shared_pool_mask[split.fold]
        shared_pool[split.fold, shared] = proba[np.searchsorted(split.test, label_run.shared_pool[shared])]
    return Probabilities(np.asarray(run.store.read(refit.key).proba), held_out, pool, shared_pool)


def measure_growth(label_run: LabelRun, proba: Probabilities, target: float) -> learning_curve.Growth:
    """Fit the learning curve from the trainings on fewer labels.

    If one of these failed, the result has the reason instead.
    """
    run, dataset = label_run.run, label_run.dataset
    for cell in label_run.curve_cells:
        if reason := _missing_reason(run, cell):
            why = f"{cell.evaluation} ({len(cell.evaluation.split.train):,} labels) {reason}"
            return learning_curve.Growth(target, len(dataset.labelled), why=why)
    _, *folds = label_run.cells
    sizes = len(learning_curve.TRAIN_SHARES)
    label = np.empty((sizes + 1, len(dataset.labelled)), np.int64)
    label[-1] = proba.held_out.argmax(axis=1)
    size = np.full((sizes + 1, len(folds)), [len(cell.evaluation.split.train) for cell in folds])
    for i, cell in enumerate(label_run.curve_cells):
        split, (number, row) = cell.evaluation.split, divmod(i, sizes)
        held_out = label_run.fold == number
        guess = np.asarray(run.store.read(cell.key).proba).argmax(axis=1)
        label[row, held_out] = guess[np.searchsorted(split.test, dataset.labelled[held_out])]
        size[row, number] = len(split.train)
    names = dataset.sources
    sources = None if names is None else (names[dataset.labelled], names[label_run.unlabelled])
    return learning_curve.fit_growth(
        target, dataset.y, label_run.fold, size, label, dataset.n_classes, label_run.labelled_groups, sources
    )


def _missing_reason(run: Run, cell: Cell) -> str | None:
    """Return why a cell is not finished; None if it is."""
    if run.store.has(cell.key):
        return None
    failure = run.store.failure(cell.key) or {"status": "not run", "reason": "it was interrupted"}
    return f"{failure['status']}: {failure['reason']}"


def unseen_classes(dataset: Dataset) -> list[int]:
    """Return the classes without a labelled row: no labeler can learn them."""
    return [c for c in range(dataset.n_classes) if not (dataset.y == c).any()]


def count_in_labelled_groups(dataset: Dataset, rows: Rows) -> int:
    """Count the rows whose group has a labelled row."""
    if dataset.groups is None:
        return 0
    return int(np.isin(dataset.groups[rows], dataset.groups[dataset.labelled]).sum())
