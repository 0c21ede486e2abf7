"""Metrics of labels and probabilities, for one labeler or a stack of them.

A table is the (C, C) confusion matrix: row true, column predicted. The m rows are the same for the whole stack, whose
shape is written `...`: () for one labeler. A metric is NaN where it is undefined.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.statistics.distributions import mean_ranks

ConfusionMatrix = NDArray[np.int64]
Numbers = NDArray[Any]
Values = NDArray[np.float64]

MIN_PROBABILITY = 1e-7  # smaller ones are raised to it in the log loss; float32 has no finer step near 1
CALIBRATION_BINS = 15  # of the calibration error, equally wide (Guo et al. 2017)
TOP_SHARES = (1, 3, 10)  # per cent

LOWER_IS_BETTER = frozenset({"mae", "log_loss", "rps", "calibration_error", "value_mae"})
UNBOUNDED = float("inf")


def value_range(metric: str, n_classes: int) -> tuple[float, float]:
    """Return the least and the largest value that a metric can have."""
    ranges = {"mae": (0.0, n_classes - 1.0), "qwk": (-1.0, 1.0), "spearman": (-1.0, 1.0), "log_loss": (0.0, UNBOUNDED)}
    return ranges.get(metric, (0.0, 1.0))


DISPLAY_NAMES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "mae": "MAE",
    "qwk": "Quadratic kappa",
    "log_loss": "Log loss",
    "rps": "RPS",
    "calibration_error": "Calibration error",
    "spearman": "Spearman",
    "auc": "AUC",
    "average_precision": "Average precision",
    "value_mae": "Value MAE",
    "value_spearman": "Value Spearman",
}


def count_confusion(y: Numbers, labels: Numbers, n_classes: int) -> ConfusionMatrix:
    """Return (..., C, C) counts of true y (m,) against labels (..., m)."""
    if labels.max(initial=0) >= n_classes:
        raise ValueError(f"labels must be less than {n_classes}, got {labels.max()}")
    cells = y * n_classes + labels.astype(np.int64)
    counts = count_by_row(cells, n_classes**2)
    return counts.reshape(*labels.shape[:-1], n_classes, n_classes)


def count_by_row(numbers: NDArray[np.int64], size: int, weights: Numbers | None = None) -> NDArray[Any]:
    """Return the (..., size) counts of numbers (..., m), or sums of weights."""
    stack = numbers.shape[:-1]
    start = size * np.arange(np.prod(stack, dtype=np.int64)).reshape(*stack, 1)
    weights = None if weights is None else weights.ravel()
    return np.bincount((numbers + start).ravel(), weights, start.size * size).reshape(*stack, size)


def accuracy(tables: Numbers) -> Values:
    """Return (...) shares of rows labelled right, of tables (..., C, C)."""
    return np.asarray(np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1)))


def macro_f1(tables: Numbers) -> Values:
    """Return (...) means of the F1 of the classes that have true rows.

    F1 is 2 tp / (true + predicted). The truth alone decides which classes count, so that the number is comparable
    between labelers: a stray prediction of an absent class does not change the divisor.
    """
    present = tables.sum(axis=-1).reshape(-1, tables.shape[-1])[0] > 0
    return np.asarray(np.compress(present, f1_by_class(tables), axis=-1).mean(axis=-1))


def f1_by_class(tables: Numbers) -> Values:
    """Return (..., C) F1 of every class of tables (..., C, C).

    Counts may be weights. F1 is 0 where neither side has the class.
    """
    hit = np.diagonal(tables, axis1=-2, axis2=-1)
    both = tables.sum(axis=-1) + tables.sum(axis=-2)
    return np.asarray(np.divide(2 * hit, both, out=np.zeros(hit.shape), where=both > 0))


def mae(tables: Numbers) -> Values:
    """Return (...) mean absolute errors of the class number.

    They are of tables (..., C, C); counts may be weights.
    """
    classes = np.arange(tables.shape[-1])
    total = (tables * np.abs(classes[:, None] - classes)).sum(axis=(-2, -1))
    return np.asarray(total / tables.sum(axis=(-2, -1)))


def qwk(tables: Numbers) -> Values:
    """Return (...) Cohen's kappas with quadratic weights (Cohen 1968).

    They are of tables (..., C, C), whose counts may be weights; undefined where both sides have one and the same class
    only.
    """
    classes = np.arange(tables.shape[-1])
    weight = (classes[:, None] - classes) ** 2
    true, predicted = tables.sum(axis=-1), tables.sum(axis=-2)
    expected = np.einsum("...i,ij,...j->...", true, weight, predicted) / tables.sum(axis=(-2, -1))
    observed = (weight * tables).sum(axis=(-2, -1))
    return np.asarray(1 - np.divide(observed, expected, out=np.full(np.shape(expected), np.nan), where=expected > 0))


# From tables (..., C, C) to (...).
LABEL_METRICS: dict[str, Callable[[Numbers], Values]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "mae": mae,
    "qwk": qwk,
}


def complementarity(y: Numbers, first: Numbers, second: Numbers) -> dict[str, float]:
    """Return how two labelers' labels (m,) complement each other.

    The shares of rows where they differ, where either and where both are right.
    """
    first_right, second_right = first == y, second == y
    return {
        "disagreement": float((first != second).mean()),
        "either_correct": float((first_right | second_right).mean()),
        "both_correct": float((first_right & second_right).mean()),
    }


def log_loss(proba: Numbers, y: Numbers) -> Values:
    """Return (...) means of -log p(true class), in nats."""
    return np.asarray(row_log_losses(proba, y).mean(axis=-1))


def row_log_losses(proba: Numbers, y: Numbers) -> Values:
    """Return the (..., m) log losses of the rows of proba (..., m, C)."""
    m, n_classes = proba.shape[-2:]
    of_true = np.take(proba.reshape(*proba.shape[:-2], -1), np.arange(m) * n_classes + y, axis=-1)
    return np.asarray(-np.log(np.clip(of_true.astype(np.float64), MIN_PROBABILITY, 1.0)))


def rps(proba: Numbers, y: Numbers) -> Values:
    """Return (...) ranked probability scores (Epstein 1969).

    It is the mean squared distance of the cumulative distributions, over C - 1.
    """
    return np.asarray(row_rank_scores(proba, y).mean(axis=-1))


def row_rank_scores(proba: Numbers, y: Numbers) -> Values:
    """Return the (..., m) ranked probability scores of the rows."""
    cumulative = proba.astype(np.float64).cumsum(axis=-1)[..., :-1]  # (..., m, C - 1)
    truth = y[:, None] <= np.arange(cumulative.shape[-1])
    return np.asarray(((cumulative - truth) ** 2).sum(axis=-1) / cumulative.shape[-1])


def calibration_error(proba: Numbers, y: Numbers) -> Values:
    """Return (...) expected calibration errors of the most probable class.

    It is |accuracy - confidence| of each bin, weighted by its rows.
    """
    return confidence_error(proba.max(axis=-1).astype(np.float64), proba.argmax(axis=-1) == y)


def confidence_error(confidence: Numbers, hit: Numbers, weight: Numbers | None = None) -> Values:
    """Return (...) expected calibration errors of confidence, hits (..., m).

    With the probability of one class and whether it is the true one it is that class's error (Nixon et al. 2019). Rows
    may be weighted (m,).
    """
    weight = np.ones(hit.shape[-1]) if weight is None else weight
    row_bin = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    # Of each bin: its rows times the difference of accuracy and confidence.
    gap = count_by_row(row_bin, CALIBRATION_BINS, weight * (hit - confidence))
    return np.asarray(np.abs(gap).sum(axis=-1) / weight.sum())


def expected_score(proba: Numbers) -> Values:
    """Return (..., m) means of the class number under the probabilities."""
    return np.asarray(proba.astype(np.float64) @ np.arange(proba.shape[-1]))


def spearman(proba: Numbers, y: Numbers) -> Values:
    """Return (...) rank correlations of the expected score with the truth."""
    return rank_correlation(expected_score(proba), y)


def rank_correlation(score: Numbers, truth: Numbers) -> Values:
    """Return (...) Spearman correlations of scores (..., m) and truth (m,).

    Ties get their mean rank; undefined where either side is constant.
    """
    score, truth = (mean_ranks(values) - (len(truth) + 1) / 2 for values in (score, truth))
    scale = np.sqrt((score**2).sum(axis=-1) * (truth**2).sum())
    common = (score * truth).sum(axis=-1)
    return np.asarray(np.divide(common, scale, out=np.full(np.shape(scale), np.nan), where=scale > 0))


# From probabilities (..., m, C) and truth (m,) to (...).
PROBABILITY_METRICS: dict[str, Callable[[Numbers, Numbers], Values]] = {
    "log_loss": log_loss,
    "rps": rps,
    "calibration_error": calibration_error,
    "spearman": spearman,
}


def value_mae(proba: Numbers, values: Numbers, means: Numbers) -> Values:
    """Return (...) mean absolute errors of the expected value.

    proba (..., m, C), true values (m,), mean value (C,) of each class.
    """
    return np.asarray(np.abs(proba.astype(np.float64) @ means - values).mean(axis=-1))


def value_spearman(proba: Numbers, values: Numbers, means: Numbers) -> Values:
    """Return (...) rank correlations of the expected value with the true."""
    return rank_correlation(proba.astype(np.float64) @ means, values)


# From probabilities (..., m, C), true values (m,) and the mean value (C,) of each class to (...).
VALUE_METRICS: dict[str, Callable[[Numbers, Numbers, Numbers], Values]] = {
    "value_mae": value_mae,
    "value_spearman": value_spearman,
}


# The (..., m) terms whose mean is the metric, from labels (..., m), probabilities (..., m, C) and truth (m,).
ROW_METRICS: dict[str, Callable[[Numbers, Numbers, Numbers], Values]] = {
    "accuracy": lambda labels, proba, y: (labels == y).astype(np.float64),
    "mae": lambda labels, proba, y: np.abs(labels - y).astype(np.float64),
    "log_loss": lambda labels, proba, y: row_log_losses(proba, y),
    "rps": lambda labels, proba, y: row_rank_scores(proba, y),
}


def auc(proba: Numbers, y: Numbers, threshold: int) -> Values:
    """Return (...) areas under the ROC curve of score >= `threshold`.

    It is the chance that a row with such a score has more probability there than a row without; ties count half.
    Undefined where all rows are on one side.
    """
    positive = y >= threshold
    n, rest = int(positive.sum()), int((~positive).sum())
    if n == 0 or rest == 0:
        return np.full(proba.shape[:-2], np.nan)
    ranks = mean_ranks(proba[..., threshold:].astype(np.float64).sum(axis=-1))
    return np.asarray((np.compress(positive, ranks, axis=-1).sum(axis=-1) - n * (n + 1) / 2) / (n * rest))


def average_precision(score: Numbers, positive: Numbers) -> Values:
    """Return (...) average precisions of scores (..., m).

    `positive` (m,) bool. It is the mean precision at the scores of the positive rows; rows of equal score count
    together. Undefined without positive rows.
    """
    n = int(positive.sum())
    values = []
    for row in score.reshape(-1, score.shape[-1]):
        order = np.argsort(-row, kind="stable")
        last = np.append(np.diff(row[order]) != 0, True)  # of the rows of a score
        hits, places = np.cumsum(positive[order])[last], np.flatnonzero(last) + 1
        values.append(float(np.diff(hits, prepend=0) @ (hits / places)) / n if n else np.nan)
    return np.array(values).reshape(score.shape[:-1])


def precision_at_top(proba: Numbers, y: Numbers, threshold: int, per_cent: int) -> Values:
    """Return (...) precisions of score >= `threshold` in the top `per_cent`.

    Rows are ordered by expected score; ties go to earlier rows.
    """
    n_top = max(1, len(y) * per_cent // 100)
    best = np.argsort(-expected_score(proba), axis=-1, kind="stable")[..., :n_top]
    return np.asarray((y[best] >= threshold).mean(axis=-1))
