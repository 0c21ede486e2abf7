"""Splitters: what trains and what tests, against NumPy's permutation, the published counts, and any groups."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import Labelled
from harness_plugins.splitters.kfold import KFold
from harness_plugins.splitters.nested import Nested
from harness_plugins.splitters.prefix import Prefix

# The first twenty of NumPy's permutation of 300,932 rows under seed 3.
FIRST = [43362, 86874, 150316, 265165, 100651, 100722, 202515, 73574, 218871, 235088]
FIRST += [135132, 113364, 201148, 220064, 130589, 118465, 60541, 197958, 208465, 182098]

# Rows per class in the test sets of the first 30,000 rows, by GPT's scores.
COUNTS = {
    0.1: [1701, 4848, 10204, 8622, 1612, 13],
    0.2: [1510, 4298, 9113, 7626, 1443, 10],
    0.3: [1324, 3787, 7940, 6692, 1249, 8],
    0.5: [971, 2683, 5705, 4747, 888, 6],
    0.7: [578, 1644, 3399, 2858, 515, 6],
    0.9: [186, 531, 1158, 963, 157, 5],
}


def plain(n, groups=None, ids=None):
    """n labelled rows; their row numbers have gaps, as where some rows have no label."""
    rows = 3 * np.arange(n) + 1
    return Labelled(rows, np.arange(n) % 4, rows if ids is None else np.asarray(ids), groups)


def sets(splits):
    return [(set(s.train.tolist()), set(s.test.tolist()), set(s.spare.tolist())) for s in splits]


@pytest.mark.parametrize("n", [1, 3, 20])
def test_prefix_is_the_prefix_of_numpys_permutation(n):
    labelled = Labelled(np.arange(300_932), np.zeros(300_932, np.int64), np.arange(300_932))
    (split,) = Prefix((n / 300_932,)).splits(labelled, 3)
    assert split.train.tolist() == sorted(FIRST[:n])
    assert len(split.test) == 300_932 - n
    assert not np.isin(FIRST[:n], split.test).any()


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 60), seed=st.integers(0, 9), ratios=st.sets(st.floats(0.001, 0.999), min_size=1, max_size=4))
def test_prefix_takes_round_n_times_ratio_rows(n, seed, ratios):
    ratios = tuple(sorted(ratios))
    labelled = plain(n)
    order = labelled.rows[np.random.default_rng(seed).permutation(n)].tolist()
    for split, ratio in zip(Prefix(ratios).splits(labelled, seed), ratios, strict=True):
        n_train = min(max(round(n * ratio), 1), n - 1)
        assert split.train.tolist() == sorted(order[:n_train])
        assert split.test.tolist() == sorted(order[n_train:])
        assert (split.ratio, split.seed, split.fold, len(split.spare)) == (ratio, seed, None, 0)


def test_prefix_gives_the_published_test_counts(scores):
    y = scores["gpt_scores"].to_numpy()[:30_000].astype(np.int64)
    labelled = Labelled(np.arange(30_000), y, np.arange(30_000))
    splits = list(Prefix(tuple(COUNTS)).splits(labelled, 3))
    assert [np.bincount(y[split.test], minlength=6).tolist() for split in splits] == list(COUNTS.values())
    for smaller, larger in pairwise(splits):
        assert set(smaller.train) < set(larger.train)
        assert set(smaller.test) > set(larger.test)


def test_prefix_leaves_a_divided_group_to_the_test_side():
    groups = np.repeat(np.arange(4), [3, 1, 4, 2])
    order = np.random.default_rng(0).permutation(4).tolist()
    sizes = [3, 1, 4, 2]
    for n_train in range(1, 10):
        (split,) = Prefix((n_train / 10,)).splits(plain(10, groups), 0)
        whole, left = [], n_train
        for group in order:
            if whole and sizes[group] > left:
                break
            whole.append(group)
            left -= sizes[group]
        assert sorted(set(groups[(split.train - 1) // 3].tolist())) == sorted(whole)


def test_nested_locks_one_test_set_for_all_seeds_and_ratios():
    splitter = Nested((0.1, 0.3, 0.8), test=0.2)
    by_seed = {seed: sets(splitter.splits(plain(1000), seed)) for seed in range(4)}
    assert len({frozenset(test) for splits in by_seed.values() for _, test, _ in splits}) == 1
    for splits in by_seed.values():
        assert [(len(train), len(test), len(spare)) for train, test, spare in splits] == [
            (100, 200, 700),
            (300, 200, 500),
            (800, 200, 0),
        ]
        assert splits[0][0] < splits[1][0] < splits[2][0]
    assert len({frozenset(splits[0][0]) for splits in by_seed.values()}) == 4
    assert [s.ratio for s in splitter.splits(plain(1000), 0)] == [0.1, 0.3, 0.8]


@pytest.mark.parametrize("splitter", [Nested((0.1, 0.5)), KFold(4)])
@pytest.mark.parametrize("grouped", [False, True])
def test_hashed_splits_do_not_depend_on_the_order_of_the_rows(splitter, grouped):
    ids = np.array([f"row {i}" for i in range(200)], np.dtypes.StringDType())
    groups = np.array([f"group {i // 3}" for i in range(200)], np.dtypes.StringDType())
    shuffled = np.random.default_rng(1).permutation(200)

    def ids_of(order):
        labelled = Labelled(np.arange(200), np.zeros(200, np.int64), ids[order], groups[order] if grouped else None)
        return [
            [set(ids[order][part].tolist()) for part in (s.train, s.test, s.spare)]
            for s in splitter.splits(labelled, 7)
        ]

    assert ids_of(np.arange(200)) == ids_of(shuffled)


def test_the_locked_test_set_does_not_depend_on_labels_or_on_the_size_of_the_train_sets():
    labelled = plain(300)
    other = Labelled(labelled.rows, labelled.y[::-1], labelled.ids)
    (one,), (two,) = sets(Nested((0.1,)).splits(labelled, 0)), sets(Nested((0.5,)).splits(other, 1))
    assert one[1] == two[1]


def test_a_test_set_grows_by_rows_and_loses_none():
    tests = [sets(Nested((0.1,), test=share).splits(plain(300), 0))[0][1] for share in (0.1, 0.2, 0.5)]
    assert tests[0] < tests[1] < tests[2]
    assert [len(test) for test in tests] == [30, 60, 150]


def test_kfold_tests_every_row_once():
    splits = list(KFold(4).splits(plain(103), 2))
    assert sorted(row for split in splits for row in split.test.tolist()) == plain(103).rows.tolist()
    assert sorted(len(split.test) for split in splits) == [25, 26, 26, 26]
    assert [split.fold for split in splits] == [0, 1, 2, 3]
    for split in splits:
        assert sorted([*split.train, *split.test]) == plain(103).rows.tolist()
        assert (split.ratio, split.seed, len(split.spare)) == (0.75, 2, 0)
    assert sets(splits) != sets(KFold(4).splits(plain(103), 3))


@dataclass(frozen=True)
class Grouped:
    labelled: Labelled
    of: dict


@st.composite
def grouped(draw):
    numbers = draw(st.lists(st.integers(0, 12), min_size=8, max_size=60).filter(lambda g: len(set(g)) >= 4))
    named = draw(st.booleans())
    groups = np.array([f"g{g}" for g in numbers], np.dtypes.StringDType()) if named else np.array(numbers)
    labelled = plain(len(numbers), groups)
    return Grouped(labelled, dict(zip(labelled.rows.tolist(), numbers, strict=True)))


SPLITTERS = [Prefix((0.2, 0.5, 0.9)), Nested((0.2, 0.5), test=0.3), KFold(3)]


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda each: each.name)
@settings(max_examples=80, deadline=None)
@given(data=grouped(), seed=st.integers(0, 5))
def test_groups_never_straddle(splitter, data, seed):
    splits = list(splitter.splits(data.labelled, seed))
    everything = data.labelled.rows.tolist()
    for split in splits:
        assert sorted([*split.train, *split.test, *split.spare]) == everything  # each row once
        assert len(split.train) > 0
        assert len(split.test) > 0
        train, test, spare = (
            {data.of[row] for row in part.tolist()} for part in (split.train, split.test, split.spare)
        )
        assert not train & test
        assert not train & spare
        assert not test & spare
    if isinstance(splitter, KFold):
        assert sorted(row for split in splits for row in split.test.tolist()) == everything
    else:
        for smaller, larger in pairwise(splits):
            assert set(smaller.train) <= set(larger.train)
    if isinstance(splitter, Nested):
        assert len({tuple(split.test) for split in splits}) == 1


@pytest.mark.parametrize("splitter", [Prefix, Nested])
@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ((), "one or more different numbers"),
        ((0.1, 0.1), "one or more different numbers"),
        ((0.0,), "more than 0 and .*, got 0"),
        ((-0.1,), "got -0.1"),
        ((1.0,), "got 1"),
        ((0.5, 1.5), "got 1.5"),
        ((float("nan"),), "got nan"),
        ((float("inf"),), "got inf"),
    ],
)
def test_bad_ratios_are_refused(splitter, ratios, words):
    with pytest.raises(ValueError, match=words):
        splitter(ratios)


def test_train_and_test_must_fit_side_by_side():
    assert Nested((0.7,), test=0.3)  # 1 - 0.3 is a hair less than 0.7 in binary
    with pytest.raises(ValueError, match=r"at most 0\.7, got 0\.71"):
        Nested((0.71,), test=0.3)
    for share in (0.0, 1.0, -0.2, float("nan")):
        with pytest.raises(ValueError, match="test must be between 0 and 1"):
            Nested((0.1,), test=share)


@pytest.mark.parametrize("folds", [1, 0, -3])
def test_one_fold_is_none(folds):
    with pytest.raises(ValueError, match=f"folds must be at least 2, got {folds}"):
        KFold(folds)


def test_folds_need_as_many_rows_or_groups():
    with pytest.raises(ValueError, match=r"5 folds need as many rows \(or groups\), there are 4"):
        list(KFold(5).splits(plain(4), 0))
    with pytest.raises(ValueError, match="there are 2"):
        list(KFold(3).splits(plain(9, np.arange(9) % 2), 0))


def test_the_binary_hair_costs_no_row():
    (split,) = Nested((0.7,), test=0.3).splits(plain(1000), 0)
    assert (len(split.train), len(split.test), len(split.spare)) == (700, 300, 0)
