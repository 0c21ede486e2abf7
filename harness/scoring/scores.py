"""Scores of predictions against the truth."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.data.cut import mean_scores
from harness.data.dataset import Dataset
from harness.plugin.block import Rows
from harness.plugin.protocols import Split
from harness.run.result import Result
from harness.statistics.metrics import (
    LABEL_METRICS,
    LOWER_IS_BETTER,
    PROBABILITY_METRICS,
    TOP_SHARES,
    VALUE_METRICS,
    ConfusionMatrix,
    auc,
    average_precision,
    complementarity,
    count_confusion,
    precision_at_top,
)
from harness.suite.suite import ORDER_METRICS

T = TypeVar("T")
MAX_CHECKPOINTS = 40  # of more, such as a hundred epochs of a network, only the best is scored
MEMBER_NAME = re.compile(r"member \d+")


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth of the test rows of a split."""

    y: NDArray[np.int64]  # (m,)
    sources: NDArray[Any] | None  # (m,)
    ordered: bool = True  # whether the classes are; else no metric counts a distance or a threshold
    values: NDArray[np.float64] | None = None  # (m,) scores that the classes are cut from
    class_means: NDArray[np.float64] | None = None  # (C,) of the train rows' scores

    @cached_property
    def slices(self) -> tuple[tuple[str | None, Rows], ...]:
        """Return (source, rows (k,)) pairs: None for all rows, then each source."""
        all_rows = (None, np.arange(len(self.y)))
        names = () if self.sources is None else np.unique(self.sources)
        return all_rows, *((str(source), np.flatnonzero(self.sources == source)) for source in names)


MetricKey = tuple[str, int | None, str | None]
"""(metric, class or None, source or None): ("accuracy", 4, None) is the accuracy on the rows of class 4; for auc and
precision_top_* of more than two classes the class is the least score that counts as good."""


class MetricValue(NamedTuple):
    """One number with its number of rows; None where there are none."""

    value: float | None
    n: int


@dataclass(frozen=True)
class CheckpointScores:
    """Scores of labels that are no answer: of a checkpoint or a member."""

    scores: Mapping[MetricKey, MetricValue]  # on all rows: none by source
    rows: Mapping[str, MetricValue]  # accuracy on the row masks that are named after it: "adopted in round 3"


@dataclass(frozen=True)
class Scores:
    """Every number of one cell."""

    honest: Mapping[MetricKey, MetricValue]
    rows: Mapping[str, MetricValue]  # accuracy on the labeler's own row masks
    checkpoint: str | None = None  # the one that is best on the test rows by the primary metric
    oracle: Mapping[MetricKey, MetricValue] = field(default_factory=dict)  # its scores: never an honest answer
    checkpoints: Mapping[str, CheckpointScores] = field(
        default_factory=dict
    )  # checkpoints, where there are few, and members
    facts: Mapping[str, Any] = field(default_factory=dict)  # the labeler's facts about itself: JSON
    table: ConfusionMatrix | None = None  # (C, C) of the honest labels
    oracle_table: ConfusionMatrix | None = None


def truth_of(dataset: Dataset, split: Split) -> Truth:
    """Look up the truth of a split's test rows."""
    dataset = dataset.cut_by(split.train)
    train, test = (dataset.positions(rows) for rows in (split.train, split.test))
    sources = None if dataset.sources is None else dataset.sources[split.test]
    if dataset.scores is None:
        return Truth(dataset.y[test], sources, dataset.classes.ordered)
    scores = dataset.scores.target
    means = mean_scores(scores[train], dataset.y[train], dataset.classes)
    return Truth(dataset.y[test], sources, dataset.classes.ordered, scores[test], means)


