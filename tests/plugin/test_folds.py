"""Inner tasks keep equal rows and groups together, without held labels."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import Block, Predictions, Task, assign_folds, fold, holdout, learning_from, out_of_fold, validation_folds
from harness.plugin.folds import units

N = 40
CODE = np.arange(N, dtype=np.float32)[:, None]  # the column holds the number of its row


def task_of(labelled, to_label=(), spare=(), **more):
    labelled = np.array(labelled, np.int64)
    more.setdefault("y", labelled % 3)
    return Task({"code": Block(CODE, "embedding")}, labelled, to_label=to_label, n_classes=3, spare=spare, **more)


@st.composite
def tasks(draw):
    """Draw tasks with repeated rows, groups, raters and pseudo-labelled rows.

    Pseudo-labelled rows are also to label.
    """
    labelled = np.array(draw(st.lists(st.integers(0, 24), min_size=1, max_size=40)))
    n = len(labelled)
    pseudo = raters = groups = None
    if draw(st.booleans()):
        groups = np.array(draw(st.lists(st.integers(0, 9), min_size=N, max_size=N)))
    if draw(st.booleans()):
        pseudo = np.isin(labelled, draw(st.lists(st.integers(0, 24), max_size=10)))
    if draw(st.booleans()):
        raters = labelled[:, None] * 10 + np.arange(3)
    to_label = np.arange(25, 35) if pseudo is None else np.append(np.arange(25, 35), np.unique(labelled[pseudo]))
    seed = draw(st.integers(0, 1000))
    y = np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    spare = np.arange(35, 40)
    return task_of(labelled, to_label, spare, y=y, pseudo=pseudo, raters=raters, groups=groups, seed=seed)


def masks(task):
    return st.lists(st.booleans(), min_size=len(task.y), max_size=len(task.y)).map(lambda held: np.array(held, bool))


def key(task, rows):
    return set(np.asarray(rows).tolist()) if task.groups is None else set(task.groups[rows].tolist())


@given(tasks(), st.data())
@settings(deadline=None)
def test_a_fold_trains_on_nothing_that_shares_a_row_or_a_group_with_a_held_one(task, data):
    held = data.draw(masks(task))
    inner = fold(task, held)
    assert not set(inner.labelled.tolist()) & set(inner.to_label.tolist())
    assert not key(task, inner.labelled) & key(task, inner.to_label)
    # Nothing else is lost: every other labelled position is there, in order, with its label and its raters.
    unit = units(task)
    train = np.array([u not in set(unit[held].tolist()) for u in unit], bool)
    np.testing.assert_array_equal(inner.labelled, task.labelled[train])
    np.testing.assert_array_equal(inner.y, task.y[train])
    for name in ("raters", "pseudo"):
        outer_values, inner_values = getattr(task, name), getattr(inner, name)
        assert (outer_values is None) == (inner_values is None)
        if outer_values is not None:
            np.testing.assert_array_equal(inner_values, outer_values[train])


@given(tasks(), st.data())
@settings(deadline=None)
def test_a_fold_asks_for_each_held_row_once_and_spares_what_is_neither_labelled_nor_asked(task, data):
    held = data.draw(masks(task))
    inner = fold(task, held)
    assert inner.to_label.tolist() == list(dict.fromkeys(task.labelled[held].tolist()))
    outer = set(task.to_label.tolist()) | set(task.spare.tolist())
    assert set(inner.spare.tolist()) == outer - set(inner.labelled.tolist()) - set(inner.to_label.tolist())
    assert (inner.seed, inner.n_classes, inner.blocks) == (task.seed, task.n_classes, task.blocks)


def test_a_fold_by_hand():
    task = task_of([3, 5, 3, 8, 9, 5], [20, 21], [30], y=[0, 1, 0, 2, 1, 1])
    inner = fold(task, np.array([False, True, False, False, True, False]))
    assert inner.labelled.tolist() == [3, 3, 8]
    assert inner.y.tolist() == [0, 0, 2]
    assert inner.to_label.tolist() == [5, 9]
    assert inner.spare.tolist() == [20, 21, 30]


def test_what_shares_a_group_with_a_held_row_is_neither_trained_on_nor_asked():
    groups = np.arange(N) // 2
    inner = fold(task_of([0, 1, 2, 3, 4], groups=groups), np.array([True, False, False, False, False]))
    assert (inner.labelled.tolist(), inner.to_label.tolist()) == ([2, 3, 4], [0])


def test_a_fold_holds_no_label_of_the_held_rows():
    """The held labels may be anything: the inner task is the same to the byte."""
    task = task_of([0, 1, 2, 3], [9], raters=np.arange(12).reshape(4, 3))
    held = np.array([False, True, True, False])
    inner = fold(task, held)
    other = fold(replace(task, y=np.where(held, 0, task.y), raters=np.where(held[:, None], 0, task.raters)), held)
    for name in ("labelled", "y", "to_label", "spare", "raters"):
        np.testing.assert_array_equal(getattr(inner, name), getattr(other, name))
        assert getattr(inner, name).base is None


@given(tasks(), st.floats(0.01, 0.99))
@settings(deadline=None)
def test_a_holdout_splits_no_row_no_group_and_holds_nothing_pseudo(task, share):
    held = holdout(task, share)
    assert held.shape == (len(task.y),)
    assert held.dtype == np.bool_
    assert not key(task, task.labelled[held]) & key(task, task.labelled[~held])
    if task.pseudo is not None:
        assert not key(task, task.labelled[held]) & key(task, task.labelled[task.pseudo])
    sizes = np.bincount(units(task))
    if held.any():
        assert not held.all()
        assert held.sum() < share * len(held) + sizes.max()  # over by less than a unit
    elif len(sizes) > 1:
        assert task.pseudo is not None  # nothing real could be held
        assert key(task, task.labelled) == key(task, task.labelled[task.pseudo])
    np.testing.assert_array_equal(held, holdout(task, share))


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_holdout_of_distinct_rows_meets_its_share_and_follows_the_seed(share):
    task = task_of(np.arange(100))
    held = holdout(task, share)
    assert held.sum() == 100 * share
    drawn = [holdout(replace(task, seed=seed), share).tobytes() for seed in range(5)]
    assert len(set(drawn)) == 5


def test_a_holdout_does_not_depend_on_the_order_of_the_labelled_rows():
    rows, order = np.arange(20), np.random.default_rng(0).permutation(20)
    held = holdout(task_of(rows), 0.3)
    np.testing.assert_array_equal(holdout(task_of(rows[order]), 0.3), held[order])


def test_every_row_is_held_for_some_seed():
    held = sum(holdout(task_of(np.arange(20), seed=seed), 0.25).astype(int) for seed in range(60))
    assert (held > 0).all()
    assert (held < 60).all()


@pytest.mark.parametrize(
    ("task", "share"),
    [
        (task_of([4, 4, 4]), 0.5),
        (task_of([0, 1, 0], groups=np.zeros(N)), 0.5),
        (task_of([1, 2, 3], pseudo=[True, True, True]), 0.5),
        (task_of([1, 2, 3]), 0.0),
        (task_of([]), 0.5),
    ],
)
def test_a_holdout_is_empty_where_nothing_can_be_held_apart(task, share):
    assert not holdout(task, share).any()


def test_a_holdout_of_everything_leaves_one_unit_to_train_on():
    assert (~holdout(task_of([1, 1, 2, 3]), 1.0)).sum() in (1, 2)
    assert holdout(task_of([1, 2, 3], pseudo=[True, False, False]), 1.0).tolist() == [False, True, True]


def test_learning_from_marks_new_rows_as_pseudo_and_drops_the_raters():
    task = task_of([3, 5, 8], [20, 21, 22], raters=[[1, 2], [3, 4], [5, 6]])
    grown = learning_from(task, np.array([3, 5, 8, 21]), np.array([0, 2, 2, 1]))
    assert grown.labelled.tolist() == [3, 5, 8, 21]
    assert grown.y.tolist() == [0, 2, 2, 1]
    assert grown.pseudo.tolist() == [False, False, False, True]
    assert grown.raters is None
    assert grown.to_label.tolist() == [20, 21, 22]
    assert task.labelled.tolist() == [3, 5, 8]


def test_learning_from_own_rows_keeps_their_raters_in_the_new_order_and_marks_nothing():
    task = task_of([8, 3, 5], [20], raters=[[1, 2], [3, 4], [5, 6]])
    again = learning_from(task, np.array([5, 8, 5, 3]), np.array([1, 1, 1, 1]))
    assert again.raters.tolist() == [[5, 6], [1, 2], [5, 6], [3, 4]]
    assert again.pseudo is None


def test_what_was_pseudo_stays_pseudo():
    task = task_of([3, 5, 21], [20, 21], pseudo=[False, False, True])
    assert learning_from(task, np.array([21, 3]), np.array([0, 0])).pseudo.tolist() == [True, False]
    assert learning_from(task, np.array([5, 3]), np.array([0, 0])).pseudo is None


@given(tasks(), st.data())
@settings(deadline=None)
def test_learning_from_agrees_with_a_lookup_row_by_row(task, data):
    rows = np.array(data.draw(st.lists(st.integers(0, N - 1), min_size=1, max_size=20)))
    grown = learning_from(task, rows, np.zeros(len(rows), np.int64))
    position_of = {row: position for position, row in reversed(list(enumerate(task.labelled.tolist())))}
    pseudo = [
        row not in position_of or (task.pseudo is not None and bool(task.pseudo[position_of[row]]))
        for row in rows.tolist()
    ]
    assert (grown.pseudo.tolist() if grown.pseudo is not None else [False] * len(rows)) == pseudo
    if task.raters is not None and all(row in position_of for row in rows.tolist()):
        assert grown.raters.tolist() == [task.raters[position_of[row]].tolist() for row in rows.tolist()]
    else:
        assert grown.raters is None


@given(tasks(), st.integers(2, 6))
@settings(deadline=None)
def test_validation_folds_hold_every_real_unit_once(task, folds):
    masks = validation_folds(task, folds)
    assert bool(masks) == holdout(task, 0.5).any()
    unit = units(task)
    pseudo = np.zeros(len(unit), bool) if task.pseudo is None else np.isin(unit, unit[task.pseudo])
    if masks:
        np.testing.assert_array_equal(np.sum(masks, axis=0), (~pseudo).astype(int))
    for held in masks:
        assert held.any()
        assert not held.all()
        assert not set(unit[held].tolist()) & set(unit[~held].tolist())


def test_the_splits_own_validation_rows_are_the_only_fold():
    task = task_of([1, 2, 3, 4], validation=[False, True, False, True])
    assert [held.tolist() for held in validation_folds(task, 3)] == [[False, True, False, True]]


@dataclass(frozen=True)
class Numbers:
    """A labeler that returns each row's number, one-hot, and checks the fold."""

    with_more: bool = False

    def label(self, task):
        assert not key(task, task.labelled) & key(task, task.to_label)
        assert len(np.unique(task.to_label)) == len(task.to_label)
        assert len(task.labelled) > 0
        row = task.matrix("code")[1][:, 0].astype(int)
        proba = np.eye(task.n_classes)[row % task.n_classes]
        return Predictions(proba) if self.with_more else proba


