"""What rules are made of: blocks scaled as in the task, exact neighbours among labelled rows, whatever the parts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import Block, BlockScaler, DataError, NeighborIndex, NotApplicable, Task, learn, neighbors
from harness.testing import example_task
from harness_plugins.labelers.label_spreading import LabelSpreading


@pytest.mark.parametrize("on", ["text", "embedding", ("text", "embedding", "source")])
def test_a_scaler_gives_the_matrix_of_the_task(on):
    task = example_task(("source",))
    scaler = BlockScaler.fit(task, on)
    X, X_pool = task.matrix(on)
    assert scaler.matrix(task.blocks, task.labelled).tobytes() == X.tobytes()
    assert scaler.width == X.shape[1]
    parts = [part for _, part in scaler.parts(task.blocks, task.to_label, 7)]
    assert np.concatenate(parts).tobytes() == X_pool.tobytes()


def test_other_rows_are_scaled_by_those_learnt_from():
    task = example_task()
    scaler = BlockScaler.fit(task, "text")
    moved = {"text": replace(task.blocks["text"], array=10 + task.blocks["text"].array[task.to_label])}
    array = task.blocks["text"].array.astype(np.float64)
    mean, deviation = array[task.labelled].mean(axis=0), array[task.labelled].std(axis=0)
    scale = np.where(deviation > 0, deviation, 1)
    expected = (10 + array[task.to_label] - mean) / scale
    np.testing.assert_allclose(scaler.matrix(moved, np.arange(48)), expected, rtol=1e-4, atol=1e-3)


def test_blocks_that_do_not_fit_are_named():
    task = example_task()
    scaler = BlockScaler.fit(task, ("text", "embedding"))
    with pytest.raises(DataError, match=r"the rule needs the block 'embedding'; known: text"):
        scaler.matrix({"text": task.blocks["text"]}, task.to_label)
    narrow = {**task.blocks, "text": Block(np.zeros((9, 3), np.float32))}
    with pytest.raises(DataError, match="block 'text' has 3 columns, the rule has learnt from 12"):
        scaler.matrix(narrow, np.arange(9))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 30), st.sampled_from(["embedding", "feature"]))
def test_an_index_finds_the_neighbours_of_the_task_in_any_parts(seed, k, size, kind):
    """With ties: few different vectors, some of them zero."""
    rng = np.random.default_rng(seed)
    block = Block(rng.integers(-1, 2, (40, 3)).astype(np.float32), kind)
    order = rng.permutation(40)
    task = Task({"x": block}, order[:15], rng.integers(0, 2, 15), order[15:], 2)
    similarity, index = neighbors(task, "x", k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.search.neighbors.QUERY_ROWS", size)
        parts = list(NeighborIndex.fit(task, "x").search(task.blocks, task.to_label, k))
    assert np.concatenate([part for _, part, _ in parts]).tobytes() == similarity.tobytes()
    assert np.concatenate([part for _, _, part in parts]).tobytes() == index.tobytes()
    assert [part.stop - part.start for part, _, _ in parts[:-1]] == [size] * (len(parts) - 1)


def test_a_labeled_row_is_a_neighbour_of_its_copy_in_another_file():
    task = example_task()
    index = NeighborIndex.fit(task, "embedding")
    ((_, similarity, nearest),) = index.search(task.blocks, task.labelled, 1)
    np.testing.assert_array_equal(nearest[:, 0], np.arange(len(task.y)))
    np.testing.assert_allclose(similarity[:, 0], 1, atol=1e-6)


def test_a_labeler_without_a_rule_is_not_applicable():
    with pytest.raises(NotApplicable, match=r"labeler 'label_spreading' has no learn\(\)"):
        learn(LabelSpreading(on="text"), example_task())
