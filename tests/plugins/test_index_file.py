"""index_file: the splits of a file, and those that harness export has written."""

import numpy as np
import pandas as pd
import pytest

from harness import DataError, Labelled
from harness.data.splits import make_splits
from harness_plugins.splitters.index_file import IndexFile
from tests.command_line import harness, table, write_suite


def labelled(ids):
    return Labelled(np.arange(len(ids)) * 3, np.arange(len(ids)) % 2, np.array(ids))


@pytest.fixture
def write(tmp_path):
    """A function that writes a frame as CSV or parquet."""

    def write_file(frame, name="split.csv"):
        frame = pd.DataFrame(frame)
        frame.to_csv(tmp_path / name, index=False) if name.endswith("csv") else frame.to_parquet(tmp_path / name)
        return tmp_path / name

    return write_file


@pytest.mark.parametrize("name", ["split.csv", "split.parquet"])
def test_sides_by_id(write, name):
    path = write({"id": [14, 11, 10, 99, 12], "side": ["test", "train", "train", "test", "validation"]}, name)
    (split,) = make_splits(IndexFile(path), labelled([10, 11, 12, 13, 14]), 5)
    assert (split.train.tolist(), split.validation.tolist()) == ([0, 3, 6], [6])
    assert (split.test.tolist(), split.spare.tolist()) == ([12], [9])
    assert (split.seed, split.ratio, split.fold) == (5, None, None)


def test_seeds_ratios_and_comparisons_of_the_file(write):
    rows = [("one", 1, 0.2, i, side) for i, side in enumerate(["train", "test", "spare", "spare"])] + [
        ("one", 1, 0.5, i, side) for i, side in enumerate(["train", "test", "train", "spare"])
    ]
    rows += [("two", 2, 0.5, i, side) for i, side in enumerate(["test", "train", "train", "spare"])]
    path = write(pd.DataFrame(rows, columns=["comparison", "seed", "ratio", "id", "side"]))
    small, large = make_splits(IndexFile(path, "one"), labelled([0, 1, 2, 3]), 1)
    assert (small.ratio, small.train.tolist(), large.ratio, large.train.tolist()) == (0.2, [0], 0.5, [0, 6])
    assert make_splits(IndexFile(path), labelled([0, 1, 2, 3]), 2)[0].train.tolist() == [3, 6]
    with pytest.raises(DataError, match="no row has the seed 3; there are 1, 2"):
        make_splits(IndexFile(path), labelled([0, 1, 2, 3]), 3)
    with pytest.raises(DataError, match="no row has the comparison 'three'; there are one, two"):
        make_splits(IndexFile(path, "three"), labelled([0, 1, 2, 3]), 1)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"id": [1], "sides": ["train"]}, "has no column 'side'; it needs id and side"),
        ({"id": [1], "side": ["trian"]}, "the side 'trian' is none of train, validation, test, spare"),
        ({"id": [71], "side": ["train"]}, "no id is that of a labelled row, such as 1, 2"),
        ({"id": [1, 1], "side": ["train", "test"]}, "an id stands twice in one split, as 1"),
    ],
)
def test_files_that_are_refused(write, frame, words):
    with pytest.raises(DataError, match=words):
        make_splits(IndexFile(write(frame)), labelled([1, 2]), 0)


@pytest.mark.slow
def test_the_exported_splits_of_a_run_are_its_splits_again(tmp_path):
    splits = [{"splitter": "nested", "test": 0.3, "ratios": [0.2, 0.5], "seeds": [1, 2]}]
    suite = write_suite(tmp_path, ["majority", {"knn": {"on": "embedding"}}], table(120), splits=splits)
    assert harness("run", suite, cwd=tmp_path).returncode == 0
    assert harness("export", suite, "--to", "first", cwd=tmp_path).returncode == 0
    again = [{"splitter": "index_file", "path": "first/splits.parquet", "seeds": [1, 2]}]
    suite = write_suite(tmp_path, ["majority", {"knn": {"on": "embedding"}}], table(120), splits=again, name="again")
    run = harness("run", suite, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert harness("export", suite, "--to", "second", cwd=tmp_path).returncode == 0
    keys = ["seed", "ratio", "labeler", "id"]
    first, second = (
        pd.read_parquet(tmp_path / name / "answers.parquet").sort_values(keys) for name in ("first", "second")
    )
    np.testing.assert_array_equal(first[keys].to_numpy(), second[keys].to_numpy())
    np.testing.assert_array_equal(np.stack(first.probabilities), np.stack(second.probabilities))