@given(tasks(), st.integers(2, 6), st.booleans())
@settings(deadline=None)
def test_out_of_fold_answers_stand_beside_their_rows(task, folds, with_more):
    if len(np.unique(units(task))) < 2:
        with pytest.raises(ValueError, match="at least two"):
            out_of_fold(Numbers(with_more), task, folds)
    else:
        expected = np.eye(3)[task.labelled % 3]
        np.testing.assert_array_equal(out_of_fold(Numbers(with_more), task, folds), expected)


@dataclass
class Counter:
    """A labeler that records the number of rows of each call."""

    def __post_init__(self):
        self.calls = []

    def label(self, task):
        self.calls.append(len(task.to_label))
        return np.full((len(task.to_label), 3), 1 / 3)


def class_counts(y, fold_number, n_classes=3):
    """Return the rows of each class in each fold (K, C)."""
    return np.array([np.bincount(y[fold_number == k], minlength=n_classes) for k in range(fold_number.max() + 1)])


@given(st.lists(st.integers(0, 2), min_size=2, max_size=40), st.integers(2, 12), st.integers(0, 1000))
@settings(deadline=None)
def test_folds_of_single_rows_differ_by_at_most_one_row_in_each_class_and_in_all(y, folds, seed):
    y = np.array(y)
    counts = class_counts(y, assign_folds(task_of(np.arange(len(y)), y=y, seed=seed), folds))
    assert len(counts) == min(folds, len(y))
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1
    assert (counts.sum(axis=1) > 0).all()


