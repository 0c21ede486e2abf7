"""ensemble: by hand, against the members' own answers, and how alpha is chosen."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import Block, Predictions, Task, holdout
from harness.testing import example_task, labeler_checks
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.majority import Majority, Prior
from harness_plugins.networks.plugins import Linear
from harness_plugins.wrappers.ensemble import Ensemble
from harness_plugins.wrappers.oversample import Oversample


@dataclass(frozen=True)
class Given:
    """Answers with the rows of a block, whatever the labels say."""

    name: ClassVar[str] = "given"
    on: str

    def label(self, task):
        return Predictions(task.blocks[self.on].array[task.to_label], {"on": self.on})


@dataclass(frozen=True)
class Recorder:
    """Answers with the class shares and keeps the tasks it was given."""

    name: ClassVar[str] = "recorder"
    seen: Any

    def label(self, task):
        self.seen.append(task)
        return Prior().label(task)


def task_of(y=(0, 1, 2), labelled=None, **blocks):
    """Return a task to label the last rows of the blocks from the first."""
    N = len(next(iter(blocks.values())))
    labelled = np.arange(len(y)) if labelled is None else labelled
    blocks = {name: Block(np.array(rows, np.float32), "embedding") for name, rows in blocks.items()}
    return Task(blocks, labelled, np.array(y), np.arange(max(labelled) + 1, N), 3)


def table(*weights):
    """Return the tables of an ensemble of labelers that are `Given`."""
    rows = [[f"member {number}", "given", weight] for number, weight in enumerate(weights, 1)]
    return {"Members": {"columns": ["Member", "Labeler", "Weight"], "rows": rows, "scored": True}}


UNIFORM = [[1 / 3] * 3] * 3
A = [*UNIFORM, [0.8, 0.1, 0.1], [0.6, 0.4, 0.0], [0.2, 0.3, 0.5]]
B = [*UNIFORM, [0.1, 0.2, 0.7], [0.4, 0.6, 0.0], [0.0, 0.1, 0.9]]


def test_by_hand():
    answer = Ensemble((Given("a"), Given("b"))).label(task_of(a=A, b=B))
    np.testing.assert_allclose(answer.proba, [[0.45, 0.15, 0.4], [0.5, 0.5, 0], [0.1, 0.2, 0.7]], atol=1e-7)
    assert answer.facts == {"alpha": 0.5, "members": [{"on": "a"}, {"on": "b"}], "tables": table(0.5, 0.5)}
    assert list(answer.checkpoints) == [f"alpha {tenth / 10}" for tenth in range(11)]
    swept = np.stack(list(answer.checkpoints.values()))  # (11, m)
    # Row 0: .1 + .7 alpha against .7 - .6 alpha, equal at .46. Row 1: equal at .5, and the tie is the lower class's.
    assert swept[:, 0].tolist() == [2] * 5 + [0] * 6
    assert swept[:, 1].tolist() == [1] * 5 + [0] * 6
    assert swept[:, 2].tolist() == [2] * 11
    assert {name: values.tolist() for name, values in answer.rows.items()} == {
        "member 1": [0, 0, 2],
        "member 2": [2, 1, 2],
        "members agree": [False, False, True],
    }
    assert {array.dtype for array in answer.checkpoints.values()} == {np.dtype(np.uint8)}
    assert answer.rows["members agree"].dtype == np.bool_


MEMBERS = (KNN(on="embedding", k=5), Linear(on="text", epochs=2, recipe="record"), Prior())


@pytest.mark.parametrize("weights", [None, (2.0, 1.0, 0.0), (0.0, 30.0, 10.0)])
def test_the_mean_of_what_the_members_say_alone(weights):
    task = example_task()
    answer = Ensemble(MEMBERS, weights).label(task)
    alone = [member.label(task) for member in MEMBERS]
    alone = [each.proba if isinstance(each, Predictions) else each for each in alone]
    np.testing.assert_allclose(answer.proba, np.average(alone, axis=0, weights=weights), atol=1e-6)
    np.testing.assert_allclose(answer.facts["weights"], np.array(weights or [1] * 3) / sum(weights or [1] * 3))
    shown = [[name, weight] for _, name, weight in answer.facts["tables"]["Members"]["rows"]]
    assert shown == [[member.name, weight] for member, weight in zip(MEMBERS, answer.facts["weights"], strict=True)]
    for number, proba in enumerate(alone, 1):
        np.testing.assert_array_equal(answer.rows[f"member {number}"], proba.argmax(axis=1))
    labels = np.stack([proba.argmax(axis=1) for proba in alone])
    np.testing.assert_array_equal(answer.rows["members agree"], labels.min(axis=0) == labels.max(axis=0))
    assert not answer.checkpoints  # alpha is for two


@given(st.floats(0, 5), st.floats(0.01, 5))
def test_alpha_is_the_first_one_s_share_of_the_weights(first, second):
    answer = Ensemble((Given("a"), Given("b")), (first, second)).label(task_of(a=A, b=B))
    alpha = answer.facts["alpha"]
    assert alpha == pytest.approx(first / (first + second))
    expected = alpha * np.array(A[3:]) + (1 - alpha) * np.array(B[3:])
    np.testing.assert_allclose(answer.proba, expected, atol=1e-6)


@pytest.mark.parametrize("tenth", range(11))
def test_the_answer_is_the_checkpoint_of_its_alpha(tenth):
    """Also where probabilities tie, in the single precision that is kept."""
    rng = np.random.default_rng(0)
    a, b = (np.eye(3)[rng.integers(0, 3, 500)] * 0.5 + rng.dirichlet(np.ones(3), 500).round(1) * 0.5 for _ in "ab")
    answer = Ensemble((Given("a"), Given("b")), (float(tenth), 10.0 - tenth)).label(task_of(a=a, b=b))
    kept = answer.proba.astype(np.float32).argmax(axis=1)
    np.testing.assert_array_equal(kept, answer.checkpoints[f"alpha {tenth / 10}"])


def chosen(right_at, y, labelled=None):
    """Choose alpha between two members on rows of class 0 that are labelled right for `right_at` (low, high) alone.

    At alpha the first class has alpha * p + (1 - alpha) * q; it must beat the second's 1/2.
    """
    labelled = np.arange(len(y)) if labelled is None else np.asarray(labelled)
    a, b = np.full((max(labelled) + 4, 3), 1 / 3), np.full((max(labelled) + 4, 3), 1 / 3)
    for row, (p, q) in zip(labelled, right_at, strict=True):
        a[row], b[row] = (p, 1 - p, 0), (q, 1 - q, 0)
    task = task_of(y, labelled, a=a, b=b)
    return task, Ensemble((Given("a"), Given("b")), choose="validation", validation=0.5).label(task)


@pytest.mark.parametrize(
    ("p", "q", "alpha"),
    [
        (0.88, 0.1, 0.6),  # .49 at .5 is wrong, .568 at .6 is right
        (0.1, 0.88, 0.4),
        (0.6, 0.0, 0.9),  # right where .6 alpha > .5
        (0.0, 0.6, 0.1),  # right where .6 (1 - alpha) > .5
        (0.9, 0.9, 0.5),  # always right: the middle
        (0.1, 0.1, 0.5),  # never right: the middle
    ],
)
def test_alpha_is_chosen_by_accuracy_then_nearest_to_the_middle(p, q, alpha):
    _, answer = chosen([(p, q)] * 20, [0] * 20)
    assert answer.facts["alpha"] == alpha


def test_of_two_equally_near_the_middle_the_smaller_alpha_wins():
    # Half of the rows are right for alpha < .5 alone, and half for alpha > .5; at .5 none is.
    task, _ = chosen([(0.5, 0.5)] * 40, [0] * 40)
    held = np.flatnonzero(holdout(task, 0.5))
    pairs = [(0.5, 0.5)] * 40
    for number, row in enumerate(held):
        pairs[row] = (0.8, 0.15) if number % 2 else (0.15, 0.8)
    _, answer = chosen(pairs, [0] * 40)
    assert len(held) % 2 == 0
    assert answer.facts == {
        "alpha": 0.4,
        "validation_rows": len(held),
        "validation_accuracy": 0.5,
        "members": [{"on": "a"}, {"on": "b"}],
        "tables": table(0.4, 0.6),
    }


def test_only_held_out_rows_choose():
    pairs = np.array([(0.9, 0.0)] * 20)  # right from alpha .6 on
    task, answer = chosen(pairs, [0] * 20)
    held = holdout(task, 0.5)
    assert answer.facts["alpha"] == 0.6
    pairs[~held] = (0.0, 0.9)  # what is not held out says the contrary, and is not heard
    assert chosen(pairs, [0] * 20)[1].facts["alpha"] == 0.6
    pairs[held] = (0.0, 0.9)
    assert chosen(pairs, [0] * 20)[1].facts["alpha"] == 0.4


def test_a_repeated_row_counts_as_often_as_it_is_held():
    labelled = np.repeat(np.arange(8), [9, 1, 1, 1, 1, 1, 1, 1])
    first, _ = chosen([(0.9, 0.9)] * 16, [0 if row else 1 for row in labelled], labelled)
    for seed in range(20):
        task = replace(first, seed=seed)
        held = holdout(task, 0.5)
        answer = Ensemble((Given("a"), Given("b")), choose="validation", validation=0.5).label(task)
        assert answer.facts["validation_rows"] == held.sum()
        assert answer.facts["validation_accuracy"] == (task.y[held] == 0).mean()


def test_members_choose_on_some_and_answer_from_all():
    task, seen = example_task(), []
    Ensemble((Recorder(seen), Majority()), choose="validation", validation=0.25).label(task)
    inner, outer = seen
    held = holdout(task, 0.25)
    assert sorted(inner.to_label) == sorted(task.labelled[held])
    assert inner.labelled.tolist() == task.labelled[~held].tolist()
    assert outer.labelled.tolist() == task.labelled.tolist()
    assert outer.to_label.tolist() == task.to_label.tolist()
    assert not inner.checkpoints
    assert not outer.checkpoints


def test_without_a_row_to_hold_out_the_middle_is_taken():
    task = replace(example_task(), groups=np.zeros(156, np.int64))
    facts = Ensemble((Majority(), Prior()), choose="validation").label(task).facts
    assert (facts["alpha"], facts["validation_rows"], facts["validation_accuracy"]) == (0.5, 0, None)


def test_wrappers_nest():
    task, base = example_task(), Linear(on="text", epochs=2, recipe="record")
    members = (Oversample(base), KNN(on="embedding"))
    answer = Ensemble(members, (1.0, 3.0)).label(task)
    expected = 0.25 * members[0].label(task).proba + 0.75 * members[1].label(task).proba
    np.testing.assert_allclose(answer.proba, expected, atol=1e-6)
    assert answer.facts["members"][0]["base"]["parameters"] == base.label(task).facts["parameters"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"members": (Prior(),)}, "members must be at least 2, got 1"),
        ({"weights": (1.0,)}, "weights must be one a member: 2, got 1"),
        ({"weights": (1.0, -1.0)}, "weights must be 0 or more and not all 0"),
        ({"weights": (0.0, 0.0)}, "weights must be 0 or more and not all 0"),
        ({"weights": (1.0, float("nan"))}, "weights must be 0 or more and not all 0"),
        ({"validation": 0.0}, r"validation must be in \(0, 0.5\], got 0.0"),
        ({"validation": 0.6}, r"validation must be in \(0, 0.5\], got 0.6"),
        ({"choose": "validation", "members": (Prior(),) * 3}, "give two, and no weights"),
        ({"choose": "validation", "weights": (1.0, 1.0)}, "give two, and no weights"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, words):
    with pytest.raises(ValueError, match=words):
        Ensemble(**{"members": (Majority(), Prior()), **parameters})


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize("choose", ["fixed", "validation"])
def test_keeps_the_promises_of_a_labeler(choose, check):
    check(Ensemble((KNN(on="embedding"), Linear(on="text", epochs=2, recipe="record")), choose=choose))


def test_equal_members_are_refused_with_a_hint():
    network = Linear("embedding", epochs=1, recipe="record")
    with pytest.raises(ValueError, match=r"^members must differ, 1 and 3 are equal and answer alike; .*seeds: \{base"):
        Ensemble((network, Prior(), Linear("embedding", epochs=1, recipe="record")))
    assert len(Ensemble((network, Linear("embedding", epochs=2, recipe="record"))).members) == 2
