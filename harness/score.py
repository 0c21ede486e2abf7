"""Phase two: predictions meet the truth. Everything here follows from labels, probabilities and answers alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts import Split
from harness.dataset import Dataset
from harness.store import Result

LOWER_IS_BETTER = frozenset({"mae", "log_loss"})

SMALLEST = 1e-7  # a probability below this counts as this much in the log loss; float32 has no finer step near 1


@dataclass(frozen=True, eq=False)
class Answers:
    """The truth of the rows that a split asked about."""

    y: NDArray[np.int64]  # (m,)
    sources: NDArray[Any] | None  # (m,)


Key = tuple[str, int | None, str | None]
"""(metric, class or None, source or None): ("accuracy", 4, None) is the accuracy on the rows of class 4."""


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


def confusion(y: NDArray[np.int64], labels: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    """Return (C, C) counts: row = true class, column = predicted class."""
    pairs = y * n_classes + labels.astype(np.int64)
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def accuracy(table: NDArray[np.int64]) -> float:
    """Share of rows labelled right."""
    return float(np.trace(table) / table.sum())


def macro_f1(table: NDArray[np.int64]) -> float:
    """Mean over all C classes of F1 = 2 tp / (true + predicted); 0 for a class that neither side has.

    The fixed set of classes keeps the number comparable between test sets: one stray prediction of an absent class does
    not change the divisor.
    """
    true, predicted, hit = table.sum(axis=1), table.sum(axis=0), np.diag(table)
    both = true + predicted
    return float(np.divide(2 * hit, both, out=np.zeros(len(hit)), where=both > 0).mean())


def mae(table: NDArray[np.int64]) -> float:
    """Mean absolute difference of the class numbers."""
    classes = np.arange(len(table))
    return float((table * np.abs(classes[:, None] - classes)).sum() / table.sum())


METRICS = {"accuracy": accuracy, "macro_f1": macro_f1, "mae": mae}


def log_loss(proba: NDArray[Any], y: NDArray[np.int64]) -> float:
    """Mean of -log p(true class), in nats."""
    p = np.clip(proba[np.arange(len(y)), y].astype(np.float64), SMALLEST, 1.0)
    return float(-np.log(p).mean())


def scores(result: Result, truth: Answers, n_classes: int, primary: str) -> Scores:
    """Return every score of one cell."""
    honest = dict(_of_labels(result.labels, truth, n_classes))
    for source, here in _slices(truth):
        loss = log_loss(result.proba[here], truth.y[here])
        honest["log_loss", None, source] = Value(loss, int(here.sum()))
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
    if not checkpoints or primary not in METRICS:
        return None
    sign = -1 if primary in LOWER_IS_BETTER else 1
    tables = {name: confusion(truth.y, labels, n_classes) for name, labels in checkpoints.items()}
    return max(tables, key=lambda name: sign * METRICS[primary](tables[name]))


def _of_labels(labels: NDArray[Any], truth: Answers, n_classes: int) -> Iterator[tuple[Key, Value]]:
    for source, here in _slices(truth):
        table = confusion(truth.y[here], labels[here], n_classes)
        for metric, measure in METRICS.items():
            yield (metric, None, source), Value(measure(table), int(table.sum()))
        for c in range(n_classes if source is None else 0):
            support = int(table[c].sum())
            yield ("accuracy", c, None), Value(float(table[c, c] / support) if support else None, support)


def _slices(truth: Answers) -> Iterator[tuple[str | None, NDArray[np.bool_]]]:
    """Yield all rows, then the rows of each source."""
    yield None, np.ones(len(truth.y), np.bool_)
    if truth.sources is not None:
        for source in np.unique(truth.sources):
            yield str(source), truth.sources == source
