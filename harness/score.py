"""Phase two: predictions meet the truth. Everything here follows from labels, probabilities and answers alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts import Split
from harness.dataset import Dataset
from harness.metrics import (
    LOWER_IS_BETTER,
    OF_LABELS,
    OF_PROBABILITIES,
    TOP_SHARES,
    auc,
    confusion,
    precision_at_top,
)
from harness.store import Result


@dataclass(frozen=True, eq=False)
class Answers:
    """The truth of the rows that a split asked about."""

    y: NDArray[np.int64]  # (m,)
    sources: NDArray[Any] | None  # (m,)


Key = tuple[str, int | None, str | None]
"""(metric, class or None, source or None): ("accuracy", 4, None) is the accuracy on the rows of class 4; for auc and
precision_top_* the class is the least score that counts as good."""


@dataclass(frozen=True)
class Value:
    """One number, and the rows it is measured on; None where there are none."""

    value: float | None
    n: int


@dataclass(frozen=True)
class Scores:
    """Every number of one cell."""

    honest: Mapping[Key, Value]
    rows: Mapping[str, Value]  # accuracy on the labeler's own row masks
    checkpoint: str | None = None  # the one that is best on the test rows by the primary metric
    oracle: Mapping[Key, Value] = field(default_factory=dict)  # its scores: never an honest answer


def answers(dataset: Dataset, split: Split) -> Answers:
    """Look up the truth of a split's test rows."""
    y = dataset.y[dataset.positions(split.test)]
    return Answers(y, None if dataset.sources is None else dataset.sources[split.test])


def scores(result: Result, truth: Answers, n_classes: int, primary: str) -> Scores:
    """Return every score of one cell."""
    honest = dict(_of_labels(result.labels, truth, n_classes))
    honest |= dict(_of_probabilities(result.proba, truth, n_classes))
    rows = {}
    for name, mask in result.rows.items():
        if mask.dtype == np.bool_:
            hits = result.labels[mask] == truth.y[mask]
            rows[name] = Value(float(hits.mean()) if len(hits) else None, len(hits))
    best = _best_checkpoint(result.checkpoints, truth, n_classes, primary)
    oracle = {} if best is None else dict(_of_labels(result.checkpoints[best], truth, n_classes))
    return Scores(honest, rows, best, oracle)


def _best_checkpoint(
    checkpoints: Mapping[str, NDArray[np.uint8]], truth: Answers, n_classes: int, primary: str
) -> str | None:
    """Return the first of the best checkpoints; None where labels alone cannot tell."""
    if not checkpoints or primary not in OF_LABELS:
        return None
    sign = -1 if primary in LOWER_IS_BETTER else 1

    def merit(name: str) -> float:
        value = OF_LABELS[primary](confusion(truth.y, checkpoints[name], n_classes))
        return -np.inf if value is None else sign * value

    return max(checkpoints, key=merit)


def _of_labels(labels: NDArray[Any], truth: Answers, n_classes: int) -> Iterator[tuple[Key, Value]]:
    for source, here in _slices(truth):
        table = confusion(truth.y[here], labels[here], n_classes)
        for metric, measure in OF_LABELS.items():
            yield (metric, None, source), Value(measure(table), int(table.sum()))
        for c in range(n_classes if source is None else 0):
            support = int(table[c].sum())
            yield ("accuracy", c, None), Value(float(table[c, c] / support) if support else None, support)


def _of_probabilities(proba: NDArray[Any], truth: Answers, n_classes: int) -> Iterator[tuple[Key, Value]]:
    for source, here in _slices(truth):
        for metric, measure in OF_PROBABILITIES.items():
            yield (metric, None, source), Value(measure(proba[here], truth.y[here]), int(here.sum()))
    for threshold in range(1, n_classes):
        yield ("auc", threshold, None), Value(auc(proba, truth.y, threshold), len(truth.y))
    good = max(1, n_classes - 2)  # 4 of the scores 0 to 5
    for per_cent in TOP_SHARES:
        value = precision_at_top(proba, truth.y, good, per_cent)
        yield (f"precision_top_{per_cent}", good, None), Value(value, len(truth.y))


def _slices(truth: Answers) -> Iterator[tuple[str | None, NDArray[np.bool_]]]:
    """Yield all rows, then the rows of each source."""
    yield None, np.ones(len(truth.y), np.bool_)
    if truth.sources is not None:
        for source in np.unique(truth.sources):
            yield str(source), truth.sources == source
