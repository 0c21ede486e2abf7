"""Rows unlike the labelled ones: 1 % of like rows, all that are unlike."""

import numpy as np
import pyarrow as pa
import pytest

from harness import Block
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.label.out_of_distribution import find_unsupported


@pytest.fixture
def dataset(table_of):
    """2,000 rows, 800 of them labelled at random, none of one source."""
    rng = np.random.default_rng(0)
    labelled = rng.random(2_000) < 0.4
    source = np.where(np.arange(2_000) % 2 == 0, "one", "two")
    source[~labelled & (np.arange(2_000) % 10 == 7)] = "new"
    columns = {"y": pa.array(rng.integers(0, 3, 2_000), mask=~labelled), "source": source.tolist()}
    return load_dataset(
        Data(path="data.parquet", target="y", classes=3, source="source"), Population(), table_of(columns)
    )


def rest(dataset):
    return np.setdiff1d(np.arange(len(dataset)), dataset.labelled)


@pytest.mark.parametrize("kind", ["embedding", "feature"])
def test_rows_like_the_labelled_ones_are_far_in_one_of_a_hundred(dataset, kind):
    far = []
    for seed in range(20):
        X = np.random.default_rng(seed).normal(size=(2_000, 6)).astype(np.float32)
        far.append(find_unsupported(dataset, rest(dataset), [Block(X, kind)]).far.mean())
    assert 0.004 < np.mean(far) < 0.018


def test_rows_elsewhere_are_far(dataset):
    X = np.abs(np.random.default_rng(0).normal(size=(2_000, 6))).astype(np.float32)
    rows = rest(dataset)
    X[rows[:50]] *= -1
    support = find_unsupported(dataset, rows, [Block(X, "embedding")])
    assert support.measured
    assert support.far[:50].all()
    assert support.far[50:].mean() < 0.03


def test_a_source_without_labels_is_strange(dataset):
    rows = rest(dataset)
    support = find_unsupported(dataset, rows, [])
    assert not support.measured
    assert not support.far.any()
    np.testing.assert_array_equal(support.strange, dataset.sources[rows] == "new")
    np.testing.assert_array_equal(support.outside, support.strange)
    new = support.by_source["new"]
    assert (new.labelled, new.unlabelled, new.outside) == (0, support.strange.sum(), support.strange.sum())
    assert sum(rows.labelled for rows in support.by_source.values()) == len(dataset.labelled)


def test_groups_do_not_stand_on_both_sides_of_the_measure(table_of):
    """Label whole groups of twenty near copies.

    A labelled row's copies must not decide how near is near: without groups every new row is far, with groups they are
    as far from each other as labelled groups are.
    """
    rng = np.random.default_rng(1)
    group = np.arange(2_000) // 20
    labelled = rng.permutation(100)[group] < 50
    columns = {"y": pa.array(rng.integers(0, 3, 2_000), mask=~labelled), "group": group}
    X = rng.normal(size=(100, 8))[group] + 0.01 * rng.normal(size=(2_000, 8))
    shares = {}
    for name in (None, "group"):
        grouped = load_dataset(Data("data.parquet", "y", 3, group=name), Population(), table_of(columns))
        shares[name] = find_unsupported(grouped, rest(grouped), [Block(X.astype(np.float32), "embedding")]).far.mean()
    assert shares[None] > 0.9
    assert shares["group"] < 0.2
