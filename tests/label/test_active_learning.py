"""Rows to label next: weights by hand, spread over the space, each once."""

import numpy as np
import pytest

from harness import Block
from harness.label.active_learning import choose_diverse, class_need, uncertainty


def test_need_is_what_f1_lacks():
    """Compare with F1 by hand.

    Class 0: 2 of 3 rows are labelled so, all rightly: F1 .8. Class 1: F1 = 2 / 3. Class 2 has no rows.
    """
    need = class_need(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    np.testing.assert_allclose(need, [0.2, 1 / 3, 1.0])


def test_a_certain_row_weighs_nothing_and_one_between_needy_classes_most():
    proba = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    weight = uncertainty(proba, np.array([0.1, 0.5, 0.9]))
    half = np.log(2) / np.log(3)
    np.testing.assert_allclose(weight, [0, half * 0.3, half * 0.7, 0.5], atol=1e-9)


def clusters(size=200, centres=12, d=8):
    """Return rows in tight clusters, and the cluster of each."""
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(centres), size)
    return (rng.normal(size=(centres, d))[cluster] + 0.01 * rng.normal(size=(len(cluster), d))).astype(
        np.float32
    ), cluster


def test_suggestions_are_spread_where_the_rows_of_highest_weight_are_one_cluster():
    X, cluster = clusters()
    weight = np.where(cluster == 3, 1.0, 0.9)
    chosen = choose_diverse(weight, np.arange(len(X)), np.arange(10), [Block(X, "embedding")], 240)
    assert len(set(chosen.tolist())) == 240
    assert len(np.unique(cluster[chosen])) == 12
    heaviest = np.argsort(-weight, kind="stable")[:240]
    assert len(np.unique(cluster[heaviest])) == 2


def test_the_highest_weights_come_first_and_low_ones_never():
    X, _ = clusters()
    weight = np.random.default_rng(1).random(len(X))
    chosen = choose_diverse(weight, np.arange(len(X)), np.arange(10), [Block(X, "embedding")], 50)
    assert (np.diff(weight[chosen]) <= 0).all()
    assert weight[chosen].min() >= np.sort(weight)[-500]


@pytest.mark.parametrize("k", [2_400, 5_000])
def test_all_rows_where_there_are_no_more(k):
    X, _ = clusters()
    chosen = choose_diverse(np.arange(len(X)) / 1e4, np.arange(len(X)), np.arange(10), [Block(X)], k)
    np.testing.assert_array_equal(chosen, np.arange(len(X))[::-1])


def test_without_blocks_the_highest_weights():
    assert choose_diverse(np.array([0.1, 0.9, 0.5]), np.arange(3), np.arange(1), [], 2).tolist() == [1, 2]
