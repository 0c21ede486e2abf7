"""Labels that are best by a metric or a cost, not the likeliest ones.

A labeler hands in probabilities, and its label is the likeliest class. So a label decided otherwise is handed in as the
nearest probabilities under which it is the likeliest, which is next to a tie.
"""

from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, Literal

import numpy as np

from harness import Labeler, On, Predictions, Task, holdout, hookimpl, out_of_fold
from harness_plugins._ranges import demand
from harness_plugins.wrappers._answer import answer_without_checkpoints, with_facts

POWERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)  # of the class shares, that macro_f1 tries
TIE = 1e-6  # costs and halves nearer than this, the rounding of single precision, are equal: the lower class


@dataclass(frozen=True)
class Decide:
    """The base's answer with labels decided by a rule or a cost.

    The median errs least in mean absolute error, the rounded mean (`expected`) in squared error, as in the weighted
    kappa. `prior` divides the probabilities by the class shares of the labelled rows, to that power, before the
    decision: rare classes are labelled more often (Menon et al. 2021, Long-tail learning via logit adjustment). Chosen
    by macro-F1 it costs `folds` trainings more.
    """

    name: ClassVar[str] = "decide"

    base: Labeler
    rule: Literal["argmax", "median", "expected"] = "argmax"
    cost: tuple[tuple[float, ...], ...] = ()  # of each label (column) for each true class (row); the cheapest wins
    prior: float | Literal["macro_f1"] = 0.0  # power of the class shares; macro_f1: the best out of fold
    folds: int = 5  # where macro_f1 chooses

    def __post_init__(self) -> None:
        square = all(len(row) == len(self.cost) for row in self.cost)
        demand(
            self,
            ("rule", self.rule == "argmax" or not self.cost, "left out where cost is given"),
            ("cost", square and all(0 <= cell < inf for row in self.cost for cell in row), "C rows of C costs >= 0"),
            ("prior", self.prior == "macro_f1" or 0 <= self.prior < inf, "0 or more, or macro_f1"),
            ("folds", self.folds >= 2, "at least 2"),
        )

    @property
    def needs_order(self) -> bool:
        """True for a rule that adds up or orders class numbers."""
        return self.rule != "argmax"

    def needs(self) -> list[tuple[On, int]]:
        """Declare the neighbours that the base uses."""
        return list(self.base.needs()) if hasattr(self.base, "needs") else []

    def label(self, task: Task) -> Predictions:
        if self.cost and len(self.cost) != task.n_classes:
            raise ValueError(f"cost must have a row for each of {task.n_classes} classes, got {len(self.cost)}")
        shares = np.bincount(task.y, minlength=task.n_classes) / len(task.y)
        prior, facts = self._choose_prior(task, shares)
        base = answer_without_checkpoints(self.base, task)
        labels = self._decide(base.proba, shares, prior)
        otherwise = labels != base.proba.astype(np.float32).argmax(axis=1)
        facts |= {"decided_otherwise": float(otherwise.mean()) if len(otherwise) else 0.0}
        return with_facts(
            Predictions(tip(base.proba, labels), base.facts, rows={**base.rows, "decided otherwise": otherwise}), facts
        )

    def _choose_prior(self, task: Task, shares: np.ndarray) -> tuple[float, dict[str, Any]]:
        """Return the power of the shares (C,), and facts about it.

        Chosen, it is the least of those of the best macro-F1.
        """
        if self.prior != "macro_f1":
            return self.prior, {"prior": self.prior}
        if not holdout(task, 0.5).any():  # nothing can be held apart to choose by
            return 0.0, {"prior": 0.0, "macro_f1_without": None, "macro_f1": None}
        real = np.ones(len(task.y), np.bool_) if task.pseudo is None else ~task.pseudo
        proba, y = out_of_fold(self.base, task, self.folds)[real], task.y[real]
        values = {power: macro_f1(self._decide(proba, shares, power), y, task.n_classes) for power in POWERS}
        best = max(values, key=values.__getitem__)
        return best, {"prior": best, "macro_f1_without": values[0.0], "macro_f1": values[best]}

    def _decide(self, proba: np.ndarray, shares: np.ndarray, power: float) -> np.ndarray:
        """Return the labels (rows,) of (rows, C) probabilities."""
        proba = proba.astype(np.float32).astype(np.float64)  # as the harness takes them: equal there is equal
        p = proba * np.divide(1, shares**power, out=np.zeros(len(shares)), where=shares > 0) if power else proba
        p = np.where(p.sum(axis=1, keepdims=True) > 0, p, proba)  # else only classes that no labelled row has
        p /= p.sum(axis=1, keepdims=True)
        if self.cost:
            costs = p @ np.array(self.cost)
            return np.argmax(costs <= costs.min(axis=1, keepdims=True) + TIE, axis=1)
        if self.rule == "median":
            return np.argmax(p.cumsum(axis=1) >= 0.5 - TIE, axis=1)
        if self.rule == "expected":
            return np.ceil(p @ np.arange(p.shape[1]) - 0.5 - TIE).clip(0).astype(np.int64)
        return p.argmax(axis=1)


def tip(proba: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the nearest (m, C) float32 with `labels` (m,) likeliest.

    Nearest in squares: what is likelier than a level comes down to it, the label comes up to it. The level is the
    greatest mean of the label's probability and those of the k likeliest other classes.
    """
    tipped, rows = proba.astype(np.float64), np.arange(len(labels))
    own = tipped[rows, labels]
    tipped[rows, labels] = -inf
    means = np.cumsum(np.column_stack([own, -np.sort(-tipped, axis=1)[:, :-1]]), axis=1) / np.arange(
        1, proba.shape[1] + 1
    )
    level = means.max(axis=1)
    tipped = np.minimum(tipped, level[:, None])
    tipped[rows, labels] = level
    tipped = tipped.astype(np.float32)
    tied = np.flatnonzero(tipped.argmax(axis=1) != labels)  # a lower class is as likely
    tipped[tied, labels[tied]] = np.nextafter(tipped[tied].max(axis=1), np.float32(1))
    return tipped


def macro_f1(labels: np.ndarray, y: np.ndarray, n_classes: int) -> float:
    """Return the mean F1 of all classes, 0 for one that has no hit."""
    hits, given, true = (np.bincount(each, minlength=n_classes) for each in (y[labels == y], labels, y))
    return float((2 * hits / np.maximum(given + true, 1)).mean())


@hookimpl
def harness_labelers():
    return [Decide]
