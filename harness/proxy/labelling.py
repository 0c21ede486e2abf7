"""The task of labelling: train on every labelled row, answer for all others, and know how well from folds.

The last training and those of the folds are ordinary cells in a run of their own, so a kill loses one of them at most.
A fold's labeler answers for its held rows and for a part of the unlabelled ones, which no other fold answers for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from harness import prepare
from harness.catalog import Catalog
from harness.contracts import Split, nested
from harness.dataset import Dataset, load
from harness.errors import DataError, HarnessError, nearest
from harness.fuse import Rows
from harness.plan import Cell, Cut, plan
from harness.population import Population
from harness.proxy import growth
from harness.run import Options, Run, cache_of, endings, rank
from harness.statistics.intervals import Numbers
from harness.store import Store
from harness.suite import Candidate, Suite
from harness.table import Table

PER_LABEL = 4  # unlabelled rows the folds answer for, for each labelled one: more hardly shorten an interval
NOTHING = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Labelling:
    """A labeler about to label a pool. The first cell of its run is the last training, then come the folds, then for
    each fold its trainings on fewer labels, where these are asked for."""

    run: Run
    unlabelled: Rows  # (m,) rows of the dataset
    fold: Numbers  # (n,) of each labelled row
    pool: Rows  # (p,) unlabelled rows that the folds answer for
    pool_fold: Numbers  # (p,)

    @property
    def dataset(self) -> Dataset:
        return self.run.dataset

    @property
    def unit(self) -> Numbers | None:
        """(N,) group of every row, where the suite has groups."""
        return self.dataset.groups

    @property
    def cells(self) -> list[Cell]:
        """Those that the labels come from: the last training, and the folds in their order."""
        return self.run.cells[: 2 + int(self.fold.max())]

    @property
    def fewer(self) -> list[Cell]:
        """The trainings on fewer labels, fold by fold."""
        return self.run.cells[len(self.cells) :]


@dataclass(frozen=True, eq=False)
class Answered:
    """What the labeler said: of the rows to label, and of rows whose truth is known or that estimates need."""

    proba: Numbers  # (m, C) by the last training
    held: Numbers  # (n, C) of labelled rows, out of fold
    pool: Numbers  # (p, C) of unlabelled rows, by the labelers of the folds


def best(ready: Run) -> tuple[Candidate, str]:
    """Return the labeler that ranks first where the suite gave it most labels, and where that was."""
    comparisons = [c for c in rank(ready, list(endings(ready))) if any(line.rank for line in c.lines)]
    if not comparisons:
        earlier = ready.store.cells.exists() and any(ready.store.cells.iterdir())
        why = (
            "the data, the labelers or the splits have changed since the last run" if earlier else "nothing is run yet"
        )
        advice = f"run it with the same options: harness run {ready.suite.file}; or name a labeler with --with"
        raise DataError(f"{ready.suite.name}: no labeler has a rank, for {why}; {advice}")
    most = max(comparisons, key=lambda comparison: max(comparison.n_train))
    first = next(line for line in most.lines if line.rank)
    ranked = sum(bool(line.rank) for line in most.lines)
    metric = ready.suite.metrics.primary
    where = f"first of {ranked} by {metric} ({first.values[metric].mean:.4f}) in {most.title}"
    return named(ready.suite, first.title), where


def named(suite: Suite, name: str) -> Candidate:
    """Return a labeler of the suite by the name that its leaderboard shows."""
    titles = {candidate.title: candidate for candidate in suite.labelers}
    if name not in titles:
        raise HarnessError(f"--with {name}: no labeler of {suite.file} is called so{nearest(name, titles)}")
    return titles[name]


def make_ready(
    suite: Suite,
    candidate: Candidate,
    table: Table,
    catalog: Catalog,
    options: Options,
    folds: int,
    grows: bool = False,
) -> Labelling:
    """Open every row of the table and plan the cells, those on fewer labels if it `grows`. Nothing is made or run.

    Raises DataError.
    """
    dataset = load(suite.data, Population(), table)
    unlabelled = np.setdiff1d(np.arange(len(dataset)), dataset.labelled)
    _refuse(dataset, unlabelled, suite)
    fold = _dealt(dataset, folds)
    pool, pool_fold = _pool(dataset, unlabelled, fold)
    cuts = [Cut("labels", Split(dataset.labelled, unlabelled, NOTHING, 0))]
    fewer: list[Cut] = []
    for number in np.unique(fold):
        train, held = dataset.labelled[fold != number], dataset.labelled[fold == number]
        asked = np.sort(np.concatenate([held, pool[pool_fold == number]]))
        cuts.append(Cut("out of fold", Split(train, asked, NOTHING, 0, fold=int(number))))
        if grows:
            # To a transductive labeler other rows to label would be another task.
            alike = any(getattr(plugin, "transductive", False) for plugin in nested(candidate.labeler))
            fewer += _fewer(dataset, train, asked if alike else held, int(number))
    cache = cache_of(options)
    mine = replace(suite, name=f"{suite.name}-labels", population=Population(), labelers=(candidate,))
    recipes = prepare.recipes(suite.blocks, dataset, catalog, cache / "digests")
    cells = plan(mine, dataset, cuts + fewer, recipes, catalog, options.setting, cache / "digests")
    store = Store(options.output / "runs" / mine.name)
    run = Run(mine, catalog, options, dataset, recipes, cells, store)
    return Labelling(run, unlabelled, fold, pool, pool_fold)


def answered(labelling: Labelling) -> Answered:
    """Read the finished cells. A DataError says why one is not there."""
    run, dataset = labelling.run, labelling.dataset
    for cell in labelling.cells:
        if not run.store.has(cell.key):
            failure = run.store.failure(cell.key) or {"status": "not run", "reason": "it was interrupted"}
            raise DataError(f"{cell.candidate.title} ({cell.cut}): {failure['status']}: {failure['reason']}")
    last, *folds = labelling.cells
    held = np.empty((len(dataset.labelled), dataset.n_classes), np.float32)
    pool = np.empty((len(labelling.pool), dataset.n_classes), np.float32)
    for cell in folds:
        split = cell.cut.split
        proba = np.asarray(run.store.read(cell.key).proba)
        mine = labelling.fold == split.fold
        held[mine] = proba[np.searchsorted(split.test, dataset.labelled[mine])]
        theirs = labelling.pool_fold == split.fold
        pool[theirs] = proba[np.searchsorted(split.test, labelling.pool[theirs])]
    return Answered(np.asarray(run.store.read(last.key).proba), held, pool)


def grown(labelling: Labelling, found: Answered, target: float) -> growth.Growth:
    """Measure what more labels would bring, from the trainings on fewer; says which of them failed, if one has."""
    run, dataset = labelling.run, labelling.dataset
    for cell in labelling.fewer:
        if not run.store.has(cell.key):
            failure = run.store.failure(cell.key) or {"status": "not run", "reason": "it was interrupted"}
            why = f"{cell.cut} ({len(cell.cut.split.train):,} labels) {failure['status']}: {failure['reason']}"
            return growth.Growth(target, len(dataset.labelled), why=why)
    _, *folds = labelling.cells
    sizes = len(growth.SHARES)
    label = np.empty((sizes + 1, len(dataset.labelled)), np.int64)
    label[-1] = found.held.argmax(axis=1)
    size = np.full((sizes + 1, len(folds)), [len(cell.cut.split.train) for cell in folds])
    for i, cell in enumerate(labelling.fewer):
        split, (number, place) = cell.cut.split, divmod(i, sizes)
        mine = labelling.fold == number
        guess = np.asarray(run.store.read(cell.key).proba).argmax(axis=1)
        label[place, mine] = guess[np.searchsorted(split.test, dataset.labelled[mine])]
        size[place, number] = len(split.train)
    unit = None if labelling.unit is None else labelling.unit[dataset.labelled]
    names = dataset.sources
    sources = None if names is None else (names[dataset.labelled], names[labelling.unlabelled])
    return growth.measure(target, dataset.y, labelling.fold, size, label, dataset.n_classes, unit, sources)


def unseen_classes(dataset: Dataset) -> list[int]:
    """Return the classes without a labelled row: no labeler can learn them."""
    return [c for c in range(dataset.n_classes) if not (dataset.y == c).any()]


def _refuse(dataset: Dataset, unlabelled: Rows, suite: Suite) -> None:
    target = " + ".join(suite.data.hidden)
    if len(unlabelled) == 0:
        raise DataError(
            f"{dataset.table.shown}: column {target}: all {len(dataset):,} rows have a label; those to label have null"
        )


def _dealt(dataset: Dataset, folds: int) -> Numbers:
    """Return (n,) folds of the labelled rows: whole groups, or every class evenly where there are no groups."""
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
            f"{dataset.table.shown}: {n} labelled rows in {units} groups cannot be dealt to two folds; label more"
        )
    fold = np.empty(units, np.int64)
    fold[order] = np.arange(units) % min(folds, units)
    return np.asarray(fold[unit])


def _fewer(dataset: Dataset, train: Rows, asked: Rows, fold: int) -> Iterator[Cut]:
    """Yield the trainings of a fold on a part of its train rows each, the least part first."""
    at = dataset.positions(train)
    unit = None if dataset.groups is None else dataset.groups[train]
    parts = growth.nested(dataset.y[at], unit, fold)
    if len({len(train), *map(len, parts)}) <= len(parts):
        units = "" if unit is None else f" in {len(np.unique(unit)):,} groups"
        raise DataError(
            f"{dataset.table.shown}: --labels-for trains on parts of a fold's labels, and {len(train):,} labelled "
            f"rows{units} are too few for an eighth, a quarter and a half; label more, or leave it out"
        )
    for share, part in zip(growth.SHARES, parts, strict=True):
        yield Cut(f"fewer labels, {share:.4g} of them", Split(train[part], asked, NOTHING, 0, fold=fold))


def _pool(dataset: Dataset, unlabelled: Rows, fold: Numbers) -> tuple[Rows, Numbers]:
    """Choose the unlabelled rows that the folds answer for: (p,) rows, (p,) folds.

    A row whose group has labelled rows goes with them, so that to each fold's labeler its unlabelled rows are as
    strange as its held ones; the others are dealt.
    """
    rng, folds = np.random.default_rng(1), int(fold.max()) + 1
    pool = np.sort(rng.permutation(unlabelled)[: PER_LABEL * len(fold)])
    dealt = rng.permutation(len(pool)) % folds
    if dataset.groups is not None:
        of_group = np.full(int(dataset.groups.max()) + 1, -1)
        of_group[dataset.groups[dataset.labelled]] = fold
        mine = of_group[dataset.groups[pool]]
        dealt = np.where(mine >= 0, mine, dealt)
    if len(np.unique(dealt)) < folds:  # too few rows for every fold to have some: estimates go without
        return NOTHING, NOTHING
    return pool, dealt


def in_labelled_groups(dataset: Dataset, rows: Rows) -> int:
    """Count the rows whose group has a labelled row."""
    if dataset.groups is None:
        return 0
    return int(np.isin(dataset.groups[rows], dataset.groups[dataset.labelled]).sum())
