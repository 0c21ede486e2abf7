"""Self-training: confident predictions become training data."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness import Labeler, Predictions, Task, hookimpl, learning_from
from harness_plugins.wrappers._answer import answer_without_checkpoints


@dataclass(frozen=True)
class SelfTraining:
    """Rounds of labelling the pool and adopting its confident rows.

    Each round trains afresh on all of them.

    Round 0 learns the given labels alone. An adopted row stays, and keeps the label it was adopted with; its answer
    still comes from the model of the last round, as every row's does. It ends after round `rounds`, or after the
    first round that finds nothing to adopt.
    """

    name: ClassVar[str] = "self_training"
    transductive: ClassVar[bool] = True

    base: Labeler
    rounds: int = 5  # after round 0
    threshold: float = 0.9  # a row is adopted when its largest probability reaches this,
    minority_threshold: float = 0.7  # or this where its predicted class is a minority:
    minority_share: float = 0.1  # one that holds less than this share of the given labels; 0 = there is none

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {self.rounds}")
        for name in ("threshold", "minority_threshold"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        if not 0 <= self.minority_share <= 1:
            raise ValueError(f"minority_share must be in [0, 1], got {self.minority_share}")

    def label(self, task: Task) -> Predictions:
        thresholds = self._thresholds(task)  # (C,)
        order = np.argsort(task.to_label)  # adopted rows go by number, so the order asked in changes no answer
        pseudo = np.zeros(len(task.to_label), np.int64)  # (m,)
        free = ~np.isin(task.to_label, task.labelled)  # (m,) a row may have come with a pseudo-label
        adopted = np.zeros(len(task.to_label), np.bool_)  # (m,)
        learned, checkpoints, masks, sizes = task, {}, {}, []
        for number in range(self.rounds + 1):
            base = answer_without_checkpoints(self.base, learned)
            proba = base.proba.astype(np.float32)  # (m, C) as it is stored; and 9 of 10 equal votes do reach 0.9
            predicted = proba.argmax(axis=1)  # (m,)
            checkpoints[f"round {number}"] = predicted.astype(np.uint8)
            sizes.append(len(learned.labelled))
            if number == self.rounds:
                break  # no round is left to learn what this one would adopt
            new = free & ~adopted & (proba.max(axis=1) >= thresholds[predicted])
            masks[f"adopted in round {number}"] = new
            if not new.any():
                break
            adopted |= new
            pseudo[new] = predicted[new]
            chosen = order[adopted[order]]
            rows = np.concatenate([task.labelled, task.to_label[chosen]])
            learned = learning_from(task, rows, np.concatenate([task.y, pseudo[chosen]]))
        added = [np.bincount(pseudo[new], minlength=task.n_classes).tolist() for new in masks.values()]  # by class
        facts = {
            "train_rows": sizes,  # by round, pseudo-labelled ones among them
            "n_train_final": sizes[-1],
            "added": [sum(counts) for counts in added],  # by round; the last of all rounds adds none
            "added_classes": added,
            "tables": _tables(sizes, added),
            "base": dict(base.facts),
        }
        return Predictions(proba, facts, checkpoints, {**base.rows, **masks})

    def _thresholds(self, task: Task) -> np.ndarray:
        """Return (C,) the least probability to adopt a row of each class."""
        share = np.bincount(task.y, minlength=task.n_classes) / len(task.y)
        return np.where(share < self.minority_share, self.minority_threshold, self.threshold).astype(np.float32)


def _tables(sizes: list[int], added: list[list[int]]) -> dict[str, Any]:
    """Return the table of rounds: train rows (R,), adopted by class.

    `adopted` is (R or R - 1, C).
    """
    counts = [*map(sum, added), None]
    rounds = [[f"round {number}", size, counts[number]] for number, size in enumerate(sizes)]
    classes = [[f"round {number}", *each] for number, each in enumerate(added) if any(each)]
    mix = {"columns": ["Round", *(f"As {c}" for c in range(len(added[0])))], "rows": classes}
    return {
        "Rounds": {"columns": ["Round", "Train rows", "Adopted"], "rows": rounds, "scored": True},
        "Adopted by class": mix,
    }


@hookimpl
def harness_labelers():
    return [SelfTraining]
