"""Selection bias of the best of many settings."""

import numpy as np
import pytest

from harness.statistics.selection_bias import selection_effect, winners_luck
from harness.statistics.significance import Measurements

ROWS = 500


def world(rng, truth, rows=ROWS):
    """Return measurements of settings with their chances of a right row."""
    hits = (rng.random((len(truth), rows)) < np.asarray(truth)[:, None]).astype(float)
    return Measurements(hits.mean(axis=1, keepdims=True), np.cov(hits) / rows, rows)


def everyone(measured):
    return np.arange(len(measured.values))


def test_of_equal_settings_the_best_is_luck_and_the_other_half_says_so():
    rng = np.random.default_rng(1)
    effects = [selection_effect(each, everyone(each), False) for each in (world(rng, [0.5] * 20) for _ in range(200))]
    assert np.mean([each.value for each in effects]) > 0.5 + 1.5 * 0.5 / ROWS**0.5, (
        "what a board without it would print"
    )
    assert np.mean([each.apart for each in effects]) == pytest.approx(0.5, abs=0.003)


def test_it_is_what_halves_of_the_rows_say():
    """Halve the rows at random: the best of one half is measured on the other."""
    rng = np.random.default_rng(2)
    rows, truth = 4_000, np.linspace(0.48, 0.52, 8)
    hits = (rng.random((8, rows)) < truth[:, None]).astype(float)
    halves = []
    for _ in range(2_000):
        order = rng.permutation(rows)
        half, other = hits[:, order[: rows // 2]].mean(axis=1), hits[:, order[rows // 2 :]].mean(axis=1)
        halves.append(other[half.argmax()])
    measured = Measurements(hits.mean(axis=1, keepdims=True), np.cov(hits) / rows, rows)
    assert selection_effect(measured, everyone(measured), False).apart == pytest.approx(np.mean(halves), abs=0.0006)


def test_a_setting_far_ahead_owes_nothing_to_luck():
    measured = world(np.random.default_rng(3), [0.2, 0.3, 0.9])
    effect = selection_effect(measured, everyone(measured), False)
    assert (effect.settings, effect.best) == (3, 2)
    assert effect.value == measured.values[2, 0]
    assert effect.apart == pytest.approx(effect.value, abs=0.002)
    assert effect.typical == pytest.approx(measured.values.mean())


def test_the_luck_of_the_seeds_is_taken_off_too():
    """Without an error by the rows all differences are the luck of seeds."""
    rng, means = np.random.default_rng(4), []
    for _ in range(200):
        measured = Measurements(0.5 + 0.02 * rng.standard_normal((12, 3)), np.zeros((12, 12)), 10_000)
        means.append(selection_effect(measured, everyone(measured), False))
    assert np.mean([each.value for each in means]) > 0.51
    assert np.mean([each.apart for each in means]) == pytest.approx(0.5, abs=0.002)


def test_errors_are_best_when_low_and_others_do_not_count():
    measured = Measurements(np.array([[0.9], [0.1], [0.5], [0.4]]), np.diag([1e-4] * 4), 100)
    effect = selection_effect(measured, np.array([2, 3]), True)
    assert (effect.settings, effect.best, effect.value) == (2, 3, 0.4)
    assert effect.value <= effect.apart < effect.typical == pytest.approx(0.45)


def test_settings_that_answer_alike_are_no_choice():
    measured = Measurements(np.full((5, 1), 0.6), np.full((5, 5), 1e-4), 100)
    effect = selection_effect(measured, everyone(measured), False)
    assert (effect.value, effect.typical) == (0.6, 0.6)
    assert effect.apart == pytest.approx(0.6, abs=5e-4)  # all move together: the choice gains nothing


def test_it_is_the_same_every_time():
    measured = world(np.random.default_rng(5), [0.5, 0.51, 0.49])
    assert selection_effect(measured, everyone(measured), False) == selection_effect(
        measured, everyone(measured), False
    )


def test_the_luck_of_the_winner_is_what_it_seems_better_by():
    """Measure labelers of equal merit, and of clear merits, on 30 rows again and again."""
    rng = np.random.default_rng(4)
    for truth, excess in (([0.5] * 6, True), ([0.9, 0.3, 0.3], False)):
        luck, true = [], []
        for _ in range(400):
            hits = (rng.random((len(truth), 30)) < np.asarray(truth)[:, None]).astype(float)
            values = hits.mean(axis=1)
            luck.append(winners_luck(values, np.cov(hits) / 30, False))
            true.append(values.max() - truth[values.argmax()])
        assert np.mean(luck) == pytest.approx(np.mean(true), abs=0.04)
        assert (np.mean(luck) > 0.06) == excess
    assert winners_luck(-values, np.cov(hits) / 30, True) == pytest.approx(-luck[-1])
