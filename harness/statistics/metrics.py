"""Metrics of labels and probabilities.

A `table` is the (C, C) confusion matrix: row true, column predicted.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.statistics.distributions import mean_ranks

ConfusionMatrix = NDArray[np.int64]
Numbers = NDArray[Any]

MIN_PROBABILITY = 1e-7  # smaller ones are raised to it in the log loss; float32 has no finer step near 1
CALIBRATION_BINS = 15  # of the calibration error, equally wide (Guo et al. 2017)
TOP_SHARES = (1, 3, 10)  # per cent

LOWER_IS_BETTER = frozenset({"mae", "log_loss", "rps", "calibration_error"})
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
}


def count_confusion(y: Numbers, labels: Numbers, n_classes: int) -> ConfusionMatrix:
    """Return (C, C) counts of true y (m,) against labels (m,)."""
    pairs = y * n_classes + labels.astype(np.int64)
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def accuracy(table: ConfusionMatrix) -> float:
    """Share of rows labelled right."""
    return float(np.trace(table) / table.sum())


def macro_f1(table: ConfusionMatrix) -> float:
    """Mean of the F1 of the classes that have true rows.

    F1 is 2 tp / (true + predicted). The truth alone decides which classes count, so that the number is comparable
    between labelers: a stray prediction of an absent class does not change the divisor.
    """
    return float(f1_by_class(table)[table.sum(axis=1) > 0].mean())


def f1_by_class(tables: Numbers) -> NDArray[np.float64]:
    """Return (..., C) F1 of every class of tables (..., C, C).

    Counts may be weights. F1 is 0 where neither side has the class.
    """
    hit = np.diagonal(tables, axis1=-2, axis2=-1)
    both = tables.sum(axis=-1) + tables.sum(axis=-2)
    return np.asarray(np.divide(2 * hit, both, out=np.zeros(hit.shape), where=both > 0))


def mae(table: ConfusionMatrix) -> float:
    """Mean absolute difference of the class numbers."""
    classes = np.arange(len(table))
    return float((table * np.abs(classes[:, None] - classes)).sum() / table.sum())


def qwk(table: ConfusionMatrix) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen 1968).

    It is None where both sides have one and the same class only.
    """
    kappa = float(quadratic_kappas(table))
    return None if np.isnan(kappa) else kappa


def quadratic_kappas(tables: Numbers) -> NDArray[np.float64]:
    """Return (...) quadratic kappas of tables (..., C, C); NaN if undefined.

    Counts may be weights.
    """
    classes = np.arange(tables.shape[-1])
    weight = (classes[:, None] - classes) ** 2
    true, predicted = tables.sum(axis=-1), tables.sum(axis=-2)
    expected = np.einsum("...i,ij,...j->...", true, weight, predicted) / tables.sum(axis=(-2, -1))
    observed = (weight * tables).sum(axis=(-2, -1))
    return np.asarray(1 - np.divide(observed, expected, out=np.full(np.shape(expected), np.nan), where=expected > 0))


def absolute_errors(tables: Numbers) -> NDArray[np.float64]:
    """Return (...) mean absolute errors of tables (..., C, C) of weights."""
    classes = np.arange(tables.shape[-1])
    total = (tables * np.abs(classes[:, None] - classes)).sum(axis=(-2, -1))
    return np.asarray(total / tables.sum(axis=(-2, -1)))


LABEL_METRICS = {"accuracy": accuracy, "macro_f1": macro_f1, "mae": mae, "qwk": qwk}


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


def log_loss(proba: Numbers, y: Numbers) -> float:
    """Mean of -log p(true class), in nats."""
    return float(row_log_losses(proba, y).mean())


def row_log_losses(proba: Numbers, y: Numbers) -> NDArray[np.float64]:
    """Return the (m,) log losses of the rows."""
    p = np.clip(proba[np.arange(len(y)), y].astype(np.float64), MIN_PROBABILITY, 1.0)
    return np.asarray(-np.log(p))


