"""greedy_ensemble: against a plain search, on made data, and what its page shows."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error

from harness import Block, NotApplicable, Predictions, Task, out_of_fold
from harness.testing import example_task, labeler_checks, rule_checks
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.majority import Majority, Prior
from harness_plugins.labelers.trees import Forest
from harness_plugins.networks.plugins import Linear
from harness_plugins.wrappers.greedy_ensemble import GreedyEnsemble, select

METRICS = ("log_loss", "accuracy", "macro_f1", "mae")
CLASSES = range(3)


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


def loss_by_sklearn(metric, proba, y):
    labels = proba.astype(np.float32).argmax(axis=1)
    if metric == "log_loss":
        return log_loss(y, proba, labels=CLASSES)
    if metric == "accuracy":
        return -accuracy_score(y, labels)
    if metric == "macro_f1":
        return -f1_score(y, labels, labels=CLASSES, average="macro", zero_division=0)
    return mean_absolute_error(y, labels)


def plain_search(probas, y, metric, rounds):
    """Caruana's search as a list of members chosen, measured by scikit-learn."""
    chosen, best = [], (np.inf, np.inf)
    for _ in range(rounds):
        tried = []
        for member in range(len(probas)):
            proba = np.mean([probas[i] for i in [*chosen, member]], axis=0)
            tried.append((loss_by_sklearn(metric, proba, y), log_loss(y, proba, labels=CLASSES), member))
        chosen.append(min(tried)[2])
        if min(tried)[:2] < best:
            best, kept = min(tried)[:2], list(chosen)
    return np.bincount(kept, minlength=len(probas)) / len(kept), best[0]


