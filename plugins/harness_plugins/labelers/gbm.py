"""Gradient-boosted trees: LightGBM on the multiclass log loss.

The defaults are a reading of the record, which names the model and not its settings.
"""

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from harness import BlockScaler, On, Predictions, Task, holdout, hookimpl, validation_folds
from harness_plugins._constant import ConstantRule
from harness_plugins._ranges import demand
from harness_plugins.labelers._booster import PREDICTED_ROWS, GBMRule, Trees, softmax
from harness_plugins.labelers._categories import Categories

if TYPE_CHECKING:
    from lightgbm import Booster, Dataset
    from lightgbm.callback import CallbackEnv

FOLDS = 5  # that choose the round where `choose` is folds
SETTLED_FALL = 0.01  # share of the validation loss that the last tenth of the rounds may still take off
FAST_PRESET = {"bagging_fraction": 0.5, "feature_fraction": 0.2, "max_bin": 63}  # 255 bins else
# Of native categories: LightGBM's own are for categories of a hundred rows or more.
NATIVE = {"cat_smooth": 1, "cat_l2": 1, "min_data_per_group": 5, "max_cat_threshold": 64}
SHOWN_FEATURES = 20  # features on a page; the facts have all


@dataclass(frozen=True)
class GBM:
    """Boosted trees, one per class and round.

    With validation the first round of the lowest validation log loss answers; where folds choose it, all labelled rows
    are trained up to it. Without it, or where nothing can be held
    out, all rounds are trained, the last answers, and the labels after every 50 rounds and after the last are
    checkpoints. Where the labelled rows allow no split at all, their class shares answer and the facts say why.

    Reference: Ke et al., LightGBM: A Highly Efficient Gradient Boosting Decision Tree, NeurIPS 2017.
    """

    name: ClassVar[str] = "gbm"
    preload: ClassVar[tuple[str, ...]] = ("lightgbm",)

    on: On
    rounds: int = 1000  # at most; each grows one tree per class
    learning_rate: float = 0.05
    leaves: int = 63  # of a tree, at most
    min_child: int = 20  # rows in a leaf, at least
    row_sample: float = 0.8  # share of the rows drawn anew for each round
    column_sample: float = 0.8  # share of the features drawn anew for each tree
    l1: float = 0.1
    l2: float = 1.0
    early_stopping: int = 50  # stop after so many rounds without a lower validation log loss; 0 = train all rounds
    validation: float = 0.1  # share of the labelled rows held out to choose the round; 0 = none
    choose: Literal["holdout", "folds"] = "holdout"  # folds: the round by 5 folds, then all rows train: 6 trainings
    preset: Literal["record", "fast"] = "record"  # fast: half the rows, a fifth of the features, 63 bins: other answers
    categories: Literal["one_hot", "native"] = "one_hot"  # native: the one-hot columns of a category are one feature

    def __post_init__(self) -> None:
        exact = self.preset == "record"
        demand(
            self,
            ("rounds", self.rounds >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < inf, "positive"),
            ("leaves", 2 <= self.leaves <= 131_072, "from 2 to 131072"),
            ("min_child", self.min_child >= 1, "at least 1"),
            ("row_sample", 0 < self.row_sample <= 1, "in (0, 1]"),
            ("column_sample", 0 < self.column_sample <= 1, "in (0, 1]"),
            ("l1", 0 <= self.l1 < inf, "0 or more"),
            ("l2", 0 <= self.l2 < inf, "0 or more"),
            ("early_stopping", self.early_stopping >= 0, "0 or more"),
            ("validation", 0 <= self.validation <= 0.5, "in [0, 0.5]"),
            ("choose", self.validation > 0 or self.choose == "holdout", "left out where validation is 0"),
            ("row_sample", exact or self.row_sample == GBM.row_sample, "left out where preset is fast"),
            ("column_sample", exact or self.column_sample == GBM.column_sample, "left out where preset is fast"),
        )

    def label(self, task: Task) -> Predictions:
        trees, facts = self._fit(task)
        if isinstance(trees, ConstantRule):
            return Predictions(trees.label(task.blocks, task.to_label), facts)
        parts = task.parts(self.on, task.to_label, PREDICTED_ROWS)
        if trees.chosen:
            return Predictions(np.vstack([trees.predict(part) for _, part in parts]), facts)
        checkpoints = {f"round {last}": np.empty(len(task.to_label), np.uint8) for last in trees.stages}
        proba = np.empty((len(task.to_label), task.n_classes))
        for place, part in parts:
            for labels, raw in zip(checkpoints.values(), trees.add_stages(part), strict=True):
                labels[place] = raw.argmax(axis=1)
            proba[place] = softmax(raw)
        return Predictions(proba, facts, checkpoints)

    def learn(self, task: Task) -> "GBMRule | ConstantRule":
        trees, _ = self._fit(task)
        if isinstance(trees, ConstantRule):
            return trees
        text = trees.booster.model_to_string(num_iteration=trees.rounds)
        model = np.frombuffer(text.encode(), np.uint8)
        scaler = BlockScaler.fit(task, self.on)
        return GBMRule(scaler, model, trees.rounds, trees.chosen, task.n_classes, trees.categories)

    def _fit(self, task: Task) -> "tuple[Trees | ConstantRule, dict[str, Any]]":
        """Train on the labelled rows; return the trees and facts on them."""
        by_folds = self.choose == "folds"
        masks = validation_folds(task, FOLDS) if by_folds else []
        held = holdout(task, 0 if by_folds else self.validation)  # (n,)
        kept = min(int((~mask).sum()) for mask in (held, *masks))
        if len(np.unique(task.y[~held])) < 2:
            return _take_shares(task, "one class in train")
        if int(self._parameters(task)["bagging_fraction"] * kept) < 2 * self.min_child:
            return _take_shares(task, f"{kept} rows in train, too few for two leaves of {self.min_child}")
        categories = Categories.find(task, self.on) if self.categories == "native" else Categories()
        if masks:
            booster, course = self._train_chosen(task, masks, categories)
        else:
            booster, course = self._train(task, held, categories)
        loss, best = min(course, default=(None, _count_rounds(booster)), key=lambda round_loss: round_loss[0])
        gain = booster.feature_importance("gain", iteration=best)  # (d,)
        if not gain.any():
            return _take_shares(task, "no feature splits the rows")
        facts = {
            "rounds": course[-1][1] if course else best,  # stopped early, the booster keeps the best alone
            "best_round": best if course else None,
            "validation_log_loss": loss,
            "settled": self._settled(course),
            "tables": {"Importances": _importances(gain / gain.sum(), categories.merge_names(_names(task, self.on)))},
        }
        return Trees(booster, best, bool(course), categories), facts

    def _train(self, task: Task, held: np.ndarray, categories: Categories) -> "tuple[Booster, list[tuple[float, int]]]":
        """Train on the labelled rows that are not `held` (n,).

        Returns the booster and, where rows are held, (validation log loss, rounds grown) after every step.
        """
        import lightgbm

        course: list[tuple[float, int]] = []

        def note(step: "CallbackEnv") -> None:
            # A step whose sample of the rows cannot be split grows no tree, so steps are not rounds.
            course.append((step.evaluation_result_list[0][2], _count_rounds(step.model)))

        parameters = self._parameters(task)
        train = _bin_rows(task, self.on, ~held, parameters, categories)
        if not held.any():
            return lightgbm.train(parameters, train, self.rounds), course
        validation = _bin_rows(task, self.on, held, parameters, categories, train)
        callbacks = [note]
        if self.early_stopping:
            callbacks.append(lightgbm.early_stopping(self.early_stopping, verbose=False))
        return lightgbm.train(parameters, train, self.rounds, [validation], callbacks=callbacks), course

    def _train_chosen(
        self, task: Task, masks: list[np.ndarray], categories: Categories
    ) -> "tuple[Booster, list[tuple[float, int]]]":
        """Train on all labelled rows up to the round that folds choose.

        Each of the `masks` (n,) is held out of a training. Returns the booster and (mean validation log loss of the
        folds, rounds) after every step.
        """
        import lightgbm

        course: list[tuple[float, int]] = []

        def note(step: "CallbackEnv") -> None:
            course.append((step.evaluation_result_list[0][2], step.iteration + 1))

        parameters = self._parameters(task)
        rows = _bin_rows(task, self.on, np.ones(len(task.y), np.bool_), parameters, categories)
        callbacks = [note]
        if self.early_stopping:
            callbacks.append(lightgbm.early_stopping(self.early_stopping, verbose=False))
        folds = [(np.flatnonzero(~held), np.flatnonzero(held)) for held in masks]
        lightgbm.cv(parameters, rows, self.rounds, folds=folds, callbacks=callbacks)
        return lightgbm.train(parameters, rows, min(course)[1]), course

    def _settled(self, course: list[tuple[float, int]]) -> bool | None:
        """Return False if the loss still fell by 1 % over the last tenth.

        Of a course of the validation loss; None without one.
        """
        if not course:
            return None
        if len(course) < self.rounds:  # stopped early
            return True
        losses = [loss for loss, _ in course]
        last = len(losses) // 10 or 1
        return bool(min(losses[-last:]) >= (1 - SETTLED_FALL) * min(losses[:-last], default=np.inf))

    def _parameters(self, task: Task) -> dict[str, Any]:
        return {
            "objective": "multiclass",
            "num_class": task.n_classes,
            "metric": "multi_logloss",
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_child,
            "bagging_fraction": self.row_sample,
            "bagging_freq": 1,  # without it the rows are never drawn
            "feature_fraction": self.column_sample,
            "lambda_l1": self.l1,
            "lambda_l2": self.l2,
            "seed": task.seed % 2**31,  # LightGBM takes 31 bits
            "deterministic": True,
            "force_row_wise": True,  # else the layout is chosen by timing, and sums differ in their last bits
            "verbosity": -1,
            **(FAST_PRESET if self.preset == "fast" else {}),
            **(NATIVE if self.categories == "native" else {}),
        }


