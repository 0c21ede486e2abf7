"""table_prior and source_prior: against a loop over a dictionary, by hand, and against the published figures."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import Block, Labeler, NotApplicable, Task
from harness_plugins.labelers.table_prior import PRIOR_WEIGHT, SourcePrior, TablePrior


def one_hot(values, width=None):
    return Block(np.eye(width or max(values) + 1, dtype=np.float32)[values])


def by_loop(cells, labelled, y, to_label, n_classes):
    """Labels and shares by the recipe: most rows of the cell, then most rows in train, then the lower class."""
    train, table = Counter(y), defaultdict(Counter)
    for row, label in zip(labelled, y, strict=True):
        table[cells[row]][label] += 1
    labels, shares = [], []
    for row in to_label:
        counts = table.get(cells[row], train)
        labels.append(max(range(n_classes), key=lambda c: (counts[c], train[c], -c)))
        shares.append([counts[c] / counts.total() for c in range(n_classes)])
    return labels, shares


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 3)), min_size=2, max_size=60)


@given(ROWS, st.data())
def test_agrees_with_a_loop_over_a_dictionary(rows, data):
    source, rater, y = (np.array(column) for column in zip(*rows, strict=True))
    n = data.draw(st.integers(1, len(rows) - 1))
    order = np.random.default_rng(n).permutation(len(rows))
    labelled, to_label = order[:n], order[n:]
    blocks = {"source": one_hot(source, 4), "rater": one_hot(rater, 3)}
    task = Task(blocks, labelled, y[labelled], to_label, n_classes=4)
    pairs = list(zip(source.tolist(), rater.tolist(), strict=True))
    for labeler, cells in [
        (SourcePrior(), source.tolist()),
        (SourcePrior(on="rater"), rater.tolist()),
        (TablePrior(on=("source", "rater")), pairs),
    ]:
        proba = labeler.label(task)
        labels, shares = by_loop(cells, labelled.tolist(), y[labelled].tolist(), to_label.tolist(), 4)
        assert proba.argmax(axis=1).tolist() == labels
        assert proba.astype(np.float32).argmax(axis=1).tolist() == labels  # as the harness stores them
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        np.testing.assert_allclose(proba, shares, atol=PRIOR_WEIGHT)


def test_empty_cells_and_ties_by_hand():
    # Source 0 has one row of class 0 and one of class 2; class 2 leads in train with 3 of 5; source 2 has no row.
    source = np.array([0, 0, 1, 1, 1, 0, 2])
    task = Task({"source": one_hot(source)}, [0, 1, 2, 3, 4], [0, 2, 2, 2, 1], [5, 6], n_classes=3)
    tie, empty = SourcePrior().label(task)
    assert tie.argmax() == 2
    np.testing.assert_allclose(tie, [0.5, 0, 0.5], atol=PRIOR_WEIGHT)
    np.testing.assert_allclose(empty, [0.2, 0.2, 0.6], rtol=1e-12)


def test_a_row_counts_as_often_as_it_is_labelled():
    task = Task({"source": one_hot(np.array([0, 0, 0]))}, [0, 1, 1, 1], [0, 1, 1, 1], [2], n_classes=2)
    np.testing.assert_allclose(SourcePrior().label(task), [[0.25, 0.75]], rtol=1e-12)


def test_a_block_that_is_not_one_hot_does_not_apply():
    rows = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], np.float32)
    blocks = {"who": one_hot(np.array([0, 1, 0])), "text": Block(rows), "bge": Block(rows[[0, 1, 1]], "embedding")}
    task = Task(blocks, [0, 1], [0, 1], [2], n_classes=2)
    with pytest.raises(NotApplicable, match=r"block 'text' holds other numbers than 0 and 1"):
        TablePrior(on=("who", "text")).label(task)
    with pytest.raises(NotApplicable, match=r"block 'bge' holds embeddings"):
        TablePrior(on="bge").label(task)


def test_an_unknown_block_is_named():
    task = Task({"sources": one_hot(np.array([0, 1]))}, [0], [0], [1], n_classes=2)
    with pytest.raises(KeyError, match="did you mean 'sources'"):
        SourcePrior().label(task)


def test_both_are_labelers():
    assert isinstance(SourcePrior(), Labeler)
    assert isinstance(TablePrior(on="x"), Labeler)
    assert (SourcePrior.name, TablePrior.name) == ("source_prior", "table_prior")


def test_reproduces_the_published_baselines_of_the_pool(scores):
    table = scores
    blocks = {"source": one_hot(np.unique(table["source"].to_pylist(), return_inverse=True)[1])}
    blocks |= {rater: one_hot(table[f"{rater}_scores"].to_numpy()) for rater in ("llama", "mistral")}
    y = table["gpt_scores"].to_numpy()
    order = np.random.default_rng(3).permutation(300_932)
    train, test = order[:30_093], order[30_093:]
    task = Task(blocks, train, y[train], test, n_classes=6)
    accuracy, macro_f1 = measured(y[test], SourcePrior().label(task).argmax(axis=1))
    assert (round(accuracy, 3), round(macro_f1, 3)) == (0.382, 0.201)
    accuracy, macro_f1 = measured(y[test], TablePrior(on=("source", "llama", "mistral")).label(task).argmax(axis=1))
    assert (round(accuracy, 4), round(macro_f1, 4)) == (0.4211, 0.2924)


def measured(y, labels):
    """Accuracy, and the mean over all six classes of F1, 0 where a class is neither met nor predicted."""
    confusion = np.bincount(y.astype(np.int64) * 6 + labels, minlength=36).reshape(6, 6)
    hits, sizes = np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1)
    return hits.sum() / len(y), np.mean(2 * hits / np.maximum(sizes, 1))
