"""column: the split that the data have; validation rows reach labelers as what they hold out."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import Block, DataError, Labelled, Task, holdout, learning_from
from harness.data.splits import make_splits
from harness_plugins.networks.plugins import MLP
from harness_plugins.splitters.column import ColumnSplit
from tests.command_line import harness

SIDES = ["train", "dev", "test", "train", "", "test", "other", "train"]


def labelled(**columns):
    n = len(SIDES)
    columns = {name: np.array(values, np.dtypes.StringDType()) for name, values in columns.items()}
    return Labelled(np.arange(n) * 2, np.arange(n) % 2, np.arange(n), columns=columns)


def test_rows_stand_where_the_column_says():
    splitter = ColumnSplit("split", validation=("dev",))
    (split,) = make_splits(splitter, labelled(split=SIDES), 0)
    assert split.train.tolist() == [0, 2, 6, 14]
    assert split.validation.tolist() == [2]
    assert split.test.tolist() == [4, 10]
    assert split.spare.tolist() == [8, 12]
    (without,) = make_splits(ColumnSplit("split"), labelled(split=SIDES), 0)
    assert without.train.tolist() == [0, 6, 14]
    assert without.spare.tolist() == [2, 8, 12]


def test_a_seed_is_the_place_of_a_column():
    splitter = ColumnSplit(("a", "b"), train=("1", "2"), test=("0",))
    both = labelled(a=list("01200000"), b=list("10000002"))
    assert [make_splits(splitter, both, seed)[0].train.tolist() for seed in (0, 1)] == [[2, 4], [0, 14]]
    with pytest.raises(DataError, match="2 columns, and seed 2 is the place of none: seeds count from 0"):
        make_splits(splitter, both, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"train": ("trian",)}, "no labelled row has trian in column 'split'; it has , dev, other, test, train"),
        ({"validation": ("valid",)}, "no labelled row has valid in column 'split'"),
        ({"test": ("train",)}, "a value stands on one side only, got 'train' twice"),
        ({"train": ()}, "column, train and test must name at least one each"),
    ],
)
def test_what_is_refused(options, words):
    with pytest.raises((DataError, ValueError), match=words):
        make_splits(ColumnSplit("split", **options), labelled(split=SIDES), 0)


@pytest.fixture
def task():
    """A task of 40 labelled rows, of which the last ten are validation rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)).astype(np.float32)
    y = (X[:40, 0] > 0).astype(int)
    return Task({"x": Block(X, "embedding")}, np.arange(40), y, np.arange(40, 60), 2, validation=np.arange(40) >= 30)


def test_validation_rows_are_what_labelers_hold_out(task):
    assert np.flatnonzero(holdout(task, 0.3)).tolist() == list(range(30, 40))
    assert not holdout(task, 0).any()
    again = learning_from(task, np.array([31, 2, 45, 31]), np.array([0, 1, 1, 0]))
    assert again.validation.tolist() == [True, False, False, True]
    assert not again.validation.flags.writeable


def test_a_network_trains_on_the_others_and_chooses_by_them(task):
    """With validation rows of other labels the network trained is the same, what they say of it is not."""
    recipe = MLP("x", hidden=8, epochs=40, batch=10, lr=0.02)
    facts = recipe.label(task).facts
    flipped = np.where(task.validation, 1 - task.y, task.y)
    other = recipe.label(replace(task, y=flipped)).facts
    assert facts["validation_accuracy"] > 0.8 > other["validation_accuracy"]
    everything = replace(recipe, validation=0)
    alone = replace(task, labelled=task.labelled[:30], y=task.y[:30], validation=None)
    last = everything.label(alone).checkpoints
    for name, labels in recipe.label(task).checkpoints.items():
        np.testing.assert_array_equal(labels, last[name])


@pytest.mark.slow
def test_a_suite_with_a_split_of_its_own(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    x = pa.array(list((y[:, None] + rng.normal(size=(200, 3))).astype(np.float32)), pa.list_(pa.float32()))
    side = np.array(["train", "dev", "test", None], object)[np.arange(200) % 4]
    pq.write_table(pa.table({"y": y, "x": x, "split": side}), tmp_path / "d.parquet")
    suite = tmp_path / "s.yaml"
    suite.write_text(
        "version: 1\nname: s\ndata: {path: d.parquet, target: y}\n"
        "blocks:\n  x: {embedder: column, column: x}\n"
        "splits:\n  - {splitter: column, column: split, validation: [dev]}\n"
        "labelers:\n  - majority\n  - knn: {on: x}\n"
    )
    planned = harness("plan", suite, cwd=tmp_path)
    assert "column(column=split, validation=[dev])" in planned.stdout, planned.stderr
    suite.write_text(suite.read_text().replace("column: split,", "column: spilt,"))
    failed = harness("plan", suite, cwd=tmp_path)
    assert failed.returncode == 2
    assert "s.yaml:7: splits[0]: d.parquet: no column 'spilt' for splits; did you mean 'split'" in failed.stderr
