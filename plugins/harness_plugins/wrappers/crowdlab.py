"""CROWDLAB: raters and a model weighed together, by cleanlab.

Goh, Tkachenko, Mueller: CROWDLAB, Supervised Learning to Infer Consensus Labels and Quality Scores for Data with
Multiple Annotators, 2022.
"""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness import Labeler, NotApplicable, Predictions, RaterLabels, Task, hookimpl
from harness_plugins._raters import labels_of_raters
from harness_plugins.wrappers._answer import answer, with_facts


@dataclass(frozen=True)
class Crowdlab:
    """The base's probabilities and the raters of a row, each by its weight.

    It needs raters on all rows. The base learns from the labelled rows; cleanlab weighs it, and every rater, by how
    they agree with the consensus on the rows to label. A row without a rater keeps the base's probabilities.
    """

    name: ClassVar[str] = "crowdlab"
    preload: ClassVar[tuple[str, ...]] = ("cleanlab.multiannotator",)
    transductive: ClassVar[bool] = True

    base: Labeler

    def label(self, task: Task) -> Predictions:
        labels = labels_of_raters(task).of(task.to_label)
        number = np.bincount(labels.rows, minlength=labels.n_rows)
        if not (number > 1).any():
            raise NotApplicable("no row to label has two raters, so their agreement says nothing")
        predicted = answer(self.base, task)
        proba = np.array(predicted.proba, np.float64)
        rated = np.flatnonzero(number)
        proba[rated], weights = consensus(labels.of(rated), proba[rated])
        return with_facts(Predictions(proba), {**weights, "rows_without_raters": int((number == 0).sum())})


def consensus(labels: RaterLabels, proba: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Return (k, C) CROWDLAB's probabilities of rated rows, and weights.

    `proba` (k, C) are the model's.
    """
    from cleanlab.multiannotator import get_label_quality_multiannotator

    table = labels.table().astype(np.float64)  # (k, R)
    has_labels = (table >= 0).any(axis=0)
    table = table[:, has_labels]
    with warnings.catch_warnings(action="ignore"):  # on raters who share no row, and classes that no consensus has
        result = get_label_quality_multiannotator(
            np.where(table < 0, np.nan, table),
            proba,
            return_detailed_quality=False,
            return_annotator_stats=False,
            return_weights=True,
            verbose=False,
        )
    quality = result["label_quality"]
    several = quality["num_annotations"].to_numpy() != 1
    likelihood = float(quality["annotator_agreement"].to_numpy()[several].mean())  # of a label that is the consensus
    weight = np.zeros(labels.n_raters)
    weight[has_labels] = result["annotator_weight"]
    k, C = proba.shape
    of_row = weight[labels.raters]
    other = (1 - likelihood) / (C - 1)
    same = np.bincount(labels.rows * C + labels.labels, of_row * (likelihood - other), k * C).reshape(k, C)
    total = np.bincount(labels.rows, of_row, k)[:, None]
    model_weight = float(result["model_weight"])
    posterior = (model_weight * proba + same + other * total) / (model_weight + total)
    return posterior, {"model_weight": model_weight, "mean_rater_weight": float(weight[has_labels].mean())}


@hookimpl
def harness_labelers():
    return [Crowdlab]
