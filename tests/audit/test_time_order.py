"""A split by time beside a random one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from harness.audit.time_order import describe_loss, split_after
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data


@pytest.mark.parametrize("grouped", [False, True])
def test_the_last_fifth_tests_and_shares_no_time_and_no_group_with_train(grouped, table_of):
    rng = np.random.default_rng(0)
    columns = {"y": rng.integers(0, 2, 300), "day": rng.integers(0, 40, 300), "who": rng.integers(0, 200, 300)}
    data = Data("data.parquet", "y", 2, time="day", group="who" if grouped else None)
    dataset = load_dataset(data, Population(), table_of(columns))
    split = split_after(dataset, dataset.times)
    assert 60 <= len(split.test) <= 75  # rows of the first tested day stay together
    assert dataset.times[split.train].max() < dataset.times[split.test].min()
    if grouped:
        assert not np.intersect1d(dataset.groups[split.train], dataset.groups[split.test]).size
    else:
        assert len(split.train) + len(split.test) == 300
    assert split_after(dataset, np.zeros(300)) is None


@given(st.integers(0, 1_000), st.integers(0, 1_000))
def test_a_loss_is_clear_where_it_is_large_and_no_accident(before, after):
    clear, text = describe_loss("knn", before / 1_000, after / 1_000, 600, 1_000)
    p, q = before / 1_000, after / 1_000
    deviation = np.sqrt((p * (1 - p) + q * (1 - q)) / 1_000)
    expected = p - q >= 0.03 and (deviation == 0 or norm.sf((p - q) / deviation) < 1e-3)
    assert clear == expected
    assert ("leave_future_out" in text) == clear
