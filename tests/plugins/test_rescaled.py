"""Rescaled blocks: fitted on the labelled rows alone, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from harness import Block, Task
from harness_plugins.labelers.knn import KNN
from harness_plugins.wrappers.rescaled import Rescaled

RNG = np.random.default_rng(0)


def task(d=5, kind="embedding"):
    X = (RNG.normal(size=(60, d)) * np.arange(1, d + 1) + 10).astype(np.float32)
    blocks = {"x": Block(X, kind), "other": Block(X[:, ::-1].copy(), kind)}
    return Task(blocks, np.arange(40), RNG.integers(0, 3, 40), np.arange(40, 60), n_classes=3)


class Spy:
    """A base that keeps the task it is given."""

    name = "spy"

    def label(self, given):
        self.given = given
        return np.full((len(given.to_label), given.n_classes), 1 / given.n_classes)


def seen(asked, **parameters):
    """Return what the base of a Rescaled finds in block x, all rows (N, d)."""
    spy = Spy()
    Rescaled(base=spy, on="x", **parameters).label(asked)
    assert spy.given.blocks["other"] is asked.blocks["other"]
    return np.asarray(spy.given.blocks["x"].array)


@pytest.mark.parametrize("kind", ["embedding", "feature"])
def test_standard_has_mean_0_and_deviation_1_on_the_labelled_rows(kind):
    asked = task(kind=kind)
    X = seen(asked, how="standard")
    np.testing.assert_allclose(X[:40].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(X[:40].std(axis=0), 1, atol=1e-5)
    assert np.abs(X[40:].mean(axis=0)).max() > 0.01  # the others follow the labelled rows, not themselves


def test_center_keeps_the_deviations():
    asked = task()
    X, before = seen(asked, how="center"), np.asarray(asked.blocks["x"].array)
    np.testing.assert_allclose(X, before - before[:40].mean(axis=0), atol=1e-4)


def test_whiten_is_that_of_scikit_learn():
    asked = task()
    before = np.asarray(asked.blocks["x"].array, np.float64)
    expected = PCA(3, whiten=True, svd_solver="full").fit(before[:40]).transform(before)
    np.testing.assert_allclose(seen(asked, how="whiten", dims=3), expected, atol=1e-4)


def test_asis_with_a_factor_is_a_multiple():
    asked = task()
    np.testing.assert_allclose(seen(asked, how="asis", factor=3.0), 3 * np.asarray(asked.blocks["x"].array), rtol=1e-6)


def test_rows_to_label_do_not_move_the_scale():
    asked = task()
    moved = np.array(asked.blocks["x"].array)
    moved[59] = 1e6
    other = Task({"x": Block(moved), "other": asked.blocks["other"]}, asked.labelled, asked.y, asked.to_label, 3)
    for how in ("center", "standard", "whiten"):
        np.testing.assert_array_equal(seen(asked, how=how)[:59], seen(other, how=how)[:59])


def test_the_common_direction_no_longer_decides_cosines():
    """All rows share one long direction, and vary widely along another; only a small third one tells the classes."""
    y = np.repeat([0, 1], 40)
    X = RNG.normal(size=(80, 3)).astype(np.float32) * [0.01, 3, 0.01]
    X[:, 0] += np.where(y == 0, 0.05, -0.05)
    X[:, 2] += 20
    blocks = {"x": Block(X.astype(np.float32), "embedding")}
    labelled, asked = np.arange(0, 80, 2), np.arange(1, 80, 2)
    plain = Task(blocks, labelled, y[labelled], asked, n_classes=2)
    whitened = Rescaled(base=KNN(on="x", k=5), on="x", how="whiten").label(plain)
    hits = (whitened.proba.argmax(axis=1) == y[asked]).mean()
    assert hits > (KNN(on="x", k=5).label(plain).proba.argmax(axis=1) == y[asked]).mean() + 0.1
    assert hits > 0.9


@pytest.mark.parametrize(("parameters", "said"), [({"dims": 0}, "dims"), ({"factor": 0.0}, "factor")])
def test_a_parameter_out_of_range_is_refused(parameters, said):
    with pytest.raises(ValueError, match=said):
        Rescaled(base=KNN(on="x"), on="x", **parameters)
