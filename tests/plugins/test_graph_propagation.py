"""graph_propagation: against label_spreading (so scikit-learn) on the same neighbours, by hand, and at its limits."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.semi_supervised import LabelSpreading as Spreading

from harness import Block, Task
from harness.search.engine import use_engine
from harness.testing import example_task, labeler_checks
from harness_plugins.labelers.graph_propagation import GraphPropagation, weights
from harness_plugins.labelers.label_spreading import LabelSpreading


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize("on", ["text", "embedding", "source"])
def test_keeps_the_promises_of_a_labeler(on, check):
    check(GraphPropagation(on=on))


@pytest.mark.parametrize(("neighbors", "alpha", "seed"), [(7, 0.2, 0), (7, 0.2, 1), (3, 0.8, 2), (20, 0.5, 3)])
def test_agrees_with_label_spreading_on_unit_vectors(neighbors, alpha, seed):
    """Euclidean distance and cosine rank unit vectors alike."""
    task = replace(example_task(n=80, m=320, seed=seed), spare=[])
    task = replace(task, y=np.random.default_rng(seed).permutation(task.y))  # every neighbourhood is mixed
    expected = LabelSpreading(on="embedding", pca=0, neighbors=neighbors, alpha=alpha).label(task)
    answer = GraphPropagation(on="embedding", neighbors=neighbors, alpha=alpha).label(task)
    np.testing.assert_allclose(answer.proba, expected.proba, rtol=0, atol=1e-6)
    second, first = np.sort(expected.proba, axis=1)[:, -2:].T
    clear = first - second > 1e-9  # the others are ties, which either may round its own way
    assert (answer.proba.argmax(axis=1) == expected.proba.argmax(axis=1))[clear].all()
    assert clear.mean() > 0.9
    assert {name: expected.facts[name] for name in answer.facts} == answer.facts
    assert len(np.unique(expected.proba.round(6), axis=0)) > 150  # the rows do differ


@pytest.mark.parametrize("engine", ["int8", "faiss"])
def test_every_label_is_scikit_learns_among_3000_rows(engine):
    rng = np.random.default_rng(0)
    centre = rng.standard_normal((40, 24))
    near = np.minimum(rng.zipf(1.4, 3_000), 40) - 1
    X = centre[near] + 1.2 * rng.standard_normal((3_000, 24))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    y = np.where(rng.random(3_000) < 0.6, near % 6, rng.integers(0, 6, 3_000))
    rows = rng.permutation(3_000)
    labelled, to_label = rows[:400], rows[400:]
    y[labelled[:6]] = np.arange(6)
    model = Spreading(kernel="knn", n_neighbors=7, alpha=0.2).fit(
        X, np.where(np.isin(rows, labelled), y[rows], -1)[np.argsort(rows)]
    )
    with use_engine(engine):
        answer = GraphPropagation(on="e").label(Task({"e": Block(X, "embedding")}, labelled, y[labelled], to_label, 6))
    assert answer.facts["iterations"] == model.n_iter_
    reached = model.label_distributions_.sum(axis=1) > 0
    assert answer.rows["unreached"].sum() == (~reached).sum()
    here = to_label[reached[to_label]]
    proba = answer.proba[reached[to_label]]
    np.testing.assert_allclose(proba, model.label_distributions_[here], atol=1e-9)
    assert (proba.argmax(axis=1) == model.transduction_[here]).all()
    assert len(here) > 2_000


def test_weights_by_hand():
    # 0 names 1 and 2, 1 names 0 and 2, 2 names 1 and 0, 3 names 0 and nobody names 3: named 3, 2, 2 and 0 times.
    similarity = csr_matrix(np.array([[0, 0.9, 0.5, 0], [0.9, 0, 0.1, 0], [0.5, 0.1, 0, 0], [0.2, 0, 0, 0]]))
    a, b, c = 1 / np.sqrt(3 * 2), 1 / np.sqrt(2 * 2), 1 / np.sqrt(3 * 1)
    expected = [[0, a, a, 0], [a, 0, b, 0], [a, b, 0, 0], [c, 0, 0, 0]]
    np.testing.assert_allclose(weights(similarity).toarray(), expected)


def test_a_neighbour_at_a_right_angle_is_still_a_neighbour():
    similarity = csr_matrix((np.array([0.0, -0.5]), np.array([1, 0]), np.array([0, 1, 2])), shape=(2, 2))
    np.testing.assert_allclose(weights(similarity).toarray(), [[0, 1], [1, 0]])


def angles(degrees, labelled, y, to_label, **more):
    """Rows on the unit circle: their neighbours can be read off."""
    radians = np.deg2rad(degrees)
    X = np.column_stack([np.cos(radians), np.sin(radians)]).astype(np.float32)
    return Task({"x": Block(X, "embedding")}, labelled, y, to_label, n_classes=3, **more)


def test_one_step_by_hand():
    # Each row's nearest other: 0 -> 1, 1 -> 0, 2 -> 1; named 1, 2 and 0 times. One step from labels 2 and 0.
    task = angles([0, 10, 30], [0, 1], [2, 0], [2])
    answer = GraphPropagation(on="x", neighbors=2, alpha=0.5, iterations=1).label(task)
    np.testing.assert_allclose(answer.proba, [[1, 0, 0]])
    assert (answer.facts["iterations"], answer.facts["settled"], answer.facts["unreached"]) == (1, False, 0)


def test_a_row_cut_off_from_every_label_takes_the_class_shares():
    # 90 and 100 degrees name each other alone; 5 degrees names a labelled row.
    task = angles([0, 2, 90, 100, 5], [0, 1], [0, 2], [2, 3, 4])
    answer = GraphPropagation(on="x", neighbors=2).label(task)
    np.testing.assert_allclose(answer.proba[:2], [[0.5, 0, 0.5]] * 2)
    assert answer.proba[2].argmax() == 2
    assert answer.facts["unreached"] == 2 / 3


def test_a_label_travels_over_spare_rows():
    # Each names its nearest: 42 -> 30 -> 20 -> 11 -> 3 degrees, the last labelled. Without the two between, 30 -> 42.
    degrees, spread = [30, 20, 11, 3, 42], GraphPropagation(on="x", neighbors=2)
    chain = spread.label(angles(degrees, [3], [1], [0, 4], spare=[1, 2]))
    assert chain.facts["unreached"] == 0
    broken = spread.label(angles(degrees, [3], [1], [0, 4]))
    assert broken.facts["unreached"] == 1


def test_repeated_rows_count_once():
    task = replace(example_task(n=60, m=30), raters=None)
    repeated = replace(task, labelled=task.labelled.repeat(9), y=task.y.repeat(9))
    spread = GraphPropagation(on="embedding")
    np.testing.assert_allclose(spread.label(repeated).proba, spread.label(task).proba, atol=1e-12)


def test_it_takes_as_many_steps_as_it_may_and_says_so():
    facts = GraphPropagation(on="embedding", iterations=4, tolerance=0.0).label(example_task()).facts
    assert (facts["iterations"], facts["settled"]) == (4, False)
    facts = GraphPropagation(on="embedding", tolerance=1e-3).label(example_task()).facts
    assert facts["settled"]
    assert facts["iterations"] < 30


@pytest.mark.parametrize(
    "wrong", [{"neighbors": 1}, {"alpha": 0.0}, {"alpha": 1.0}, {"iterations": 0}, {"tolerance": -1.0}]
)
def test_values_out_of_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name} must be"):
        GraphPropagation(on="text", **wrong)
