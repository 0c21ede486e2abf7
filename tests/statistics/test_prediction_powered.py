"""Estimates of a pool: unbiased, of full coverage, with short intervals."""

import numpy as np
import pytest

from harness.statistics.prediction_powered import Sample, estimate_mean

FOLDS = 4


def test_a_case_by_hand():
    """Guesses are off by a constant, which the labelled rows correct."""
    truth = np.array([0.0, 1, 2, 3, 4, 5])
    pool = np.array([1.0, 2, 3, 3, 4, 5]) + 10
    fold, fold_pool = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 0, 1])
    estimate = estimate_mean(truth, truth + 10, pool, Sample(fold), Sample(fold_pool), 9.9)
    weight = 1 / (1 + 6 / 6)
    assert estimate.weight == pytest.approx(weight)
    assert estimate.powered.value == pytest.approx(2.5 + weight * (pool.mean() - 12.5))
    assert estimate.labelled.value == 2.5
    assert estimate.naive == 9.9
    variance = np.var((1 - weight) * truth, ddof=1) / 6 + weight**2 * np.var(pool, ddof=1) / 6
    assert (estimate.powered.high - estimate.powered.low) / 2 == pytest.approx(2.5706 * np.sqrt(variance), rel=1e-4)


def test_guesses_that_know_nothing_are_left_out():
    rng = np.random.default_rng(0)
    truth, fold = rng.normal(size=200), np.arange(200) % FOLDS
    estimate = estimate_mean(
        truth, np.full(200, 3.0), np.full(50, 3.0), Sample(fold), Sample(np.arange(50) % FOLDS), 3.0
    )
    assert (estimate.weight, estimate.powered.value) == (0, pytest.approx(truth.mean()))


def test_a_rare_class_has_the_exact_interval_of_the_labelled_rows():
    truth, fold = np.arange(300) < 4, np.arange(300) % FOLDS
    guess = np.where(truth, 0.9, 0.1)
    estimate = estimate_mean(truth, guess, guess, Sample(fold), Sample(fold), 0.0)
    assert estimate.powered == estimate.labelled
    assert 0 < estimate.powered.low < 4 / 300 < estimate.powered.high


def test_the_truth_of_the_pool_is_inside_in_95_draws_of_100(scores):
    """Real scores: 200 draws of 2,000 labels.

    A table of the source and the other raters' scores guesses those of GPT.
    """
    y = scores["gpt_scores"].to_numpy().astype(np.int64)
    source = scores["source"].combine_chunks().indices.to_numpy()
    code = (source * 6 + scores["llama_scores"].to_numpy()) * 6 + scores["mistral_scores"].to_numpy()
    good = y >= 4
    rng, inside, shorter, naive = np.random.default_rng(0), 0, [], 0
    for _ in range(200):
        rows = rng.choice(len(y), 6_000, replace=False)
        labelled, pool = rows[:2_000], rows[2_000:]
        fold, fold_pool = np.arange(2_000) % FOLDS, np.arange(4_000) % FOLDS
        guess, guess_pool = np.empty(2_000), np.empty(4_000)
        for k in range(FOLDS):
            learnt = labelled[fold != k]
            cells = np.bincount(code[learnt], minlength=180)
            table = (np.bincount(code[learnt], good[learnt], 180) + 0.2) / (cells + 1)
            guess[fold == k] = table[code[labelled[fold == k]]]
            guess_pool[fold_pool == k] = table[code[pool[fold_pool == k]]]
        off = float((guess_pool > 0.5).mean())
        estimate = estimate_mean(good[labelled], guess, guess_pool, Sample(fold), Sample(fold_pool), off)
        inside += estimate.powered.holds(good.mean())
        naive += estimate.powered.holds(off)
        width, alone = estimate.powered.high - estimate.powered.low, estimate.labelled.high - estimate.labelled.low
        shorter.append(width / alone)
    assert inside / 200 >= 0.92
    assert np.median(shorter) < 0.98
    assert naive / 200 < 0.1


def test_groups_widen_the_interval():
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(50), 10)
    truth = rng.normal(size=50)[unit] + 0.1 * rng.normal(size=500)
    guess, fold = rng.normal(size=500), unit % FOLDS
    alone = estimate_mean(truth, guess, guess, Sample(fold), Sample(fold), 0.0)
    grouped = estimate_mean(truth, guess, guess, Sample(fold, unit), Sample(fold, unit), 0.0)
    widths = [estimate.powered.high - estimate.powered.low for estimate in (alone, grouped)]
    assert widths[1] > 2 * widths[0]
