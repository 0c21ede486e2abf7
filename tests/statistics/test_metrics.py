"""Metrics against scikit-learn, SciPy, plain loops and values by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, cohen_kappa_score, roc_auc_score

from harness.statistics import metrics

C = 6


@st.composite
def answered(draw):
    """Draw truth and float32 probabilities of 2 to 60 rows.

    There are two classes at least; some probabilities are tied.
    """
    m = draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = rng.integers(0, C, m)
    y[:2] = 0, C - 1
    weight = np.round(rng.random((m, C)) ** draw(st.sampled_from([1, 6])), draw(st.integers(1, 6))) + 1e-3
    return y, (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(answered())
def test_kappa_correlation_and_auc_are_those_of_the_libraries(case):
    y, proba = case
    labels = proba.argmax(axis=1)
    kappa = metrics.qwk(metrics.count_confusion(y, labels, C))
    assert kappa == pytest.approx(cohen_kappa_score(y, labels, labels=range(C), weights="quadratic"), abs=1e-12)
    score = metrics.expected_score(proba)
    if len(set(score)) > 1:
        assert metrics.spearman(proba, y) == pytest.approx(spearmanr(score, y).statistic, abs=1e-12)
    for threshold in range(1, C):
        mass = proba[:, threshold:].astype(float).sum(axis=1)
        expected = roc_auc_score(y >= threshold, mass)
        assert metrics.auc(proba, y, threshold) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(answered())
def test_errors_and_ranks_of_expected_values_are_those_of_plain_loops(case):
    y, proba = case
    rng = np.random.default_rng(len(y))
    means, values = np.sort(rng.normal(size=C)), np.round(y + rng.normal(size=len(y)), 1)
    expected = [sum(float(p) * mean for p, mean in zip(row, means, strict=True)) for row in proba]
    errors = [abs(a - b) for a, b in zip(expected, values, strict=True)]
    assert metrics.value_mae(proba, values, means) == pytest.approx(np.mean(errors), abs=1e-12)
    exact = proba.astype(np.float64) @ means  # ties are ties of these numbers
    if len(np.unique(exact)) > 1 and len(np.unique(values)) > 1:
        assert metrics.value_spearman(proba, values, means) == pytest.approx(spearmanr(exact, values)[0], abs=1e-12)
    stack = np.stack([proba, proba[:, ::-1]])
    assert metrics.value_mae(stack, values, means)[0] == metrics.value_mae(proba, values, means)


@settings(max_examples=50, deadline=None)
@given(answered())
def test_ranked_probability_score_and_calibration_error_are_those_of_a_plain_loop(case):
    y, proba = case
    rows = []
    for truth, p in zip(y, proba.astype(float), strict=True):
        rows.append(sum((p[: k + 1].sum() - (truth <= k)) ** 2 for k in range(C - 1)) / (C - 1))
    assert metrics.rps(proba, y) == pytest.approx(np.mean(rows), abs=1e-12)
    confidence, hit = proba.max(axis=1).astype(float), proba.argmax(axis=1) == y
    error = 0.0
    for b in range(15):
        in_bin = (confidence >= b / 15) & ((confidence < (b + 1) / 15) | (b == 14))
        if in_bin.any():
            error += in_bin.mean() * abs(hit[in_bin].mean() - confidence[in_bin].mean())
    assert metrics.calibration_error(proba, y) == pytest.approx(error, abs=1e-9)


def test_by_hand():
    proba = np.array([[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0]])
    y = np.array([0, 1, 2])
    assert metrics.expected_score(proba).tolist() == [0, 2, 0.5]
    assert metrics.rps(proba, y) == pytest.approx((0 + 1 / 2 + (0.25 + 1) / 2) / 3)
    assert metrics.calibration_error(proba, y) == pytest.approx((1 * 2 * 0.5 + 0.5) / 3)
    assert metrics.auc(proba, y, 1) == 1.0
    assert metrics.auc(proba, y, 2) == 0.25  # one tie, one lost
    assert metrics.precision_at_top(proba, y, 2, 10) == 0.0
    assert metrics.precision_at_top(np.eye(3)[np.arange(300) % 3], np.arange(300) % 3, 2, 10) == 1.0


def test_what_cannot_be_measured_is_nan():
    same = np.full((4, 3), 1 / 3)
    assert np.isnan(metrics.spearman(same, np.array([0, 1, 2, 0])))
    assert np.isnan(metrics.auc(same, np.zeros(4, int), 1))
    assert np.isnan(metrics.qwk(metrics.count_confusion(np.zeros(4, int), np.zeros(4, int), 3)))
    assert metrics.auc(same, np.array([0, 1, 2, 0]), 1) == 0.5


def test_ties_at_the_top_go_to_the_earlier_rows():
    proba = np.tile([0.0, 1.0], (200, 1))
    y = np.r_[1, 1, np.zeros(198, int)]
    assert metrics.precision_at_top(proba, y, 1, 1) == 1.0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40))
def test_average_precision_is_that_of_scikit_learn(seed, m):
    rng = np.random.default_rng(seed)
    score, positive = rng.integers(0, 9, (3, m)) / 8, rng.random(m) < 0.4
    positive[0] = True
    expected = [average_precision_score(positive, row) for row in score]
    np.testing.assert_allclose(metrics.average_precision(score, positive), expected)
    assert np.isnan(metrics.average_precision(score, np.zeros(m, bool))).all()


@settings(max_examples=50, deadline=None)
@given(answered(), st.integers(1, 4))
def test_a_stack_of_labelers_has_the_numbers_of_each(case, labelers):
    y, first = case
    proba = np.stack([np.roll(first, i, axis=0) for i in range(labelers)])
    labels = proba.argmax(axis=-1)
    tables = metrics.count_confusion(y, labels, C)
    measured = {name: measure(tables) for name, measure in metrics.LABEL_METRICS.items()}
    measured |= {name: measure(proba, y) for name, measure in metrics.PROBABILITY_METRICS.items()}
    measured |= {f"auc {k}": metrics.auc(proba, y, k) for k in range(1, C)}
    measured["precision"] = metrics.precision_at_top(proba, y, 3, 10)
    for i, (own_labels, own) in enumerate(zip(labels, proba, strict=True)):
        table = metrics.count_confusion(y, own_labels, C)
        alone = {name: measure(table) for name, measure in metrics.LABEL_METRICS.items()}
        alone |= {name: measure(own, y) for name, measure in metrics.PROBABILITY_METRICS.items()}
        alone |= {f"auc {k}": metrics.auc(own, y, k) for k in range(1, C)}
        alone["precision"] = metrics.precision_at_top(own, y, 3, 10)
        np.testing.assert_equal({name: values[i] for name, values in measured.items()}, alone)


def test_a_label_outside_the_classes_is_refused():
    with pytest.raises(ValueError, match="labels must be less than 3, got 3"):
        metrics.count_confusion(np.zeros(4, int), np.array([0, 1, 2, 3], np.uint8), 3)
