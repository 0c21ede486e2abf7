"""decide: rules against the cheapest label, the nearest probabilities against a solver, the prior against a grid."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from sklearn.metrics import f1_score

from harness import Block, Predictions, Task, out_of_fold
from harness.testing import example_task, labeler_checks
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.majority import Prior
from harness_plugins.networks.plugins import Linear
from harness_plugins.wrappers.decide import POWERS, Decide, macro_f1, tip


@dataclass(frozen=True)
class Given:
    """Answers with the rows of a block, whatever the labels say."""

    name: ClassVar[str] = "given"
    on: str = "a"

    def label(self, task):
        m = len(task.to_label)
        proba = task.blocks[self.on].array[task.to_label]
        return Predictions(proba, {"on": self.on}, {"first": np.ones(m, np.uint8)}, {"number": np.arange(m)})


def decided(proba, y=None, **parameters):
    """Return (probabilities, labels, answer) of rows with these probabilities; y are the labelled rows' classes."""
    proba = np.asarray(proba, np.float32)
    n_classes = proba.shape[1]
    y = np.arange(n_classes) if y is None else np.asarray(y)
    block = Block(np.concatenate([np.full((len(y), n_classes), 1 / n_classes, np.float32), proba]), "embedding")
    task = Task({"a": block}, np.arange(len(y)), y, np.arange(len(y), len(y) + len(proba)), n_classes)
    answer = Decide(Given(), **parameters).label(task)
    return answer.proba, answer.proba.argmax(axis=1), answer


PROBA = arrays(np.float64, (4, 5), elements=st.sampled_from([0.0, 0.1, 0.25, 0.3, 1.0])).map(
    lambda a: (a + 1e-3) / (a + 1e-3).sum(axis=1, keepdims=True)
)


@settings(max_examples=60, deadline=None)
@given(PROBA)
def test_no_other_label_is_cheaper_in_the_metric_of_the_rule(proba):
    classes = np.arange(5)
    for rule, distance in (("median", 1), ("expected", 2)):
        _, labels, _ = decided(proba, rule=rule)
        costs = np.array(
            [[sum(p * abs(i - j) ** distance for i, p in enumerate(row)) for j in classes] for row in proba]
        )
        assert (costs[np.arange(4), labels] <= costs.min(axis=1) + 1e-5).all()


@settings(max_examples=60, deadline=None)
@given(PROBA, arrays(np.float64, (5, 5), elements=st.floats(0, 9)))
def test_no_other_label_is_cheaper_by_the_given_costs(proba, cost):
    _, labels, _ = decided(proba, cost=tuple(map(tuple, cost.tolist())))
    costs = np.array([[sum(p * cost[i, j] for i, p in enumerate(row)) for j in range(5)] for row in proba])
    assert (costs[np.arange(4), labels] <= costs.min(axis=1) + 1e-5).all()


@pytest.mark.parametrize(
    ("parameters", "label"),
    [
        ({}, 0),  # .4
        ({"rule": "median"}, 1),  # .4 + .1 is half already
        ({"rule": "expected"}, 1),  # .1 + .4 + .9 = 1.4
        ({"cost": ((0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0))}, 0),
        ({"cost": ((0, 0, 0, 5), (5, 0, 5, 5), (5, 5, 0, 0), (9, 9, 9, 0))}, 3),  # 3.2, 3.7, 3.2 and 2.5
        ({"prior": 1.0}, 3),  # shares .5 .25 .125 .125: .8, .4, 1.6 and 2.4
        ({"prior": 0.1}, 0),
    ],
    ids=str,
)
def test_labels_by_hand(parameters, label):
    _, labels, _ = decided([[0.4, 0.1, 0.2, 0.3]], y=[0, 0, 0, 0, 1, 1, 2, 3], **parameters)
    assert labels.tolist() == [label]


def test_equal_costs_go_to_the_lower_class_as_equal_probabilities_do():
    half = [[0.5, 0.0, 0.5]]
    for parameters, label in (
        ({}, 0),
        ({"rule": "median"}, 0),
        ({"rule": "expected"}, 1),
        ({"cost": ((0,) * 3,) * 3}, 0),
    ):
        assert decided(half, **parameters)[1].tolist() == [label]
    assert decided([[0.5, 0.5, 0.0]], rule="expected")[1].tolist() == [0]  # a mean of .5


@settings(max_examples=40, deadline=None)
@given(PROBA, st.lists(st.integers(0, 4), min_size=4, max_size=4))
def test_the_probabilities_are_the_nearest_ones_that_have_the_label(proba, labels):
    labels = np.array(labels)
    tipped = tip(proba, labels)
    assert tipped.argmax(axis=1).tolist() == labels.tolist()
    assert tipped.min() >= 0
    np.testing.assert_allclose(tipped.sum(axis=1), 1, atol=1e-6)
    for row, p, label in zip(tipped, proba, labels, strict=True):
        likelier = [
            {"type": "ineq", "fun": lambda q, j=j, label=label: q[label] - q[j]} for j in range(5) if j != label
        ]
        whole = {"type": "eq", "fun": lambda q: q.sum() - 1}
        found = minimize(lambda q, p=p: ((q - p) ** 2).sum(), p, constraints=[whole, *likelier], bounds=[(0, 1)] * 5)
        np.testing.assert_allclose(row, found.x, atol=2e-4)


def test_what_is_likeliest_already_keeps_its_bytes():
    proba = np.random.default_rng(0).dirichlet(np.ones(4), 50).astype(np.float32)
    answer, labels, _ = decided(proba, rule="median")
    kept = labels == proba.argmax(axis=1)
    assert 0 < kept.sum() < 50
    assert answer[kept].tobytes() == proba[kept].tobytes()
    assert decided(proba)[0].tobytes() == proba.tobytes()


