"""Intervals against tables, and their coverage of the truth."""

import numpy as np
import pytest
from scipy.stats import binomtest

from harness.statistics.intervals import (
    bootstrap_interval,
    lower_bound,
    mean_interval,
    share_interval,
    variance_of_mean,
)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (7, 10), (10, 10), (123, 400)])
def test_a_share_has_the_exact_interval(hits, n):
    rows = np.arange(n) < hits
    interval, exact = share_interval(rows), binomtest(hits, n).proportion_ci(0.95, "exact")
    assert (interval.value, interval.n) == (hits / n, n)
    assert (interval.low, interval.high) == pytest.approx((exact.low, exact.high))
    assert lower_bound(rows) == pytest.approx(
        binomtest(hits, n, alternative="greater").proportion_ci(0.95, "exact").low
    )


def test_no_row_has_no_share():
    assert share_interval(np.empty(0, bool)) is None
    assert lower_bound(np.empty(0, bool)) == 0


def test_units_of_one_row_are_rows():
    rows = np.random.default_rng(0).random(300) < 0.3
    alone, apart = share_interval(rows), share_interval(rows, np.arange(300))
    assert (apart.low, apart.high) == pytest.approx((alone.low, alone.high), abs=0.001)
    assert mean_interval(rows, np.arange(300)) == mean_interval(rows)


def test_copies_of_a_row_are_worth_one():
    """Ten copies of each of 200 rows, one unit each, count as the 200 rows."""
    rows = np.random.default_rng(1).random(200) < 0.4
    once, often = share_interval(rows), share_interval(np.repeat(rows, 10), np.repeat(np.arange(200), 10))
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.02)
    assert share_interval(np.repeat(rows, 10)).high < once.high


def test_the_variance_of_a_mean_is_that_of_the_textbook():
    values = np.random.default_rng(2).normal(size=50)
    assert variance_of_mean(values) == (pytest.approx(values.var(ddof=1) / 50), 50)
    sums = np.bincount(np.arange(50) // 5, values - values.mean())
    assert variance_of_mean(values, np.arange(50) // 5)[0] == pytest.approx(sums.var(ddof=1) * 10 / 50**2)


def test_hits_that_come_in_groups_are_covered_all_the_same():
    """Members of a group mostly agree, so only the interval by unit covers."""
    rng, plain, grouped = np.random.default_rng(3), 0, 0
    unit = np.repeat(np.arange(60), 12)
    for _ in range(400):
        chance = rng.beta(1, 1.5, 60)[unit]
        hits = rng.random(720) < chance
        plain += share_interval(hits).holds(0.4)
        grouped += share_interval(hits, unit).holds(0.4)
    assert plain / 400 < 0.8
    assert grouped / 400 >= 0.93


def test_the_bootstrap_agrees_with_the_t_interval_of_a_mean():
    values, unit = np.random.default_rng(4).normal(size=400), np.arange(400) // 4
    for of in (None, unit):
        interval = bootstrap_interval(lambda count: float((count * values).sum() / count.sum()), 400, of)
        exact = mean_interval(values, of)
        assert interval.value == pytest.approx(exact.value)
        assert interval.high - interval.low == pytest.approx(exact.high - exact.low, rel=0.15)
