"""Quantiles and tails are equal to scipy.stats to the last bit."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.distributions import (
    beta_quantile,
    mean_ranks,
    normal_quantile,
    rank_tail,
    student_quantile,
    student_tail,
)

DF = np.array([0.0, 0.3, 1.0, 2.0, 5.5, 29.0, 6_000.0, 1e9, np.inf, np.nan])
P = np.array([1e-6, 0.025, 0.3, 0.5, 0.95, 0.975, 1 - 1e-9, 1.0])


@pytest.mark.parametrize("p", P)
def test_quantiles_are_those_of_scipy(p):
    np.testing.assert_array_equal(student_quantile(p, DF), stats.t.ppf(p, DF))
    np.testing.assert_array_equal(normal_quantile(p), stats.norm.ppf(p))
    a, b = np.meshgrid([0.5, 1.0, 3.25, 70.0, 5_999.0], [0.5, 1.0, 2.0, 311.5, 6_000.0])
    np.testing.assert_array_equal(beta_quantile(p, a, b), stats.beta.ppf(p, a, b))


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_tails_are_those_of_scipy(t):
    np.testing.assert_array_equal(student_tail(t, DF), stats.t.sf(t, DF))


@given(st.lists(st.integers(0, 6) | st.floats(-2, 2, allow_nan=False), min_size=1, max_size=40))
def test_ranks_are_those_of_scipy(values):
    np.testing.assert_array_equal(mean_ranks(np.array(values)), stats.rankdata(values))
    both = np.array([values, values[::-1]])
    np.testing.assert_array_equal(mean_ranks(both), stats.rankdata(both, axis=-1))


def test_a_board_needs_no_scipy_stats():
    code = (
        "import sys, harness.report.leaderboard_folder, harness.scoring.score_run, numpy as np\n"
        "from harness.statistics import distributions, metrics, intervals, significance\n"
        "metrics.spearman(np.eye(3), np.arange(3)), intervals.binomial_lower_bound(3, 5, 0.05)\n"
        "assert 'scipy.stats' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_tail_of_a_rank_is_that_of_the_beta_binomial():
    for k, rank, n, m in ((8, 1, 125, 150), (1, 1, 99, 3), (30, 10, 1000, 2000), (3, 2, 200, 3)):
        expected = stats.betabinom.sf(k - 1, m, rank, n + 1 - rank)
        assert rank_tail(k, rank, n, m) == pytest.approx(expected, rel=1e-8)
    assert rank_tail(0, 1, 99, 50) == pytest.approx(1)
