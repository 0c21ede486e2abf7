"""Lists and generators of splits pass; any other answer is one clear line."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from harness import DataError, Labelled, Split
from harness.data.splits import make_splits
from tests.command_line import harness, write_labelers, write_suite

ROWS = np.array([2, 3, 5, 7, 11, 13])
NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Returning:
    """A splitter that returns a given answer, or that of a function."""

    name: ClassVar[str] = "returning"
    answer: Any

    def splits(self, dataset, seed):
        return self.answer(dataset) if callable(self.answer) else self.answer


def labelled(**more):
    return Labelled(ROWS, np.arange(6) % 3, ROWS + 100, **more)


def test_rows_come_as_int64_whatever_they_were_given_as():
    given = [Split(ROWS[:2].astype(np.uint8), [5, 7], (), 4, ratio=0.5), Split([2], [3], [5, 13], 4, fold=1)]
    for answer in (given, tuple(given), iter(given)):
        first, second = make_splits(Returning(answer), labelled(), 4)
        assert (first.train.tolist(), first.test.tolist(), first.spare.tolist()) == ([2, 3], [5, 7], [])
        assert {first.train.dtype, first.test.dtype, first.spare.dtype} == {np.dtype(np.int64)}
        assert (first.seed, first.ratio, first.fold, second.fold) == (4, 0.5, None, 1)
        assert second.spare.tolist() == [5, 13]


def of(train, test, spare=NONE):
    return [Split(train, test, spare, 4)]


def shuffles(dataset):
    np.random.default_rng(0).shuffle(dataset.rows)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "must give an iterable of Split, gave NoneType"),
        (Split(ROWS[:2], ROWS[2:], NONE, 4), "must give an iterable of Split, gave Split"),
        ([(ROWS[:2], ROWS[2:])], "must give an iterable of Split, and among what it gave is tuple"),
        ([], "gave no split"),
        (of(ROWS < 6, ROWS > 6), r"train rows must be whole numbers .*, are bool of shape \(6,\); of a mask take dat"),
        (of(ROWS[:2], ROWS[2:] / 1), r"test rows must be whole numbers \(rows,\), are float64 of shape \(4,\)$"),
        (of(ROWS[:2], ROWS[None, 2:]), r"test rows must be whole numbers \(rows,\), are int64 of shape \(1, 4\)$"),
        (of(np.arange(2), np.arange(2, 6)), "train rows are not all labelled rows; of positions take dataset.rows"),
        (of(ROWS[:2], [-2]), "test rows are not all labelled rows"),
        (of(ROWS[:2], ROWS[2:5], [12]), "spare rows are not all labelled rows"),
        (of(NONE, ROWS), "no row is left to train"),
        (of(ROWS, []), "no row is left to test"),
        (of(ROWS[:3], ROWS[2:]), "a row stands on two sides, or twice on one"),
        (of(ROWS[:3], ROWS[4:], ROWS[2:4]), "a row stands on two sides, or twice on one"),
        (of([2, 2], ROWS[2:]), "a row stands on two sides, or twice on one"),
        (lambda dataset: {}["no\nsuch"], r"KeyError: 'no\\nsuch'"),
        (lambda dataset: (_ for _ in ()).throw(ValueError("3 folds\nneed 3 rows")), "3 folds$"),
        (shuffles, "array is read-only"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # no address in it: two workers must agree
)
def test_what_is_no_split_is_one_line(answer, words):
    with pytest.raises(DataError, match=f"^splitter 'returning', seed 4: (its )?{words}") as caught:
        make_splits(Returning(answer), labelled(), 4)
    assert "\n" not in str(caught.value)


def test_a_data_error_of_the_splitter_is_passed_on():
    def lacks(dataset):
        raise DataError("it needs sources")

    with pytest.raises(DataError, match=r"^it needs sources$"):
        make_splits(Returning(lacks), labelled(), 4)


@pytest.mark.parametrize("kind", [np.int64, np.dtypes.StringDType()])
def test_a_group_on_both_sides_is_seen(kind):
    groups = np.array([1, 1, 2, 2, 3, 3]).astype(kind)
    apart = of(ROWS[:2], ROWS[2:])
    assert len(make_splits(Returning(apart), labelled(groups=groups), 4)) == 1
    torn = of(ROWS[[0, 2]], ROWS[[1, 3]], ROWS[4:])
    with pytest.raises(DataError, match="2 groups stand in train and test"):
        make_splits(Returning(torn), labelled(groups=groups), 4)
    spare = of(ROWS[:1], ROWS[2:], ROWS[1:2])  # a spare row may be of a train row's group
    assert len(make_splits(Returning(spare), labelled(groups=groups), 4)) == 1


def test_a_splitter_cannot_write_to_the_data():
    rows, y = ROWS.copy(), np.arange(6)
    labelled_rows = Labelled(rows, y, rows, rows.astype(np.dtypes.StringDType()), rows)
    for array in (getattr(labelled_rows, name) for name in ("rows", "y", "ids", "groups", "sources")):
        assert not array.flags.writeable
        assert array.base is None
    assert rows.flags.writeable


def test_a_splitter_that_fails_is_one_line_of_the_command(tmp_path):
    file = write_labelers(tmp_path / "plugin.py", one="return uniform(task)")
    file.write_text(
        file.read_text()
        + """

@dataclass(frozen=True)
class Half:
    name: ClassVar[str] = "half"

    def splits(self, dataset, seed):
        return dataset.no_such_attribute


@hookimpl
def harness_splitters():
    return [Half]
"""
    )
    write_suite(tmp_path, ["one"], splits=[{"splitter": "half", "seeds": [1]}])
    for command in ("plan", "run"):
        result = harness(command, "suite.yaml", "--plugin", "plugin.py", cwd=tmp_path)
        assert result.returncode == 2
        fault = "AttributeError: 'Labelled' object has no attribute 'no_such_attribute'"
        last = result.stderr.splitlines()[-1]
        assert last.startswith("error: suite.yaml:")
        assert last.endswith(f"splits[0]: splitter 'half', seed 1: {fault}")
