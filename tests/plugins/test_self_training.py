"""self_training: against a plain loop, and each of its rules by hand with a base whose answers are known."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from harness import Block, Predictions, Task, learning_from
from harness.plugin.task import find_error
from harness.testing import example_task, labeler_checks
from harness_plugins.labelers.knn import KNN
from harness_plugins.networks.plugins import Linear
from harness_plugins.wrappers.self_training import SelfTraining

BASES = [KNN(on="embedding", k=5), Linear(on="text", epochs=2, recipe="record")]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Told:
    """Answers what it is told for each number of labelled rows, and keeps the tasks it was asked."""

    name: ClassVar[str] = "told"
    proba: Any  # n -> (m, C)
    asked: list[Task]

    def label(self, task):
        self.asked.append(task)
        proba = np.array(self.proba[len(task.labelled)])
        return Predictions(proba, {"n": len(task.labelled)}, rows={"own": np.arange(len(proba))})


def plain(n=10, m=4, y=None, n_classes=2):
    y = np.arange(n) % n_classes if y is None else y
    return Task({"x": Block(np.zeros((n + m, 1), np.float32))}, np.arange(n), y, np.arange(n, n + m), n_classes)


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_keeps_the_promises_of_a_labeler(base, check):
    check(SelfTraining(base=base))
    check(SelfTraining(base=base, threshold=0.3, minority_threshold=0.2, rounds=2))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("base", "threshold", "minority"),
    [(KNN(on="text", k=9), 0.9, 0.7), (Linear(on="text", epochs=4, recipe="record"), 0.34, 0.3)],
)
def test_agrees_with_a_plain_loop(base, threshold, minority, seed):
    task = example_task(n=60, m=80, seed=seed)
    task = replace(task, to_label=np.sort(task.to_label))  # the loop adopts in the order of the rows
    share = [np.mean(task.y == c) for c in range(6)]
    guess, sets = {}, []
    for _ in range(6):
        rows = np.array([*task.labelled, *sorted(guess)])
        learned = learning_from(task, rows, np.array([*task.y, *(guess[row] for row in sorted(guess))]))
        proba = base.label(learned).proba
        new = {}
        for row, p in zip(task.to_label.tolist(), proba, strict=True):
            label = int(p.argmax())
            if row not in guess and p[label] >= (minority if share[label] < 0.1 else threshold):
                new[row] = label
        sets.append(set(new))
        if not new:
            break
        guess |= new
    answer = SelfTraining(base, threshold=threshold, minority_threshold=minority).label(task)
    adopted = [set(task.to_label[answer.rows[f"adopted in round {r}"]].tolist()) for r in range(min(5, len(sets)))]
    assert adopted == sets[:5]
    assert len(sets) > 1
    assert answer.facts["added"] == [len(each) for each in sets[:5]]
    np.testing.assert_array_equal(answer.proba, proba.astype(np.float32))


def test_a_row_stays_with_its_first_label_and_a_fresh_model_learns_each_round():
    asked = []
    told = {
        10: [[0.95, 0.05], [0.5, 0.5], [0.1, 0.9], [0.6, 0.4]],  # rows 10 and 12 are adopted as 0 and 1
        12: [[0.01, 0.99], [0.3, 0.7], [0.9, 0.1], [0.1, 0.9]],  # both change sides; row 13 is adopted
        13: [[0.01, 0.99], [0.3, 0.7], [0.9, 0.1], [0.9, 0.1]],
    }
    answer = SelfTraining(Told(told, asked)).label(plain())
    assert [task.labelled[10:].tolist() for task in asked] == [[], [10, 12], [10, 12, 13]]
    assert [task.y[10:].tolist() for task in asked] == [[], [0, 1], [0, 1, 1]]
    assert asked[0].pseudo is None
    assert [np.flatnonzero(task.pseudo).tolist() for task in asked[1:]] == [[10, 11], [10, 11, 12]]
    assert all(task.to_label.tolist() == [10, 11, 12, 13] for task in asked)  # every row is asked about every round
    np.testing.assert_allclose(answer.proba, told[13], rtol=1e-6)  # the last model answers, also for adopted rows
    labels = {name: labels.tolist() for name, labels in answer.checkpoints.items()}
    assert labels == {"round 0": [0, 0, 1, 0], "round 1": [1, 1, 0, 1], "round 2": [1, 1, 0, 0]}
    tables = answer.facts["tables"]
    assert answer.facts == {
        "train_rows": [10, 12, 13],
        "n_train_final": 13,
        "added": [2, 1, 0],
        "added_classes": [[1, 1], [0, 1], [0, 0]],
        "base": {"n": 13},
        "tables": tables,
    }
    rounds = [["round 0", 10, 2], ["round 1", 12, 1], ["round 2", 13, 0]]
    assert tables["Rounds"] == {"columns": ["Round", "Train rows", "Adopted"], "rows": rounds, "scored": True}
    mix = [["round 0", 1, 1], ["round 1", 0, 1]]
    assert tables["Adopted by class"] == {"columns": ["Round", "As 0", "As 1"], "rows": mix}
    assert answer.rows.keys() == {"own", *(f"adopted in round {r}" for r in range(3))}
    assert answer.rows["adopted in round 1"].tolist() == [False, False, False, True]
    assert find_error(answer, 4, 2) is None


def test_it_ends_after_its_rounds_even_where_more_could_be_adopted():
    asked = []
    grow = [[0.95, 0.05], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
    told = {10 + r: [grow[0]] * (r + 1) + grow[1:2] * (3 - r) for r in range(4)}
    answer = SelfTraining(Told(told, asked), rounds=2).label(plain())
    assert [len(task.labelled) for task in asked] == [10, 11, 12]
    assert answer.facts["added"] == [1, 1]
    assert answer.facts["train_rows"] == [10, 11, 12]
    assert answer.facts["tables"]["Rounds"]["rows"][-1] == ["round 2", 12, None]  # it could have, and did not look
    assert list(answer.checkpoints) == ["round 0", "round 1", "round 2"]


def test_it_ends_with_the_first_model_where_nobody_is_sure():
    asked = []
    answer = SelfTraining(Told({10: [[0.89, 0.11]] * 4}, asked)).label(plain())
    assert len(asked) == 1
    assert (answer.facts["added"], list(answer.checkpoints)) == ([0], ["round 0"])
    assert not answer.rows["adopted in round 0"].any()


def test_a_minority_is_a_class_with_less_than_its_share_of_the_given_labels():
    # Shares of 20: class 0 has 1 (5 %), class 1 has 2 (10 %, not less), class 2 the rest, class 3 none.
    y = [0, 1, 1, *[2] * 17]
    told = {20: np.full((5, 4), 0.1), 22: np.full((5, 4), 0.25)}
    told[20][range(5), [0, 1, 2, 3, 0]] = 0.7
    told[20][4] = [0.69, 0.11, 0.1, 0.1]
    asked = []
    answer = SelfTraining(Told(told, asked)).label(plain(n=20, m=5, y=y, n_classes=4))
    assert answer.rows["adopted in round 0"].tolist() == [True, False, False, True, False]
    assert SelfTraining(Told(told, asked), minority_share=0.0).label(asked[0]).facts["added"] == [0]


def test_the_share_is_that_of_the_given_labels_in_later_rounds_too():
    y = [0, *[1] * 19]  # class 0 has 5 %; with the four adopted rows it has 21 %
    told = {20: [[0.95, 0.05]] * 4 + [[0.6, 0.4]], 24: [[0.95, 0.05]] * 4 + [[0.7, 0.3]], 25: [[0.5, 0.5]] * 5}
    answer = SelfTraining(Told(told, [])).label(plain(n=20, m=5, y=y))
    assert answer.facts["added"] == [4, 1, 0]


def test_confidence_is_compared_as_it_is_stored():
    votes = 1 - np.array([[0.1, 0.9]])  # 0.9 and 0.09999999999999998
    sum_of_tenths = sum([0.1] * 8) + 0.1  # 0.8999999999999999
    for nine_of_ten in (votes[0, 0], sum_of_tenths, np.float32(0.9)):
        told = {10: [[nine_of_ten, 1 - nine_of_ten]], 11: [[0.5, 0.5]]}
        assert SelfTraining(Told(told, [])).label(plain(m=1)).facts["added"] == [1, 0]


def test_a_row_that_came_with_a_pseudo_label_is_not_adopted_again():
    task = plain()
    told = {11: [[0.95, 0.05], [0.95, 0.05], [0.5, 0.5], [0.5, 0.5]], 12: [[0.5, 0.5]] * 4}
    asked = []
    SelfTraining(Told(told, asked)).label(learning_from(task, np.arange(11), np.arange(11) % 2))
    assert [task.labelled[10:].tolist() for task in asked] == [[10], [10, 11]]


def test_an_adopted_row_does_not_vote_for_itself():
    """Two labelled rows of class 0 at 0 degrees, two rows to label beside: each adopted row is labelled by others."""
    degrees = np.deg2rad([0, 1, 2, 60])
    X = np.column_stack([np.cos(degrees), np.sin(degrees)]).astype(np.float32)
    task = Task({"x": Block(X, "embedding")}, [0, 3], [0, 1], [1, 2], n_classes=2)
    learned = learning_from(task, np.array([0, 3, 1]), np.array([0, 1, 1]))  # row 1 wrongly adopted as class 1
    assert KNN("x", k=1).label(learned).proba.argmax(axis=1).tolist() == [0, 1]
    answer = SelfTraining(KNN("x", k=1), threshold=1.0).label(task)
    assert answer.facts["added"] == [2, 0]
    assert answer.proba.argmax(axis=1).tolist() == [0, 0]


@pytest.mark.parametrize(
    "wrong",
    [{"rounds": 0}, {"threshold": 0.0}, {"threshold": 1.1}, {"minority_threshold": 0.0}, {"minority_share": -0.1}],
)
def test_values_out_of_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name} must be"):
        SelfTraining(BASES[0], **wrong)
