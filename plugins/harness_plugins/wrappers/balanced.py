"""Undersampling: common classes are cut to the smallest one."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import Labeler, Predictions, Rule, Task, hookimpl, learn, learning_from
from harness_plugins.wrappers._answer import answer, with_facts


@dataclass(frozen=True)
class Balanced:
    """The base, trained on equally many labelled rows of each class.

    They are drawn without repetition.

    The rows to label keep their class shares: a score says what balanced training does, not what an easier test set
    would.
    """

    name: ClassVar[str] = "balanced"

    base: Labeler
    per_class: int | None = None  # at most so many rows of each class; None = as many as the smallest has

    def __post_init__(self) -> None:
        if self.per_class is not None and self.per_class < 1:
            raise ValueError(f"per_class must be at least 1, got {self.per_class}")

    def label(self, task: Task) -> Predictions:
        reduced = self._reduce(task)
        rows_per_class = np.bincount(reduced.y, minlength=task.n_classes).tolist()
        return with_facts(answer(self.base, reduced), {"rows_per_class": rows_per_class})

    def learn(self, task: Task) -> Rule:
        return learn(self.base, self._reduce(task))

    def _reduce(self, task: Task) -> Task:
        drawn = self._draw(task)  # positions
        return learning_from(task, task.labelled[drawn], task.y[drawn])

    def _draw(self, task: Task) -> np.ndarray:
        rng = np.random.default_rng(task.seed)
        classes, counts = np.unique(task.y, return_counts=True)
        most = self.per_class or counts.min()
        drawn = [rng.permutation(np.flatnonzero(task.y == c))[:most] for c in classes]
        return np.sort(np.concatenate(drawn))


@hookimpl
def harness_labelers():
    return [Balanced]
