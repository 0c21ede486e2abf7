"""label_spreading: against scikit-learn called directly, and what it adds: rows once, cut-off rows, limits."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.semi_supervised import LabelSpreading as Spreading

from harness import Block, NotApplicable, Task
from harness.testing import example_task, labeler_checks
from harness_plugins.labelers import label_spreading
from harness_plugins.labelers.label_spreading import LabelSpreading, deduplicate


def mixed():
    """A task whose labels say nothing: every neighbourhood is mixed, and no answer is a plain 0 or 1."""
    task = example_task(n=60, m=90)
    return replace(task, y=np.random.default_rng(0).permutation(task.y))


def by_hand(task, X, **parameters):
    """scikit-learn's own answer for rows that are labelled once; X holds the labelled rows, then those to label."""
    y = np.concatenate([task.y, np.full(len(task.to_label), -1)])
    model = Spreading(kernel="knn", **parameters).fit(X, y)
    return model.label_distributions_[len(task.y) :], model


def two_islands(labels):
    """Eight rows around (1, 0), eight around (0, 1): rows 0 to 2 of the first are labelled, the second is cut off."""
    rng = np.random.default_rng(0)
    X = np.repeat([[1.0, 0.0], [0.0, 1.0]], 8, axis=0) + 0.05 * rng.standard_normal((16, 2))
    return Task({"x": Block(X.astype(np.float32), "embedding")}, [0, 1, 2], labels, np.arange(3, 16), n_classes=4)


def unreached_table(count, share):
    rows = {"columns": ["Rows", "Count", "Share"], "rows": [["unreached", count, share]]}
    return {"Rows that no label reaches": rows}


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize("on", ["text", "embedding", ("source", "embedding")])
def test_keeps_the_promises_of_a_labeler(on, check):
    check(LabelSpreading(on=on))
    check(LabelSpreading(on=on, pca=0, neighbors=3, unreached="zero"))


@pytest.mark.parametrize(("neighbors", "alpha"), [(7, 0.2), (4, 0.6)])
def test_agrees_with_scikit_learn_on_the_columns_as_they_are(neighbors, alpha):
    task = mixed()
    expected, model = by_hand(task, np.concatenate(task.matrix("text")), n_neighbors=neighbors, alpha=alpha)
    answer = LabelSpreading(on="text", pca=0, neighbors=neighbors, alpha=alpha).label(task)
    np.testing.assert_allclose(answer.proba, expected, atol=1e-12)
    assert answer.facts == {
        "components": None,
        "iterations": model.n_iter_,
        "settled": True,
        "unreached": 0.0,
        "tables": unreached_table(0, 0.0),
    }


@pytest.mark.parametrize(("pca", "components"), [(5, 5), (256, 12)])
def test_agrees_with_scikit_learn_after_pca_of_labelled_rows_and_pool_together(pca, components):
    task = mixed()
    X = PCA(components).fit_transform(np.concatenate(task.matrix("embedding")))
    expected, _ = by_hand(task, X)
    answer = LabelSpreading(on="embedding", pca=pca).label(task)
    np.testing.assert_allclose(answer.proba, expected, atol=1e-12)
    assert answer.facts["components"] == components


def test_components_are_fewer_than_rows():
    task = example_task(n=6, m=6)
    assert LabelSpreading(on="embedding").label(task).facts["components"] == 11
    assert LabelSpreading(on="embedding").label(replace(task, to_label=task.to_label[:1])).facts["components"] == 6


def test_columns_of_absent_classes_stay_empty():
    task = example_task(n=60, m=30)
    kept = np.isin(task.y, [1, 4])
    proba = LabelSpreading(on="text").label(replace(task, labelled=task.labelled[kept], y=task.y[kept])).proba
    assert (proba[:, [0, 2, 3, 5]] == 0).all()
    assert set(proba.argmax(axis=1)) == {1, 4}


