"""The trainings of a labelling: on all labelled rows, and on folds.

The refit labeler learns from all labelled rows and labels the others; those of the folds measure how well. All are
ordinary cells in a run of their own, so a kill loses one of them at most. A fold's labeler answers for its held-out
rows, for a part of the unlabelled ones, which is its alone, and for the shared pool, unlabelled rows that all labelers
answer for: these show how far two trainings of one labeler differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.data.dataset import Dataset, load_dataset
from harness.data.population import Population
from harness.data.table import DataTable
from harness.errors import DataError
from harness.label import folds as label_folds
from harness.label import learning_curve
from harness.label.folds import NO_ROWS
from harness.label.gold import NO_CHOSEN, Chosen, read_chosen
from harness.plugin.block import Rows
from harness.plugin.protocols import Split, iter_plugins
from harness.run import blocks
from harness.run.plan import Cell, EvaluationSplit, plan
from harness.run.runner import Options, Run, cache_of
from harness.run.store import Store
from harness.statistics.intervals import Numbers
from harness.suite.candidates import Candidate
from harness.suite.catalog import Catalog
from harness.suite.suite import Suite


@dataclass(frozen=True, eq=False)
class LabelRun:
    """A planned labelling.

    The first cell of its run is the refit, then come the folds, then, if there is to be a learning curve, for each fold
    its trainings on fewer labels. The labelers learn from the labels of the data and from those of rows that were
    chosen to be labelled; what is measured is measured on the former alone. There the latter count as unlabelled.
    """

    run: Run  # its dataset has the labels of the chosen rows, too
    dataset: Dataset  # without them: its labelled rows (n,) measure the labels
    chosen: Chosen
    unlabelled: Rows  # (m,) rows of the dataset that are not chosen
    fold: Numbers  # (n,) of each labelled row
    pool: Rows  # (p,) unlabelled and chosen rows that one fold each answers for
    pool_fold: Numbers  # (p,)
    shared_pool: Rows  # (q,) rows of the pool that all folds answer for
    shared_pool_mask: Numbers  # (K, q) False where the fold has learnt from the row's group, and does not answer

    @property
    def without_label(self) -> Rows:
        """(m + g,) rows without a label in the data: unlabelled and chosen."""
        return np.union1d(self.unlabelled, self.chosen.rows)

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
    chosen: Numbers  # (g, C) of the chosen rows, out of fold
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
    gold: Sequence[Path] = (),
    first_row: int = 0,
) -> LabelRun:
    """Open every row of the table and plan the cells; run nothing.

    `with_curve` plans those of the learning curve, too. `gold` are files of answers; where the data have no ids, they
    number the rows from the table's `first_row` on. Raises DataError.
    """
    dataset = load_dataset(suite.data, Population(), table)
    dataset = training_set = dataset.cut_by(dataset.labelled)  # the classes of the labels are those of the folds, too
    chosen = NO_CHOSEN
    if gold:
        chosen = read_chosen(gold, dataset, suite.data.id is None, first_row)
        answers = dataset.items.rows[chosen.rows], chosen.y
        training_set = load_dataset(suite.data, Population(), table, answers)
        training_set = replace(training_set, classes=dataset.classes, scores=None)  # answers are classes, not scores
    unlabelled = np.setdiff1d(np.arange(len(dataset)), training_set.labelled)
    if len(unlabelled) == 0:
        raise DataError(
            f"{table.display_name}: column {' + '.join(suite.data.hidden)}: all {len(dataset):,} rows have a label; "
            "those to label have null"
        )
    fold = label_folds.assign_folds(dataset, folds)
    training_fold = np.empty(len(training_set.labelled), np.int64)
    training_fold[training_set.positions(dataset.labelled)] = fold
    training_fold[training_set.positions(chosen.rows)] = label_folds.assign_chosen(dataset, fold, chosen.rows, chosen.y)
    without_label = np.union1d(unlabelled, chosen.rows)
    pool, pool_fold = label_folds.choose_pool(training_set, without_label, training_fold)
    shared_pool, shared_pool_mask = label_folds.choose_shared_pool(
        training_set, np.setdiff1d(pool, chosen.rows), training_fold
    )
    evaluations = [EvaluationSplit("labels", Split(training_set.labelled, unlabelled, NO_ROWS, 0))]
    curve: list[EvaluationSplit] = []
    transductive = any(getattr(plugin, "transductive", False) for plugin in iter_plugins(candidate.labeler))
    for number in np.unique(fold):
        is_held_out = training_fold == number
        train, held_out = training_set.labelled[~is_held_out], training_set.labelled[is_held_out]
        shared = shared_pool[shared_pool_mask[number]]
        queries = np.unique(np.concatenate([held_out, pool[pool_fold == number], shared]))
        evaluations.append(EvaluationSplit("out of fold", Split(train, queries, NO_ROWS, 0, fold=int(number))))
        if with_curve:
            # To a transductive labeler other rows to label would be another task.
            curve_queries = queries if transductive else held_out
            curve += label_folds.learning_curve_splits(dataset, train, curve_queries, int(number))
    cache = cache_of(options)
    label_suite = replace(suite, name=f"{suite.name}-labels", population=Population(), labelers=(candidate,))
    recipes = blocks.recipes(suite.blocks, training_set, catalog, cache / "digests")
    cells = plan(label_suite, training_set, evaluations + curve, recipes, catalog, options.hardware, cache / "digests")
    store = Store(options.output / "runs" / label_suite.name)
    run = Run(label_suite, catalog, options, training_set, recipes, cells, store)
    return LabelRun(run, dataset, chosen, unlabelled, fold, pool, pool_fold, shared_pool, shared_pool_mask)


def read_probabilities(label_run: LabelRun) -> Probabilities:
    """Read the finished cells; raise DataError if one is missing or failed."""
    run, dataset = label_run.run, label_run.dataset
    for cell in label_run.cells:
        if reason := _missing_reason(run, cell):
            raise DataError(f"{cell.candidate.title} ({cell.evaluation}): {reason}")
    refit, *folds = label_run.cells
    held_out = np.empty((len(dataset.labelled), dataset.n_classes), np.float32)
    chosen = np.empty((len(label_run.chosen.rows), dataset.n_classes), np.float32)
    pool = np.empty((len(label_run.pool), dataset.n_classes), np.float32)
    shared_pool = np.full((*label_run.shared_pool_mask.shape, dataset.n_classes), np.nan, np.float32)
    for cell in folds:
        split = cell.evaluation.split
        proba = np.asarray(run.store.read(cell.key).proba)
        rows = label_run.fold == split.fold
        held_out[rows] = proba[np.searchsorted(split.test, dataset.labelled[rows])]
        chosen_rows = ~np.isin(label_run.chosen.rows, split.train)
        chosen[chosen_rows] = proba[np.searchsorted(split.test, label_run.chosen.rows[chosen_rows])]
        pool_rows = label_run.pool_fold == split.fold
        pool[pool_rows] = proba[np.searchsorted(split.test, label_run.pool[pool_rows])]
        shared = label_run.shared_pool_mask[split.fold]
        shared_pool[split.fold, shared] = proba[np.searchsorted(split.test, label_run.shared_pool[shared])]
    return Probabilities(np.asarray(run.store.read(refit.key).proba), held_out, chosen, pool, shared_pool)


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
