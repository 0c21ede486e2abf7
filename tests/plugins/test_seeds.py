"""seeds: the mean of trainings by hand, their seeds, and what it does for a network."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from harness import Predictions
from harness.testing import example_task, labeler_checks
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.majority import Prior
from harness_plugins.networks.plugins import MLP
from harness_plugins.wrappers.seeds import Seeds


@dataclass(frozen=True)
class Drawn:
    """Answers with probabilities drawn by the task's seed, and keeps the tasks it was given."""

    name: ClassVar[str] = "drawn"
    seen: Any

    def label(self, task):
        self.seen.append(task)
        proba = np.random.default_rng(task.seed).dirichlet(np.ones(task.n_classes), len(task.to_label))
        return Predictions(proba, {"seed": task.seed}, {"first": proba.argmax(axis=1).astype(np.uint8)})


def test_the_answer_is_the_mean_of_trainings_with_seeds_of_their_own():
    task, seen = example_task(), []
    answer = Seeds(Drawn(seen), n=4).label(task)
    seeds = [each.seed for each in seen]
    assert seeds[0] == task.seed
    assert len(set(seeds)) == 4
    assert answer.facts == {"members": [{"seed": seed} for seed in seeds]}
    alone = np.stack([Drawn([]).label(replace(task, seed=seed)).proba for seed in seeds])
    np.testing.assert_allclose(answer.proba, alone.mean(axis=0), atol=1e-12)
    labels = alone.argmax(axis=2)
    assert answer.rows["members agree"].tolist() == [len(set(column)) == 1 for column in labels.T.tolist()]
    assert answer.checkpoints == {}
    assert not any(each.checkpoints for each in seen)


def test_more_trainings_begin_with_those_of_fewer_and_another_task_has_others():
    few, many, other = [], [], []
    Seeds(Drawn(few), n=3).label(example_task())
    Seeds(Drawn(many), n=6).label(example_task())
    Seeds(Drawn(other), n=6).label(replace(example_task(), seed=7))
    assert [task.seed for task in many][:3] == [task.seed for task in few]
    assert not {task.seed for task in many} & {task.seed for task in other}


def test_what_draws_nothing_answers_as_it_does_alone():
    task = example_task()
    answer = Seeds(KNN("embedding", k=7), n=3).label(task)
    np.testing.assert_allclose(answer.proba, KNN("embedding", k=7).label(task).proba, atol=1e-6)
    assert answer.rows["members agree"].all()


def test_the_log_loss_of_the_mean_is_below_that_of_the_trainings():
    """By Jensen it is at most their mean; that networks differ makes it less."""
    task = example_task()
    network = MLP("text", hidden=8, epochs=5, validation=0)
    truth = np.random.default_rng(0).integers(0, task.n_classes, len(task.to_label))
    answer = Seeds(network, n=3).label(task)
    seeds = [task.seed, *np.random.SeedSequence(task.seed).generate_state(2).tolist()]
    alone = [network.label(replace(task, seed=seed)).proba for seed in seeds]
    losses = [-np.log(proba[np.arange(len(truth)), truth]).mean() for proba in (answer.proba, *alone)]
    assert losses[0] < np.mean(losses[1:])


def test_the_neighbours_of_the_base_are_declared():
    assert Seeds(KNN("embedding", k=7)).needs() == KNN("embedding", k=7).needs()
    assert Seeds(Prior()).needs() == []


@pytest.mark.parametrize("n", [1, 0, -3])
def test_fewer_than_two_trainings_are_refused(n):
    with pytest.raises(ValueError, match=rf"^n must be at least 2, got {n}$"):
        Seeds(Prior(), n=n)


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
def test_keeps_the_promises_of_a_labeler(check):
    check(Seeds(MLP("text", hidden=4, epochs=1), n=2))