def answers_and_truth(seed, members=3, rows=40):
    """Members that see the class through noise of different strength."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, rows)
    raw = np.eye(3)[y] * rng.uniform(0.3, 2, (members, 1, 1)) + rng.standard_normal((members, rows, 3))
    weight = np.exp(raw)
    return weight / weight.sum(axis=2, keepdims=True), y


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(3))
def test_the_weights_are_those_of_a_plain_search_with_scikit_learns_metrics(metric, seed):
    probas, y = answers_and_truth(seed)
    weights, loss = select(probas, y, metric, rounds=8)
    expected, expected_loss = plain_search(probas, y, metric, rounds=8)
    np.testing.assert_allclose(weights, expected)
    assert loss == pytest.approx(expected_loss)


@given(arrays(np.float64, (3, 12, 3), elements=st.floats(0.01, 1)), st.sampled_from(METRICS), st.integers(1, 6))
@settings(deadline=None, max_examples=40)
def test_chosen_weights_are_no_worse_than_any_member_where_they_were_chosen(raw, metric, rounds):
    probas, y = raw / raw.sum(axis=2, keepdims=True), np.arange(12) % 3
    weights, loss = select(probas, y, metric, rounds)
    assert weights.sum() == pytest.approx(1)
    alone = [select(proba[None], y, metric, 1)[1] for proba in probas]
    assert loss <= min(alone)
    assert select(probas, y, metric, rounds + 1)[1] <= loss  # another round can only help


def test_a_member_that_errs_where_the_other_is_right_gets_weight_and_a_copy_none():
    probas, y = answers_and_truth(1, members=2, rows=400)
    weights, _ = select(np.stack([probas[0], probas[0], probas[1]]), y, "log_loss", 50)
    assert weights[0] > 0
    assert weights[1] == 0  # of equals the earlier
    assert weights[2] > 0


def made_task(n=240, m=2_000, seed=0, groups=None):
    """Two blocks that see different halves of the class, and a block of noise.

    Returns the task, and the classes of the rows to label.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n + m)
    spread = 0.9 * rng.standard_normal((3, n + m, 2))
    a = np.column_stack([y // 2, y // 2]) + spread[0]
    b = np.column_stack([y % 2, y % 2]) + spread[1]
    blocks = {
        "a": Block(a.astype(np.float32)),
        "b": Block(b.astype(np.float32)),
        "c": Block(spread[2].astype(np.float32)),
    }
    rows = np.arange(n + m)
    return Task(blocks, rows[:n], y[:n], rows[n:], 4, seed=seed, groups=groups), y[n:]


def loss_on(proba, y):
    return -np.log(proba[np.arange(len(y)), y]).mean()


@pytest.mark.parametrize("seed", range(3))
def test_on_new_rows_it_is_as_good_as_the_best_member_or_better(seed):
    task, truth = made_task(seed=seed)
    members = tuple(Linear(on=on, penalty=1.0) for on in ("a", "b", "c"))
    answer = GreedyEnsemble((*members, Linear(on=("a", "b"), penalty=1.0))).label(task)
    best = min(loss_on(member.label(task).proba, truth) for member in (*members, Linear(on=("a", "b"), penalty=1.0)))
    assert loss_on(answer.proba, truth) < best + 0.02  # 2,000 rows: a standard error of the difference is below .01
    # Without the member that sees both, two that see a half each are better together than either.
    halves = GreedyEnsemble(members).label(task)
    best_half = min(loss_on(member.label(task).proba, truth) for member in members)
    assert loss_on(halves.proba, truth) < best_half + 0.02
    table = halves.facts["tables"]["Members"]["rows"]
    assert table[2][2] < 0.2  # noise has next to no weight


def test_the_answer_is_the_mean_by_the_weights_and_facts_are_out_of_fold():
    task, _ = made_task(n=90, m=20)
    members = (KNN(on="a", k=15), KNN(on="b", k=15), Prior())
    answer = GreedyEnsemble(members, rounds=10, folds=3).label(task)
    probas = np.stack([out_of_fold(member, task, 3) for member in members])
    weights, loss = plain_search_of(probas, task.y)
    alone = [member.label(task) for member in members]
    alone = [each.proba if isinstance(each, Predictions) else each for each in alone]
    np.testing.assert_allclose(answer.proba, np.average(alone, axis=0, weights=weights), atol=1e-6)
    assert answer.facts["out_of_fold"] == pytest.approx(loss)
    table = answer.facts["tables"]["Members"]
    assert table["columns"] == [
        *("Member", "Labeler", "Weight"),
        *("Out-of-fold log loss", "Change of log loss without it"),
    ]
    for number, row in enumerate(table["rows"]):
        assert row[:2] == [f"member {number + 1}", members[number].name]
        assert row[2] == pytest.approx(weights[number])
        assert row[3] == pytest.approx(loss_on(probas[number].clip(1e-7), task.y))
        without = plain_search_of(np.delete(probas, number, axis=0), task.y)[1]
        assert row[4] == pytest.approx(without - loss)
        assert (f"member {number + 1}" in answer.rows) == (weights[number] > 0)


def plain_search_of(probas, y):
    weights, loss = select(probas, y, "log_loss", 10)
    mean = np.average(probas, axis=0, weights=weights)
    assert loss == pytest.approx(loss_on(mean.clip(1e-7), y))
    return weights, loss


def test_accuracy_is_shown_as_accuracy_and_falls_without_a_member_that_counts():
    task, _ = made_task(n=120, m=20)
    facts = GreedyEnsemble((KNN(on="a", k=9), KNN(on="b", k=9)), metric="accuracy").label(task).facts
    rows = facts["tables"]["Members"]["rows"]
    assert 0 < max(row[3] for row in rows) <= facts["out_of_fold"] <= 1
    assert min(row[4] for row in rows) < 0


def test_members_are_judged_on_rows_and_groups_they_have_not_seen():
    task, seen = example_task(), []
    grouped = replace(task, groups=np.arange(156) // 3)
    GreedyEnsemble((Recorder(seen), Majority()), folds=3).label(grouped)
    *inner, outer = seen
    assert len(inner) == 3
    for part in inner:
        assert not set(grouped.groups[part.labelled]) & set(grouped.groups[part.to_label])
    assert sorted(row for part in inner for row in part.to_label) == sorted(task.labelled)
    assert outer.labelled.tolist() == task.labelled.tolist()
    assert not outer.checkpoints


def test_a_member_without_weight_is_not_trained_on_all_rows():
    task, _ = made_task(n=60, m=10)
    good, seen = np.eye(4)[np.zeros(70, int)].astype(np.float32), []
    good[:60] = np.eye(4)[task.y] * 0.9 + 0.025
    task = replace(task, blocks={**task.blocks, "good": Block(good, "embedding")})
    answer = GreedyEnsemble((Given("good"), Recorder(seen)), folds=2).label(task)
    assert [len(part.labelled) for part in seen] == [30, 30]
    assert answer.facts["members"] == [{"on": "good"}, {}]
    assert list(answer.rows) == ["member 1", "members agree"]


def test_without_a_row_to_hold_out_the_weights_are_equal():
    task = replace(example_task(), groups=np.zeros(156, np.int64))
    facts = GreedyEnsemble((Majority(), Prior())).label(task).facts
    assert facts["out_of_fold"] is None
    assert [row[2:] for row in facts["tables"]["Members"]["rows"]] == [[0.5, None, None]] * 2


def test_the_labels_that_a_wrapper_made_itself_choose_nothing():
    task, _ = made_task(n=60, m=10)
    y = task.y.copy()
    y[40:] = 0
    pseudo = np.arange(60) >= 40
    members = (Given("first"), Given("second"))
    first = np.vstack([np.eye(4)[task.y], np.full((10, 4), 0.25)])  # right on real labels
    second = np.vstack([np.full((40, 4), 0.25), np.eye(4)[y[40:]], np.full((10, 4), 0.25)])  # right on the others alone
    blocks = {"first": Block(first.astype(np.float32)), "second": Block(second.astype(np.float32))}
    pseudo_task = replace(task, blocks=blocks, y=y, pseudo=pseudo, to_label=np.arange(40, 70))
    rows = GreedyEnsemble(members, folds=2).label(pseudo_task).facts["tables"]["Members"]["rows"]
    assert [row[2] for row in rows] == [1, 0]


def test_only_the_mean_absolute_error_needs_an_order():
    members = (Majority(), Prior())
    assert [metric for metric in METRICS if GreedyEnsemble(members, metric).needs_order] == ["mae"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"members": (Prior(),)}, "members must be at least 2"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"folds": 1}, "folds must be at least 2"),
    ],
)
def test_parameters_out_of_range_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        GreedyEnsemble(**{"members": (Majority(), Prior()), **wrong})


@pytest.mark.parametrize("check", [*labeler_checks, *rule_checks], ids=lambda check: check.__name__)
def test_keeps_the_promises_of_a_labeler_with_a_rule(check):
    check(GreedyEnsemble((KNN(on="embedding", k=5), KNN(on="text", k=5), Prior()), folds=2, rounds=5))


def test_a_member_without_a_rule_is_refused_where_it_has_weight():
    task, _ = made_task(n=60, m=10)
    with pytest.raises(NotApplicable, match="has no learn"):
        GreedyEnsemble((Forest(on=("a", "b"), n_estimators=20), Majority()), folds=2).learn(task)
