"""Ensembles: the weighted mean of several labelers' probabilities."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, ClassVar, Literal

import numpy as np

from harness import Block, Labeler, On, Predictions, Rule, Task, fold, holdout, hookimpl, learn
from harness_plugins.wrappers._answer import answer, answer_without_checkpoints

WEIGHT_STEPS = range(11)
"""Tenths: alpha 0.0, 0.1 .. 1.0 is the weight of the first of two members, 1 - alpha that of the second."""


@dataclass(frozen=True)
class Ensemble:
    """The weighted mean of the members' probabilities.

    Two members always hand in the labels of every alpha as checkpoints. ``choose: validation`` picks their alpha on
    labelled rows held out of a first training; both are then trained again on all labelled rows.
    """

    name: ClassVar[str] = "ensemble"

    members: tuple[Labeler, ...]
    weights: tuple[float, ...] | None = None  # one a member, in any unit; None = equal
    choose: Literal["fixed", "validation"] = "fixed"
    validation: float = 0.1  # share of the labelled rows held out to choose alpha

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise ValueError(f"members must be at least 2, got {len(self.members)}")
        if self.weights is not None:
            if len(self.weights) != len(self.members):
                raise ValueError(f"weights must be one a member: {len(self.members)}, got {len(self.weights)}")
            if not all(0 <= weight < inf for weight in self.weights) or not 0 < sum(self.weights) < inf:
                raise ValueError(f"weights must be 0 or more and not all 0, got {list(self.weights)}")
        if not 0 < self.validation <= 0.5:
            raise ValueError(f"validation must be in (0, 0.5], got {self.validation}")
        if self.choose == "validation" and (len(self.members) != 2 or self.weights is not None):
            raise ValueError("choose: validation finds the weights of two members: give two, and no weights")
        for number, member in enumerate(self.members, 1):
            first = self.members.index(member) + 1
            if first < number:
                hint = "for several trainings of one labeler use seeds: {base: ..., n: 8}"
                raise ValueError(f"members must differ, {first} and {number} are equal and answer alike; {hint}")

    def needs(self) -> list[tuple[On, int]]:
        """Declare the neighbours that the members ask for."""
        return [need for member in self.members if hasattr(member, "needs") for need in member.needs()]

    def label(self, task: Task) -> Predictions:
        weights, facts = self._weights(task)
        answers = [answer_without_checkpoints(member, task) for member in self.members]
        probas = [each.proba for each in answers]  # each (m, C)
        labels = [labels_of(proba) for proba in probas]  # each (m,)
        return Predictions(
            mean(probas, weights),
            {**facts, "members": [dict(each.facts) for each in answers], "tables": self._tables(weights)},
            checkpoints=sweep(probas) if len(probas) == 2 else {},
            rows={
                **{f"member {number}": own for number, own in enumerate(labels, 1)},
                "members agree": (np.stack(labels) == labels[0]).all(axis=0),
            },
        )

    def learn(self, task: Task) -> "EnsembleRule":
        inner = replace(task, checkpoints=False)
        return EnsembleRule(tuple(learn(member, inner) for member in self.members), self._weights(task)[0])

    def _tables(self, weights: tuple[float, ...]) -> dict[str, Any]:
        rows = [
            [f"member {number}", member.name, float(weight)]
            for number, (member, weight) in enumerate(zip(self.members, weights, strict=True), 1)
        ]
        return {"Members": {"columns": ["Member", "Labeler", "Weight"], "rows": rows, "scored": True}}

    def _weights(self, task: Task) -> tuple[tuple[float, ...], dict[str, Any]]:
        """Return the members' weights, of sum 1, and facts about them."""
        if self.choose == "validation":
            step, facts = self._choose(task)
            return _pair(step), {"alpha": _pair(step)[0], **facts}
        given = self.weights or (1.0,) * len(self.members)
        weights = tuple(weight / sum(given) for weight in given)
        return weights, {"alpha": weights[0]} if len(weights) == 2 else {"weights": list(weights)}

    def _choose(self, task: Task) -> tuple[int, dict[str, Any]]:
        """Return the step of best accuracy on held-out rows.

        Of equals the nearest to the middle, then the smaller.
        """
        held = holdout(task, self.validation)  # (n,)
        if not held.any():
            return 5, {"validation_rows": 0, "validation_accuracy": None}
        inner = fold(task, held)
        order = np.argsort(inner.to_label)  # a repeated row is asked about once, and counts as often as it is held
        place = order[np.searchsorted(inner.to_label, task.labelled[held], sorter=order)]
        probas = [answer(member, inner).proba[place] for member in self.members]
        hits = [int((labels_of(mean(probas, _pair(step))) == task.y[held]).sum()) for step in WEIGHT_STEPS]
        step = max(WEIGHT_STEPS, key=lambda step: (hits[step], -abs(step - 5), -step))
        return step, {"validation_rows": len(place), "validation_accuracy": hits[step] / len(place)}


@dataclass(frozen=True, eq=False)
class EnsembleRule:
    """The members' rules and their weights."""

    members: tuple[Rule, ...]
    weights: tuple[float, ...]

    def label(self, blocks: Mapping[str, Block], rows: np.ndarray) -> np.ndarray:
        return mean([member.label(blocks, rows) for member in self.members], self.weights)


def sweep(probas: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return (m,) labels of every alpha between two members.

    Each gives (m, C) probabilities.
    """
    return {f"alpha {_pair(step)[0]:.1f}": labels_of(mean(probas, _pair(step))) for step in WEIGHT_STEPS}


def mean(probas: Iterable[np.ndarray], weights: Iterable[float]) -> np.ndarray:
    """Return the mean of (m, C) probabilities by weights of sum 1."""
    return sum(weight * proba.astype(np.float64) for weight, proba in zip(weights, probas, strict=True))


def labels_of(proba: np.ndarray) -> np.ndarray:
    """Return (m,) labels of (m, C) probabilities, as the harness.

    Ties are those of single precision.
    """
    return proba.astype(np.float32).argmax(axis=1).astype(np.uint8)


def _pair(step: int) -> tuple[float, float]:
    return step / 10, (10 - step) / 10


@hookimpl
def harness_labelers():
    return [Ensemble]
