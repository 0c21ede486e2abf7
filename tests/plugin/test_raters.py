"""Sparse labels of raters: parts, counts and tables of them, sealed."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import RaterLabels, Task, fold


@st.composite
def tables(draw):
    """Draw (N, R) tables of labels, -1 for none."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    cells = draw(st.lists(st.integers(-1, 2), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    return np.array(cells).reshape(shape)


def sparse(table):
    rows, raters = np.nonzero(table >= 0)
    order = np.random.default_rng(0).permutation(len(rows))
    return RaterLabels(rows[order], raters[order], table[rows, raters][order], *table.shape)


@given(table=tables(), data=st.data())
def test_rows_are_those_of_the_table(table, data):
    labels = sparse(table)
    np.testing.assert_array_equal(labels.table(), table)
    rows = np.array(data.draw(st.lists(st.integers(0, len(table) - 1), max_size=8)), np.int64)
    np.testing.assert_array_equal(labels.of(rows).table(), table[rows])
    np.testing.assert_array_equal(labels.counts(3), [[(row == c).sum() for c in range(3)] for row in table])


def test_nothing_leads_back_to_the_array_of_all_rows_or_can_be_written():
    labels = sparse(np.arange(12).reshape(4, 3) % 3)
    for part in (labels.of(np.array([2])), pickle.loads(pickle.dumps(labels))):
        for array in part.arrays():
            assert array.base is None
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def test_an_inner_task_sees_the_raters_of_its_rows_to_label():
    labels = sparse(np.array([[0, -1], [1, 1], [0, 0], [1, 0]]))
    task = Task({}, [0, 1, 2], [0, 1, 0], [3], 2, rater_labels=labels)
    inner = fold(task, np.array([False, True, False]))
    assert inner.rater_labels is labels
    assert inner.rater_labels.of(inner.to_label).table().tolist() == [[1, 1]]
