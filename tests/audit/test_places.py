"""Rows that change places: the exchange by its properties, and who is found by it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.audit.places import exchange_places, judge_places
from harness.audit.probe_answer import ProbeAnswer

CLASSES = 4


@given(st.lists(st.integers(-1, 4), min_size=2, max_size=60))
def test_every_content_moves_and_no_more_than_must_go_to_a_place_of_its_label(labels):
    labels = np.array(labels)
    order = exchange_places(labels)
    m = len(labels)
    assert sorted(order) == list(range(m))
    assert (order != np.arange(m)).all()
    largest = np.unique(labels, return_counts=True)[1].max()
    assert (labels[order] == labels).sum() == max(0, 2 * largest - m)


def test_one_row_has_nowhere_to_go():
    assert exchange_places(np.array([3])).tolist() == [0]


def answer(labels, sure=0.7):
    rest = (1 - sure) / (CLASSES - 1)
    return ProbeAnswer("ok", "", np.where(np.eye(CLASSES)[labels] == 1, sure, rest).astype(np.float32))


@pytest.fixture
def world():
    """Hidden labels (m,), guesses of an honest labeler, right for half of the rows, and the exchange."""
    rng = np.random.default_rng(1)
    truth = rng.choice(CLASSES, 1_000, p=[0.4, 0.3, 0.2, 0.1])
    guesses = np.where(rng.random(1_000) < 0.5, truth, rng.integers(0, CLASSES, 1_000))
    return truth, guesses, exchange_places(truth), rng


def test_answers_that_go_along_are_no_leak(world):
    truth, guesses, order, _ = world
    finding = judge_places(answer(guesses), answer(guesses[order]), 0.0, truth, declared=False)
    assert (finding.moved, finding.leaks, finding.warnings, finding.notes) == (0, (), (), ())


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("share", [1.0, 1 / 3, 0.06])
def test_labels_looked_up_by_row_number_stay_behind_even_beside_much_chance(world, share, declared):
    truth, guesses, order, rng = world
    peeked = rng.random(len(truth)) < share
    noise = rng.random((3, len(truth))) < 0.1  # of a training in another order
    base, other, seed = (np.where(part, rng.integers(0, CLASSES, len(truth)), guesses) for part in noise)
    other = other[order]
    base, other, seed = (np.where(peeked, truth, labels) for labels in (base, other, seed))
    finding = judge_places(answer(base), answer(other), (base != seed).mean(), truth, declared)
    (leak,) = finding.leaks
    assert leak.startswith("knows hidden labels by the row number: ")
    assert finding.moved > share / 2


def test_the_same_chance_without_a_peek_is_a_note_or_a_warning(world):
    truth, guesses, order, rng = world
    noise = rng.random((3, len(truth))) < 0.1
    base, other, seed = (np.where(part, rng.integers(0, CLASSES, len(truth)), guesses) for part in noise)
    answers = answer(base), answer(other[order]), (base != seed).mean()
    declared, undeclared = (judge_places(*answers, truth, transductive) for transductive in (True, False))
    assert (len(declared.notes), declared.leaks, declared.warnings) == (1, (), ())
    assert (len(undeclared.warnings), undeclared.leaks, undeclared.notes) == (1, (), ())


@pytest.mark.parametrize("declared", [False, True])
def test_answers_by_position_are_a_leak_whatever_they_are_worth(world, declared):
    truth = world[0]
    base = answer(np.arange(len(truth)) % CLASSES)
    finding = judge_places(base, base, 0.0, truth, declared)
    assert finding.leaks[0].startswith("answers by the place of a row")


def test_one_probability_that_moves_is_a_leak_of_who_declares_nothing(world):
    truth, guesses, order, _ = world
    other = answer(guesses[order])
    other.proba[7] = [0.1, 0.2, 0.3, 0.4]
    assert judge_places(answer(guesses), other, 0.0, truth, declared=False).leaks
    assert judge_places(answer(guesses), other, 0.0, truth, declared=True).notes
