"""oversample: which rows the base is given, and that no copy helps it to cheat."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import Labeler, Predictions, Task, fold, holdout
from harness.testing import example_task, labeler_checks
from harness.testing.examples import keep_positions
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.majority import Prior
from harness_plugins.networks.plugins import Linear
from harness_plugins.wrappers.oversample import Oversample


@dataclass(frozen=True)
class Recorder:
    """Answers for class 0 and keeps the tasks it was given."""

    name: ClassVar[str] = "recorder"
    seen: Any

    def label(self, task):
        self.seen.append(task)
        m = len(task.to_label)
        proba = np.eye(task.n_classes)[np.zeros(m, np.int64)]
        return Predictions(proba, {"n": len(task.y)}, {"a": np.ones(m, np.uint8)}, {"b": np.arange(m)})


def task_of(y, seed=0, n_classes=6):
    n = len(y)
    raters = np.column_stack([y, np.arange(n) % n_classes])
    return Task({}, np.arange(n) * 2 + 1, np.array(y), np.arange(3) * 2, n_classes, seed, raters=raters)


def given_to_the_base(task):
    seen = []
    answer = Oversample(Recorder(seen)).label(task)
    (inner,) = seen
    return inner, answer


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 5))
def test_every_class_is_as_large_as_the_largest_and_no_row_is_lost(y, seed):
    task = task_of(y, seed)
    inner, answer = given_to_the_base(task)
    largest = np.bincount(y).max()
    expected = [int(largest) if c in y else 0 for c in range(6)]
    assert np.bincount(inner.y, minlength=6).tolist() == expected == answer.facts["rows_per_class"]
    assert answer.facts["repeated_rows"] == sum(expected) - len(y)
    assert inner.labelled[: len(y)].tolist() == task.labelled.tolist()
    position = (inner.labelled - 1) // 2
    np.testing.assert_array_equal(inner.y, task.y[position])  # every copy has its row's label
    np.testing.assert_array_equal(inner.raters, task.raters[position])
    assert inner.to_label.tolist() == task.to_label.tolist()
    assert inner.pseudo is None


def test_the_seed_draws_the_copies():
    y = [0] * 60 + [1] * 40
    one, again, other = (given_to_the_base(task_of(y, seed))[0].labelled.tolist() for seed in (1, 1, 2))
    assert one == again != other
    copies = one[100:]
    assert len(copies) == 20
    assert set(copies) <= set(range(121, 200, 2))  # rows of class 1 alone
    assert 1 < len(set(copies)) < 20  # with repetition, though there are enough for none


def test_pseudo_labels_stay_marked():
    task = replace(task_of([0, 0, 0, 1]), pseudo=np.array([False, False, False, True]))
    inner, _ = given_to_the_base(task)
    assert inner.pseudo.tolist() == [False, False, False, True, True, True]


def test_copies_never_validate_what_they_train():
    inner, _ = given_to_the_base(task_of([0] * 30 + [1] * 3))
    held = holdout(inner, 0.3)
    assert held.any()
    assert not set(inner.labelled[held]) & set(inner.labelled[~held])
    assert not set(fold(inner, held).labelled) & set(inner.labelled[held])


def test_all_the_base_says_is_passed_on():
    _, answer = given_to_the_base(task_of([0, 0, 1]))
    assert answer.facts["base"] == {"n": 4}
    assert {name: labels.tolist() for name, labels in answer.checkpoints.items()} == {"a": [1, 1, 1]}
    assert {name: values.tolist() for name, values in answer.rows.items()} == {"b": [0, 1, 2]}
    assert answer.proba[:, 0].tolist() == [1, 1, 1]


def test_the_prior_becomes_even_over_the_classes_that_are_there():
    task = example_task()
    answer = Oversample(Prior()).label(keep_positions(task, task.y != 3))
    np.testing.assert_allclose(answer.proba, np.tile(np.array([1, 1, 1, 0, 1, 1]) / 5, (48, 1)))


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "base", [KNN(on="embedding"), Linear(on="text", epochs=2, recipe="record")], ids=lambda base: base.name
)
def test_keeps_the_promises_of_a_labeler(base, check):
    assert isinstance(Oversample(base), Labeler)
    check(Oversample(base))