@given(tasks(), st.integers(2, 6))
@settings(deadline=None)
def test_folds_hold_whole_units_within_the_bound_that_is_stated(task, folds):
    unit = units(task)
    if unit.max() == 0:
        return
    fold_number = assign_folds(task, folds)
    assert all(len(np.unique(fold_number[unit == u])) == 1 for u in np.unique(unit))
    counts = class_counts(task.y, fold_number)
    assert len(counts) == min(folds, len(np.unique(unit)))
    assert (counts.sum(axis=1) > 0).all()
    in_class = np.maximum(counts.sum(axis=0), 1)
    away = ((counts - counts.mean(axis=0)) ** 2 / in_class).sum()
    assert away < (class_counts(task.y, unit) ** 2 / in_class).sum()


def test_large_groups_are_dealt_as_evenly_as_by_hand():
    """Groups of 4, 3, 2 and 1 rows, of one class each: two folds of 5 rows, whatever the seed."""
    rows = np.arange(20)
    groups = np.zeros(N, np.int64)
    groups[rows] = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 4, 4, 4, 5, 5, 5, 6, 6, 7]
    for seed in range(10):
        task = task_of(rows, y=np.repeat([0, 1], 10), groups=groups, seed=seed)
        assert class_counts(task.y, assign_folds(task, 2)).tolist() == [[5, 5, 0], [5, 5, 0]]


