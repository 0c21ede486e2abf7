"""Ranks over data sets: known tests, and worlds in which the truth is known."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.statistics import ranking
from harness.statistics.distributions import mean_ranks
from harness.statistics.ranking import cliques, error_factor, friedman_test, rank_over_data_sets
from harness.statistics.significance import pairs_of

WORLDS = 300


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(ranking, "DRAWS", 200)


def world(rng, effects, n, spread=1.0, noise=0.5):
    """Return a ranking of n data sets; each has effects of its own, measured with noise, and the noise's factor."""
    m = len(effects)
    factor = error_factor(2 * noise**2 * (1 - np.eye(m)))
    values = np.array(effects) + rng.normal(0, spread, (n, m)) + rng.normal(0, noise, (n, m))
    return rank_over_data_sets(values, [factor] * n)


@pytest.mark.parametrize("n", [5, 14])
def test_equal_labelers_are_seldom_separated_and_their_intervals_hold(n):
    rng = np.random.default_rng(n)
    rankings = [world(rng, [0.0] * 5, n) for _ in range(WORLDS)]
    # 24 of 300 is beyond what a rate of 5 % gives in one of 100 such tests.
    assert sum(each.separated.any() for each in rankings) < 24
    inside = [(each.interval[:, 0] <= 3) & (each.interval[:, 1] >= 3) for each in rankings]
    assert np.mean(inside) >= 0.95


def test_unequal_labelers_have_intervals_that_hold():
    effects, rng = [2.0, 0.0, 0.0, -1.0], np.random.default_rng(1)
    truth = mean_ranks(-(np.array(effects) + rng.normal(0, 1, (100_000, 4)))).mean(axis=0)
    for n in (3, 6, 12):
        rankings = [world(rng, effects, n, noise=0.2) for _ in range(100)]
        inside = [(each.interval[:, 0] <= truth) & (each.interval[:, 1] >= truth) for each in rankings]
        assert np.mean(inside) >= 0.95


def test_a_planted_difference_is_found_where_there_are_enough_data_sets():
    effects = [0.0, 0.0, 3.0, 0.0]
    rng = np.random.default_rng(0)
    enough = [world(rng, effects, 12) for _ in range(50)]
    assert np.mean([(each.places[2] == 1).all() for each in enough]) > 0.9
    assert all(each.order[0] == 2 for each in enough)
    few = [world(rng, effects, 5) for _ in range(50)]
    assert not any(each.separated.any() for each in few), "6 pairs take 8 data sets"


def test_errors_within_the_data_sets_widen_the_intervals():
    values = np.arange(4.0) + np.random.default_rng(0).normal(0, 0.1, (10, 4))
    widths = []
    for noise in (0.0, 1.0, 5.0):
        factor = error_factor(2 * noise**2 * (1 - np.eye(4)))
        widths.append(np.ptp(rank_over_data_sets(values, [factor] * 10).interval, axis=1).mean())
    assert widths == sorted(widths)
    assert widths[2] > 1.5 * widths[0]


def test_who_is_best_on_every_data_set_is_not_said_to_be_best_on_all_others():
    values = np.tile(np.arange(4.0), (5, 1))
    exact = [np.zeros((4, 1))] * 5
    assert rank_over_data_sets(values, exact).interval[3, 1] > 1.2


@given(arrays(np.float64, (7, 4), elements=st.integers(0, 3).map(float)))
def test_friedmans_test_is_scipys(values):
    ranks = mean_ranks(-values)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = scipy.stats.friedmanchisquare(*values.T)
    found = friedman_test(ranks)
    if np.isnan(expected.statistic):
        assert found is None
    else:
        assert found == pytest.approx((expected.statistic, expected.pvalue), abs=1e-9)


def test_the_pairs_are_scipys_by_holm():
    rng = np.random.default_rng(3)
    values = rng.normal([0, 0, 1, 3], 1, (14, 4))
    found = rank_over_data_sets(values, [np.zeros((4, 1))] * 14)
    a, b = pairs_of(4)
    p = np.array(
        [scipy.stats.wilcoxon(values[:, i], values[:, j], method="exact").pvalue for i, j in zip(a, b, strict=True)]
    )
    order = np.argsort(p)
    adjusted = np.empty(6)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(6, 0, -1)), 1)
    assert found.adjusted == pytest.approx(adjusted)
    assert found.separated.any()
    assert (found.won == [(values[:, i] > values[:, j]).sum() for i, j in zip(a, b, strict=True)]).all()


@given(arrays(np.float64, (6, 5), elements=st.integers(0, 4).map(float)))
def test_win_rate_and_ranks_are_counts(values):
    found = rank_over_data_sets(values, [np.zeros((5, 1))] * 6)
    beaten = [
        [(row[i] > np.delete(row, i)).sum() + (row[i] == np.delete(row, i)).sum() / 2 for i in range(5)]
        for row in values
    ]
    assert found.win_rate == pytest.approx(np.mean(beaten, axis=0) / 4)
    assert found.ranks.sum(axis=1) == pytest.approx(15)
    low, high = found.win_rate_interval.T
    assert ((low <= found.win_rate) & (found.win_rate <= high)).all()


@given(arrays(np.float64, (4, 6), elements=st.floats(-1, 1)))
def test_a_factor_gives_the_variances_of_differences(loadings):
    covariance = loadings.T @ loadings
    own = np.diag(covariance)
    variance = own[:, None] + own - 2 * covariance
    factor = error_factor(variance)
    again = factor @ factor.T
    own = np.diag(again)
    assert own[:, None] + own - 2 * again == pytest.approx(variance, abs=1e-9)


def test_cliques_are_the_longest_runs_without_a_separation():
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = rank_over_data_sets(rng.normal([0, 0, 1, 2, 4, 4], 1, (10, 6)), [np.zeros((6, 1))] * 10)
        apart = {
            frozenset(pair)
            for pair, is_apart in zip(zip(*pairs_of(6), strict=True), found.separated, strict=True)
            if is_apart
        }
        order = found.order.tolist()

        blocked = {(i, j) for i in range(6) for j in range(i + 1, 6) if {order[i], order[j]} in apart}
        runs = {(i, j) for i in range(6) for j in range(i + 1, 6)}
        runs = {(i, j) for i, j in runs if not any(i <= a and b <= j for a, b in blocked)}
        inner = {(i, j) for i, j in runs if runs & {(i - 1, j), (i, j + 1)}}
        assert cliques(found) == sorted(runs - inner)
