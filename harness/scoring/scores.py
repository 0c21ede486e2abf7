"""Scores of predictions against the truth."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.plugin.protocols import Split
from harness.run.result import Result
from harness.statistics.metrics import (
    LABEL_METRICS,
    LOWER_IS_BETTER,
    PROBABILITY_METRICS,
    TOP_SHARES,
    ConfusionMatrix,
    auc,
    complementarity,
    count_confusion,
    precision_at_top,
)

MAX_CHECKPOINTS = 40  # of more, such as a hundred epochs of a network, only the best is scored
MEMBER_NAME = re.compile(r"member \d+")


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth of the test rows of a split."""

    y: NDArray[np.int64]  # (m,)
    sources: NDArray[Any] | None  # (m,)

    @cached_property
    def slices(self) -> tuple[tuple[str | None, NDArray[np.bool_]], ...]:
        """Return (source, (m,) mask) pairs: None for all rows, then each source."""
        all_rows = (None, np.ones(len(self.y), np.bool_))
        names = () if self.sources is None else np.unique(self.sources)
        return all_rows, *((str(source), self.sources == source) for source in names)


MetricKey = tuple[str, int | None, str | None]
"""(metric, class or None, source or None): ("accuracy", 4, None) is the accuracy on the rows of class 4; for auc and
precision_top_* the class is the least score that counts as good."""


@cache
def _key(metric: str, label_class: int | None, source: str | None) -> MetricKey:
    """Return one object for equal keys.

    Ten thousand cells have the same few hundred keys.
    """
    return metric, label_class, source


@dataclass(frozen=True, slots=True)
class MetricValue:
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
    y = dataset.y[dataset.positions(split.test)]
    return Truth(y, None if dataset.sources is None else dataset.sources[split.test])


def score_result(result: Result, truth: Truth, n_classes: int, primary: str) -> Scores:
    """Return every score of one cell."""
    honest = dict(_of_labels(result.labels, truth, n_classes))
    honest |= dict(_of_probabilities(result.proba, truth, n_classes))
    members = dict(_members(result, n_classes))
    if len(members) > 1:
        first, second, *_ = members.values()
        shares = complementarity(truth.y, first, second)
        honest |= {_key(name, None, None): MetricValue(share, len(truth.y)) for name, share in shares.items()}
    rows = {
        name: _accuracy_on(mask, result.labels, truth) for name, mask in result.rows.items() if mask.dtype == np.bool_
    }
    tables = {name: count_confusion(truth.y, labels, n_classes) for name, labels in result.checkpoints.items()}
    best = _best_checkpoint(tables, primary)
    oracle = {} if best is None else dict(_of_labels(result.checkpoints[best], truth, n_classes))
    checkpoints = (
        {}
        if len(tables) > MAX_CHECKPOINTS
        else {name: _checkpoint_scores(name, tables[name], result, truth) for name in tables}
    )
    checkpoints |= {
        name: _checkpoint_scores(name, count_confusion(truth.y, labels, n_classes), result, truth)
        for name, labels in members.items()
    }
    table = count_confusion(truth.y, result.labels, n_classes)
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
    return pooled | dict(_of_table(np.sum(tables, axis=0), None))


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
        dict(_of_table(table, None)),
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
        value = LABEL_METRICS[primary](tables[name])
        return -np.inf if value is None else sign * value

    return max(tables, key=merit)


def _of_labels(labels: NDArray[Any], truth: Truth, n_classes: int) -> Iterator[tuple[MetricKey, MetricValue]]:
    for source, mask in truth.slices:
        yield from _of_table(count_confusion(truth.y[mask], labels[mask], n_classes), source)


def _of_table(table: ConfusionMatrix, source: str | None) -> Iterator[tuple[MetricKey, MetricValue]]:
    for metric, measure in LABEL_METRICS.items():
        yield _key(metric, None, source), MetricValue(measure(table), int(table.sum()))
    for c in range(len(table) if source is None else 0):
        support = int(table[c].sum())
        yield _key("accuracy", c, None), MetricValue(float(table[c, c] / support) if support else None, support)


def _of_probabilities(proba: NDArray[Any], truth: Truth, n_classes: int) -> Iterator[tuple[MetricKey, MetricValue]]:
    for source, mask in truth.slices:
        for metric, measure in PROBABILITY_METRICS.items():
            yield _key(metric, None, source), MetricValue(measure(proba[mask], truth.y[mask]), int(mask.sum()))
    for threshold in range(1, n_classes):
        yield _key("auc", threshold, None), MetricValue(auc(proba, truth.y, threshold), len(truth.y))
    good = max(1, n_classes - 2)  # 4 of the scores 0 to 5
    for per_cent in TOP_SHARES:
        value = precision_at_top(proba, truth.y, good, per_cent)
        yield _key(f"precision_top_{per_cent}", good, None), MetricValue(value, len(truth.y))
