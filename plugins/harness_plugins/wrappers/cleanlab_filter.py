"""Confident learning: drop or mend labels that cleanlab flags.

Northcutt, Jiang, Chuang: Confident Learning, Estimating Uncertainty in Dataset Labels, 2021.
"""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness import Labeler, NotApplicable, Predictions, Rule, Task, hookimpl, learn, learning_from, out_of_fold
from harness_plugins.wrappers._answer import answer, with_facts
from harness_plugins.wrappers._issue_table import issue_table

FilterBy = Literal[
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_normalized_margin",
    "low_self_confidence",
]


@dataclass(frozen=True)
class Cleanlab:
    """The base, trained on the labels that cleanlab leaves or mends.

    The base predicts the labelled rows out of fold first; cleanlab flags labels by that.

    The folds are stratified, whole groups at a time. The single row of a class, or a class in one group, is judged by
    a labeler that met none of it. Removing never takes a whole class; its most confident row stays. One class, or rows
    (or groups) for a single fold, leave nothing to compare: NotApplicable.
    """

    name: ClassVar[str] = "cleanlab"
    preload: ClassVar[tuple[str, ...]] = ("cleanlab.filter",)

    base: Labeler
    folds: int = 5
    do: Literal["remove", "relabel"] = "remove"  # relabel: with the likeliest class out of sample
    filter_by: FilterBy = "prune_by_noise_rate"  # as cleanlab.filter.find_label_issues has it

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2, got {self.folds}")

    def label(self, task: Task) -> Predictions:
        cleaned, facts = self._clean(task)
        return with_facts(answer(self.base, cleaned), facts)

    def learn(self, task: Task) -> Rule:
        return learn(self.base, self._clean(task)[0])

    def _clean(self, task: Task) -> tuple[Task, dict[str, Any]]:
        """Return the task with the labels that are left, and facts on them."""
        apart = task.labelled if task.groups is None else task.groups[task.labelled]
        present = np.unique(task.y)  # (K,)
        if len(present) < 2 or len(np.unique(apart)) < 2:
            raise NotApplicable("cleaning needs labels of two classes, on two rows (or groups) or more")
        proba = among(out_of_fold(self.base, task, self.folds), present)  # (n, K)
        given = np.searchsorted(present, task.y)  # (n,) 0..K-1
        flagged = issues(given, proba, self.filter_by)  # (n,)
        if self.do == "remove":
            kept = ~flagged | class_keepers(given, proba, flagged)
            rows, y = task.labelled[kept], task.y[kept]
        else:
            rows, y = task.labelled, np.where(flagged, present[proba.argmax(axis=1)], task.y)
        facts = {
            "noise_rate": float(flagged.mean()),  # share of the labels that are flagged
            "issues": int(flagged.sum()),
            "n_train": len(task.y),
            "n_train_clean": len(rows),  # what `base` learns from in the end
            "tables": {"Label issues": issue_table(task.y, flagged, y, task.n_classes)},
        }
        return learning_from(task, rows, y), facts


def among(proba: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return (n, K) probabilities of the `present` (K,) classes.

    From (n, C) of all; uniform where none is left.

    cleanlab expects a label of every class it is given a column for.
    """
    part = proba[:, present].astype(np.float64)
    total = part.sum(axis=1, keepdims=True)
    return np.divide(part, total, out=np.full_like(part, 1 / len(present)), where=total > 0)


def issues(given: np.ndarray, proba: np.ndarray, filter_by: FilterBy) -> np.ndarray:
    """Return the (n,) mask of labels `given` (n,) that are flagged.

    By out-of-sample `proba` (n, K).
    """
    from cleanlab.filter import find_label_issues

    with warnings.catch_warnings():
        # It spares a class of one row, and says so every time.
        warnings.filterwarnings("ignore", "May not flag all label issues in class")
        return find_label_issues(given, proba, filter_by=filter_by, n_jobs=1)  # 1: it would start processes


def class_keepers(given: np.ndarray, proba: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """Return a (n,) mask with one row of each wholly flagged class.

    The most confident one, then the first.
    """
    mask = np.zeros(len(given), np.bool_)
    for c in np.setdiff1d(given, given[~flagged]):
        positions = np.flatnonzero(given == c)
        mask[positions[proba[positions, c].argmax()]] = True
    return mask


@hookimpl
def harness_labelers():
    return [Cleanlab]
