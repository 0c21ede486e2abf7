"""The scale of a network's blocks: fitted on labelled rows alone, against scikit-learn and the wrapper `rescaled`."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from harness import Block, Task, learn
from harness.errors import DataError
from harness.testing.rules import rule_checks
from harness_plugins.networks.plugins import MLP, Linear, Ordinal
from harness_plugins.networks.scaling import InputScaler, is_uneven
from harness_plugins.wrappers.rescaled import Rescaled

RNG = np.random.default_rng(0)
BOTH = ("embedding", "text")
ROWS = np.arange(120)


def task(scale=0.05, kind="embedding"):
    y = RNG.integers(0, 3, 80)
    embedding = (scale * RNG.normal(size=(120, 5)) * np.arange(1, 6) + scale).astype(np.float32)
    text = (RNG.normal(size=(120, 3)) * [1, 20, 300]).astype(np.float32)
    embedding[:80, 0] += scale * y
    blocks = {"embedding": Block(embedding, kind), "text": Block(text)}
    return Task(blocks, np.arange(80), y, np.arange(80, 120), n_classes=3, seed=1)


def inputs(asked, scale, size=50):
    scaler = InputScaler.fit(asked, BOTH, scale)
    X = np.vstack([part for _, part in scaler.parts(asked.blocks, ROWS, size)])
    assert X.shape == (len(ROWS), scaler.width)
    assert X.dtype == np.float32
    return X


def test_none_is_the_matrix_of_the_task_to_the_byte():
    asked = task()
    assert inputs(asked, "none").tobytes() == asked.matrix(BOTH, ROWS)[0].tobytes()


def test_standard_is_that_of_scikit_learn_on_the_labelled_rows():
    asked = task()
    X = np.hstack([asked.blocks[name].array for name in BOTH]).astype(np.float64)
    np.testing.assert_allclose(inputs(asked, "standard"), StandardScaler().fit(X[:80]).transform(X), atol=1e-4)


def test_whiten_turns_embeddings_to_principal_axes_and_leaves_features():
    asked = task()
    X = inputs(asked, "whiten")
    embedding = np.float64(asked.blocks["embedding"].array)
    expected = PCA(whiten=True, svd_solver="full").fit(embedding[:80]).transform(embedding)
    np.testing.assert_allclose(X[:, :5], expected, atol=1e-4)
    np.testing.assert_array_equal(X[:, 5:], asked.matrix("text", ROWS)[0])


def test_directions_that_are_rounding_alone_are_left_out():
    asked = task()
    doubled = Block(np.repeat(asked.blocks["embedding"].array, 2, axis=1), "embedding")
    X = inputs(replace(asked, blocks={**asked.blocks, "embedding": doubled}), "whiten")
    np.testing.assert_allclose(np.abs(X), np.abs(inputs(asked, "whiten")), atol=1e-3)


@pytest.mark.parametrize(("scale", "chosen"), [(0.01, "standard"), (0.3, "none"), (40.0, "standard")])
def test_auto_standardises_blocks_ten_times_apart(scale, chosen):
    asked = task(scale)
    assert inputs(asked, "auto").tobytes() == inputs(asked, chosen).tobytes()


def test_only_several_blocks_that_vary_are_uneven():
    assert is_uneven([0.1, 1.0])
    assert not is_uneven([0.11, 1.0])
    assert not is_uneven([0.001])
    assert not is_uneven([0.0, 1.0])


@pytest.mark.parametrize("scale", ["none", "standard", "whiten", "auto"])
def test_rows_to_label_do_not_move_the_scale(scale):
    asked = task()
    array = np.array(asked.blocks["embedding"].array)
    array[119] = 1e6
    moved = replace(asked, blocks={**asked.blocks, "embedding": Block(array, "embedding")})
    assert inputs(moved, scale)[:119].tobytes() == inputs(asked, scale)[:119].tobytes()


@pytest.mark.parametrize("scale", ["standard", "whiten"])
def test_a_network_that_scales_is_one_in_the_wrapper_that_does(scale):
    asked = task()
    network = MLP(BOTH, hidden=8, epochs=20, precision="float32")
    own = replace(network, scale=scale).label(asked)
    wrapped = Rescaled(network, on="embedding", how=scale).label(asked)
    np.testing.assert_allclose(own.proba, wrapped.proba, atol=1e-4)
    assert np.abs(own.proba - network.label(asked).proba).max() > 0.01


@pytest.mark.parametrize("check", rule_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize("labeler", [MLP(BOTH, hidden=8, epochs=2, scale="whiten"), Ordinal(BOTH, 0, 2, scale="auto")])
def test_rules_keep_the_scale(labeler, check):
    check(replace(labeler, hidden=8))


def test_equal_rows_are_labelled_all_the_same():
    asked = task()
    constant = Block(np.full((120, 4), 7, np.float32), "embedding")
    for scale in ("standard", "whiten", "auto"):
        answer = MLP("embedding", hidden=4, epochs=1, scale=scale).label(replace(asked, blocks={"embedding": constant}))
        assert np.isfinite(answer.proba).all()


def test_a_rule_refuses_a_block_of_another_width_with_its_name():
    asked = task()
    rule = learn(MLP(BOTH, hidden=4, epochs=1, scale="whiten"), asked)
    narrow = {**asked.blocks, "embedding": Block(asked.blocks["embedding"].array[:, :4], "embedding")}
    with pytest.raises(DataError, match="block 'embedding' has 4 columns, the rule has learnt from 5"):
        rule.label(narrow, np.arange(3))


def test_a_logistic_regression_has_no_scale_to_choose():
    with pytest.raises(ValueError, match="scale must be left out, or recipe be record"):
        Linear("text", scale="standard")
    assert Linear("text", recipe="record").scale == "none"
