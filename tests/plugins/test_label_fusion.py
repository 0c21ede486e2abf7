"""label_fusion: against the target's own fusion, by hand, and against the record's agreement on the real scores."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness import NotApplicable, Predictions, Task
from harness.data.raters import consensus, fuse_labels
from harness.testing import example_task, labeler_checks
from harness_plugins.labelers.knn import KNN
from harness_plugins.networks.plugins import Linear
from harness_plugins.wrappers.label_fusion import LabelFusion, fuse_raters

HOW = ("majority", "median", "consensus")
CLASS = st.integers(0, 5)
MARKS = st.tuples(st.integers(1, 12), st.integers(1, 5)).flatmap(lambda shape: arrays(np.int64, shape, elements=CLASS))


@dataclass(frozen=True)
class Recorder:
    """Answers for class 0 and keeps the tasks it was given."""

    name: ClassVar[str] = "recorder"
    seen: Any

    def label(self, task):
        self.seen.append(task)
        proba = np.eye(task.n_classes)[np.zeros(len(task.to_label), np.int64)]
        return Predictions(proba, {"n": len(task.y)})


def given_to_the_base(marks, how, y=None):
    marks = np.array(marks)
    seen = []
    y = marks[:, 0] if y is None else np.array(y)
    task = Task({}, np.arange(len(marks)) + 10, y, np.arange(3), 6, raters=marks)
    answer = LabelFusion(Recorder(seen), how).label(task)
    (inner,) = seen
    return inner, answer


@pytest.mark.parametrize("how", HOW)
@given(marks=MARKS)
def test_labels_are_those_of_a_fused_target(how, marks):
    y, kept = fuse_raters(marks, how, 6)
    np.testing.assert_array_equal(y, fuse_labels(marks, how))
    np.testing.assert_array_equal(kept, consensus(marks) if how == "consensus" else np.ones(len(marks), bool))


RATERS = [[3, 1, 1], [5, 0, 2], [2, 2, 4], [4, 4, 4]]


@pytest.mark.parametrize(
    ("how", "rows", "y", "changed", "dropped"),
    [
        ("majority", [10, 11, 12, 13], [1, 5, 2, 4], 0.25, 0),
        ("median", [10, 11, 12, 13], [1, 2, 2, 4], 0.5, 0),
        ("consensus", [10, 12, 13], [1, 2, 4], 1 / 3, 1),
    ],
)
def test_by_hand(how, rows, y, changed, dropped):
    inner, answer = given_to_the_base(RATERS, how)
    assert (inner.labelled.tolist(), inner.y.tolist()) == (rows, y)
    assert inner.raters.tolist() == [RATERS[row - 10] for row in rows]
    assert inner.pseudo is None
    assert answer.facts == {"share_changed": changed, "rows_dropped": dropped, "base": {"n": len(rows)}}


def test_the_middle_of_four_is_the_lower_of_two():
    assert given_to_the_base([[5, 0, 2, 4]], "median")[0].y.tolist() == [2]


def test_changes_are_counted_against_the_target_not_the_first_rater():
    assert given_to_the_base([[3, 1, 1], [2, 2, 2]], "majority", y=[1, 2])[1].facts["share_changed"] == 0


def test_says_why_it_does_not_apply():
    task = example_task()
    with pytest.raises(NotApplicable, match="no raters; name their columns under data, as 'raters:"):
        LabelFusion(KNN(on="embedding")).label(replace(task, raters=None))
    apart = replace(task, raters=np.tile([0, 1, 2], (len(task.y), 1)))
    with pytest.raises(NotApplicable, match="no two raters agree on any labelled row"):
        LabelFusion(KNN(on="embedding"), "consensus").label(apart)


@pytest.mark.parametrize(("how", "agreement"), [("majority", 0.8186), ("median", 0.6462)])
def test_the_record_s_agreement_with_the_first_rater(scores, how, agreement):
    names = ("gpt_scores", "llama_scores", "mistral_scores")
    marks = np.column_stack([np.asarray(scores.column(name)[:30_000], np.int64) for name in names])
    _, answer = given_to_the_base(marks, how)
    assert round(1 - answer.facts["share_changed"], 4) == agreement


def test_the_record_s_consensus(scores):
    names = ("gpt_scores", "llama_scores", "mistral_scores")
    marks = np.column_stack([np.asarray(scores.column(name)[:30_000], np.int64) for name in names])
    assert given_to_the_base(marks, "consensus")[1].facts["rows_dropped"] == 30_000 - 20_837


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "labeler",
    [
        LabelFusion(KNN(on="embedding"), "consensus"),
        LabelFusion(Linear(on="text", epochs=2, recipe="record"), "median"),
    ],
    ids=lambda labeler: labeler.base.name,
)
def test_keeps_the_promises_of_a_labeler(labeler, check):
    try:
        check(labeler)
    except NotApplicable:
        assert check.__name__ == "check_no_raters"


@pytest.mark.parametrize(
    ("how", "rows", "y"),
    [("majority", [10, 11, 13], [1, 4, 2]), ("median", [10, 11, 13], [1, 4, 0]), ("consensus", [10], [1])],
)
def test_a_label_that_a_rater_did_not_give_does_not_count(how, rows, y):
    inner, _ = given_to_the_base([[-1, 1, 1, 5], [-1, -1, 4, -1], [-1] * 4, [-1, 2, 0, -1]], how, [0] * 4)
    assert inner.labelled.tolist() == rows
    assert inner.y.tolist() == y