def rps(proba: Numbers, y: Numbers) -> float:
    """Ranked probability score (Epstein 1969).

    It is the mean squared distance of the cumulative distributions, over C - 1.
    """
    return float(row_rank_scores(proba, y).mean())


def row_rank_scores(proba: Numbers, y: Numbers) -> NDArray[np.float64]:
    """Return the (m,) ranked probability scores of the rows."""
    cumulative = proba.astype(np.float64).cumsum(axis=1)[:, :-1]  # (m, C - 1)
    truth = y[:, None] <= np.arange(cumulative.shape[1])
    return np.asarray(((cumulative - truth) ** 2).sum(axis=1) / cumulative.shape[1])


def calibration_error(proba: Numbers, y: Numbers) -> float:
    """Expected calibration error of the most probable class.

    It is |accuracy - confidence| of each bin, weighted by its rows.
    """
    return confidence_error(proba.max(axis=1).astype(np.float64), proba.argmax(axis=1) == y)


def confidence_error(confidence: Numbers, hit: Numbers, weight: Numbers | None = None) -> float:
    """Return the expected calibration error of confidence and hits (m,).

    With the probability of one class and whether it is the true one it is that class's error (Nixon et al. 2019). Rows
    may be weighted (m,).
    """
    weight = np.ones(len(hit)) if weight is None else weight
    row_bin = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    # Of each bin: its rows times the difference of accuracy and confidence.
    gap = np.bincount(row_bin, weight * (hit - confidence), minlength=CALIBRATION_BINS)
    return float(np.abs(gap).sum() / weight.sum())


def expected_score(proba: Numbers) -> NDArray[np.float64]:
    """Return (m,) means of the class number under each row's probabilities."""
    return np.asarray(proba.astype(np.float64) @ np.arange(proba.shape[1]))


def spearman(proba: Numbers, y: Numbers) -> float | None:
    """Rank correlation of the expected score with the truth.

    Ties get their mean rank; None where either side is constant.
    """
    ranks = [mean_ranks(values) - (len(y) + 1) / 2 for values in (expected_score(proba), y)]
    scale = np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum())
    return float((ranks[0] * ranks[1]).sum() / scale) if scale > 0 else None


PROBABILITY_METRICS = {"log_loss": log_loss, "rps": rps, "calibration_error": calibration_error, "spearman": spearman}


# The (m,) terms whose mean is the metric, from labels (m,), probabilities (m, C) and truth (m,).
ROW_METRICS: dict[str, Callable[[Numbers, Numbers, Numbers], NDArray[np.float64]]] = {
    "accuracy": lambda labels, proba, y: (labels == y).astype(np.float64),
    "mae": lambda labels, proba, y: np.abs(labels - y).astype(np.float64),
    "log_loss": lambda labels, proba, y: row_log_losses(proba, y),
    "rps": lambda labels, proba, y: row_rank_scores(proba, y),
}


def auc(proba: Numbers, y: Numbers, threshold: int) -> float | None:
    """Area under the ROC curve of score >= `threshold`.

    It is the chance that a row with such a score has more probability there than a row without; ties count half. None
    where all rows are on one side.
    """
    positive = y >= threshold
    n, rest = int(positive.sum()), int((~positive).sum())
    if n == 0 or rest == 0:
        return None
    ranks = mean_ranks(proba[:, threshold:].astype(np.float64).sum(axis=1))
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * rest))


def precision_at_top(proba: Numbers, y: Numbers, threshold: int, per_cent: int) -> float:
    """Precision of score >= `threshold` in the top `per_cent` of the rows.

    Rows are ordered by expected score; ties go to earlier rows.
    """
    n_top = max(1, len(y) * per_cent // 100)
    best = np.argsort(-expected_score(proba), kind="stable")[:n_top]
    return float((y[best] >= threshold).mean())
