"""What the rows of finished cells say of a comparison: the labelers' answers, row by row, against the same truth."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.plugin.protocols import Split
from harness.run.store import Result
from harness.scoring.leaderboard import Ending
from harness.scoring.scores import Answers
from harness.scoring.standings import Evidence
from harness.statistics.bootstrap import SplitOutcomes, bootstrap_covariance
from harness.statistics.metrics import ROW_METRICS, f1_by_class, quadratic_kappas
from harness.statistics.significance import MIN_UNITS, Measurements, row_covariance
from harness.utils.hashing import digest, hash_array

NO_ROWS = "is neither a mean over rows nor made of counts: no error is known, and no labeler is told from another"
ORACLE = "the numbers are oracle numbers, chosen on the test rows: no labeler is told from another"


@dataclass(frozen=True)
class Archive:
    """Where answers and truth are found again."""

    read: Callable[[str], Result]  # by the cell's key
    truth: Callable[[Split], Answers]
    groups: NDArray[np.int64] | None  # (N,)
    n_classes: int


@dataclass(frozen=True, eq=False)
class Paper:
    """One split that all labelers answered: who said what is read from the archive."""

    seed: int
    unit: NDArray[np.intp]  # (n,)
    y: NDArray[np.int64]  # (n,)
    kept: NDArray[np.intp] | slice  # where these n rows stand among the split's
    keys: tuple[str, ...]  # (m,) of the labelers' cells


Part = Callable[[Answers], NDArray[np.bool_]]
"""Says of each row of a split whether it is looked at."""


def gather(endings: Iterable[Ending], primary: str, archive: Archive, part: Part | None = None) -> Evidence:
    """Read the answers of labelers whose cells are all finished, to some `part` of the rows.

    The endings are those of one comparison, or of several that are taken as one: the mean over all their splits.
    """
    by_title: dict[str, dict[str, Ending]] = {}
    known: dict[int, str] = {}
    for ending in endings:
        evaluation = ending.cell.evaluation
        name = known.setdefault(id(evaluation), _name(evaluation.split))
        by_title.setdefault(ending.cell.candidate.title, {})[name] = ending
    titles = tuple(by_title)
    names = list(next(iter(by_title.values()), {}))
    if any(set(cells) != set(names) for cells in by_title.values()):
        return Evidence(titles, None, "the labelers were not asked on the same splits: no labeler is told from another")
    if not names:
        return Evidence(titles, None, "no labeler has all its cells")
    keys = [tuple(by_title[title][name].cell.key for title in titles) for name in names]
    papers = _papers([by_title[titles[0]][name].cell.evaluation.split for name in names], keys, archive, part)
    if not all(len(paper.y) for paper in papers):
        return Evidence(titles, None, "a split has no such row: no labeler is told from another")
    kind = "rows" if archive.groups is None else "groups"
    if primary in ROW_METRICS:
        return Evidence(titles, _by_rows(papers, primary, archive), unit=kind)
    if primary in ("macro_f1", "qwk"):
        return _by_tables(titles, papers, primary, archive, kind)
    return Evidence(titles, None, f"{primary} {NO_ROWS}")


def _papers(splits: list[Split], keys: list[tuple[str, ...]], archive: Archive, part: Part | None) -> list[Paper]:
    truths = [archive.truth(split) for split in splits]
    kept: list[Any] = [slice(None) if part is None else np.flatnonzero(part(truth)) for truth in truths]
    tested = [split.test[here] for split, here in zip(splits, kept, strict=True)]
    if archive.groups is not None:
        tested = [archive.groups[rows] for rows in tested]
    _, unit = np.unique(np.concatenate(tested), return_inverse=True)
    units = np.split(unit, np.cumsum([len(rows) for rows in tested])[:-1])
    return [
        Paper(split.seed, unit, truth.y[here], here, cells)
        for split, unit, truth, here, cells in zip(splits, units, truths, kept, keys, strict=True)
    ]


def _name(split: Split) -> str:
    return digest(split.seed, split.ratio, split.fold, hash_array(split.train), hash_array(split.test))


def _by_rows(papers: list[Paper], metric: str, archive: Archive) -> Measurements:
    """Measure a mean over rows: what each row adds to it is known."""
    n_units, m = 1 + max(int(paper.unit.max()) for paper in papers), len(papers[0].keys)
    shares, each = np.zeros((m, n_units)), np.empty((m, len(papers)))
    for k, paper in enumerate(papers):
        for a, key in enumerate(paper.keys):
            result = archive.read(key)
            loss = ROW_METRICS[metric](result.labels[paper.kept], result.proba[paper.kept], paper.y)
            shares[a] += np.bincount(paper.unit, loss, n_units) / (len(loss) * len(papers))
            each[a, k] = loss.mean()
    weights, same = _weights(papers, n_units)
    return Measurements(_by_seed(each, papers), row_covariance(shares, weights), n_units, same)


def _weights(papers: list[Paper], n_units: int) -> tuple[NDArray[np.float64], bool]:
    """Return the (U,) share of each unit in a mean over the splits, and whether it is the same in every seed."""
    by_seed: dict[int, NDArray[np.float64]] = {}
    for paper in papers:
        mine = np.bincount(paper.unit, minlength=n_units) / len(paper.unit)
        by_seed[paper.seed] = by_seed.get(paper.seed, 0.0) + mine
    seeds = np.stack(list(by_seed.values()))
    return seeds.sum(axis=0) / len(papers), bool(((seeds > 0) == (seeds[0] > 0)).all())


def _by_seed(each: NDArray[np.float64], papers: list[Paper]) -> NDArray[np.float64]:
    """Turn (m, splits) values into (m, J): the mean over the splits of each seed."""
    seeds = np.array([paper.seed for paper in papers])
    return np.stack([each[:, seeds == seed].mean(axis=1) for seed in dict.fromkeys(seeds.tolist())], axis=1)


def _by_tables(titles: tuple[str, ...], papers: list[Paper], metric: str, archive: Archive, kind: str) -> Evidence:
    """Measure a metric of the confusion table by the bootstrap; macro-F1 over the classes that have rows enough."""
    classes = archive.n_classes
    support = np.min([np.bincount(paper.y, minlength=classes) for paper in papers], axis=0)
    kept = np.flatnonzero(support >= MIN_UNITS)
    if metric == "macro_f1" and not len(kept):
        return Evidence(titles, None, f"no class has {MIN_UNITS} test rows: no labeler is told from another")

    def measure(tables: NDArray[Any]) -> NDArray[np.float64]:
        return f1_by_class(tables)[..., kept].mean(axis=-1) if metric == "macro_f1" else quadratic_kappas(tables)

    tested = [
        SplitOutcomes(
            paper.unit, np.stack([paper.y * classes + archive.read(key).labels[paper.kept] for key in paper.keys])
        )
        for paper in papers
    ]
    each = np.stack([measure(_tables(split.cells, classes)) for split in tested], axis=1)
    if not np.isfinite(each).all():
        return Evidence(titles, None, f"{metric} has no value on some split: no labeler is told from another")
    n_units = 1 + max(int(paper.unit.max()) for paper in papers)
    seed = int(digest([hash_array(paper.y) for paper in papers])[:16], 16)
    spread = bootstrap_covariance(tested, n_units, classes, measure, seed)
    measured = Measurements(_by_seed(each, papers), spread, n_units, _weights(papers, n_units)[1])
    ranked_on = tuple(kept.tolist()) if metric == "macro_f1" and len(kept) < classes else None
    return Evidence(titles, measured, unit=kind, classes=ranked_on)


def _tables(cells: NDArray[Any], classes: int) -> NDArray[np.int64]:
    counted = [np.bincount(mine, minlength=classes**2) for mine in cells]
    return np.stack(counted).reshape(-1, classes, classes)
