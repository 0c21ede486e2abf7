"""Blocks of one labeler that are far apart in scale are said, with the labelers that mind."""

import numpy as np
import pytest

from harness.plugin.block import Block
from harness.run.block_scales import mixed_blocks, root_mean_square, scale_advice
from harness_plugins.labelers.gbm import GBM
from harness_plugins.networks.plugins import MLP, Linear, Ordinal, ResNet
from harness_plugins.wrappers.calibrated import Calibrated
from harness_plugins.wrappers.ensemble import Ensemble
from harness_plugins.wrappers.rescaled import Rescaled

RNG = np.random.default_rng(0)
BOTH = ("svd", "text")
SCALES = {"svd": 0.0625, "text": 1.0, "wide": 0.5, "empty": 0.0}


def test_the_root_mean_square_is_of_the_given_rows_and_of_features_as_they_are_scaled():
    X = np.float32(RNG.normal(3, 4, size=(2000, 5)))
    rows = np.arange(1000)
    assert root_mean_square(Block(X, "embedding"), rows) == pytest.approx(np.sqrt((X[:1000] ** 2).mean()))
    assert root_mean_square(Block(X, "feature"), rows) == pytest.approx(1, abs=1e-4)
    assert root_mean_square(Block(np.zeros((2000, 5), np.float32), "embedding"), rows) == 0


@pytest.mark.parametrize(
    ("labeler", "blocks"),
    [
        (MLP(BOTH), BOTH),
        (Ordinal(BOTH), BOTH),
        (MLP(BOTH, scale="standard"), ()),
        (ResNet(BOTH, scale="auto"), ()),
        (Linear(BOTH), ()),
        (Linear(BOTH, recipe="record"), BOTH),
        (GBM(BOTH), ()),
        (Calibrated(MLP(BOTH)), BOTH),
        (Rescaled(MLP(BOTH), on="svd"), ("text",)),
        (Rescaled(Calibrated(MLP(BOTH)), on="svd"), ("text",)),
        (Ensemble((MLP(BOTH), GBM("wide"))), BOTH),
    ],
    ids=repr,
)
def test_blocks_count_where_a_labeler_takes_them_as_they_are(labeler, blocks):
    assert mixed_blocks(labeler) == blocks


def test_one_line_names_two_blocks_and_the_labelers():
    labelers = {f"mlp {i}": MLP(BOTH) for i in range(4)} | {"trees": GBM(BOTH), "scaled": MLP(BOTH, scale="whiten")}
    (line,) = scale_advice(labelers, SCALES)
    assert line.startswith("blocks 'svd' and 'text' differ in scale 16 times (root mean square 0.062 and 1)")
    assert line.endswith("for mlp 0, mlp 1 and 2 more")


@pytest.mark.parametrize("on", [("svd", "wide"), "svd", ("text", "empty"), ("text", "not made yet")])
def test_blocks_that_are_near_alone_or_unknown_are_not_said(on):
    assert scale_advice({"mlp": MLP(on)}, SCALES) == []
