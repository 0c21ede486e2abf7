"""Scores against scikit-learn and against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, mean_absolute_error, recall_score

from harness.run.result import Result
from harness.scoring.scores import MetricValue, Truth, pool_scores, score_result, score_results
from harness.statistics.metrics import MIN_PROBABILITY, count_confusion

C = 6


def result(proba, checkpoints=None, rows=None, labels=None):
    proba = np.asarray(proba, np.float32)
    labels = proba.argmax(axis=1) if labels is None else np.asarray(labels)
    return Result(labels.astype(np.uint8), proba, {}, checkpoints or {}, rows or {}, {})


def one_hot(labels):
    return np.eye(C, dtype=np.float32)[np.asarray(labels)]


@st.composite
def answered(draw):
    """Draw truth, probabilities and sources of 1 to 40 rows.

    Some classes are often absent on either side.
    """
    m = draw(st.integers(1, 40))
    true_classes = draw(st.lists(st.integers(0, C - 1), min_size=1, max_size=C))
    y = np.array(draw(st.lists(st.sampled_from(true_classes), min_size=m, max_size=m)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight = rng.random((m, C)) ** draw(st.sampled_from([1, 5, 40])) * draw(
        st.lists(st.integers(0, 1), min_size=C, max_size=C).filter(any)
    )
    sources = np.array(draw(st.lists(st.sampled_from("abc"), min_size=m, max_size=m)))
    return y, (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32), sources


@settings(max_examples=80, deadline=None)
@given(answered())
@pytest.mark.slow
def test_every_number_is_scikit_learns(case):
    y, proba, sources = case
    honest = score_result(result(proba), Truth(y, sources), C, "accuracy").honest
    for source in (None, *np.unique(sources)):
        rows = np.full(len(y), True) if source is None else sources == source
        labels, truth = proba.argmax(axis=1)[rows], y[rows]
        clipped = np.clip(proba[rows].astype(float), MIN_PROBABILITY, 1)
        expected = {
            "accuracy": accuracy_score(truth, labels),
            "macro_f1": f1_score(truth, labels, labels=np.unique(truth), average="macro", zero_division=0),
            "mae": mean_absolute_error(truth, labels),
            # scikit-learn divides each row by its sum, which the clipping has moved from 1
            "log_loss": log_loss(truth, clipped / clipped.sum(axis=1, keepdims=True), labels=range(C))
            - np.log(clipped.sum(axis=1)).mean(),
        }
        for metric, value in expected.items():
            score = honest[metric, None, source]
            assert score.n == rows.sum()
            assert score.value == pytest.approx(value, rel=1e-9, abs=1e-12), metric
    recalls = recall_score(y, proba.argmax(axis=1), labels=range(C), average=None, zero_division=0)
    for c in range(C):
        value = honest["accuracy", c, None]
        assert value.n == (y == c).sum()
        assert value.value == (pytest.approx(recalls[c]) if value.n else None)
    everywhere = (*expected, "qwk", "rps", "calibration_error", "spearman")  # the last: test_metrics.py
    named = {(metric, None, source) for metric in everywhere for source in (None, *np.unique(sources))}
    named |= {("auc", threshold, None) for threshold in range(1, C)}
    named |= {(f"precision_top_{per_cent}", 4, None) for per_cent in (1, 3, 10)}
    assert honest.keys() == named | {("accuracy", c, None) for c in range(C)}


@settings(max_examples=50, deadline=None)
@given(answered(), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_cells_that_are_scored_together_have_the_numbers_of_each_alone(case, n_cells, seed):
    y, proba, sources = case
    rng = np.random.default_rng(seed)
    results = [
        result(
            proba[rng.permutation(len(y))],
            {f"epoch {k}": rng.integers(0, C, len(y)).astype(np.uint8) for k in range(rng.integers(0, 3))},
            {"sure": rng.random(len(y)) < 0.5},
        )
        for _ in range(n_cells)
    ]
    truth = Truth(y, sources)
    for cell, together in zip(results, score_results(results, truth, C, "macro_f1"), strict=True):
        alone = score_result(cell, truth, C, "macro_f1")
        assert list(together.honest.items()) == list(alone.honest.items())
        assert (together.rows, together.checkpoint) == (alone.rows, alone.checkpoint)
        assert (together.oracle, together.checkpoints) == (alone.oracle, alone.checkpoints)
        np.testing.assert_array_equal(together.table, alone.table)


@given(answered())
def test_the_confusion_counts_are_scikit_learns(case):
    y, proba, _ = case
    labels = proba.argmax(axis=1)
    assert (
        count_confusion(y, labels.astype(np.uint8), C).tolist() == confusion_matrix(y, labels, labels=range(C)).tolist()
    )


def test_classes_without_a_row_do_not_count_in_macro_f1():
    y = np.array([0, 0, 1, 1])
    perfect = score_result(result(one_hot(y)), Truth(y, None), C, "accuracy").honest
    assert perfect["macro_f1", None, None].value == 1
    # One stray prediction of a class that no row has: F1 of class 0 is 2/3, of class 1 it is 1.
    stray = score_result(result(one_hot([0, 5, 1, 1])), Truth(y, None), C, "accuracy").honest
    assert stray["macro_f1", None, None].value == pytest.approx((2 / 3 + 1) / 2)
    assert stray["accuracy", 5, None] == MetricValue(None, 0)


def test_folds_are_pooled_as_one_test_set():
    """Macro-F1 and kappa of all rows together; what is no table is a mean weighted by rows."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2, 3], [50, 40, 30, 4])
    labels = np.where(rng.random(len(y)) < 0.7, y, rng.integers(0, 4, len(y)))
    parts = np.array_split(rng.permutation(len(y)), 10)
    folds = [score_result(result(one_hot(labels[p])), Truth(y[p], None), C, "accuracy") for p in parts]
    pooled = pool_scores([fold.honest for fold in folds], [fold.table for fold in folds])
    whole = score_result(result(one_hot(labels)), Truth(y, None), C, "accuracy").honest
    same = [key for key in whole if key[0] in ("accuracy", "macro_f1", "mae", "qwk", "log_loss", "rps")]
    assert {key: pooled[key].value for key in same} == pytest.approx({key: whole[key].value for key in same})
    assert pooled["accuracy", 3, None].n == 4
    perfect = [score_result(result(one_hot(y[p])), Truth(y[p], None), C, "accuracy") for p in parts]
    assert pool_scores([f.honest for f in perfect], [f.table for f in perfect])["macro_f1", None, None].value == 1


