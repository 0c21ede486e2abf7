"""The task of labelling: train on every labelled row, answer for all others, and know how well from folds.

The refit and those of the folds are ordinary cells in a run of their own, so a kill loses one of them at most.
A fold's labeler answers for its held rows, for a part of the unlabelled ones, which is its alone, and for a panel of
them that all answer for: there it is seen how far two trainings of one labeler differ.
"""

from dataclasses import dataclass, replace

import numpy as np

from harness.data.dataset import Dataset, load_dataset
from harness.data.population import Population
from harness.data.table import DataTable
from harness.errors import DataError, HarnessError, did_you_mean
from harness.label import folds as label_folds
from harness.label import learning_curve
from harness.label.folds import NO_ROWS
from harness.plugin.block import Rows
from harness.plugin.protocols import Split, iter_plugins
from harness.run import blocks
from harness.run.plan import Cell, EvaluationSplit, plan
from harness.run.runner import Options, Run, cache_of
from harness.run.store import Store
from harness.scoring.score_run import leaderboards_of, score_cells
from harness.statistics.intervals import Numbers
from harness.suite.catalog import Catalog
from harness.suite.suite import Candidate, Suite


@dataclass(frozen=True, eq=False)
class LabelRun:
    """A labeler about to label a pool. The first cell of its run is the refit, then come the folds, then for
    each fold its trainings on fewer labels, where these are asked for."""

    run: Run
    unlabelled: Rows  # (m,) rows of the dataset
    fold: Numbers  # (n,) of each labelled row
    pool: Rows  # (p,) unlabelled rows that the folds answer for
    pool_fold: Numbers  # (p,)
    shared_pool: Rows  # (q,) rows of the pool that all folds answer for
    asked_folds: Numbers  # (K, q) bool: all but folds that have learnt from the row's group

    @property
    def dataset(self) -> Dataset:
        return self.run.dataset

    @property
    def unit(self) -> Numbers | None:
        """(N,) group of every row, where the suite has groups."""
        return self.dataset.groups

    @property
    def cells(self) -> list[Cell]:
        """Those that the labels come from: the refit, and the folds in their order."""
        return self.run.cells[: 2 + int(self.fold.max())]

    @property
    def curve_cells(self) -> list[Cell]:
        """The trainings on fewer labels, fold by fold."""
        return self.run.cells[len(self.cells) :]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What the labeler said: of the rows to label, and of rows whose truth is known or that estimates need."""

    proba: Numbers  # (m, C) by the refit
    held: Numbers  # (n, C) of labelled rows, out of fold
    pool: Numbers  # (p, C) of unlabelled rows, by the labelers of the folds
    shared_pool: Numbers  # (K, q, C) of the panel by each fold's labeler, NaN where it was not asked


def best_labeler(ready: Run) -> tuple[Candidate, str]:
    """Return the labeler that ranks first where the suite gave it most labels, and where that was."""
    leaderboards = [c for c in leaderboards_of(ready, list(score_cells(ready))) if any(row.rank for row in c.rows)]
    if not leaderboards:
        earlier = ready.store.cells.exists() and any(ready.store.cells.iterdir())
        why = (
            "the data, the labelers or the splits have changed since the last run" if earlier else "nothing is run yet"
        )
        advice = f"run it with the same options: harness run {ready.suite.file}; or name a labeler with --with"
        raise DataError(f"{ready.suite.name}: no labeler has a rank, for {why}; {advice}")
    most = max(leaderboards, key=lambda leaderboard: max(leaderboard.n_train))
    first = next(row for row in most.rows if row.rank)
    ranked = sum(bool(row.rank) for row in most.rows)
    metric = ready.suite.metrics.primary
    where = f"first of {ranked} by {metric} ({first.values[metric].mean:.4f}) in {most.title}"
    return find_labeler(ready.suite, first.title), where


def find_labeler(suite: Suite, name: str) -> Candidate:
    """Return a labeler of the suite by the name that its leaderboard shows."""
    titles = {candidate.title: candidate for candidate in suite.labelers}
    if name not in titles:
        raise HarnessError(f"--with {name}: no labeler of {suite.file} is called so{did_you_mean(name, titles)}")
    return titles[name]


def plan_label_run(
    suite: Suite,
    candidate: Candidate,
    table: DataTable,
    catalog: Catalog,
    options: Options,
    folds: int,
    grows: bool = False,
) -> LabelRun:
    """Open every row of the table and plan the cells, those on fewer labels if it `grows`. Nothing is made or run.

    Raises DataError.
    """
    dataset = load_dataset(suite.data, Population(), table)
    unlabelled = np.setdiff1d(np.arange(len(dataset)), dataset.labelled)
    _check_trainable(dataset, unlabelled, suite)
    fold = label_folds.assign_folds(dataset, folds)
    pool, pool_fold = label_folds.choose_pool(dataset, unlabelled, fold)
    panel, who = label_folds.choose_shared_pool(dataset, pool, fold)
    evaluations = [EvaluationSplit("labels", Split(dataset.labelled, unlabelled, NO_ROWS, 0))]
    fewer: list[EvaluationSplit] = []
    for number in np.unique(fold):
        train, held = dataset.labelled[fold != number], dataset.labelled[fold == number]
        asked = np.unique(np.concatenate([held, pool[pool_fold == number], panel[who[number]]]))
        evaluations.append(EvaluationSplit("out of fold", Split(train, asked, NO_ROWS, 0, fold=int(number))))
        if grows:
            # To a transductive labeler other rows to label would be another task.
            alike = any(getattr(plugin, "transductive", False) for plugin in iter_plugins(candidate.labeler))
            fewer += label_folds.learning_curve_splits(dataset, train, asked if alike else held, int(number))
    cache = cache_of(options)
    mine = replace(suite, name=f"{suite.name}-labels", population=Population(), labelers=(candidate,))
    recipes = blocks.recipes(suite.blocks, dataset, catalog, cache / "digests")
    cells = plan(mine, dataset, evaluations + fewer, recipes, catalog, options.hardware, cache / "digests")
    store = Store(options.output / "runs" / mine.name)
    run = Run(mine, catalog, options, dataset, recipes, cells, store)
    return LabelRun(run, unlabelled, fold, pool, pool_fold, panel, who)


def read_answers(label_run: LabelRun) -> OutOfFold:
    """Read the finished cells. A DataError says why one is not there."""
    run, dataset = label_run.run, label_run.dataset
    for cell in label_run.cells:
        if not run.store.has(cell.key):
            failure = run.store.failure(cell.key) or {"status": "not run", "reason": "it was interrupted"}
            raise DataError(f"{cell.candidate.title} ({cell.evaluation}): {failure['status']}: {failure['reason']}")
    last, *folds = label_run.cells
    held = np.empty((len(dataset.labelled), dataset.n_classes), np.float32)
    pool = np.empty((len(label_run.pool), dataset.n_classes), np.float32)
    panel = np.full((*label_run.asked_folds.shape, dataset.n_classes), np.nan, np.float32)
    for cell in folds:
        split = cell.evaluation.split
        proba = np.asarray(run.store.read(cell.key).proba)
        mine = label_run.fold == split.fold
        held[mine] = proba[np.searchsorted(split.test, dataset.labelled[mine])]
        theirs = label_run.pool_fold == split.fold
        pool[theirs] = proba[np.searchsorted(split.test, label_run.pool[theirs])]
        shared = label_run.asked_folds[split.fold]
        panel[split.fold, shared] = proba[np.searchsorted(split.test, label_run.shared_pool[shared])]
    return OutOfFold(np.asarray(run.store.read(last.key).proba), held, pool, panel)


def measure_growth(label_run: LabelRun, found: OutOfFold, target: float) -> learning_curve.Growth:
    """Measure what more labels would bring, from the trainings on fewer; says which of them failed, if one has."""
    run, dataset = label_run.run, label_run.dataset
    for cell in label_run.curve_cells:
        if not run.store.has(cell.key):
            failure = run.store.failure(cell.key) or {"status": "not run", "reason": "it was interrupted"}
            why = (
                f"{cell.evaluation} ({len(cell.evaluation.split.train):,} labels) {failure['status']}: "
                f"{failure['reason']}"
            )
            return learning_curve.Growth(target, len(dataset.labelled), why=why)
    _, *folds = label_run.cells
    sizes = len(learning_curve.TRAIN_SHARES)
    label = np.empty((sizes + 1, len(dataset.labelled)), np.int64)
    label[-1] = found.held.argmax(axis=1)
    size = np.full((sizes + 1, len(folds)), [len(cell.evaluation.split.train) for cell in folds])
    for i, cell in enumerate(label_run.curve_cells):
        split, (number, place) = cell.evaluation.split, divmod(i, sizes)
        mine = label_run.fold == number
        guess = np.asarray(run.store.read(cell.key).proba).argmax(axis=1)
        label[place, mine] = guess[np.searchsorted(split.test, dataset.labelled[mine])]
        size[place, number] = len(split.train)
    unit = None if label_run.unit is None else label_run.unit[dataset.labelled]
    names = dataset.sources
    sources = None if names is None else (names[dataset.labelled], names[label_run.unlabelled])
    return learning_curve.fit_growth(target, dataset.y, label_run.fold, size, label, dataset.n_classes, unit, sources)


def unseen_classes(dataset: Dataset) -> list[int]:
    """Return the classes without a labelled row: no labeler can learn them."""
    return [c for c in range(dataset.n_classes) if not (dataset.y == c).any()]


def _check_trainable(dataset: Dataset, unlabelled: Rows, suite: Suite) -> None:
    target = " + ".join(suite.data.hidden)
    if len(unlabelled) == 0:
        raise DataError(
            f"{dataset.table.display_name}: column {target}: all {len(dataset):,} rows have a label; "
            "those to label have null"
        )


def count_in_labelled_groups(dataset: Dataset, rows: Rows) -> int:
    """Count the rows whose group has a labelled row."""
    if dataset.groups is None:
        return 0
    return int(np.isin(dataset.groups[rows], dataset.groups[dataset.labelled]).sum())
