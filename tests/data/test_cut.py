"""Thresholds of a continuous score follow from the train rows alone."""

from fractions import Fraction
from math import floor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from harness import Split
from harness.data.cut import Scores, Shares, mean_scores
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data, Fused
from harness.data.table import open_table
from harness.data.tasks import make_task
from harness.errors import DataError
from harness.scoring.scores import truth_of

NONE = np.empty(0, np.int64)
SHARES = Shares((0.2, 0.3, 0.5))


@pytest.fixture
def read(tmp_path):
    """A function that loads columns as a data set with the target y."""

    def load(columns, population=None, **data):
        pd.DataFrame(columns).to_parquet(tmp_path / "d.parquet")
        table = open_table("d.parquet", (tmp_path,), tmp_path / "cache", "error", None)
        section = Data(path="d.parquet", **({"target": "y", "cut": SHARES} | data))
        return load_dataset(section, population or Population(), table)

    return load


def split(train, test):
    return Split(np.array(train), np.array(test), NONE, 0)


whole_shares = st.lists(st.integers(1, 9), min_size=2, max_size=6)
score_lists = st.lists(st.integers(-30, 30).map(lambda x: x / 4), min_size=2, max_size=60)


def rows_below(n, parts):
    """The whole numbers nearest to the shares of n rows, halves up, by fractions."""
    return [floor(Fraction(int(end * n), sum(parts)) + Fraction(1, 2)) for end in np.cumsum(parts)[:-1]]


@given(score_lists, whole_shares)
def test_classes_against_the_ranks_of_scipy(scores, parts):
    shares = Shares(tuple(part / sum(parts) for part in parts))
    below, ranks = rows_below(len(scores), parts), rankdata(scores, method="max")
    classes = np.sum([ranks > k for k in below], axis=0)
    if set(classes) != set(range(len(parts))):
        with pytest.raises(ValueError, match="no row is left for the class"):
            shares.find_thresholds(np.array(scores))
        return
    thresholds = shares.find_thresholds(np.array(scores))
    assert np.digitize(scores, thresholds).tolist() == classes.tolist()
    assert set(thresholds) <= set(scores)
    assert shares.find_thresholds(np.array(scores[::-1])) == thresholds, "the order of rows means nothing"


@given(st.integers(60, 400), whole_shares)
def test_different_scores_have_the_shares_but_for_half_a_row(n, parts):
    shares = Shares(tuple(part / sum(parts) for part in parts))
    scores = np.random.default_rng(n).permutation(n) * 0.1
    counts = np.bincount(np.digitize(scores, shares.find_thresholds(scores)), minlength=len(parts))
    assert (np.abs(counts.cumsum() - n * np.cumsum(parts) / sum(parts)) <= 0.5 + 1e-9).all()


def test_equal_scores_are_of_the_upper_class():
    scores = np.array([1.0, 2, 2, 2, 2, 3])
    half = Shares((0.5, 0.5))
    assert half.find_thresholds(scores) == (2.0,)
    assert np.digitize(scores, [2.0]).tolist() == [0, 1, 1, 1, 1, 1]
    with pytest.raises(ValueError, match=r"class '0 to 50 %' \(the commonest score, 0, has 4 of 6\)"):
        half.find_thresholds(np.array([0.0, 0, 0, 0, 1, 2]))


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ((0.5, 0.4), r"shares must sum to 1, \[0.5, 0.4\] sum to 0.9"),
        ((0.5, 0.0, 0.5), r"shares must be positive, got \[0.5, 0.0, 0.5\]"),
        ((1.5, -0.5), "shares must be positive"),
        ((float("nan"), 1.0), "shares must be positive"),
        ((float("inf"), 1.0), "shares must sum to 1"),
        ((1.0,), "must be from 2 to 256 classes, got 1"),
        ((), "shares must sum to 1"),
    ],
)
def test_shares_that_are_none(shares, words):
    with pytest.raises(ValueError, match=words):
        Shares(shares)


def test_thirds_need_not_sum_exactly():
    assert Shares((0.333333, 0.333333, 0.333333)).classes.names[1] == "33.3333 to 66.6666 %"
    assert Shares((0.1,) * 10).classes.names[2] == "20 to 30 %", "0.1 + 0.1 + 0.1 is 0.3"


def test_a_train_set_cuts_its_own_classes_and_those_of_its_raters(read):
    rng = np.random.default_rng(3)
    y, other = rng.normal(size=(2, 50))
    dataset = read({"y": y, "r": other}, raters=("y", "r"))
    train, test = np.arange(0, 50, 2), np.arange(1, 50, 2)
    ends = np.sort(y[train])[[5, 13]]  # of 25: 5 and 12.5
    task = make_task(dataset, split(train, test), {})
    assert task.y.tolist() == np.digitize(y[train], ends).tolist()
    assert task.raters.tolist() == np.digitize(np.stack([y, other], axis=1)[train], ends).tolist()
    truth = truth_of(dataset, split(train, test))
    assert truth.y.tolist() == np.digitize(y[test], ends).tolist()
    assert truth.values.tolist() == y[test].tolist()
    of_class = [y[train][task.y == c].mean() for c in range(3)]
    np.testing.assert_allclose(truth.class_means, of_class)


