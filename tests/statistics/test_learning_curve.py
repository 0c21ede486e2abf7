"""Fits of known learning curves, their intervals and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from harness.statistics.learning_curve import LabelsNeeded, PowerLawFit, Refusal, fit_power_law, labels_needed

SIZES = np.array([150, 300, 600, 900, 1200, 1500])


def law(n, a, b, c):
    return a * n**-b + c


def measured(a, b, c, seeds=3, own=0.0, shared=0.0, rng=None):
    """Return n, error and seed of every point.

    A point has noise of its own, and noise that all sizes of a seed share.
    """
    rng = rng or np.random.default_rng(0)
    error = law(SIZES, a, b, c) + shared * rng.standard_normal((seeds, 1)) + own * rng.standard_normal((seeds, 6))
    return np.tile(SIZES, seeds), error.ravel(), np.repeat(np.arange(seeds), len(SIZES))


@settings(deadline=None, max_examples=40)
@given(st.floats(0.5, 10), st.floats(0.2, 1.5), st.floats(0.0, 0.6))
def test_a_curve_without_noise_is_found(a, b, c):
    fit = fit_power_law(*measured(a, b, c))
    if law(150, a, b, c) - law(1500, a, b, c) < 1e-4:
        assert isinstance(fit, Refusal)
        return
    assert isinstance(fit, PowerLawFit)
    np.testing.assert_allclose([fit.error(n) for n in SIZES], law(SIZES, a, b, c), atol=1e-4)
    assert fit.b == pytest.approx(b, rel=0.02)
    assert fit.c == pytest.approx(c, abs=0.01)


def test_it_is_the_least_squares_of_scipy():
    n, error, seed = measured(2.0, 0.45, 0.38, own=0.004)
    fit = fit_power_law(n, error, seed)
    (a, b, c), _ = curve_fit(law, n, error, (1.0, 0.5, 0.3), maxfev=20_000)
    assert (fit.a, fit.b, fit.c) == pytest.approx((a, b, c), rel=2e-3)


def test_a_size_weighs_as_many_seeds_as_it_has():
    n, error, seed = measured(2.0, 0.45, 0.38, own=0.01)
    few = np.concatenate([np.arange(6), np.flatnonzero(n[6:] != 600) + 6])  # size 600 has seed 0 alone
    fit = fit_power_law(n[few], error[few], seed[few])
    (a, b, c), _ = curve_fit(law, n[few], error[few], (1.0, 0.5, 0.3), maxfev=20_000)
    assert (fit.a, fit.b, fit.c) == pytest.approx((a, b, c), rel=2e-3)


@pytest.mark.parametrize(("seeds", "own", "shared"), [(3, 0.004, 0.004), (5, 0.004, 0.008), (1, 0.003, 0.0)])
def test_the_intervals_hold_what_was_planted(seeds, own, shared):
    rng = np.random.default_rng(5)
    held = []
    for i in range(60):
        fit = fit_power_law(*measured(2.0, 0.45, 0.38, seeds, own, shared, rng), seed=i)
        target = labels_needed(fit, law(1800, 2.0, 0.45, 0.38))
        inside = [low <= true <= high for (low, high), true in zip(map(fit.interval, "bc"), (0.45, 0.38), strict=True)]
        held.append([*inside, not isinstance(target, LabelsNeeded) or target.low <= 1800 <= target.high])
    assert (np.mean(held, axis=0) >= 0.86).all()  # 95 % less three standard errors of sixty


def test_more_noise_widens_the_interval():
    narrow, wide = (fit_power_law(*measured(2.0, 0.45, 0.38, own=own)).interval("c") for own in (0.001, 0.01))
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_labels_needed_are_where_the_curve_meets_the_target():
    fit = fit_power_law(*measured(2.0, 0.5, 0.3, own=1e-4))
    assert labels_needed(fit, law(3000, 2.0, 0.5, 0.3)).n == pytest.approx(3000, rel=0.03)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (0.29, "beyond the fitted asymptote"),
        (law(6100, 2.0, 0.5, 0.3), "more than 4 times the 1,500 labels"),
        (law(140, 2.0, 0.5, 0.3), "fewer than 150 labels"),
    ],
)
def test_a_target_out_of_reach_is_refused(error, reason):
    refused = labels_needed(fit_power_law(*measured(2.0, 0.5, 0.3)), error)
    assert isinstance(refused, Refusal)
    assert reason in refused.reason


def test_an_interval_that_runs_out_of_reach_is_open():
    fit = fit_power_law(*measured(2.0, 0.5, 0.3, own=0.01))
    target = labels_needed(fit, law(5000, fit.a, fit.b, fit.c))
    assert target.low < 5000
    assert target.high == np.inf


def test_curves_that_cannot_be_fitted_are_refused():
    n, error, seed = measured(2.0, 0.5, 0.3)
    assert fit_power_law(n[:3], error[:3], seed[:3]) == Refusal("3 train sizes; a curve takes 4")
    assert fit_power_law(n, np.full(len(n), 0.7), seed) == Refusal("more labels do not lower its error")
    assert fit_power_law(n, error[::-1].copy(), seed) == Refusal("more labels do not lower its error")


def test_one_seed_on_four_sizes_has_a_curve_and_no_interval():
    n, error, seed = (array[:4] for array in measured(2.0, 0.5, 0.3, own=0.001))
    fit = fit_power_law(n, error, seed)
    assert fit.interval("c") is None
    assert "one seed and 4 train sizes" in fit.why
    target = labels_needed(fit, fit.error(1000))
    assert (round(target.n), target.low, target.high) == (1000, None, None)


def test_it_is_the_same_every_time():
    points = measured(2.0, 0.5, 0.3, own=0.01)
    assert fit_power_law(*points).draws.tobytes() == fit_power_law(*points).draws.tobytes()