def test_a_certain_mistake_costs_a_finite_loss():
    y = np.array([1])
    honest = score_result(result(one_hot([0])), Truth(y, None), C, "accuracy").honest
    assert honest["log_loss", None, None].value == pytest.approx(-np.log(MIN_PROBABILITY))
    assert score_result(result(one_hot([1])), Truth(y, None), C, "accuracy").honest["log_loss", None, None].value == 0


TRUTH = np.array([0, 1, 2, 3])
STATES = {
    "epoch 1": np.array([0, 0, 0, 0], np.uint8),  # accuracy 1/4, MAE 6/4
    "epoch 2": np.array([0, 1, 5, 0], np.uint8),  # accuracy 2/4, MAE 6/4
    "epoch 3": np.array([1, 1, 2, 0], np.uint8),  # accuracy 2/4, MAE 4/4
    "epoch 4": np.array([1, 2, 3, 4], np.uint8),  # accuracy 0, MAE 1
}


@pytest.mark.parametrize(("primary", "best"), [("accuracy", "epoch 2"), ("mae", "epoch 3"), ("macro_f1", "epoch 2")])
def test_the_oracle_takes_the_first_of_the_best_checkpoints(primary, best):
    scores = score_result(result(one_hot([0, 0, 0, 0]), STATES), Truth(TRUTH, None), C, primary)
    assert scores.checkpoint == best
    assert scores.oracle["accuracy", None, None] == MetricValue(0.5, 4)
    assert scores.oracle["mae", None, None] == MetricValue({"epoch 2": 1.5, "epoch 3": 1.0}[best], 4)
    assert scores.honest["accuracy", None, None] == MetricValue(0.25, 4)


def test_the_oracle_has_no_say_where_labels_cannot_tell():
    scores = score_result(result(one_hot([0, 0, 0, 0]), STATES), Truth(TRUTH, None), C, "log_loss")
    assert (scores.checkpoint, scores.oracle) == (None, {})
    scores = score_result(result(one_hot([0, 0, 0, 0])), Truth(TRUTH, None), C, "accuracy")
    assert (scores.checkpoint, scores.oracle) == (None, {})


def test_masks_of_rows_are_scored_and_numbers_are_not():
    rows = {
        "adopted": np.array([True, True, False, False]),
        "none": np.zeros(4, bool),
        "confidence": np.array([0.5, 1, 1, 1]),
        "round": np.array([1, 0, 0, 0], np.uint8),
    }
    scores = score_result(result(one_hot([0, 0, 2, 0]), rows=rows), Truth(TRUTH, None), C, "accuracy")
    assert scores.rows == {"adopted": MetricValue(0.5, 2), "none": MetricValue(None, 0)}


