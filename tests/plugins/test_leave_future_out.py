"""The latest rows tested by earlier ones: splits by hand, ties of time, groups that last, mistakes."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from harness import DataError, Labelled
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness_plugins.splitters.leave_future_out import LeaveFutureOut


def rows(times, groups=None):
    n = len(times)
    groups = None if groups is None else np.array(groups)
    return Labelled(np.arange(n) * 3, np.zeros(n, np.int64), np.arange(n), groups, None, np.array(times))


def test_the_latest_rows_test_and_no_train_row_is_of_their_time():
    data = rows([5, 1, 4, 2, 4, 3, 0, 6, 4, 1])
    (split,) = LeaveFutureOut((0.5,), test=0.3).splits(data, 1)  # of the times 4, 5 and 6; 4 is there three times
    assert split.test.tolist() == [0, 6, 12, 21, 24]
    assert split.train.tolist() == [3, 9, 15, 18, 27]
    assert (split.spare.tolist(), split.seed, split.ratio) == ([], 1, 0.5)


def test_train_sets_are_nested_and_the_seed_chooses_them():
    data = rows(np.random.default_rng(0).permutation(200))
    few, many = LeaveFutureOut((0.1, 0.4)).splits(data, 1)
    other, _ = LeaveFutureOut((0.1, 0.4)).splits(data, 2)
    assert (len(few.train), len(many.train), len(few.test)) == (20, 80, 40)
    assert set(few.train) < set(many.train)
    assert set(few.train) != set(other.train)
    assert few.test.tolist() == other.test.tolist()
    assert data.times[few.train // 3].max() < data.times[few.test // 3].min()


def test_a_group_that_lasts_into_the_tested_time_does_not_train():
    data = rows([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], groups=[0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
    (split,) = LeaveFutureOut((0.8,), test=0.2).splits(data, 1)
    assert split.test.tolist() == [24, 27]
    assert split.spare.tolist() == [9, 12]  # rows 3 and 4, of the groups that are tested
    assert len(split.train) == 6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Labelled(np.arange(3), np.zeros(3, np.int64), np.arange(3)), "name it as data.time"),
        (rows([7, 7, 7]), "lies before the rows that are tested"),
    ],
    ids=["no times", "one time"],
)
def test_mistakes_are_named(data, message):
    with pytest.raises(DataError, match=message):
        list(LeaveFutureOut((0.5,)).splits(data, 1))
    with pytest.raises(ValueError, match=r"ratio must be more than 0 and at most 0\.8"):
        LeaveFutureOut((0.9,))


DAYS = [dt.date(2024, 5, 2), dt.date(1969, 1, 1), dt.date(2024, 5, 1)]


@pytest.mark.parametrize(
    "times",
    [
        pa.array(DAYS, pa.date32()),
        pa.array(DAYS, pa.date64()),
        pa.array(DAYS).cast(pa.timestamp("ms")),
        pa.array([str(day) for day in DAYS]),
        pa.array([3, -1, 2]),
        pa.array([3.5, -1.0, 3.25]),
    ],
    ids=["date32", "date64", "timestamp", "text", "integers", "floats"],
)
def test_times_of_any_kind_keep_their_order(table_of, times):
    table = table_of(pa.table({"y": pa.array([0, 1, None]), "when": times}))
    dataset = load_dataset(Data("data.parquet", "y", 2, time="when"), Population(), table)
    assert np.argsort(dataset.times, kind="stable").tolist() == [1, 2, 0]
    assert dataset.for_splitters().times.tolist() == dataset.times[:2].tolist()


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (pa.array([1, None, 2]), "null in 1 row"),
        (pa.array([1.0, float("nan"), 2.0]), "NaN in 1 row"),
        (pa.array([[1], [2], [3]]), "times must be dates, numbers or text, are list"),
    ],
    ids=["null", "NaN", "lists"],
)
def test_unusable_times_are_refused(table_of, times, message):
    table = table_of(pa.table({"y": pa.array([0, 1, 0]), "when": times}))
    with pytest.raises(DataError, match=message):
        load_dataset(Data("data.parquet", "y", 2, time="when"), Population(), table)
    with pytest.raises(DataError, match="no column 'then' for time"):
        load_dataset(Data("data.parquet", "y", 2, time="then"), Population(), table)
