"""balanced: which rows the base is given."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import Predictions, Task
from harness.testing import labeler_checks
from harness_plugins.labelers.knn import KNN
from harness_plugins.networks.plugins import Linear
from harness_plugins.wrappers.balanced import Balanced


@dataclass(frozen=True)
class Recorder:
    """Answers for class 0 and keeps the tasks it was given."""

    name: ClassVar[str] = "recorder"
    seen: Any

    def label(self, task):
        self.seen.append(task)
        proba = np.eye(task.n_classes)[np.zeros(len(task.to_label), np.int64)]
        return Predictions(proba, {"n": len(task.y)})


def given_to_the_base(y, per_class=None, seed=0):
    n = len(y)
    seen = []
    raters = np.column_stack([y, np.arange(n) % 6])
    task = Task({}, np.arange(n) * 2 + 1, np.array(y), np.arange(3) * 2, 6, seed, raters=raters)
    answer = Balanced(Recorder(seen), per_class).label(task)
    (inner,) = seen
    return inner, answer


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.none() | st.integers(1, 9), st.integers(0, 5))
def test_every_class_is_cut_and_no_row_comes_twice(y, per_class, seed):
    inner, answer = given_to_the_base(y, per_class, seed)
    counts = [y.count(c) for c in range(6)]
    most = min(count for count in counts if count) if per_class is None else per_class
    expected = [min(count, most) for count in counts]
    assert np.bincount(inner.y, minlength=6).tolist() == expected == answer.facts["rows_per_class"]
    assert len(set(inner.labelled.tolist())) == len(inner.labelled)
    position = (inner.labelled - 1) // 2
    np.testing.assert_array_equal(inner.y, np.array(y)[position])
    np.testing.assert_array_equal(inner.raters[:, 1], position % 6)
    assert answer.facts["base"] == {"n": sum(expected)}


def test_the_seed_draws_the_rows():
    y = [0] * 50 + [1] * 5
    one, again, other = (given_to_the_base(y, seed=seed)[0].labelled.tolist() for seed in (1, 1, 2))
    assert one == again != other
    assert one[5:] == other[5:] == [101, 103, 105, 107, 109]  # the smallest class is whole
    assert one[:5] != [1, 3, 5, 7, 9]  # not merely the first


def test_a_limit_above_every_class_keeps_all():
    assert given_to_the_base([2, 0, 0, 1], per_class=100)[0].labelled.tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize("per_class", [0, -1])
def test_a_class_of_no_rows_is_refused(per_class):
    with pytest.raises(ValueError, match=f"per_class must be at least 1, got {per_class}"):
        Balanced(KNN(on="embedding"), per_class)


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "labeler",
    [Balanced(KNN(on="embedding")), Balanced(Linear(on="text", epochs=2, recipe="record"), per_class=8)],
    ids=lambda labeler: labeler.base.name,
)
def test_keeps_the_promises_of_a_labeler(labeler, check):
    check(labeler)
