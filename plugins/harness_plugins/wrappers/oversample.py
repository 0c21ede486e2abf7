"""Oversampling: rows of rare classes are repeated."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import Labeler, Predictions, Rule, Task, hookimpl, learn, learning_from
from harness_plugins.wrappers._answer import answer, with_facts


@dataclass(frozen=True)
class Oversample:
    """The base, trained on rows drawn until all classes are equal.

    Labelled rows are drawn with repetition until every class is as large as the largest.

    Every row is kept. It happens inside the task: no copy of a row can reach the test rows, and a base that holds
    rows out for validation never has copies of one row on both sides.
    """

    name: ClassVar[str] = "oversample"

    base: Labeler

    def label(self, task: Task) -> Predictions:
        enlarged = _enlarge(task)
        rows_per_class = np.bincount(enlarged.y, minlength=task.n_classes).tolist()
        repeated = len(enlarged.y) - len(task.y)
        return with_facts(answer(self.base, enlarged), {"rows_per_class": rows_per_class, "repeated_rows": repeated})

    def learn(self, task: Task) -> Rule:
        return learn(self.base, _enlarge(task))


def _enlarge(task: Task) -> Task:
    """Return the task with the rows of rare classes repeated."""
    drawn = np.concatenate([np.arange(len(task.y)), _extra(task)])  # positions
    return learning_from(task, task.labelled[drawn], task.y[drawn])


def _extra(task: Task) -> np.ndarray:
    """Draw the positions to repeat for each class.

    As many as it lacks to the largest; none of an absent class.
    """
    rng = np.random.default_rng(task.seed)
    counts = np.bincount(task.y, minlength=task.n_classes)
    drawn = [rng.choice(np.flatnonzero(task.y == c), counts.max() - counts[c]) for c in np.flatnonzero(counts)]
    return np.concatenate(drawn)


@hookimpl
def harness_labelers():
    return [Oversample]
