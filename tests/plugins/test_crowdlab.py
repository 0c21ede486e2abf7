"""crowdlab: cleanlab's own consensus and scores, from any labeler's probabilities."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from cleanlab.multiannotator import get_label_quality_multiannotator

from harness import NotApplicable, RaterLabels
from harness_plugins.wrappers.crowdlab import Crowdlab
from tests.plugins.crowd import accuracy, crowd_task, make_crowd


@dataclass(frozen=True, eq=False)
class Given:
    """Answers with the probabilities that it was made with."""

    name: ClassVar[str] = "given"
    proba: Any

    def label(self, task):
        return self.proba[task.to_label]


def model_of(truth, n_classes, right, seed=0):
    """Return (N, C) probabilities of a model that is right so often."""
    rng = np.random.default_rng(seed)
    guess = np.where(rng.random(len(truth)) < right, truth, rng.integers(0, n_classes, len(truth)))
    return 0.3 * rng.dirichlet(np.ones(n_classes), len(truth)) + 0.7 * np.eye(n_classes)[guess]


def test_probabilities_are_those_behind_cleanlabs_scores():
    truth, labels, _ = make_crowd(300, 12, 3, 4, accuracy=0.6)
    proba = model_of(truth, 4, 0.7)
    task = crowd_task(truth, labels, 4, n_labelled=50)
    answer = Crowdlab(Given(proba)).label(task)
    table = labels.of(task.to_label).table().astype(float)
    table[table < 0] = np.nan
    result = get_label_quality_multiannotator(table, proba[task.to_label], return_weights=True, verbose=False)
    quality = result["label_quality"]
    np.testing.assert_array_equal(answer.proba.argmax(axis=1), quality["consensus_label"])
    np.testing.assert_allclose(answer.proba.max(axis=1), quality["consensus_quality_score"])
    np.testing.assert_allclose(answer.proba.sum(axis=1), 1)
    assert answer.facts["model_weight"] == pytest.approx(result["model_weight"])


def test_raters_who_agree_mend_a_weak_model_and_a_good_model_mends_raters():
    truth, labels, _ = make_crowd(1_000, 10, 5, 3, accuracy=0.75)
    task = crowd_task(truth, labels, 3)
    votes = labels.of(task.to_label).counts(3).astype(float)
    weak, good = model_of(truth, 3, 0.2), model_of(truth, 3, 0.97)
    alone = accuracy(Given(weak).label(task), task, truth)
    assert accuracy(Crowdlab(Given(weak)).label(task), task, truth) > alone + 0.2
    assert accuracy(Crowdlab(Given(good)).label(task), task, truth) > accuracy(votes, task, truth)


def test_a_row_without_raters_keeps_the_models_answer():
    truth, labels, _ = make_crowd(100, 6, 3, 3, accuracy=0.8)
    seen = labels.rows < 90
    labels = RaterLabels(labels.rows[seen], labels.raters[seen], labels.labels[seen], 100, 9)  # three of them silent
    proba = model_of(truth, 3, 0.7)
    answer = Crowdlab(Given(proba)).label(crowd_task(truth, labels, 3, n_labelled=10))
    np.testing.assert_array_equal(answer.proba[80:], proba[90:])
    assert answer.facts["rows_without_raters"] == 10


def test_raters_who_share_no_row_are_not_weighed():
    truth, labels, _ = make_crowd(50, 6, 1, 3, accuracy=0.8)
    with pytest.raises(NotApplicable, match="no row to label has two raters"):
        Crowdlab(Given(model_of(truth, 3, 0.7))).label(crowd_task(truth, labels, 3))
