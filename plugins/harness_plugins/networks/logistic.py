"""Multinomial logistic regression, fitted to convergence with L-BFGS.

The solver is scikit-learn's. Columns are centred and divided by their standard deviation, or by the median one where
that is larger: a column that hardly varies in train would otherwise count as much as any other and run far out of its
range in the pool.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import Block, BlockScaler, On, Task, holdout
from harness_plugins._constant import ConstantRule

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

PENALTIES = (10_000.0, 1000.0, 100.0, 10.0, 1.0, 0.1)  # tried, strongest first; each is the inverse of scikit-learn's C
FIXED_PENALTY = 0.1  # where nothing can be chosen
MIN_ROWS = 30  # fewer labelled rows choose no penalty
FEW_ROWS = 500  # below, the penalty is chosen on REPEATS validation shares of different seeds, else on one
REPEATS = 5
MAX_CHOICE_ROWS = 5_000  # rows that choose the penalty, at most
CLEARLY_WORSE = 1.01  # times the best log loss: weaker penalties are not tried
CHOICE_TOLERANCE = 1e-3  # of L-BFGS while the penalty is chosen; ten times scikit-learn's default, half the steps
MAX_STEPS = 1_000  # of L-BFGS
CHUNK_ROWS = 8_192  # rows at a time
MIN_PROBABILITY = 1e-6  # of a class, in the validation log loss


@dataclass(frozen=True, eq=False)
class LogisticRule:
    """A fitted logistic regression and the scales of its columns."""

    scaler: BlockScaler
    mean: np.ndarray  # (d,)
    scale: np.ndarray  # (d,)
    coefficients: np.ndarray  # (classes, d), of two classes (1, d)
    intercept: np.ndarray
    classes: np.ndarray  # those of the labelled rows
    n_classes: int

    def label(self, blocks: Mapping[str, Block], rows: np.ndarray) -> np.ndarray:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression()
        model.coef_, model.intercept_, model.classes_ = self.coefficients, self.intercept, self.classes
        proba = np.zeros((len(rows), self.n_classes), np.float32)
        for place, part in self.scaler.parts(blocks, rows, CHUNK_ROWS):
            proba[place, self.classes] = model.predict_proba((part - self.mean) / self.scale)
        return proba


def fit(
    task: Task, on: On, penalty: float, validation: float, balanced: bool
) -> tuple[LogisticRule | ConstantRule, dict[str, Any]]:
    """Fit a logistic regression; return the rule and facts on it.

    A `penalty` of 0 is chosen among PENALTIES by the log loss of rows held out, a share `validation`. Then all rows are
    fitted. Where train has one class alone, that class answers. `balanced` weighs a row by the inverse frequency of its
    class.
    """
    scaler = BlockScaler.fit(task, on)
    X = scaler.matrix(task.blocks, task.labelled)  # (n, d)
    mean, scale = column_scales(X)
    X -= mean
    X /= scale
    losses: dict[float, float] = {}
    if penalty == 0:
        losses = _validation_losses(task, X, validation, balanced)
        penalty = min(losses, key=losses.__getitem__, default=FIXED_PENALTY)
    classes = np.unique(task.y)
    facts = {"penalty": penalty, "validation_log_loss": losses.get(penalty)}
    if len(classes) == 1:
        share = np.zeros(task.n_classes, np.float32)
        share[classes] = 1
        return ConstantRule(share), {"parameters": 0, **facts, "steps": 0, "settled": True}
    model = _Path(balanced).fit(X, task.y, penalty)
    steps = int(model.n_iter_.max())
    parameters = (X.shape[1] + 1) * task.n_classes
    rule = LogisticRule(scaler, mean, scale, model.coef_, model.intercept_, model.classes_, task.n_classes)
    return rule, {"parameters": parameters, **facts, "steps": steps, "settled": steps < MAX_STEPS}


def column_scales(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means (d,) and scales (d,) of the columns of X (n, d)."""
    total, squares = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for low in range(0, len(X), CHUNK_ROWS):
        total += X[low : low + CHUNK_ROWS].sum(axis=0, dtype=np.float64)
    mean = total / len(X)
    for low in range(0, len(X), CHUNK_ROWS):
        squares += np.square(X[low : low + CHUNK_ROWS] - mean).sum(axis=0)
    deviation = np.sqrt(squares / len(X))
    varying = deviation[deviation > 1e-6 * np.abs(mean)]  # a constant column has rounding errors alone
    scale = np.maximum(deviation, np.median(varying)) if len(varying) else np.ones(len(mean))
    return mean.astype(X.dtype), scale.astype(X.dtype)


class _Path:
    """Fits of weaker and weaker penalties, each begun at the last one."""

    def __init__(self, balanced: bool) -> None:
        from sklearn.linear_model import LogisticRegression

        weight = "balanced" if balanced else None
        self.model = LogisticRegression(max_iter=MAX_STEPS, warm_start=True, class_weight=weight)

    def fit(self, X: np.ndarray, y: np.ndarray, penalty: float, tolerance: float = 1e-4) -> "LogisticRegression":
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits

        # A product with so few columns takes half the time in one thread.
        with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the facts have it
            return self.model.set_params(C=1 / penalty, tol=tolerance).fit(X, y)


def _validation_losses(task: Task, X: np.ndarray, share: float, balanced: bool) -> dict[float, float]:
    """Return the validation log loss of each penalty for X (n, d).

    Empty where there are too few rows, or nothing can be held out.
    """
    n = len(X)
    repeats = REPEATS if n < FEW_ROWS else 1
    losses: dict[float, list[float]] = {}
    for number in range(repeats if n >= MIN_ROWS else 0):
        held = holdout(replace(task, seed=task.seed + number), share)
        rng = np.random.default_rng(task.seed + number)
        train, test = (
            rng.permutation(np.flatnonzero(mask))[:most]
            for mask, most in ((~held, MAX_CHOICE_ROWS), (held, MAX_CHOICE_ROWS // 4))
        )
        classes = np.unique(task.y[train])
        if len(classes) < 2 or len(test) == 0:
            continue
        path = _Path(balanced)
        for penalty in PENALTIES:
            proba = np.zeros((len(test), task.n_classes))
            model = path.fit(X[train], task.y[train], penalty, CHOICE_TOLERANCE)
            proba[:, classes] = model.predict_proba(X[test])
            p_true = proba[np.arange(len(test)), task.y[test]]
            losses.setdefault(penalty, []).append(float(-np.log(np.maximum(p_true, MIN_PROBABILITY)).mean()))
            best = min(loss[0] for loss in losses.values())
            if repeats == 1 and losses[penalty][0] > CLEARLY_WORSE * best:  # weaker ones only fit the noise, slowly
                break
    return {penalty: float(np.mean(values)) for penalty, values in losses.items()}
