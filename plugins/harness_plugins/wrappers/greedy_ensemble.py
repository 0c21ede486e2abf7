"""Greedy ensembles: weights chosen by answers out of fold.

Caruana, Niculescu-Mizil, Crew, Ksikes: Ensemble Selection from Libraries of Models, ICML 2004.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, ClassVar, Literal

import numpy as np

from harness import Labeler, On, Predictions, Task, holdout, hookimpl, learn, out_of_fold
from harness_plugins._ranges import demand
from harness_plugins.wrappers._answer import answer_without_checkpoints
from harness_plugins.wrappers.decide import macro_f1
from harness_plugins.wrappers.ensemble import EnsembleRule, labels_of, mean

MIN_PROBABILITY = 1e-7  # a smaller probability counts as this much, as in the log loss of the board
Metric = Literal["log_loss", "accuracy", "macro_f1", "mae"]


@dataclass(frozen=True)
class GreedyEnsemble:
    """The mean of the members' probabilities, by chosen weights.

    Round by round the member joins, again and again if it is the best, that most improves the mean of those chosen so
    far, measured on the labelled rows out of fold; the best round counts. Out of fold it is no worse than its best
    member. It costs `folds` trainings of each member more; a member without weight is not trained on all rows.
    """

    name: ClassVar[str] = "greedy_ensemble"

    members: tuple[Labeler, ...]
    metric: Metric = "log_loss"  # what the rounds improve; of equals the lower log loss, then the earlier member
    rounds: int = 50  # at most so many members are chosen, with repetition: weights are multiples of 1 / rounds or less
    folds: int = 5  # stratified, groups whole

    def __post_init__(self) -> None:
        demand(
            self,
            ("members", len(self.members) >= 2, "at least 2"),
            ("rounds", self.rounds >= 1, "at least 1"),
            ("folds", self.folds >= 2, "at least 2"),
        )

    @property
    def needs_order(self) -> bool:
        """True for the mean absolute error, which adds class numbers."""
        return self.metric == "mae"

    def needs(self) -> list[tuple[On, int]]:
        """Declare the neighbours that the members ask for."""
        return [need for member in self.members if hasattr(member, "needs") for need in member.needs()]

    def label(self, task: Task) -> Predictions:
        weights, facts = self._choose(task)
        answers = {i: answer_without_checkpoints(self.members[i], task) for i in np.flatnonzero(weights).tolist()}
        labels = {f"member {i + 1}": labels_of(answer.proba) for i, answer in answers.items()}
        agree = (np.stack(list(labels.values())) == next(iter(labels.values()))).all(axis=0)
        return Predictions(
            mean([answer.proba for answer in answers.values()], weights[list(answers)]),
            {**facts, "members": [dict(answers[i].facts) if i in answers else {} for i in range(len(weights))]},
            rows={**labels, "members agree": agree},
        )

    def learn(self, task: Task) -> EnsembleRule:
        weights, _ = self._choose(task)
        inner, chosen = replace(task, checkpoints=False), np.flatnonzero(weights)
        return EnsembleRule(tuple(learn(self.members[i], inner) for i in chosen), tuple(weights[chosen].tolist()))

    def _choose(self, task: Task) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the members' weights (M,), of sum 1, and facts on them.

        Equal weights where nothing can be held apart to choose by.
        """
        n_members = len(self.members)
        if not holdout(task, 0.5).any():
            weights = np.full(n_members, 1 / n_members)
            return weights, {
                "out_of_fold": None,
                "tables": self._table(weights, [None] * n_members, [None] * n_members),
            }
        real = np.ones(len(task.y), np.bool_) if task.pseudo is None else ~task.pseudo
        probas = np.stack([out_of_fold(member, task, self.folds)[real] for member in self.members])  # (M, n, C)
        y = task.y[real]
        weights, loss = select(probas, y, self.metric, self.rounds)
        alone = [losses(proba, y, self.metric)[0] for proba in probas]
        without = [select(np.delete(probas, i, axis=0), y, self.metric, self.rounds)[1] for i in range(n_members)]
        higher = self.metric in ("accuracy", "macro_f1")  # shown as they are; their losses are less than 0
        sign = -1 if higher else 1
        table = self._table(weights, [sign * own for own in alone], [sign * (other - loss) for other in without])
        return weights, {"out_of_fold": sign * loss, "tables": table}

    def _table(
        self, weights: np.ndarray, alone: Sequence[float | None], change: Sequence[float | None]
    ) -> dict[str, Any]:
        """Return the table of the members: weight, metric alone, change.

        Metrics are out of fold; the change is that of the ensemble chosen again without the member.
        """
        shown = self.metric.replace("_", " ")
        rows = [
            [f"member {number}", member.name, float(weight), own, other]
            for number, (member, weight, own, other) in enumerate(
                zip(self.members, weights, alone, change, strict=True), 1
            )
        ]
        header = ["Member", "Labeler", "Weight", f"Out-of-fold {shown}", f"Change of {shown} without it"]
        return {"Members": {"columns": header, "rows": rows, "scored": True}}


def select(probas: np.ndarray, y: np.ndarray, metric: Metric, rounds: int) -> tuple[np.ndarray, float]:
    """Return weights (M,) of sum 1 and the loss of the mean by them.

    Greedy forward selection with replacement from (M, n, C) probabilities of rows of classes y (n,). The first of the
    best rounds counts.
    """
    total = np.zeros(probas.shape[1:])  # (n, C)
    counts = np.zeros(len(probas), np.int64)
    best, best_counts = (inf, inf), counts
    for size in range(1, rounds + 1):
        candidates = [losses((total + proba) / size, y, metric) for proba in probas]
        chosen = min(range(len(probas)), key=candidates.__getitem__)
        total += probas[chosen]
        counts[chosen] += 1
        if candidates[chosen] < best:
            best, best_counts = candidates[chosen], counts.copy()
    return best_counts / best_counts.sum(), best[0]


def losses(proba: np.ndarray, y: np.ndarray, metric: Metric) -> tuple[float, float]:
    """Return the metric as a loss, and the log loss: of (n, C), y (n,).

    Accuracy and macro-F1 count negative.
    """
    log_loss = float(-np.log(np.maximum(proba[np.arange(len(y)), y], MIN_PROBABILITY)).mean())
    if metric == "log_loss":
        return log_loss, log_loss
    labels = labels_of(proba).astype(np.int64)
    if metric == "accuracy":
        return -float((labels == y).mean()), log_loss
    if metric == "macro_f1":
        return -macro_f1(labels, y, proba.shape[1]), log_loss
    return float(np.abs(labels - y).mean()), log_loss


@hookimpl
def harness_labelers():
    return [GreedyEnsemble]
