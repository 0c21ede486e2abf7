"""Conformal sets: grown by hand, and the coverage they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from harness.statistics.conformal import conformal_scores, cross_fit_sets, label_sets, score_threshold


def test_a_set_grows_by_the_likelier_neighbour():
    proba = np.array([[0.1, 0.2, 0.4, 0.05, 0.25], [0.3, 0.0, 0.0, 0.0, 0.7]])
    # From 2: 1 (.2) before 3 (.05), then 0 (.1) before 3, then 3, then 4. From 4 down to 0.
    expected = [[0.6, 0.4, 0.0, 0.7, 0.75], [0.7, 0.7, 0.7, 0.7, 0.0]]
    np.testing.assert_allclose(conformal_scores(proba), expected)
    assert [np.flatnonzero(row).tolist() for row in label_sets(proba, 0.65)] == [[0, 1, 2], [4]]
    assert [np.flatnonzero(row).tolist() for row in label_sets(proba, 0.0)] == [[2], [4]]  # never empty
    assert label_sets(proba, np.inf).all()


def test_a_set_without_an_order_grows_by_the_likeliest_class():
    proba = np.array([[0.1, 0.2, 0.4, 0.05, 0.25], [0.3, 0.0, 0.0, 0.0, 0.7]])
    expected = [[0.85, 0.65, 0.0, 0.95, 0.4], [0.7, 1.0, 1.0, 1.0, 0.0]]
    np.testing.assert_allclose(conformal_scores(proba, ordered=False), expected)
    given = conformal_scores(proba, np.array([3, 1]), ordered=False)
    np.testing.assert_allclose(given, [[0.9, 0.7, 0.05, 0.0, 0.45], [0.7, 0.0, 1.0, 1.0, 0.0]])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7), st.floats(0.0, 1.0))
def test_sets_without_an_order_are_the_likeliest_classes(seed, n_classes, at_most):
    proba = np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.5), 20)
    inside = label_sets(proba, at_most, ordered=False)
    for row, of_row in zip(proba, inside, strict=True):
        assert set(np.flatnonzero(of_row)) == set(np.argsort(-row)[: of_row.sum()])
        before = np.sort(row)[::-1][: of_row.sum() - 1].sum()
        assert before <= at_most + 1e-12


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7), st.floats(0.0, 1.0))
def test_sets_have_no_holes_and_grow_with_the_threshold(seed, n_classes, at_most):
    proba = np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.5), 20)
    inside = label_sets(proba, at_most)
    assert inside[np.arange(20), proba.argmax(axis=1)].all()
    low, high = inside.argmax(axis=1), n_classes - 1 - inside[:, ::-1].argmax(axis=1)
    np.testing.assert_array_equal(inside.sum(axis=1), high - low + 1)
    assert (label_sets(proba, at_most + 0.1) >= inside).all()


def test_the_threshold_is_the_order_statistic_of_the_proof():
    of_truth = np.arange(1, 20) / 20  # 19 rows
    assert score_threshold(of_truth, 0.9) == 0.9  # ceil(20 * .9) = 18th
    assert score_threshold(of_truth, 0.95) == 0.95  # 19th
    assert score_threshold(of_truth, 0.96) == np.inf  # 20th: too few rows


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_new_rows_are_covered_as_promised(coverage, ordered):
    """However bad the probabilities are: these are three times too sure."""
    rng, covered = np.random.default_rng(0), []
    for _ in range(200):
        logits = rng.normal(size=(500, 5))
        y = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((500, 1))).sum(axis=1)
        proba, old, new = softmax(3 * logits, axis=1), np.arange(200), np.arange(200, 500)
        of_truth = conformal_scores(proba[old], ordered=ordered)[old, y[old]]
        inside = label_sets(proba[new], score_threshold(of_truth, coverage), ordered=ordered)
        covered.append(inside[np.arange(300), y[new]].mean())
    assert coverage - 0.005 < np.mean(covered) < coverage + 0.015


def test_a_folds_sets_do_not_know_its_truth():
    rng = np.random.default_rng(1)
    proba, y, fold = rng.dirichlet(np.ones(4), 200), rng.integers(0, 4, 200), np.arange(200) % 4
    before = cross_fit_sets(proba, y, fold, 0.9)
    after = cross_fit_sets(proba, np.where(fold == 1, 3 - y, y), fold, 0.9)
    np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
    assert 0.85 < before[np.arange(200), y].mean() <= 0.95