def test_a_row_cut_off_from_every_label_takes_the_class_shares():
    answer = LabelSpreading(on="x", pca=0, neighbors=3).label(two_islands([1, 3, 3]))
    np.testing.assert_allclose(answer.proba[5:], np.tile([0, 1 / 3, 0, 2 / 3], (8, 1)), atol=1e-12)
    assert (np.abs(answer.proba[:5] - [0, 1 / 3, 0, 2 / 3]) > 1e-3).any(axis=1).all()  # reached, so not the shares
    assert answer.facts["unreached"] == 8 / 13
    assert answer.facts["tables"] == unreached_table(8, 8 / 13)
    assert answer.rows["unreached"].tolist() == [False] * 5 + [True] * 8


@pytest.mark.parametrize("lowest", [0, 1])
def test_zero_gives_the_labels_that_scikit_learn_gives_rows_that_no_label_reaches(lowest):
    """Its `transduction_` as it is: the lowest labelled class, which is nearly always 0."""
    task = two_islands([lowest, 3, 3])
    model = Spreading(kernel="knn", n_neighbors=3, alpha=0.2).fit(task.blocks["x"].array, [lowest, 3, 3, *[-1] * 13])
    answer = LabelSpreading(on="x", pca=0, neighbors=3, unreached="zero").label(task)
    assert (answer.proba.argmax(axis=1) == model.transduction_[3:]).all()
    assert (model.transduction_[8:] == lowest).all()
    prior = LabelSpreading(on="x", pca=0, neighbors=3).label(task)
    np.testing.assert_array_equal(answer.proba[:5], prior.proba[:5])
    assert answer.facts == prior.facts


def test_slow_spreading_is_a_fact_and_no_warning():
    facts = LabelSpreading(on="text", alpha=0.99).label(example_task()).facts
    assert (facts["iterations"], facts["settled"]) == (30, False)


def test_repeated_rows_count_once_with_their_commonest_label():
    task = example_task(n=60, m=30)
    single = replace(task, raters=None)
    # Row 0 again twice with its own label and once with another; every other row three times.
    rows = np.concatenate([task.labelled.repeat(3), task.labelled[:1]])
    y = np.concatenate([task.y.repeat(3), [(task.y[0] + 1) % 6]])
    repeated = replace(single, labelled=rows, y=y)
    order = np.argsort(task.labelled)
    assert deduplicate(repeated).labelled.tolist() == task.labelled[order].tolist()
    assert deduplicate(repeated).y.tolist() == task.y[order].tolist()
    spread = LabelSpreading(on="embedding")
    np.testing.assert_allclose(spread.label(repeated).proba, spread.label(single).proba, atol=1e-6)


def test_between_as_many_labels_of_two_classes_the_lower_one_counts():
    task = two_islands([1, 3, 3])
    assert deduplicate(replace(task, labelled=[5, 5, 2, 5, 5], y=[3, 2, 0, 2, 3])).y.tolist() == [0, 2]


def test_a_row_with_a_pseudo_label_is_one_row():
    task = two_islands([1, 3, 3])
    pseudo = replace(task, labelled=[0, 1, 2, 3], y=[1, 3, 3, 3])  # row 3 is still asked about
    assert deduplicate(pseudo).labelled.tolist() == [0, 1, 2, 3]
    assert deduplicate(pseudo).to_label.tolist() == list(range(4, 16))
    X = task.blocks["x"].array
    model = Spreading(kernel="knn", n_neighbors=7).fit(X, [1, 3, 3, 3, *[-1] * 12])
    proba = LabelSpreading(on="x", pca=0).label(pseudo).proba
    np.testing.assert_allclose(proba[:5, [1, 3]], model.label_distributions_[3:8], atol=1e-12)


def test_too_many_rows_are_referred_to_graph_propagation(monkeypatch):
    task = example_task(n=60, m=40)
    monkeypatch.setattr(label_spreading, "MAX_ROWS", 100)
    LabelSpreading(on="text").label(task)
    monkeypatch.setattr(label_spreading, "MAX_ROWS", 99)
    with pytest.raises(NotApplicable, match="100 rows are more than 99: use graph_propagation"):
        LabelSpreading(on="text").label(task)


@pytest.mark.parametrize("wrong", [{"pca": -1}, {"neighbors": 1}, {"alpha": 0.0}, {"alpha": 1.0}])
def test_values_out_of_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name} must be"):
        LabelSpreading(on="text", **wrong)
