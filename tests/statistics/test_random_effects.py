"""Intervals for one more learner: wider by its luck, and of full coverage."""

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import t

from harness.statistics.intervals import Interval, mean_interval, share_interval
from harness.statistics.random_effects import Transfer


def test_nothing_to_carry_over_leaves_every_interval_as_it_was():
    rng = np.random.default_rng(0)
    hits, values, unit = rng.random(200) < 0.3, rng.normal(size=200), np.arange(200) // 4
    for group in (None, unit):
        one, other = Transfer().share(hits, group), share_interval(hits, group)
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))
        one, other = Transfer().mean(values, group), mean_interval(values, group)
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))
    widened = Transfer().widen(Interval(0.4, 0.3, 0.45, 10))
    assert (widened.low, widened.high) == pytest.approx((0.3, 0.45))
    assert Transfer().share(np.empty(0, bool)) is None


def test_a_mean_by_hand():
    values = np.arange(10.0)
    sampling, luck = values.var(ddof=1) / 10 * 1.5, 0.4
    freedom = (sampling + luck) ** 2 / (luck**2 / 4 + sampling**2 / 9)
    half = t.ppf(0.975, freedom) * np.sqrt(sampling + luck)
    interval = Transfer(shift=0.2, variance=luck, learners=5, spread=1.5).mean(values)
    assert (interval.value, interval.low, interval.high) == pytest.approx((4.7, 4.7 - half, 4.7 + half))


def test_a_share_keeps_its_bounds_and_moves_by_its_odds():
    none, some = np.zeros(30, bool), np.arange(30) < 6
    interval = Transfer(shift=1.0).share(none)
    assert (interval.value, interval.low) == (0, 0)
    assert interval.high == pytest.approx(expit(logit(share_interval(none).high) + 1))
    interval = Transfer(shift=-0.7).share(some)
    assert interval.value == pytest.approx(expit(logit(0.2) - 0.7))
    wide = Transfer(variance=0.5, learners=5).share(some)
    assert 0 < wide.low < share_interval(some).low < share_interval(some).high < wide.high < 1


@pytest.mark.parametrize(("n", "level"), [(60, 0.1), (400, 0.5)])
def test_a_new_draw_among_few_rows_is_held(n, level):
    """Shares of learners vary on the log-odds scale.

    Five are measured on n / 5 rows each, the sixth on twice n.
    """
    rng, held = np.random.default_rng(1), []
    for _ in range(1_500):
        own = logit(level) + 0.4 * rng.normal(size=6)
        hits = rng.random((5, n // 5)) < expit(own[:5, None])
        true = (rng.random(2 * n) < expit(own[5])).mean()
        luck = own[:5].var(ddof=1) * (1 + 1 / 5)
        held.append(Transfer(0.0, luck, 5, 1.5).share(hits.reshape(-1)).holds(true))
    assert np.mean(held) > 0.935
