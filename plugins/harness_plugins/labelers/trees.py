"""Trees of scikit-learn: the labelers forest, extra_trees and hist_gbm.

Parameters have scikit-learn's names. Other classes and parameters of it are those of the labeler `sklearn`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from harness import On, Predictions, Task, holdout, hookimpl
from harness_plugins._ranges import demand

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

PREDICTED_ROWS = 8_192  # rows answered at a time
MIN_PROBABILITY = 1e-6  # of a class, in the validation log loss


@dataclass(frozen=True)
class Forest:
    """A random forest: trees of bootstrapped rows vote by class shares.

    Reference: Breiman, Random Forests, Machine Learning 2001.
    """

    name: ClassVar[str] = "forest"
    preload: ClassVar[tuple[str, ...]] = ("sklearn.ensemble",)
    classifier: ClassVar[str] = "RandomForestClassifier"

    on: On
    n_estimators: int = 300  # trees
    min_samples_leaf: int = 3  # rows in a leaf, at least: with 1 a tree is sure of every row
    max_features: Literal["sqrt", "log2"] | float = "sqrt"  # features tried at a split: of d, or a share of d
    class_weight: bool = False  # a row counts by the inverse frequency of its class

    def __post_init__(self) -> None:
        share = self.max_features
        demand(
            self,
            ("n_estimators", self.n_estimators >= 1, "at least 1"),
            ("min_samples_leaf", self.min_samples_leaf >= 1, "at least 1"),
            ("max_features", isinstance(share, str) or 0 < share <= 1, "sqrt, log2 or a share in (0, 1]"),
        )

    def label(self, task: Task) -> Predictions:
        from sklearn import ensemble

        model = getattr(ensemble, self.classifier)(
            n_estimators=self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            class_weight="balanced" if self.class_weight else None,
            random_state=task.seed % 2**32,
            n_jobs=int(os.environ.get("OMP_NUM_THREADS") or 1),
        )
        model.fit(*task.matrix(self.on, task.labelled), task.y)
        model.n_jobs = 1  # several threads add up the trees in the order in which they end
        proba = np.zeros((len(task.to_label), task.n_classes))
        for place, part in task.parts(self.on, task.to_label, PREDICTED_ROWS):
            proba[place, model.classes_] = model.predict_proba(part)
        return Predictions(proba, {"nodes": sum(tree.tree_.node_count for tree in model.estimators_), "settled": True})


@dataclass(frozen=True)
class ExtraTrees(Forest):
    """Extremely randomised trees: all rows, thresholds drawn at random.

    Reference: Geurts, Ernst and Wehenkel, Extremely randomized trees, Machine Learning 2006.
    """

    name: ClassVar[str] = "extra_trees"
    classifier: ClassVar[str] = "ExtraTreesClassifier"


@dataclass(frozen=True)
class HistGBM:
    """Scikit-learn's histogram gradient boosting, one tree a class and round.

    The round of the lowest log loss on the `validation` share answers. Without it, or where nothing can be held out,
    the last round answers.
    """

    name: ClassVar[str] = "hist_gbm"
    preload: ClassVar[tuple[str, ...]] = ("sklearn.ensemble",)

    on: On
    max_iter: int = 200  # rounds
    learning_rate: float = 0.1
    max_leaf_nodes: int = 31  # of a tree, at most
    min_samples_leaf: int = 20  # rows in a leaf, at least
    l2_regularization: float = 0.0
    max_features: float = 1.0  # share of the features tried at a split
    class_weight: bool = False  # a row counts by the inverse frequency of its class
    validation: float = 0.1  # share of the labelled rows held out to choose the round; 0 = none

    def __post_init__(self) -> None:
        demand(
            self,
            ("max_iter", self.max_iter >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < inf, "positive"),
            ("max_leaf_nodes", self.max_leaf_nodes >= 2, "at least 2"),
            ("min_samples_leaf", self.min_samples_leaf >= 1, "at least 1"),
            ("l2_regularization", 0 <= self.l2_regularization < inf, "0 or more"),
            ("max_features", 0 < self.max_features <= 1, "in (0, 1]"),
            ("validation", 0 <= self.validation <= 0.5, "in [0, 0.5]"),
        )

    def label(self, task: Task) -> Predictions:
        held = holdout(task, self.validation)  # (n,)
        (X,) = task.matrix(self.on, task.labelled)  # (n, d)
        proba = np.zeros((len(task.to_label), task.n_classes))
        classes = np.unique(task.y[~held])
        if len(classes) == 1:
            proba[:, classes] = 1.0
            return Predictions(proba, {"rounds": 0, "best_round": None, "settled": True})
        model = self._fit(X[~held], task.y[~held], task.seed)
        losses = [_log_loss(stage, classes, task.y[held]) for stage in _stages(model, X[held])] if held.any() else []
        best = int(np.argmin(losses)) + 1 if losses else self.max_iter
        for place, part in task.parts(self.on, task.to_label, PREDICTED_ROWS):
            proba[place, classes] = next(islice(_stages(model, part), best - 1, None))
        facts: dict[str, Any] = {"rounds": self.max_iter, "best_round": best if losses else None}
        loss = losses[best - 1] if losses else None
        return Predictions(
            proba, facts | {"validation_log_loss": loss, "settled": best < self.max_iter if losses else None}
        )

    def _fit(self, X: np.ndarray, y: np.ndarray, seed: int) -> "HistGradientBoostingClassifier":
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            max_features=self.max_features,
            class_weight="balanced" if self.class_weight else None,
            early_stopping=False,  # its own share would cut groups in two
            random_state=seed % 2**32,
        ).fit(X, y)


def _stages(model: "HistGradientBoostingClassifier", X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the probabilities (rows, classes) after every round."""
    return iter(model.staged_predict_proba(X))


def _log_loss(proba: np.ndarray, classes: np.ndarray, y: np.ndarray) -> float:
    """Return the log loss of (rows, classes) for y; unseen ones count, too."""
    p_true = (proba * (classes == y[:, None])).sum(axis=1)
    return float(-np.log(np.maximum(p_true, MIN_PROBABILITY)).mean())


@hookimpl
def harness_labelers():
    return [Forest, ExtraTrees, HistGBM]
