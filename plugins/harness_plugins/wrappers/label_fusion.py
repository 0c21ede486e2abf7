"""Label fusion: learn from several raters instead of the target."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from harness import Labeler, NotApplicable, Predictions, Rule, Task, hookimpl, learn, learning_from
from harness_plugins.wrappers._answer import answer, with_facts


@dataclass(frozen=True)
class LabelFusion:
    """The base, trained on labels fused from the raters of the labelled rows.

    Only what is learned changes. Whether the test rows are judged by the target or by a fused one is the suite's to
    say, as ``target: {fuse: ...}``.
    """

    name: ClassVar[str] = "label_fusion"

    base: Labeler
    how: Literal["majority", "median", "consensus"] = "majority"  # consensus: majority, on rows where two raters agree

    @property
    def needs_order(self) -> bool:
        return self.how == "median"

    def label(self, task: Task) -> Predictions:
        fused, facts = self._fuse(task)
        return with_facts(answer(self.base, fused), facts)

    def learn(self, task: Task) -> Rule:
        return learn(self.base, self._fuse(task)[0])

    def _fuse(self, task: Task) -> tuple[Task, dict[str, Any]]:
        """Return the task with fused labels, and facts on them."""
        if task.raters is None:
            raise NotApplicable("the labelled rows have no raters; name their columns under data, as 'raters: [...]'")
        y, kept = fuse_raters(task.raters, self.how, task.n_classes)
        if not kept.any():
            agree = "no two raters agree on" if self.how == "consensus" else "no rater labelled"
            raise NotApplicable(f"{agree} any labelled row")
        fused = learning_from(task, task.labelled[kept], y[kept])
        return fused, {"share_changed": float((y[kept] != task.y[kept]).mean()), "rows_dropped": int((~kept).sum())}


def fuse_raters(raters: np.ndarray, how: str, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Fuse (n, R) raters: (n,) labels and a (n,) mask of rows to keep.

    A label of -1 is none, and a row without any is dropped. majority: the commonest label, that of the first rater
    where several are equally common. median: the middle one, the lower of two. consensus: the majority, keeping the
    rows where at least two raters say the same.
    """
    number = (raters >= 0).sum(axis=1)  # (n,) of labels
    rated = number > 0
    if how == "median":
        place = raters.shape[1] - number + (np.maximum(number, 1) - 1) // 2  # behind the rows' -1
        return np.sort(raters, axis=1)[np.arange(len(raters)), place * rated], rated
    votes = np.stack([(raters == c).sum(axis=1) for c in range(n_classes)], axis=1)  # (n, C)
    most = votes.max(axis=1)  # (n,)
    clear = (votes == most[:, None]).sum(axis=1) == 1
    first = raters[np.arange(len(raters)), (raters >= 0).argmax(axis=1)]
    y = np.where(clear, votes.argmax(axis=1), first)
    return y, most >= 2 if how == "consensus" else rated


@hookimpl
def harness_labelers():
    return [LabelFusion]