def _bin_rows(
    task: Task,
    on: On,
    rows: np.ndarray,
    parameters: dict[str, Any],
    categories: Categories,
    like: "Dataset | None" = None,
) -> "Dataset":
    """Bin the labelled `rows` (n,), by the bins of another set if given.

    LightGBM trains on the bins, a byte a number: the float32 matrix ends here.
    """
    import lightgbm

    (X,) = task.matrix(on, task.labelled[rows])
    places = categories.places(X.shape[1])
    X = categories.merge(X)
    return lightgbm.Dataset(
        X, task.y[rows], reference=like, params=parameters, categorical_feature=places or "auto"
    ).construct()


def _take_shares(task: Task, reason: str) -> tuple[ConstantRule, dict[str, Any]]:
    """Return the class shares of the labelled rows as rule, and facts.

    That is what a tree without a split predicts.
    """
    share = np.bincount(task.y, minlength=task.n_classes) / len(task.y)  # (C,)
    facts = {"rounds": 0, "best_round": None, "validation_log_loss": None, "settled": True}
    return ConstantRule(share), facts | {"fallback": f"class shares: {reason}"}


def _count_rounds(booster: "Booster") -> int:
    """Count the rounds in the booster.

    Where nothing could be split, the first holds the class shares.
    """
    return int(booster.num_trees() // booster.num_model_per_iteration())


def _names(task: Task, on: On) -> list[str]:
    """Name the d columns of ``task.matrix(on)``.

    Columns of a block without names are numbered.
    """
    names: list[str] = []
    for block, shown in zip(task.chosen(on), (on,) if isinstance(on, str) else on, strict=True):
        names += block.names or [f"{shown}[{i}]" for i in range(block.array.shape[1])]
    return names


def _importances(share: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Return the table of features by `share` (d,) of the gain.

    Equal ones keep the order of the columns.
    """
    order = np.argsort(-share, kind="stable")
    rows = [[names[i], float(share[i])] for i in order]
    return {"columns": ["Feature", "Share of gain"], "rows": rows, "top": SHOWN_FEATURES}


@hookimpl
def harness_labelers():
    return [GBM]
