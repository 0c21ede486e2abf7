"""Thresholds that keep their word in 95 draws of 100, and say no where they cannot."""

import numpy as np
import pytest

from harness.proxy.abstention import accepted, by_class, threshold, top


def rows(n, rng, unit=None):
    """Return confidences that are right as often as they say."""
    confidence = rng.beta(2, 1.5, n)
    return confidence, rng.random(n) < confidence


def test_the_accuracy_promised_is_kept():
    rng, broken, taken = np.random.default_rng(0), 0, []
    large, truth = rows(200_000, rng)
    for _ in range(300):
        found = threshold(*rows(600, rng), target=0.75)
        if found.confidence is not None:
            here = large >= found.confidence
            taken.append(here.mean())
            broken += truth[here].mean() < 0.75
    assert broken / 300 <= 0.05
    assert np.median(taken) > 0.2  # and it is no empty promise: 36 % of the rows are sure enough


def test_a_target_out_of_reach_is_refused():
    rng = np.random.default_rng(1)
    confidence = rng.random(2_000)
    found = threshold(confidence, rng.random(2_000) < 0.5, target=0.9)
    assert found.confidence is None
    assert 0.3 < found.bound < 0.6


def test_all_rows_are_taken_where_all_are_right():
    found = threshold(np.linspace(0.5, 1, 400), np.ones(400, bool), target=0.95)
    assert found.confidence == 0.5
    assert found.bound > 0.95


def test_nothing_is_promised_of_no_rows():
    assert threshold(np.empty(0), np.empty(0, bool), target=0.5).confidence is None


def test_each_class_has_its_own_threshold():
    rng = np.random.default_rng(2)
    label = np.repeat([0, 1, 2], [2_000, 2_000, 10])
    confidence = rng.random(4_010)
    hit = rng.random(4_010) < np.where(label == 0, 0.95, confidence)
    sure, doubtful, rare = by_class(confidence, label, hit, 3, 0.8)
    assert sure.confidence < 0.05
    assert 0.5 < doubtful.confidence < 0.9
    assert rare.confidence is None


def test_a_share_of_every_class_can_be_kept():
    confidence = np.array([0.9, 0.2, 0.8, 0.3, 0.1, 0.4])
    label = np.array([0, 0, 0, 1, 1, 1])
    levels = np.array([0.85, np.inf])
    assert accepted(confidence, label, levels).tolist() == [True, False, False, False, False, False]
    assert accepted(confidence, label, levels, 0.5).tolist() == [True, False, True, True, False, True]


@pytest.mark.parametrize(("share", "expected"), [(0.5, [1, 2, 3]), (0.01, [1]), (1.0, [0, 1, 2, 3, 4, 5])])
def test_the_top_rows_and_ties_to_the_earlier(share, expected):
    score = np.array([1.0, 4.0, 3.0, 3.0, 3.0, 0.0])
    assert np.flatnonzero(top(score, share)).tolist() == expected