def test_values_of_test_rows_change_no_task_and_no_answer(read):
    """Whatever the test rows' values are, a labeler is given the same and answers the same."""
    from harness_plugins.labelers.majority import Majority

    y = np.random.default_rng(4).normal(size=40)
    train, test = np.arange(25), np.arange(25, 40)
    tasks, truths = [], []
    for shift in (0, 1e6, -1e6):
        moved = np.where(np.arange(40) >= 25, y + shift, y)
        dataset = read({"y": moved, "r": moved}, raters=("r",))
        tasks.append(make_task(dataset, split(train, test), {}))
        truths.append(truth_of(dataset, split(train, test)))
    for task in tasks[1:]:
        for name in ("labelled", "y", "to_label", "spare", "raters"):
            assert np.array_equal(getattr(task, name), getattr(tasks[0], name)), name
        assert (task.n_classes, task.seed) == (tasks[0].n_classes, tasks[0].seed)
    assert len({Majority().label(task).tobytes() for task in tasks}) == 1
    assert {tuple(np.unique(truth.y)) for truth in truths[1:]} == {(0,), (2,)}
    assert all(np.array_equal(truth.class_means, truths[0].class_means) for truth in truths)


def test_the_classes_of_a_population_are_those_of_all_rows_until_they_are_cut(read):
    y = np.where(np.arange(100) % 10 == 0, np.nan, np.arange(100.0))
    dataset = read({"y": y})
    assert dataset.classes.cuts == (y[~np.isnan(y)][18], y[~np.isnan(y)][45])
    assert np.bincount(dataset.y).tolist() == [18, 27, 45]
    balanced = read({"y": y}, Population(take="balanced", per_class=6))
    assert np.bincount(balanced.y).tolist() == [6, 6, 6]
    low = dataset.cut_by(np.arange(1, 10))
    assert low.classes.cuts == (3.0, 6.0)  # of 9 rows: 1.8 and 4.5
    assert low.cut_by(np.arange(51, 60)) is low, "what is cut stays cut"
    assert low.identity() != dataset.identity() != read({"y": y + 1}).identity()


def test_thresholds_given_as_numbers_are_those_of_every_train_set(read):
    dataset = read({"y": [0.0, 1, 2, 3, np.nan]}, cut=(1.5,))
    assert dataset.cut_by(np.array([0])) is dataset
    truth = truth_of(dataset, split([0, 1], [2, 3]))
    assert (truth.y.tolist(), truth.values.tolist()) == ([1, 1], [2, 3])
    assert truth.class_means.tolist() == [0.5, 1.5], "a class without a train row has its threshold"


def test_an_absent_class_has_the_middle_of_its_thresholds(read):
    classes = read({"y": [0.0, 1, 2, 3, 5]}, cut=(1.0, 2.0, 4.0)).classes
    assert mean_scores(np.array([0.5, 3.0]), np.array([0, 2]), classes).tolist() == [0.5, 1.5, 3.0, 4.0]


def test_a_target_without_a_score_has_no_values(read):
    for columns, data in (
        ({"y": [0, 1, 0], "r": [1, 1, 0]}, {"cut": (), "classes": 2}),
        ({"y": [0.1, 1, 0], "r": [1, 1.5, 0]}, {"cut": (0.5,), "target": Fused("majority", ("y", "r"))}),
    ):
        dataset = read(columns, **data)
        assert dataset.scores is None
        assert truth_of(dataset, split([0, 1], [2])).values is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["a", "b", "a"], "column 'y': a score that is cut into classes must be numbers, is (large_)?string"),
        ([1.0, np.inf, 3.0], r"column 'y': an infinite score in 1 row \(row 1\); write a number, or null"),
        ([0.0, 0.0, 0.0, 0.0, 1.0], "column 'y': no row is left for the class '0 to 20 %'"),
        ([np.nan, np.nan], "no row of the population has a label"),
    ],
)
def test_scores_that_cannot_be_cut(read, values, words):
    with pytest.raises(DataError, match=words) as caught:
        read({"y": values})
    assert "\n" not in str(caught.value)


def test_a_train_set_that_cannot_be_cut_is_one_line(read):
    dataset = read({"y": np.arange(30.0)})
    with pytest.raises(DataError, match=r"2 train rows: no row is left for the class .*; take fewer shares") as caught:
        dataset.cut_by(np.array([3, 4]))
    assert "\n" not in str(caught.value)


def test_several_raters_as_one_have_no_quantiles():
    with pytest.raises(ValueError, match="needs a target of one column"):
        Data(path="d", target=Fused("median", ("a", "b")), cut=SHARES)


def test_scores_without_raters_are_numbered_alone():
    y, raters = Scores(np.array([1.0, 5.0])).number(Data(path="d", target="y", cut=(2.0,)).given_classes)
    assert (y.tolist(), raters) == ([0, 1], None)
