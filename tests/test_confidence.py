"""What a confidence is worth, against loops that say it plainly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import beta

from harness.metrics import BINS, calibration_error
from harness.statistics.confidence import GRID, accepted, accuracies, aurc, confidence, reliability


def sample(n=2000, levels=None, seed=0):
    """Return confidences and hits that happen as often as they say."""
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
    np.testing.assert_allclose(accuracies(sure, hit), hit.mean())
    assert accepted(sure, hit, 0.5).coverage in (0.0, 1.0)


def test_accuracies_are_those_of_the_surest():
    sure, hit = sample(1000)
    order = np.argsort(-sure)
    assert accuracies(sure, hit) == pytest.approx([hit[order[: 1000 * k // GRID]].mean() for k in range(1, GRID + 1)])


def test_the_largest_coverage_that_reaches_the_target_by_its_bound():
    sure, hit = sample(5000)
    found = accepted(sure, hit, 0.8)
    order = np.argsort(-sure)
    best = 0
    for k in range(50, 5001, 50):
        right = int(hit[order[:k]].sum())
        if beta.ppf(0.05 / 100, right, k - right + 1) >= 0.8:
            best = k
    assert found.coverage == best / 5000
    assert found.accuracy == hit[order[:best]].mean()
    assert found.bound >= 0.8
    assert (sure >= np.float32(found.threshold)).sum() == best


def test_rows_of_one_confidence_are_accepted_together():
    sure, hit = sample(5000, levels=(0.3, 0.5, 0.95))
    found = accepted(sure, hit, 0.9)
    assert found.coverage == (sure == np.float32(0.95)).mean()
    assert found.threshold == pytest.approx(0.95)


def test_a_target_that_no_share_reaches_accepts_nothing():
    sure, hit = sample(5000, levels=(0.3, 0.5))
    assert accepted(sure, hit, 0.9) == accepted(sure, np.zeros(5000, bool), 0.01)
    assert accepted(sure, hit, 0.9).coverage == 0


def test_the_bound_holds_although_the_coverage_was_chosen_by_it():
    rng = np.random.default_rng(3)
    broken = 0
    for _ in range(200):
        sure = rng.random(400)
        found = accepted(sure, rng.random(400) < 0.7, 0.6)  # the confidence means nothing: every share is right 70 %
        broken += found.coverage > 0 and found.bound > 0.7
    assert broken <= 200 * 0.05


def test_the_bins_add_up_to_the_calibration_error():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(4), 500).astype(np.float32)
    y = rng.integers(0, 4, 500)
    sure = confidence(proba)
    bins = reliability(sure, proba.argmax(axis=1) == y)
    assert len(bins) == BINS
    assert sum(each.rows for each in bins) == 500
    gap = sum(abs(each.hits - each.confidence) for each in bins) / 500
    assert gap == pytest.approx(calibration_error(proba, y))