def score_results(results: Sequence[Result], truth: Truth, n_classes: int, primary: str) -> list[Scores]:
    """Return every score of cells that have labelled the same rows."""
    labels = np.stack([result.labels for result in results])
    proba = np.stack([result.proba for result in results])
    tables = count_confusion(truth.y, labels, n_classes)
    numbers = _by_cell([*_of_labels(labels, truth, n_classes), *_of_probabilities(proba, truth, n_classes)])
    return [
        _scores(result, honest, table, truth, primary)
        for result, honest, table in zip(results, numbers, tables, strict=True)
    ]


def score_result(result: Result, truth: Truth, n_classes: int, primary: str) -> Scores:
    """Return every score of one cell."""
    return score_results([result], truth, n_classes, primary)[0]


def _scores(
    result: Result, honest: dict[MetricKey, MetricValue], table: ConfusionMatrix, truth: Truth, primary: str
) -> Scores:
    """Add what only some cells have: masks, checkpoints and members."""
    n_classes, members = len(table), dict(_members(result, len(table)))
    if len(members) > 1:
        first, second, *_ = members.values()
        shares = complementarity(truth.y, first, second)
        honest = honest | {(name, None, None): MetricValue(share, len(truth.y)) for name, share in shares.items()}
    rows = {
        name: _accuracy_on(mask, result.labels, truth) for name, mask in result.rows.items() if mask.dtype == np.bool_
    }
    tables = {name: count_confusion(truth.y, labels, n_classes) for name, labels in result.checkpoints.items()}
    best = _best_checkpoint(tables, primary)
    oracle = {} if best is None else _of_one_cell(_of_labels(result.checkpoints[best][None], truth, n_classes))
    checkpoints = (
        {}
        if len(tables) > MAX_CHECKPOINTS
        else {name: _checkpoint_scores(name, tables[name], result, truth) for name in tables}
    )
    checkpoints |= {
        name: _checkpoint_scores(name, count_confusion(truth.y, labels, n_classes), result, truth)
        for name, labels in members.items()
    }
    return Scores(honest, rows, best, oracle, checkpoints, result.facts, table, None if best is None else tables[best])


def pool_scores(
    folds: list[Mapping[MetricKey, MetricValue]], tables: list[ConfusionMatrix]
) -> Mapping[MetricKey, MetricValue]:
    """Return the scores of the folds of a seed, which are one test set.

    Those of labels come from the sum of the confusion matrices; others are means weighted by rows, to which a fold
    without such rows adds nothing.
    """
    pooled: dict[MetricKey, MetricValue] = {}
    for key in dict.fromkeys(key for scores in folds for key in scores):
        values = [scores[key] for scores in folds if key in scores and scores[key].value is not None]
        n = sum(value.n for value in values)
        mean = sum((value.value or 0.0) * value.n for value in values) / n if n else None
        pooled[key] = MetricValue(mean, n)
    ordered = ("mae", None, None) in pooled
    return pooled | _of_one_cell(_of_tables(np.sum(tables, axis=0)[None], None, ordered))


