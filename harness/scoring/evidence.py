"""What the rows of finished cells say of a comparison: the labelers' answers, row by row, against the same truth."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.plugin.protocols import Split
from harness.run.store import Result
from harness.scoring.leaderboard import CellResult
from harness.scoring.scores import Truth
from harness.scoring.standings import Evidence
from harness.statistics.bootstrap import SplitOutcomes, bootstrap_covariance
from harness.statistics.metrics import ROW_METRICS, f1_by_class, quadratic_kappas
from harness.statistics.significance import MIN_UNITS, Measurements, row_covariance
from harness.utils.hashing import digest, hash_array

NO_ROWS_REASON = (
    "is neither a mean over rows nor made of counts: no error is known, and no labeler is told from another"
)
ORACLE_REASON = "the numbers are oracle numbers, chosen on the test rows: no labeler is told from another"


@dataclass(frozen=True)
class AnswerSource:
    """Where answers and truth are found again."""

    read: Callable[[str], Result]  # by the cell's key
    truth: Callable[[Split], Truth]
    groups: NDArray[np.int64] | None  # (N,)
    n_classes: int


@dataclass(frozen=True, eq=False)
class SplitAnswers:
    """One split that all labelers answered: who said what is read from the archive."""

    seed: int
    unit: NDArray[np.intp]  # (n,)
    y: NDArray[np.int64]  # (n,)
    kept: NDArray[np.intp] | slice  # where these n rows stand among the split's
    keys: tuple[str, ...]  # (m,) of the labelers' cells


RowFilter = Callable[[Truth], NDArray[np.bool_]]
"""Says of each row of a split whether it is looked at."""


def collect_evidence(
    cell_results: Iterable[CellResult], primary: str, source: AnswerSource, row_filter: RowFilter | None = None
) -> Evidence:
    """Read the answers of labelers whose cells are all finished, to some `row_filter` of the rows.

    The endings are those of one comparison, or of several that are taken as one: the mean over all their splits.
    """
    by_title: dict[str, dict[str, CellResult]] = {}
    known: dict[int, str] = {}
    for cell_result in cell_results:
        evaluation = cell_result.cell.evaluation
        name = known.setdefault(id(evaluation), _name(evaluation.split))
        by_title.setdefault(cell_result.cell.candidate.title, {})[name] = cell_result
    titles = tuple(by_title)
    names = list(next(iter(by_title.values()), {}))
    if any(set(cells) != set(names) for cells in by_title.values()):
        return Evidence(titles, None, "the labelers were not asked on the same splits: no labeler is told from another")
    if not names:
        return Evidence(titles, None, "no labeler has all its cells")
    keys = [tuple(by_title[title][name].cell.key for title in titles) for name in names]
    splits = _split_answers(
        [by_title[titles[0]][name].cell.evaluation.split for name in names], keys, source, row_filter
    )
    if not all(len(answers.y) for answers in splits):
        return Evidence(titles, None, "a split has no such row: no labeler is told from another")
    kind = "rows" if source.groups is None else "groups"
    if primary in ROW_METRICS:
        return Evidence(titles, _by_rows(splits, primary, source), unit=kind)
    if primary in ("macro_f1", "qwk"):
        return _by_tables(titles, splits, primary, source, kind)
    return Evidence(titles, None, f"{primary} {NO_ROWS_REASON}")


def _split_answers(
    splits: list[Split], keys: list[tuple[str, ...]], source: AnswerSource, row_filter: RowFilter | None
) -> list[SplitAnswers]:
    truths = [source.truth(split) for split in splits]
    kept: list[Any] = [slice(None) if row_filter is None else np.flatnonzero(row_filter(truth)) for truth in truths]
    tested = [split.test[here] for split, here in zip(splits, kept, strict=True)]
    if source.groups is not None:
        tested = [source.groups[rows] for rows in tested]
    _, unit = np.unique(np.concatenate(tested), return_inverse=True)
    units = np.split(unit, np.cumsum([len(rows) for rows in tested])[:-1])
    return [
        SplitAnswers(split.seed, unit, truth.y[here], here, cells)
        for split, unit, truth, here, cells in zip(splits, units, truths, kept, keys, strict=True)
    ]


def _name(split: Split) -> str:
    return digest(split.seed, split.ratio, split.fold, hash_array(split.train), hash_array(split.test))


def _by_rows(splits: list[SplitAnswers], metric: str, source: AnswerSource) -> Measurements:
    """Measure a mean over rows: what each row adds to it is known."""
    n_units, m = 1 + max(int(answers.unit.max()) for answers in splits), len(splits[0].keys)
    shares, each = np.zeros((m, n_units)), np.empty((m, len(splits)))
    for k, answers in enumerate(splits):
        for a, key in enumerate(answers.keys):
            result = source.read(key)
            loss = ROW_METRICS[metric](result.labels[answers.kept], result.proba[answers.kept], answers.y)
            shares[a] += np.bincount(answers.unit, loss, n_units) / (len(loss) * len(splits))
            each[a, k] = loss.mean()
    weights, same = _weights(splits, n_units)
    return Measurements(_by_seed(each, splits), row_covariance(shares, weights), n_units, same)


def _weights(splits: list[SplitAnswers], n_units: int) -> tuple[NDArray[np.float64], bool]:
    """Return the (U,) share of each unit in a mean over the splits, and whether it is the same in every seed."""
    by_seed: dict[int, NDArray[np.float64]] = {}
    for answers in splits:
        mine = np.bincount(answers.unit, minlength=n_units) / len(answers.unit)
        by_seed[answers.seed] = by_seed.get(answers.seed, 0.0) + mine
    seeds = np.stack(list(by_seed.values()))
    return seeds.sum(axis=0) / len(splits), bool(((seeds > 0) == (seeds[0] > 0)).all())


def _by_seed(each: NDArray[np.float64], splits: list[SplitAnswers]) -> NDArray[np.float64]:
    """Turn (m, splits) values into (m, J): the mean over the splits of each seed."""
    seeds = np.array([answers.seed for answers in splits])
    return np.stack([each[:, seeds == seed].mean(axis=1) for seed in dict.fromkeys(seeds.tolist())], axis=1)


def _by_tables(
    titles: tuple[str, ...], splits: list[SplitAnswers], metric: str, source: AnswerSource, kind: str
) -> Evidence:
    """Measure a metric of the confusion table by the bootstrap; macro-F1 over the classes that have rows enough."""
    classes = source.n_classes
    support = np.min([np.bincount(answers.y, minlength=classes) for answers in splits], axis=0)
    kept = np.flatnonzero(support >= MIN_UNITS)
    if metric == "macro_f1" and not len(kept):
        return Evidence(titles, None, f"no class has {MIN_UNITS} test rows: no labeler is told from another")

    def measure(tables: NDArray[Any]) -> NDArray[np.float64]:
        return f1_by_class(tables)[..., kept].mean(axis=-1) if metric == "macro_f1" else quadratic_kappas(tables)

    tested = [
        SplitOutcomes(
            answers.unit,
            np.stack([answers.y * classes + source.read(key).labels[answers.kept] for key in answers.keys]),
        )
        for answers in splits
    ]
    each = np.stack([measure(_tables(split.cells, classes)) for split in tested], axis=1)
    if not np.isfinite(each).all():
        return Evidence(titles, None, f"{metric} has no value on some split: no labeler is told from another")
    n_units = 1 + max(int(answers.unit.max()) for answers in splits)
    seed = int(digest([hash_array(answers.y) for answers in splits])[:16], 16)
    spread = bootstrap_covariance(tested, n_units, classes, measure, seed)
    measured = Measurements(_by_seed(each, splits), spread, n_units, _weights(splits, n_units)[1])
    ranked_on = tuple(kept.tolist()) if metric == "macro_f1" and len(kept) < classes else None
    return Evidence(titles, measured, unit=kind, classes=ranked_on)


def _tables(cells: NDArray[Any], classes: int) -> NDArray[np.int64]:
    counted = [np.bincount(mine, minlength=classes**2) for mine in cells]
    return np.stack(counted).reshape(-1, classes, classes)