def test_folds_do_not_depend_on_the_order_of_the_labelled_rows():
    rows, order = np.arange(20), np.random.default_rng(0).permutation(20)
    for groups in (None, np.arange(N) // 3):
        number = assign_folds(task_of(rows, groups=groups, seed=4), 4)
        shuffled = assign_folds(task_of(rows[order], groups=groups, seed=4), 4)
        np.testing.assert_array_equal(shuffled, number[order])


def test_two_rows_of_a_class_meet_a_row_of_their_class_in_training():
    """Dealt without regard to classes they often land in one fold."""
    y = np.array([1, 1] + [0] * 18)
    for seed in range(20):
        assert len(np.unique(assign_folds(task_of(np.arange(20), y=y, seed=seed), 5)[:2])) == 2


@pytest.mark.parametrize(("folds", "expected"), [(2, [6, 5]), (5, [3, 2, 2, 2, 2]), (50, [1] * 11)])
def test_units_are_dealt_evenly_to_no_more_folds_than_there_are_units(folds, expected):
    labeler = Counter()
    out_of_fold(labeler, task_of(np.arange(11)), folds)
    assert labeler.calls == expected


@pytest.mark.parametrize("folds", [0, 1])
def test_fewer_than_two_folds_would_leave_nothing_to_train_on(folds):
    with pytest.raises(ValueError, match="at least two folds"):
        out_of_fold(Counter(), task_of([1, 2, 3]), folds)


def test_the_folds_follow_the_seed():
    @dataclass(frozen=True)
    class TrainSum:
        def label(self, task):
            share = task.labelled.sum() / 1e4
            return np.tile([share, 1 - share, 0], (len(task.to_label), 1))

    answers = [out_of_fold(TrainSum(), task_of(np.arange(20), seed=seed), 4).tobytes() for seed in (0, 1, 2, 0)]
    assert len(set(answers)) == 3
    assert answers[0] == answers[3]
