"""Score curation: drop or mend labels that their neighbours contradict.

Zhu, Dong, Liu: Detecting Corrupted Labels Without Training a Model to Predict (SimiFeat), ICML 2022, its detector by
rank; Pang et al.: Improving Data Efficiency via Curating LLM-Driven Rating Systems (DS2), ICLR 2025, on scores.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from harness import Labeler, NotApplicable, On, Predictions, Rule, Task, hookimpl, learn, learning_from, neighbors
from harness_plugins._ranges import demand
from harness_plugins.wrappers._answer import answer, with_facts
from harness_plugins.wrappers._issue_table import issue_table
from harness_plugins.wrappers._transition import Transition, fit_transition

MIN_ROWS = 3  # a row and its two nearest neighbours


@dataclass(frozen=True)
class SimiFeat:
    """The base, trained on the labels that their neighbours support.

    The labels of each labelled row and its two nearest ones give the noise transition matrix, and with it the share of
    wrong labels in each class. So many of its rows are flagged, those first whose neighbours agree least; never one
    whose neighbours vote for its label. No model is trained for it.

    It holds as far as near rows have the same true class: facts["neighbors_agree"] beside facts["agree_by_chance"].
    """

    name: ClassVar[str] = "simifeat"

    base: Labeler
    on: On  # where near rows shall have the same true class
    do: Literal["remove", "relabel", "flag"] = "remove"  # flag: only count; relabel: with what most neighbours have
    k: int = 10  # neighbours that vote, by similarity
    cap: float = 0.5  # at most this share of a class's labels is flagged
    min_confidence: float = 0.5  # relabel: the least share of the votes; a flagged row with less stays as it is

    def __post_init__(self) -> None:
        demand(
            self,
            ("k", self.k >= 2, "at least 2"),
            ("cap", 0 < self.cap < 1, "in (0, 1)"),
            ("min_confidence", 0 <= self.min_confidence <= 1, "in [0, 1]"),
        )

    def needs(self) -> list[tuple[On, int]]:
        """Declare the neighbours of the base, where it keeps the rows.

        Those among the labelled rows cannot be declared, nor those of a base that learns from fewer rows.
        """
        return list(self.base.needs()) if self.do != "remove" and hasattr(self.base, "needs") else []

    def label(self, task: Task) -> Predictions:
        curated, facts = self._curate(task)
        return with_facts(answer(self.base, curated), facts)

    def learn(self, task: Task) -> Rule:
        return learn(self.base, self._curate(task)[0])

    def _curate(self, task: Task) -> tuple[Task, dict[str, Any]]:
        """Return the task with the labels that are left, and facts on them."""
        first, position = np.unique(task.labelled, return_index=True, return_inverse=True)[1:]  # a row may come twice
        present, given = np.unique(task.y[first], return_inverse=True)  # (K,), (n',) 0..K-1
        if len(present) < 2 or len(first) < MIN_ROWS:
            raise NotApplicable(f"curation needs labels of two classes, on {MIN_ROWS} rows or more")
        rows = task.labelled[first]
        among = replace(task, labelled=rows, y=task.y[first], to_label=rows, raters=None, pseudo=None, validation=None)
        similarity, index = neighbors(among, self.on, self.k)  # (n', k), (n', k)
        transition = fit_transition(np.column_stack([given, given[index[:, :2]]]), len(present))
        own, others = votes(given, similarity, index, len(present))
        flagged = rank(given, own, others, np.minimum(transition.error_rates, self.cap))[position]  # (n,)
        if self.do == "remove":
            kept, y = task.labelled[~flagged], task.y[~flagged]
        else:
            sure = others.max(axis=1) >= self.min_confidence * others.sum(axis=1)  # (n',)
            mend = flagged & sure[position] & (self.do == "relabel")
            kept, y = task.labelled, np.where(mend, present[others.argmax(axis=1)][position], task.y)
        shares = np.bincount(given) / len(given)
        facts = {
            "noise_rate": transition.noise_rate,  # estimated share of wrong labels
            "issues": int(flagged.sum()),
            "relabelled": int((y != task.y).sum()) if self.do != "remove" else 0,
            "n_train": len(task.y),
            "n_train_clean": len(kept),  # what `base` learns from in the end
            "neighbors_agree": float((given == given[index[:, 0]]).mean()),  # rows whose nearest has their label
            "agree_by_chance": float((shares**2).sum()),
            "settled": transition.settled,
            "tables": {
                "Label issues": issue_table(task.y, flagged, y, task.n_classes),
                "Noise transition": _transition_table(transition, present),
            },
        }
        return learning_from(task, kept, y), facts


def votes(given: np.ndarray, similarity: np.ndarray, index: np.ndarray, n_classes: int) -> tuple[np.ndarray, ...]:
    """Return the weight of each row (n,) and the votes for it (n, K).

    The k neighbours vote by their similarity (n, k), negative ones not at all. A row's own weight is what its first two
    neighbours' go on to, by a step as large as theirs.
    """
    weight = np.maximum(similarity, 0, dtype=np.float64)
    cell = np.arange(len(given))[:, None] * n_classes + given[index]
    others = np.bincount(cell.ravel(), weight.ravel(), len(given) * n_classes).reshape(len(given), n_classes)
    return 2 * weight[:, 0] - weight[:, 1], others


def rank(given: np.ndarray, own: np.ndarray, others: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Flag the worst `share` (K,) of the rows given as each class: (n,).

    The worst have the least cosine of all votes, their own among them, to their label; then the lower position.
    """
    row = np.arange(len(given))
    total = others.copy()
    total[row, given] += own
    norm = np.linalg.norm(total, axis=1)
    agreement = np.divide(total[row, given], norm, out=np.ones_like(norm), where=norm > 0)
    contradicted = others.max(axis=1) > others[row, given]
    flagged = np.zeros(len(given), np.bool_)
    for c, part in enumerate(share):
        members = np.flatnonzero(given == c)
        worst = members[np.argsort(agreement[members], kind="stable")][: int(part * len(members))]
        flagged[worst] = contradicted[worst]
    return flagged


def _transition_table(transition: Transition, present: np.ndarray) -> dict[str, Any]:
    """Return the table of P(given | true) and of the true shares."""
    rows = [
        [f"true {c}", *map(float, row), float(p)]
        for c, row, p in zip(present, transition.T, transition.prior, strict=True)
    ]
    return {"columns": ["True class", *(f"Given {c}" for c in present), "Share"], "rows": rows}


@hookimpl
def harness_labelers():
    return [SimiFeat]