def _members(result: Result, n_classes: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield (name, labels (m,)) of each member, in the labeler's order."""
    for name, labels in result.rows.items():
        if MEMBER_NAME.fullmatch(name) and labels.dtype == np.uint8 and labels.max(initial=0) < n_classes:
            yield name, labels


def _checkpoint_scores(name: str, table: ConfusionMatrix, result: Result, truth: Truth) -> CheckpointScores:
    """Score a checkpoint by its confusion matrix and on the masks it names."""
    labels = result.checkpoints.get(name, result.rows.get(name))
    masks = {mask: rows for mask, rows in result.rows.items() if mask.endswith(f" in {name}")}
    return CheckpointScores(
        _of_one_cell(_of_tables(table[None], None, truth.ordered)),
        {mask: _accuracy_on(rows, labels, truth) for mask, rows in masks.items() if rows.dtype == np.bool_},
    )


def _accuracy_on(mask: NDArray[np.bool_], labels: Any, truth: Truth) -> MetricValue:
    hits = labels[mask] == truth.y[mask]
    return MetricValue(float(hits.mean()) if len(hits) else None, len(hits))


def _best_checkpoint(tables: Mapping[str, ConfusionMatrix], primary: str) -> str | None:
    """Return the best checkpoint, the first of equals.

    None where there are none, or where the primary metric needs probabilities.
    """
    if not tables or primary not in LABEL_METRICS:
        return None
    sign = -1 if primary in LOWER_IS_BETTER else 1

    def merit(name: str) -> float:
        value = sign * float(LABEL_METRICS[primary](tables[name]))
        return -np.inf if isnan(value) else value

    return max(tables, key=merit)


Column = tuple[MetricKey, NDArray[np.float64], int]
"""One number of a stack of cells: key, values (cells,) and rows that they are measured on."""


def _by_cell(columns: Sequence[Column]) -> list[dict[MetricKey, MetricValue]]:
    """Return the numbers of each cell of a stack."""
    keys, values, counts = zip(*columns, strict=True)
    table = np.stack(values, axis=1)
    rows = table.astype(object)
    rows[np.isnan(table)] = None
    return [dict(zip(keys, map(MetricValue, row, counts), strict=True)) for row in rows.tolist()]


def _of_one_cell(columns: Iterable[Column]) -> dict[MetricKey, MetricValue]:
    """Return the numbers of a stack of one cell."""
    return _by_cell(list(columns))[0]


def _with_meaning(metrics: Mapping[str, T], ordered: bool) -> Iterator[tuple[str, T]]:
    """Yield the metrics (name, function) that mean something."""
    return ((name, measure) for name, measure in metrics.items() if ordered or name not in ORDER_METRICS)


def _of_labels(labels: NDArray[Any], truth: Truth, n_classes: int) -> Iterator[Column]:
    """Yield the metrics of labels (cells, m), on all rows and by source."""
    for source, rows in truth.slices:
        yield from _of_tables(
            count_confusion(truth.y[rows], np.take(labels, rows, axis=1), n_classes), source, truth.ordered
        )


def _of_tables(tables: ConfusionMatrix, source: str | None, ordered: bool) -> Iterator[Column]:
    """Yield the metrics of tables (cells, C, C) of the same rows."""
    support = tables[0].sum(axis=1)
    for metric, measure in _with_meaning(LABEL_METRICS, ordered):
        yield (metric, None, source), measure(tables), int(support.sum())
    if source is None:
        hits = np.diagonal(tables, axis1=1, axis2=2)
        recall = np.divide(hits, support, out=np.full(hits.shape, np.nan), where=support > 0)
        for c, n in enumerate(support.tolist()):
            yield ("accuracy", c, None), recall[:, c], n


def _of_probabilities(proba: NDArray[Any], truth: Truth, n_classes: int) -> Iterator[Column]:
    """Yield the metrics of probabilities (cells, m, C)."""
    y = truth.y
    for source, rows in truth.slices:
        of_slice = np.take(proba, rows, axis=1)
        for metric, measure in _with_meaning(PROBABILITY_METRICS, truth.ordered):
            yield (metric, None, source), measure(of_slice, y[rows]), len(rows)
        if truth.values is not None and truth.class_means is not None:
            for metric, measure_value in VALUE_METRICS.items():
                number = measure_value(of_slice, truth.values[rows], truth.class_means)
                yield (metric, None, source), number, len(rows)
    if n_classes == 2:
        yield ("auc", None, None), auc(proba, y, 1), len(y)
        yield ("average_precision", None, None), average_precision(proba[..., 1], y == 1), len(y)
    if n_classes == 2 or not truth.ordered:
        return
    for threshold in range(1, n_classes):
        yield ("auc", threshold, None), auc(proba, y, threshold), len(y)
    good = max(1, n_classes - 2)  # 4 of the scores 0 to 5
    for per_cent in TOP_SHARES:
        yield (f"precision_top_{per_cent}", good, None), precision_at_top(proba, y, good, per_cent), len(y)
