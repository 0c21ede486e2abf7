"""Each source tested by the others: folds by hand, groups that stand in several sources, mistakes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import DataError, Labelled
from harness_plugins.splitters.leave_source_out import LeaveSourceOut
from tests.command_line import harness, table, write_suite


def rows(sources, groups=None):
    n = len(sources)
    return Labelled(
        np.arange(n) * 3,
        np.zeros(n, np.int64),
        np.arange(n),
        None if groups is None else np.array(groups),
        np.array(sources, np.dtypes.StringDType()),
    )


def test_every_source_is_tested_once_by_all_others():
    splits = list(LeaveSourceOut().splits(rows(["b", "a", "b", "c", "a"]), 4))
    assert [(s.train.tolist(), s.test.tolist(), s.spare.tolist(), s.fold) for s in splits] == [
        ([0, 6, 9], [3, 12], [], 0),
        ([3, 9, 12], [0, 6], [], 1),
        ([0, 3, 6, 12], [9], [], 2),
    ]
    assert {(s.seed, s.ratio) for s in splits} == {(4, None)}


def test_a_share_of_the_others_trains_and_the_seed_chooses_which():
    data = rows([name for name in "abcd" for _ in range(100)])
    chosen = {}
    for seed in (1, 2):
        for ratio in (0.1, 0.5):
            split = next(LeaveSourceOut(ratio).splits(data, seed))
            assert (len(split.train), len(split.test), len(split.spare)) == (300 * ratio, 100, 300 - 300 * ratio)
            chosen[seed, ratio] = set(split.train.tolist())
    assert chosen[1, 0.1] < chosen[1, 0.5]
    assert chosen[1, 0.1] != chosen[2, 0.1]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), min_size=6, max_size=50), st.floats(0.05, 1))
def test_no_group_trains_that_stands_in_the_tested_source(pairs, ratio):
    sources = [name for name, _ in pairs] + ["a", "b"]
    groups = [group for _, group in pairs] + [100, 101]  # one group that each source has for itself
    data = rows(sources, groups)
    group_of = dict(zip(data.rows.tolist(), groups, strict=True))
    for split, source in zip(LeaveSourceOut(ratio).splits(data, 0), "ab", strict=True):
        assert [sources[row // 3] for row in split.test.tolist()] == [source] * sources.count(source)
        train, test = ({group_of[row] for row in part.tolist()} for part in (split.train, split.test))
        assert train
        assert not train & test
        assert not train & {group_of[row] for row in split.spare.tolist() if sources[row // 3] != source} - test
        assert sorted([*split.train, *split.test, *split.spare]) == data.rows.tolist()


@pytest.mark.parametrize("ratio", [0.0, -0.5, 1.01, float("nan")])
def test_a_share_is_a_share(ratio):
    with pytest.raises(ValueError, match="ratio must be more than 0 and at most 1"):
        LeaveSourceOut(ratio)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Labelled(np.arange(3), np.zeros(3, np.int64), np.arange(3)), "name it as data.source"),
        (rows(["a", "a"]), "two sources or more, there is 1"),
        (rows(["a", "b", "b"], [7, 7, 7]), "every group has a row of source 'a'"),
    ],
)
def test_what_cannot_be_split_is_said(data, words):
    with pytest.raises(DataError, match=words):
        list(LeaveSourceOut().splits(data, 0))


def test_a_suite_without_sources_is_one_clear_line(tmp_path):
    write_suite(tmp_path, ["majority"], table(60), splits=[{"splitter": "leave_source_out"}], blocks=None)
    result = harness("plan", "suite.yaml", cwd=tmp_path)
    assert result.returncode == 2
    said = "splits[0]: splitter 'leave_source_out' needs the column of the sources; name it as data.source\n"
    assert result.stderr.endswith(said)
    assert result.stderr.startswith("error: suite.yaml:")
    assert result.stderr.count("\n") == 1
