"""Rows to label next: wanted by hand, spread over the space, each once."""

import numpy as np
import pytest

from harness import Block
from harness.label.active_learning import choose_diverse, class_need, uncertainty


def test_need_is_what_f1_lacks():
    """Class 0: 2 of 3 found, 2 of 2 right: F1 .8. Class 1: F1 = 2 / 3. Class 2 is never met."""
    found = class_need(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    np.testing.assert_allclose(found, [0.2, 1 / 3, 1.0])


def test_a_sure_row_is_not_wanted_and_one_between_needy_classes_most():
    proba = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    found = uncertainty(proba, np.array([0.1, 0.5, 0.9]))
    half = np.log(2) / np.log(3)
    np.testing.assert_allclose(found, [0, half * 0.3, half * 0.7, 0.5], atol=1e-9)


def crowds(each=200, centres=12, d=8):
    """Return rows in tight crowds, and the crowd of each."""
    rng = np.random.default_rng(0)
    of = np.repeat(np.arange(centres), each)
    return (rng.normal(size=(centres, d))[of] + 0.01 * rng.normal(size=(len(of), d))).astype(np.float32), of


def test_suggestions_are_spread_where_the_most_wanted_rows_are_one_crowd():
    X, of = crowds()
    want = np.where(of == 3, 1.0, 0.9)
    found = choose_diverse(want, np.arange(len(X)), np.arange(10), [Block(X, "embedding")], 240)
    assert len(set(found.tolist())) == 240
    assert len(np.unique(of[found])) == 12
    plain = np.argsort(-want, kind="stable")[:240]
    assert len(np.unique(of[plain])) == 2


def test_the_most_wanted_come_first_and_rows_that_nobody_wants_never():
    X, _ = crowds()
    want = np.random.default_rng(1).random(len(X))
    found = choose_diverse(want, np.arange(len(X)), np.arange(10), [Block(X, "embedding")], 50)
    assert (np.diff(want[found]) <= 0).all()
    assert want[found].min() >= np.sort(want)[-500]


@pytest.mark.parametrize("k", [2_400, 5_000])
def test_all_rows_where_there_are_no_more(k):
    X, _ = crowds()
    found = choose_diverse(np.arange(len(X)) / 1e4, np.arange(len(X)), np.arange(10), [Block(X)], k)
    np.testing.assert_array_equal(found, np.arange(len(X))[::-1])


def test_without_blocks_the_most_wanted():
    assert choose_diverse(np.array([0.1, 0.9, 0.5]), np.arange(3), np.arange(1), [], 2).tolist() == [1, 2]
