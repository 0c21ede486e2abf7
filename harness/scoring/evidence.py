"""Evidence for a comparison: predictions of finished cells, row by row."""

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

UNTESTED = "differences cannot be tested"
NO_ROWS_REASON = f"is neither a mean over rows nor made of counts, so that it has no known error: {UNTESTED}"
ORACLE_REASON = f"the numbers are oracle numbers, chosen on the test rows: {UNTESTED}"


@dataclass(frozen=True)
class AnswerSource:
    """Access to the predictions and the truth of a run."""

    read: Callable[[str], Result]  # by the cell's key
    truth: Callable[[Split], Truth]
    groups: NDArray[np.int64] | None  # (N,)
    n_classes: int


@dataclass(frozen=True, eq=False)
class SplitAnswers:
    """One split that all labelers have predicted, without the predictions."""

    seed: int
    unit: NDArray[np.intp]  # (n,)
    y: NDArray[np.int64]  # (n,)
    selected: NDArray[np.intp] | slice  # places of these n rows among the split's
    keys: tuple[str, ...]  # (m,) of the labelers' cells, whose predictions are read when needed


RowFilter = Callable[[Truth], NDArray[np.bool_]]
"""From the truth of a split to the (m,) mask of the rows that count."""


def collect_evidence(
    cell_results: Iterable[CellResult], primary: str, source: AnswerSource, row_filter: RowFilter | None = None
) -> Evidence:
    """Collect the predictions of labelers whose cells are all finished.

    The cells are those of one comparison, or of several that are taken as one: the mean over all their splits. With a
    `row_filter` only its rows count.
    """
    by_title: dict[str, dict[str, CellResult]] = {}
    names_by_id: dict[int, str] = {}
    for cell_result in cell_results:
        evaluation = cell_result.cell.evaluation
        if id(evaluation) not in names_by_id:
            names_by_id[id(evaluation)] = _hash_split(evaluation.split)
        by_title.setdefault(cell_result.cell.candidate.title, {})[names_by_id[id(evaluation)]] = cell_result
    titles = tuple(by_title)
    names = list(next(iter(by_title.values()), {}))
    if any(set(cells) != set(names) for cells in by_title.values()):
        return Evidence(titles, None, f"the labelers do not have the same splits: {UNTESTED}")
    if not names:
        return Evidence(titles, None, "no labeler has all its cells")
    keys = [tuple(by_title[title][name].cell.key for title in titles) for name in names]
    splits = _split_answers(
        [by_title[titles[0]][name].cell.evaluation.split for name in names], keys, source, row_filter
    )
    if not all(len(answers.y) for answers in splits):
        return Evidence(titles, None, f"a split has no such row: {UNTESTED}")
    unit = "rows" if source.groups is None else "groups"
    if primary in ROW_METRICS:
        return Evidence(titles, _by_rows(splits, primary, source), unit=unit)
    if primary in ("macro_f1", "qwk"):
        return _by_tables(titles, splits, primary, source, unit)
    return Evidence(titles, None, f"{primary} {NO_ROWS_REASON}")


def _split_answers(
    splits: list[Split], keys: list[tuple[str, ...]], source: AnswerSource, row_filter: RowFilter | None
) -> list[SplitAnswers]:
    truths = [source.truth(split) for split in splits]
    selections: list[Any] = [
        slice(None) if row_filter is None else np.flatnonzero(row_filter(truth)) for truth in truths
    ]
    units = [split.test[selected] for split, selected in zip(splits, selections, strict=True)]
    if source.groups is not None:
        units = [source.groups[rows] for rows in units]
    _, numbers = np.unique(np.concatenate(units), return_inverse=True)
    unit_numbers = np.split(numbers, np.cumsum([len(rows) for rows in units])[:-1])
    return [
        SplitAnswers(split.seed, unit, truth.y[selected], selected, cells)
        for split, unit, truth, selected, cells in zip(splits, unit_numbers, truths, selections, keys, strict=True)
    ]


def _hash_split(split: Split) -> str:
    return digest(split.seed, split.ratio, split.fold, hash_array(split.train), hash_array(split.test))


