"""The mean of several trainings of one labeler that differ in their seed.

Source: Lakshminarayanan, Pritzel and Blundell, Simple and Scalable Predictive Uncertainty Estimation using Deep
Ensembles, NeurIPS 2017.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from harness import Labeler, On, Predictions, Task, hookimpl
from harness_plugins._ranges import demand
from harness_plugins.wrappers._answer import answer_without_checkpoints


@dataclass(frozen=True)
class Seeds:
    """The mean probabilities of `n` trainings of the base.

    The first has the task's seed, the others have seeds drawn from it: what the base draws by it (first weights, order
    of the rows, its validation share) is drawn anew. A larger `n` begins with the trainings of a smaller one.
    """

    name: ClassVar[str] = "seeds"

    base: Labeler
    n: int = 8  # trainings

    def __post_init__(self) -> None:
        demand(self, ("n", self.n >= 2, "at least 2"))

    def needs(self) -> list[tuple[On, int]]:
        """Declare the neighbours that the base uses."""
        return list(self.base.needs()) if hasattr(self.base, "needs") else []

    def label(self, task: Task) -> Predictions:
        seeds = [task.seed, *np.random.SeedSequence(task.seed).generate_state(self.n - 1).tolist()]
        proba = np.zeros((len(task.to_label), task.n_classes))
        labels, facts = [], []
        for seed in seeds:
            answer = answer_without_checkpoints(self.base, replace(task, seed=seed))
            proba += answer.proba / self.n
            labels.append(answer.proba.astype(np.float32).argmax(axis=1))
            facts.append(dict(answer.facts))
        agree = (np.stack(labels) == labels[0]).all(axis=0)
        return Predictions(proba, {"members": facts}, rows={"members agree": agree})


@hookimpl
def harness_labelers():
    return [Seeds]