def test_facts_and_rows_stay_and_the_checkpoints_of_other_labels_go():
    _, _, answer = decided([[0.6, 0.1, 0.3], [0.3, 0.1, 0.6], [0.4, 0.3, 0.3]], rule="median")
    assert answer.checkpoints == {}
    assert answer.rows["number"].tolist() == [0, 1, 2]
    assert answer.rows["decided otherwise"].tolist() == [False, False, True]
    assert answer.facts == {"prior": 0.0, "decided_otherwise": pytest.approx(1 / 3), "base": {"on": "a"}}


def test_a_class_that_no_labelled_row_has_is_not_favoured_by_the_prior():
    proba, labels, _ = decided([[0.3, 0.3, 0.4], [0, 0, 1.0]], y=[0, 0, 0, 1], prior=2.0)
    assert labels.tolist() == [1, 2]
    assert np.isfinite(proba).all()


# ---- the prior chosen ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rare():
    """Three classes of 80, 14 and 6 per cent that overlap."""
    rng = np.random.default_rng(0)
    y = rng.choice(3, 900, p=[0.8, 0.14, 0.06])
    X = rng.standard_normal((900, 2)) + 0.8 * y[:, None]
    return Task({"x": Block(X.astype(np.float32), "embedding")}, np.arange(300), y[:300], np.arange(300, 900), 3), y[
        300:
    ]


def test_the_power_is_the_best_of_the_grid_out_of_fold_and_helps_on_other_rows(rare):
    task, truth = rare
    base = Linear("x", penalty=0.1)
    answer = Decide(base, prior="macro_f1", folds=3).label(task)
    proba = out_of_fold(base, task, 3)
    shares = np.bincount(task.y) / 300
    by_power = {power: f1_score(task.y, (proba / shares**power).argmax(axis=1), average="macro") for power in POWERS}
    assert answer.facts["macro_f1"] == pytest.approx(max(by_power.values()))
    assert answer.facts["prior"] == next(p for p in POWERS if by_power[p] == max(by_power.values())) > 0
    assert answer.facts["macro_f1_without"] == pytest.approx(by_power[0.0])
    plain = base.label(task).proba.argmax(axis=1)
    gain = [f1_score(truth, labels, average="macro") for labels in (answer.proba.argmax(axis=1), plain)]
    assert gain[0] > gain[1] + 0.03


def test_pseudo_labels_choose_no_power(rare):
    task, _ = rare
    wrong = replace(task, y=np.where(np.arange(300) < 150, task.y, 2), pseudo=np.arange(300) >= 150)
    answer = Decide(Linear("x", penalty=0.1), prior="macro_f1", folds=3).label(wrong)
    proba, shares = out_of_fold(Linear("x", penalty=0.1), wrong, 3)[:150], np.bincount(wrong.y) / 300
    own = [f1_score(task.y[:150], (proba / shares**power).argmax(axis=1), average="macro") for power in POWERS]
    assert answer.facts["macro_f1"] == pytest.approx(max(own))


def test_a_single_labelled_row_has_no_prior_to_choose():
    task = example_task()
    one = replace(task, labelled=task.labelled[:1], y=task.y[:1], raters=None, pseudo=None, validation=None)
    answer = Decide(Prior(), prior="macro_f1").label(one)
    assert (answer.facts["prior"], answer.facts["macro_f1"]) == (0.0, None)


@given(arrays(np.int64, 12, elements=st.integers(0, 3)), arrays(np.int64, 12, elements=st.integers(0, 3)))
@settings(deadline=None)
def test_macro_f1_is_that_of_sklearn(labels, y):
    expected = f1_score(y, labels, labels=range(4), average="macro", zero_division=0)
    assert macro_f1(labels, y, 4) == pytest.approx(expected)


# ---- conduct ------------------------------------------------------------------------------------------------------


def test_a_rule_needs_an_order_and_a_cost_does_not():
    assert Decide(Prior(), rule="median").needs_order
    assert Decide(Prior(), rule="expected").needs_order
    assert not Decide(Prior(), cost=((0, 1), (2, 0))).needs_order
    assert not Decide(Prior(), prior=1.0).needs_order


def test_the_neighbours_of_the_base_are_asked_for():
    assert Decide(KNN("embedding", k=7)).needs() == KNN("embedding", k=7).needs()
    assert Decide(Prior()).needs() == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rule": "median", "cost": ((0, 1), (1, 0))}, "rule must be left out where cost is given, got median"),
        ({"cost": ((0, 1, 2), (1, 0, 1))}, r"cost must be C rows of C costs >= 0, got \(\(0, 1, 2\), \(1, 0, 1\)\)"),
        ({"cost": ((0, -1.0), (1, 0))}, "cost must be C rows of C costs >= 0, got"),
        ({"cost": ((0, float("nan")), (1, 0))}, "cost must be C rows of C costs >= 0, got"),
        ({"prior": -0.5}, "prior must be 0 or more, or macro_f1, got -0.5"),
        ({"prior": float("inf")}, "prior must be 0 or more, or macro_f1, got inf"),
        ({"folds": 1}, "folds must be at least 2, got 1"),
    ],
)
def test_what_has_no_meaning_is_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Decide(Prior(), **parameters)


def test_costs_of_another_number_of_classes_are_named():
    with pytest.raises(ValueError, match=r"^cost must have a row for each of 3 classes, got 2$"):
        decided([[0.2, 0.3, 0.5]], cost=((0, 1), (1, 0)))


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "labeler",
    [Decide(KNN("embedding"), rule="median"), Decide(KNN("text", k=5), rule="expected", prior="macro_f1", folds=3)],
    ids=repr,
)
def test_keeps_the_promises_of_a_labeler(labeler, check):
    check(labeler)