def _by_rows(splits: list[SplitAnswers], metric: str, source: AnswerSource) -> Measurements:
    """Measure a metric that is a mean over rows."""
    n_units, m = 1 + max(int(answers.unit.max()) for answers in splits), len(splits[0].keys)
    shares, values = np.zeros((m, n_units)), np.empty((m, len(splits)))
    for k, answers in enumerate(splits):
        for a, key in enumerate(answers.keys):
            result = source.read(key)
            loss = ROW_METRICS[metric](result.labels[answers.selected], result.proba[answers.selected], answers.y)
            shares[a] += np.bincount(answers.unit, loss, n_units) / (len(loss) * len(splits))
            values[a, k] = loss.mean()
    weights, same = _weights(splits, n_units)
    return Measurements(_by_seed(values, splits), row_covariance(shares, weights), n_units, same)


def _weights(splits: list[SplitAnswers], n_units: int) -> tuple[NDArray[np.float64], bool]:
    """Return (U,) shares of the units in the mean over splits.

    The flag is True where every seed has the same units.
    """
    by_seed: dict[int, NDArray[np.float64]] = {}
    for answers in splits:
        share = np.bincount(answers.unit, minlength=n_units) / len(answers.unit)
        by_seed[answers.seed] = by_seed.get(answers.seed, 0.0) + share
    seeds = np.stack(list(by_seed.values()))
    return seeds.sum(axis=0) / len(splits), bool(((seeds > 0) == (seeds[0] > 0)).all())


def _by_seed(values: NDArray[np.float64], splits: list[SplitAnswers]) -> NDArray[np.float64]:
    """Average (m, splits) values into (m, J), one column a seed."""
    seeds = np.array([answers.seed for answers in splits])
    return np.stack([values[:, seeds == seed].mean(axis=1) for seed in dict.fromkeys(seeds.tolist())], axis=1)


def _by_tables(
    titles: tuple[str, ...], splits: list[SplitAnswers], metric: str, source: AnswerSource, unit: str
) -> Evidence:
    """Measure a metric of the confusion matrix by the bootstrap.

    Macro-F1 is taken over the classes that have MIN_UNITS test rows in every split.
    """
    classes = source.n_classes
    support = np.min([np.bincount(answers.y, minlength=classes) for answers in splits], axis=0)
    ranked_classes = np.flatnonzero(support >= MIN_UNITS)
    if metric == "macro_f1" and not len(ranked_classes):
        return Evidence(titles, None, f"no class has {MIN_UNITS} test rows: {UNTESTED}")

    def measure(tables: NDArray[Any]) -> NDArray[np.float64]:
        return (
            f1_by_class(tables)[..., ranked_classes].mean(axis=-1) if metric == "macro_f1" else quadratic_kappas(tables)
        )

    outcomes = [
        SplitOutcomes(
            answers.unit,
            np.stack([answers.y * classes + source.read(key).labels[answers.selected] for key in answers.keys]),
        )
        for answers in splits
    ]
    values = np.stack([measure(_tables(split.cells, classes)) for split in outcomes], axis=1)
    if not np.isfinite(values).all():
        return Evidence(titles, None, f"{metric} has no value on some split: {UNTESTED}")
    n_units = 1 + max(int(answers.unit.max()) for answers in splits)
    seed = int(digest([hash_array(answers.y) for answers in splits])[:16], 16)
    covariance = bootstrap_covariance(outcomes, n_units, classes, measure, seed)
    measured = Measurements(_by_seed(values, splits), covariance, n_units, _weights(splits, n_units)[1])
    ranked_on = tuple(ranked_classes.tolist()) if metric == "macro_f1" and len(ranked_classes) < classes else None
    return Evidence(titles, measured, unit=unit, classes=ranked_on)


def _tables(cells: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Return the (m, C, C) confusion matrices of (m, n) cells."""
    counts = [np.bincount(row, minlength=classes**2) for row in cells]
    return np.stack(counts).reshape(-1, classes, classes)
