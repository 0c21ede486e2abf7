"""The floor every method must clear: one answer for all rows."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import Task, hookimpl
from harness_plugins._constant import ConstantRule


@dataclass(frozen=True)
class Majority:
    """The commonest class of the labelled rows, for every row."""

    name: ClassVar[str] = "majority"

    def learn(self, task: Task) -> ConstantRule:
        share = np.zeros(task.n_classes)
        share[np.bincount(task.y, minlength=task.n_classes).argmax()] = 1.0
        return ConstantRule(share)

    def label(self, task: Task) -> np.ndarray:
        return self.learn(task).label(task.blocks, task.to_label)


@dataclass(frozen=True)
class Prior:
    """The class shares of the labelled rows, for every row.

    It has the labels of the majority and honest probabilities.
    """

    name: ClassVar[str] = "prior"

    def learn(self, task: Task) -> ConstantRule:
        counts = np.bincount(task.y, minlength=task.n_classes)
        return ConstantRule(counts / counts.sum())

    def label(self, task: Task) -> np.ndarray:
        return self.learn(task).label(task.blocks, task.to_label)


@hookimpl
def harness_labelers():
    return [Majority, Prior]