def test_every_checkpoint_of_a_few_is_scored_on_all_rows_and_on_the_masks_named_after_it():
    rows = {
        "adopted in epoch 1": np.array([True, True, True, False]),
        "adopted in epoch 2": np.array([False, False, False, True]),
        "left in epoch 2": np.zeros(4, bool),
        "adopted in epoch 20": np.array([True, False, False, False]),
        "weight in epoch 2": np.ones(4),
    }
    sources = np.array(["a", "a", "b", "b"])
    scores = score_result(result(one_hot([0, 0, 0, 0]), STATES, rows), Truth(TRUTH, sources), C, "accuracy")
    assert list(scores.checkpoints) == list(STATES)
    second = scores.checkpoints["epoch 2"]
    assert second.rows == {"adopted in epoch 2": MetricValue(0.0, 1), "left in epoch 2": MetricValue(None, 0)}
    assert scores.checkpoints["epoch 1"].rows == {"adopted in epoch 1": MetricValue(1 / 3, 3)}
    assert scores.checkpoints["epoch 3"].rows == {}
    assert scores.rows["adopted in epoch 2"] == MetricValue(0.0, 1)
    for name, labels in STATES.items():
        alone = score_result(result(one_hot(labels)), Truth(TRUTH, None), C, "accuracy").honest
        numbers = scores.checkpoints[name].scores
        assert {key[0] for key in numbers} == {"accuracy", "macro_f1", "mae", "qwk"}
        assert {key[1] for key in numbers} == {None, *range(C)}
        assert all(alone[key] == value for key, value in numbers.items())


def test_of_many_checkpoints_only_the_best_is_told():
    states = {f"epoch {number}": np.full(4, number % C, np.uint8) for number in range(41)}
    scores = score_result(result(one_hot([0, 0, 0, 0]), states), Truth(TRUTH, None), C, "accuracy")
    assert (scores.checkpoint, scores.checkpoints) == ("epoch 0", {})
    del states["epoch 40"]
    scores = score_result(result(one_hot([0, 0, 0, 0]), states), Truth(TRUTH, None), C, "accuracy")
    assert (scores.checkpoint, len(scores.checkpoints)) == ("epoch 0", 40)


def test_members_are_scored_and_the_first_two_compared():
    rows = {
        "member 1": np.array([0, 1, 0, 0], np.uint8),
        "member 2": np.array([0, 0, 2, 0], np.uint8),
        "member 3": np.array([0, 1, 2, 3], np.uint8),
        "members agree": np.array([True, False, False, False]),
    }
    scores = score_result(result(one_hot([0, 0, 0, 0]), STATES, rows), Truth(TRUTH, None), C, "accuracy")
    assert list(scores.checkpoints) == [*STATES, "member 1", "member 2", "member 3"]
    accuracies = [scores.checkpoints[f"member {k}"].scores["accuracy", None, None].value for k in (1, 2, 3)]
    assert accuracies == [0.5, 0.5, 1.0]
    assert scores.honest["disagreement", None, None] == MetricValue(0.5, 4)  # rows 1 and 2
    assert scores.honest["either_correct", None, None] == MetricValue(0.75, 4)  # not row 3
    assert scores.honest["both_correct", None, None] == MetricValue(0.25, 4)  # row 0
    assert scores.checkpoint == "epoch 2", "a member is no candidate for the oracle"
    assert scores.rows == {"members agree": MetricValue(1.0, 1)}


@given(answered(), st.integers(0, 2**32 - 1))
def test_what_two_members_have_in_common_adds_up(case, seed):
    y, _, _ = case
    first, second = np.random.default_rng(seed).integers(0, C, (2, len(y))).astype(np.uint8)
    scores = score_result(
        result(one_hot(y), rows={"member 1": first, "member 2": second}), Truth(y, None), C, "accuracy"
    )
    shares = {
        name: scores.honest[name, None, None].value for name in ("disagreement", "either_correct", "both_correct")
    }
    right = [accuracy_score(y, labels) for labels in (first, second)]
    assert shares["either_correct"] + shares["both_correct"] == pytest.approx(sum(right))
    assert shares["disagreement"] == pytest.approx(1 - accuracy_score(first, second))


@pytest.mark.parametrize("labels", [np.array([0.0, 1, 2, 3]), np.array([0, 1, 2, 6], np.uint8), np.ones(4, bool)])
def test_numbers_that_are_no_labels_are_no_member(labels):
    rows = {"member 1": np.zeros(4, np.uint8), "member 2": labels, "member": np.zeros(4, np.uint8)}
    scores = score_result(result(one_hot([0, 0, 0, 0]), rows=rows), Truth(TRUTH, None), C, "accuracy")
    assert list(scores.checkpoints) == ["member 1"]
    assert ("disagreement", None, None) not in scores.honest


def test_facts_of_the_labeler_are_kept():
    with_facts = Result(np.zeros(4, np.uint8), one_hot([0, 0, 0, 0]), {"n_train_final": 7}, {}, {}, {})
    assert score_result(with_facts, Truth(TRUTH, None), C, "accuracy").facts == {"n_train_final": 7}
