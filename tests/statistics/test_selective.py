"""Selective prediction against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import beta

from harness.statistics.metrics import CALIBRATION_BINS, calibration_error
from harness.statistics.selective import (
    COVERAGE_STEPS,
    accept,
    accuracy_by_coverage,
    aurc,
    find_class_thresholds,
    find_threshold,
    reliability_bins,
    reliability_sums,
    rows_to_show,
    to_bins,
    top_probability,
    top_share,
)


def sample(n=2000, levels=None, seed=0):
    """Return confidences (n,) and hits (n,) that are calibrated."""
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.2, 1.0, n) if levels is None else rng.choice(levels, n)
    return sure.astype(np.float32), rng.random(n) < sure


def test_the_area_is_the_mean_risk_of_the_surest():
    sure, hit = sample(300)
    order = np.argsort(-sure)
    risks = []
    for k in range(1, len(order) + 1):
        wrong = 0
        for row in order[:k]:
            wrong += not hit[row]
        risks.append(wrong / k)
    assert aurc(sure, hit) == pytest.approx(sum(risks) / len(risks))


def test_with_ties_it_is_the_mean_over_all_orders():
    sure, hit = sample(60, levels=(0.3, 0.6, 0.9))
    rng = np.random.default_rng(1)
    areas = []
    for _ in range(4000):
        order = rng.permutation(len(sure))
        order = order[np.argsort(-sure[order], kind="stable")]
        areas.append(np.mean(np.cumsum(~hit[order]) / np.arange(1, len(sure) + 1)))
    assert aurc(sure, hit) == pytest.approx(np.mean(areas), abs=4 * np.std(areas) / np.sqrt(len(areas)))


@given(arrays.arrays(np.bool_, st.integers(1, 50)))
def test_one_confidence_for_all_says_nothing(hit):
    sure = np.ones(len(hit))
    assert aurc(sure, hit) == pytest.approx(1 - hit.mean())
    np.testing.assert_allclose(accuracy_by_coverage(sure, hit), hit.mean())
    assert find_threshold(sure, hit, 0.5).coverage in (0.0, 1.0)


def test_accuracies_are_those_of_the_surest():
    sure, hit = sample(1000)
    order = np.argsort(-sure)
    assert accuracy_by_coverage(sure, hit) == pytest.approx(
        [hit[order[: 1000 * k // COVERAGE_STEPS]].mean() for k in range(1, COVERAGE_STEPS + 1)]
    )


def test_the_last_coverage_before_the_first_whose_bound_is_too_low():
    sure, hit = sample(5000)
    threshold = find_threshold(sure, hit, 0.8)
    order = np.argsort(-sure)
    best = 0
    for k in range(5000 // COVERAGE_STEPS, 5001, 5000 // COVERAGE_STEPS):
        right = int(hit[order[:k]].sum())
        if beta.ppf(0.05, right, k - right + 1) < 0.8:
            break
        best = k
    assert threshold.coverage == best / 5000
    assert threshold.accuracy == hit[order[:best]].mean()
    assert threshold.bound >= 0.8
    assert (sure >= np.float32(threshold.confidence)).sum() == best


def test_rows_of_one_confidence_are_accepted_together():
    sure, hit = sample(5000, levels=(0.3, 0.5, 0.95))
    threshold = find_threshold(sure, hit, 0.9)
    assert threshold.coverage == (sure == np.float32(0.95)).mean()
    assert threshold.confidence == pytest.approx(0.95)


def test_a_target_that_no_share_reaches_accepts_nothing():
    sure, hit = sample(5000, levels=(0.3, 0.5))
    for threshold in (find_threshold(sure, hit, 0.9), find_threshold(sure, np.zeros(5000, bool), 0.01)):
        assert (threshold.confidence, threshold.coverage, threshold.accuracy) == (None, 0, None)


def test_the_bound_holds_although_the_coverage_was_chosen_by_it():
    rng = np.random.default_rng(3)
    broken = 0
    for _ in range(200):
        sure = rng.random(400)
        threshold = find_threshold(
            sure, rng.random(400) < 0.7, 0.6
        )  # the confidence is noise: 70 % of any share are right
        broken += threshold.coverage > 0 and threshold.bound > 0.7
    assert broken <= 200 * 0.05


def test_a_share_too_small_to_show_anything_is_not_the_first():
    """Let 5 % of 200 rows be ten: were all of them right, 0.74 would be the most that they show."""
    sure, hit = np.linspace(1, 0, 200), np.arange(200) < 120
    threshold = find_threshold(sure, hit, 0.8)
    assert threshold.coverage > 0.5
    needed = rows_to_show(0.9, 0.8, 0.05)
    assert beta.ppf(0.05, 0.9 * needed, 0.1 * needed + 1) >= 0.8
    assert beta.ppf(0.05, 0.9 * (needed - 3), 0.1 * (needed - 3) + 1) < 0.8


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_a_stack_of_cells_has_the_numbers_of_each(m, cells, levels, seed):
    rng = np.random.default_rng(seed)
    sure = (rng.integers(1, levels + 1, (cells, m)) / levels).astype(np.float32)
    hit = rng.random((cells, m)) < 0.5
    areas, accuracies, sums = aurc(sure, hit), accuracy_by_coverage(sure, hit), reliability_sums(sure, hit)
    for i in range(cells):
        assert areas[i] == aurc(sure[i], hit[i])
        assert accuracies[i].tolist() == accuracy_by_coverage(sure[i], hit[i]).tolist()
        assert to_bins(sums[i]) == reliability_bins(sure[i], hit[i])


def test_the_bins_add_up_to_the_calibration_error():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(4), 500).astype(np.float32)
    y = rng.integers(0, 4, 500)
    sure = top_probability(proba)
    bins = reliability_bins(sure, proba.argmax(axis=1) == y)
    assert len(bins) == CALIBRATION_BINS
    assert sum(each.rows for each in bins) == 500
    gap = sum(abs(each.hits - each.confidence) for each in bins) / 500
    assert gap == pytest.approx(calibration_error(proba, y))


def rows(n, rng, unit=None):
    """Return calibrated confidences (n,) and hits (n,)."""
    confidence = rng.beta(2, 1.5, n)
    return confidence, rng.random(n) < confidence


def test_the_accuracy_promised_is_kept():
    rng, broken, coverages = np.random.default_rng(0), 0, []
    large, truth = rows(200_000, rng)
    for _ in range(300):
        threshold = find_threshold(*rows(600, rng), target=0.75)
        if threshold.confidence is not None:
            accepted = large >= threshold.confidence
            coverages.append(accepted.mean())
            broken += truth[accepted].mean() < 0.75
    assert broken / 300 <= 0.05
    assert np.median(coverages) > 0.2  # and it is no empty promise: 36 % of the rows are sure enough


def test_a_target_out_of_reach_is_refused():
    rng = np.random.default_rng(1)
    confidence = rng.random(2_000)
    threshold = find_threshold(confidence, rng.random(2_000) < 0.5, target=0.9)
    assert threshold.confidence is None
    assert 0.3 < threshold.bound < 0.6


def test_all_rows_are_taken_where_all_are_right():
    threshold = find_threshold(np.linspace(0.5, 1, 400), np.ones(400, bool), target=0.95)
    assert threshold.confidence == 0.5
    assert threshold.bound > 0.95


def test_nothing_is_promised_of_no_rows():
    assert find_threshold(np.empty(0), np.empty(0, bool), target=0.5).confidence is None


def test_each_class_has_its_own_threshold():
    rng = np.random.default_rng(2)
    label = np.repeat([0, 1, 2], [2_000, 2_000, 10])
    confidence = rng.random(4_010)
    hit = rng.random(4_010) < np.where(label == 0, 0.95, confidence)
    sure, doubtful, rare = find_class_thresholds(confidence, label, hit, 3, 0.8)
    assert sure.confidence < 0.05
    assert 0.5 < doubtful.confidence < 0.9
    assert rare.confidence is None


def test_a_share_of_every_class_can_be_kept():
    confidence = np.array([0.9, 0.2, 0.8, 0.3, 0.1, 0.4])
    label = np.array([0, 0, 0, 1, 1, 1])
    levels = np.array([0.85, np.inf])
    assert accept(confidence, label, levels).tolist() == [True, False, False, False, False, False]
    assert accept(confidence, label, levels, 0.5).tolist() == [True, False, True, True, False, True]


@pytest.mark.parametrize(("share", "expected"), [(0.5, [1, 2, 3]), (0.01, [1]), (1.0, [0, 1, 2, 3, 4, 5])])
def test_the_top_rows_and_ties_to_the_earlier(share, expected):
    score = np.array([1.0, 4.0, 3.0, 3.0, 3.0, 0.0])
    assert np.flatnonzero(top_share(score, share)).tolist() == expected


def worlds(grouped, n_worlds=200, target=0.8):
    """Return how often a threshold's accuracy is below the target.

    Each world has 150 groups of 20 rows that are right or wrong together.
    """
    rng, broken = np.random.default_rng(5), 0
    everywhere = rng.beta(8, 3, 200_000)
    everywhere_right = rng.random(200_000) < everywhere
    unit = np.repeat(np.arange(150), 20)
    for _ in range(n_worlds):
        of_group = rng.beta(8, 3, 150)
        sure, hit = of_group[unit] + rng.uniform(-1e-3, 1e-3, 3_000), (rng.random(150) < of_group)[unit]
        threshold = find_threshold(sure, hit, target, unit if grouped else None)
        if threshold.confidence is not None:
            broken += everywhere_right[everywhere >= threshold.confidence].mean() < target
    return broken / n_worlds


def test_rows_of_one_group_are_no_independent_witnesses():
    assert worlds(grouped=True) <= 0.05
    assert worlds(grouped=False) > 0.1, "these worlds break a bound that counts rows"
