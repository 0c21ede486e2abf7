"""Conformal sets: grown by hand, and the coverage they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from harness.statistics.conformal import conformal_scores, cross_fit_ranges, label_ranges, score_threshold


def test_a_set_grows_by_the_likelier_neighbour():
    proba = np.array([[0.1, 0.2, 0.4, 0.05, 0.25], [0.3, 0.0, 0.0, 0.0, 0.7]])
    # From 2: 1 (.2) before 3 (.05), then 0 (.1) before 3, then 3, then 4. From 4 down to 0.
    expected = [[0.6, 0.4, 0.0, 0.7, 0.75], [0.7, 0.7, 0.7, 0.7, 0.0]]
    np.testing.assert_allclose(conformal_scores(proba), expected)
    low, high = label_ranges(proba, 0.65)
    assert (low.tolist(), high.tolist()) == ([0, 4], [2, 4])
    assert [bound.tolist() for bound in label_ranges(proba, 0.0)] == [[2, 4], [2, 4]]  # never empty
    assert [bound.tolist() for bound in label_ranges(proba, np.inf)] == [[0, 0], [4, 4]]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7), st.floats(0.0, 1.0))
def test_sets_have_no_holes_and_grow_with_the_threshold(seed, n_classes, at_most):
    proba = np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.5), 20)
    low, high = label_ranges(proba, at_most)
    inside = conformal_scores(proba) <= at_most
    assert inside[np.arange(20), proba.argmax(axis=1)].all()
    np.testing.assert_array_equal(inside.sum(axis=1), high - low + 1)
    wider = label_ranges(proba, at_most + 0.1)
    assert (wider[0] <= low).all()
    assert (wider[1] >= high).all()


def test_the_threshold_is_the_order_statistic_of_the_proof():
    of_truth = np.arange(1, 20) / 20  # 19 rows
    assert score_threshold(of_truth, 0.9) == 0.9  # ceil(20 * .9) = 18th
    assert score_threshold(of_truth, 0.95) == 0.95  # 19th
    assert score_threshold(of_truth, 0.96) == np.inf  # 20th: too few rows


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_new_rows_are_covered_as_promised(coverage):
    """However bad the probabilities are: these are three times too sure."""
    rng, covered = np.random.default_rng(0), []
    for _ in range(200):
        logits = rng.normal(size=(500, 5))
        y = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((500, 1))).sum(axis=1)
        proba, old, new = softmax(3 * logits, axis=1), np.arange(200), np.arange(200, 500)
        low, high = label_ranges(proba[new], score_threshold(conformal_scores(proba[old])[old, y[old]], coverage))
        covered.append(((low <= y[new]) & (y[new] <= high)).mean())
    assert coverage - 0.005 < np.mean(covered) < coverage + 0.015


def test_a_folds_sets_do_not_know_its_truth():
    rng = np.random.default_rng(1)
    proba, y, fold = rng.dirichlet(np.ones(4), 200), rng.integers(0, 4, 200), np.arange(200) % 4
    before = cross_fit_ranges(proba, y, fold, 0.9)
    after = cross_fit_ranges(proba, np.where(fold == 1, 3 - y, y), fold, 0.9)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one[fold == 1], other[fold == 1])
    assert 0.85 < ((before[0] <= y) & (y <= before[1])).mean() <= 0.95
