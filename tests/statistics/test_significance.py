"""Errors of paired differences, and how often equal labelers separate."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.scoring.standings import Evidence, rank_intervals_of
from harness.statistics import metrics, significance
from harness.statistics.bootstrap import SplitOutcomes, bootstrap_covariance
from harness.statistics.significance import ALPHA, Measurements, row_covariance

C = 6


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(p):
    """Reject a hypothesis where every set that has it is rejected."""
    places = range(len(p))
    sets = [s for size in range(1, len(p) + 1) for s in combinations(places, size)]
    expected = [max(min(1.0, len(s) * min(p[i] for i in s)) for s in sets if place in s) for place in places]
    assert significance.holm(np.array(p)) == pytest.approx(expected)


def hits(m=3, seeds=2, n=60, rng=None):
    """Return (m, J, n) right and wrong answers.

    Rows differ in difficulty, and labelers in the rows that are difficult for them.
    """
    rng = rng or np.random.default_rng(0)
    score = rng.normal(size=(1, 1, n)) + 0.7 * rng.normal(size=(m, 1, n)) + 0.7 * rng.normal(size=(m, seeds, n))
    return score > 0


def measured(right, group=None):
    n = right.shape[2]
    group = np.arange(n) if group is None else group
    units = int(group.max()) + 1
    shares = np.stack([np.bincount(group, share_right, units) / n for share_right in right.mean(axis=1)])
    return Measurements(right.mean(axis=2), row_covariance(shares, np.bincount(group) / n), units)


def test_the_error_of_a_difference_is_that_of_the_formula():
    right = hits()
    estimates = significance.estimate_differences(measured(right))
    own = [np.var([seed.mean() for seed in seeds_of_labeler], ddof=1) for seeds_of_labeler in right]
    s2 = [max(each, np.mean(own)) for each in own]
    for place, (a, b) in enumerate(combinations(range(3), 2)):
        d = np.array([np.mean([int(right[a, j, i]) - int(right[b, j, i]) for j in range(2)]) for i in range(60)])
        by_seed, by_rows = (s2[a] + s2[b]) / 2, d.var(ddof=1) / 60
        assert estimates.value[place] == pytest.approx(d.mean())
        assert estimates.se[place] == pytest.approx(np.sqrt(by_seed + by_rows))
        df = (by_seed + by_rows) ** 2 / (by_seed**2 / 3 + by_rows**2 / 59)
        t = stats.t(df, d.mean(), np.sqrt(by_seed + by_rows))
        assert estimates.p[place] == pytest.approx(2 * min(t.cdf(0), t.sf(0)))
        assert [end[place] for end in estimates.interval] == pytest.approx(list(t.interval(0.95)))


def test_groups_are_drawn_whole():
    """Four copies of a row in one group count as the row alone."""
    right = hits(seeds=1)
    four = np.repeat(right, 4, axis=2)
    alone = significance.estimate_differences(measured(right))
    together = significance.estimate_differences(measured(four, np.repeat(np.arange(60), 4)))
    naive = significance.estimate_differences(measured(four))
    assert together.se == pytest.approx(alone.se)
    assert naive.se == pytest.approx(alone.se / 2, rel=0.02)


def test_groups_of_different_size_have_the_linearised_error():
    rng = np.random.default_rng(1)
    right, group = hits(seeds=1, n=300), np.sort(rng.integers(0, 40, 300))
    estimates = significance.estimate_differences(measured(right, group))
    d = (right[0, 0].astype(int) - right[1, 0]).astype(float)
    sums = [sum(d[i] - d.mean() for i in range(300) if group[i] == g) for g in range(40)]
    assert estimates.se[0] == pytest.approx(np.sqrt(40 / 39 * sum(s**2 for s in sums)) / 300)


def test_one_seed_has_no_variance_of_seeds():
    right = hits(seeds=1)
    estimates = significance.estimate_differences(measured(right))
    d = right[0, 0].astype(int) - right[1, 0].astype(int)
    assert estimates.se[0] == pytest.approx(np.sqrt(d.var(ddof=1) / 60))
    assert estimates.df[0] == pytest.approx(59)


def test_an_erratic_labeler_counts_with_its_own_variance():
    values = np.array([[0.50, 0.51, 0.52], [0.40, 0.41, 0.42], [0.30, 0.31, 0.32], [0.2, 0.5, 0.8]])
    s2, df = significance.seed_variances(Measurements(values, np.eye(4), 100))
    assert s2 == pytest.approx([(3 * 1e-4 + 0.09) / 4] * 3 + [0.09])
    assert df == 8
    s2, _ = significance.seed_variances(Measurements(values[2:], np.eye(2), 100))
    assert s2 == pytest.approx([(1e-4 + 0.09) / 2] * 2), "of two, the sum is that of both in any case"


def test_what_the_seeds_rows_do_to_all_labelers_is_no_variance_of_theirs():
    """Seeds on other rows: their luck moves every labeler and no difference."""
    luck = np.array([0.1, -0.2, 0.1])
    own = 0.01 * np.array([[1, 0, -1], [-1, 1, 0], [0, -1, 1]])  # rows that scatter alike
    other_rows = Measurements(0.5 + luck + own, np.eye(3), 100, same_rows=False)
    s2, df = significance.seed_variances(other_rows)
    spread = [np.var(own[a] - own[b], ddof=1) for a, b in combinations(range(3), 2)]
    assert 2 * s2 == pytest.approx(np.mean(spread))
    assert df == 4


def standings(measured, lower_is_better=False, titles="abcdefghijkl"):
    return rank_intervals_of(Evidence(tuple(titles[: len(measured.values)]), measured), lower_is_better, "a")


def test_rank_intervals_by_hand():
    """a and b are alike, c is far below, d is between and noisy."""
    values = np.array([[0.80], [0.79], [0.50], [0.65]])
    ranked = standings(Measurements(values, np.diag([1e-4, 1e-4, 1e-4, 1e-2]), 1_000))
    assert [(s.rank, s.leading) for s in ranked.by_title.values()] == [
        ("1-3", True),
        ("1-3", True),
        ("3-4", False),
        ("1-4", True),
    ]
    upside_down = standings(Measurements(values, np.diag([1e-4, 1e-4, 1e-4, 1e-2]), 1_000), lower_is_better=True)
    assert [s.rank for s in upside_down.by_title.values()] == ["2-4", "2-4", "1-2", "1-4"]
    against = ranked.by_title["c"].against
    assert against.value == pytest.approx(-0.3)
    assert against.interval[0] < -0.3 < against.interval[1] < 0


def test_equal_answers_are_never_separated_and_have_p_1():
    right = hits()
    right[1] = right[0]
    ranked = standings(measured(right))
    assert (ranked.pairs[0].difference.p, ranked.pairs[0].separated) == (1.0, False)
    alone = np.repeat(right[:1, :1], 2, axis=0)  # one seed: not even an error is left
    pair = standings(measured(alone)).pairs[0]
    assert (pair.difference.se, pair.difference.p, pair.separated) == (0.0, 1.0, False)


@pytest.mark.parametrize("n", [1, 2, 29])
def test_few_rows_separate_nothing(n):
    right = np.zeros((2, 1, n), bool)
    right[0] = True
    ranked = standings(measured(right))
    assert not ranked.has_enough_rows
    assert [(s.rank, s.interval, s.leading) for s in ranked.by_title.values()] == [("1-2", None, False)] * 2
    assert standings(measured(np.repeat(right, 30, axis=2))).by_title["a"].rank == "1"


def test_one_labeler_is_first_and_does_not_lead():
    ranked = standings(measured(hits(m=1)))
    assert (ranked.by_title["a"].rank, ranked.by_title["a"].leading, ranked.pairs) == ("1", False, ())


def test_the_smallest_detectable_difference_is_found_in_four_of_five_runs():
    rng = np.random.default_rng(2)
    cov = np.diag([1e-4, 1e-4])
    planned = standings(Measurements(np.zeros((2, 1)), cov, 5_000)).planned
    seen = planned + rng.normal(size=4_000) * np.sqrt(2e-4)
    assert np.mean(seen / np.sqrt(2e-4) > stats.norm.ppf(1 - ALPHA / 2)) == pytest.approx(0.8, abs=0.02)


# How often the method is wrong. Rows are simulated one by one where they are few; where they are many, the sums over
# them are: normal, by the central limit theorem.


def worlds(count, m, seeds, n, sd, lead=0.0, disagreement=0.25, rng=None):
    """Yield measurements of equal labelers, but for the lead of the first.

    Seeds scatter by `sd`; all labelers share the rows.
    """
    rng = rng or np.random.default_rng(3)
    own = disagreement / 2 / n  # variance of one labeler's mean by the rows, beside what all have in common
    rows = np.eye(m) * own + 0.1 / n
    for _ in range(count):
        values = 0.5 + np.sqrt(0.1 / n) * rng.normal() + np.sqrt(own) * rng.normal(size=(m, 1))
        values = values + np.broadcast_to(sd, m)[:, None] * rng.normal(size=(m, seeds))
        values[0] += lead
        yield Measurements(values, rows, n)


def separations(measurements):
    estimates = significance.estimate_differences(measurements)
    return estimates, significance.holm(estimates.p) < ALPHA


def false_share(many_measurements):
    return np.mean([separations(each)[1].any() for each in many_measurements])


def test_equal_labelers_are_separated_in_at_most_5_per_cent_of_worlds():
    assert false_share(worlds(1_000, 12, 5, 27_000, 0.002)) <= 0.05
    assert false_share(worlds(1_000, 12, 3, 27_000, 0.005)) <= 0.05


def test_an_erratic_labeler_is_not_separated():
    """One labeler scatters five times as much as the others.

    Under one variance pooled over all it would be separated from some of them in one world of ten.
    """
    sd = [0.01, *[0.002] * 11]
    assert false_share(worlds(1_000, 12, 5, 27_000, sd)) <= 0.05


def test_a_leader_by_a_point_and_a_half_is_separated_from_the_field():
    tests = [separations(each) for each in worlds(300, 12, 5, 27_000, 0.002, lead=0.015)]
    share = np.mean([(apart & (estimates.value > 0))[:11].mean() for estimates, apart in tests])
    assert share >= 0.8


def test_equal_labelers_are_not_separated_row_by_row():
    rng = np.random.default_rng(4)
    equal = []
    for _ in range(400):
        score = (
            rng.normal(size=300, scale=1.0) + 0.7 * rng.normal(size=(8, 1, 300)) + 0.7 * rng.normal(size=(8, 3, 300))
        )
        equal.append(measured(score + 0.05 * rng.normal(size=(8, 3, 1)) > 0))
    assert false_share(equal) <= 0.05


# The bootstrap.


def answered(m, n, splits=1, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(C, n, p=[0.06, 0.14, 0.29, 0.3, 0.2, 0.01])
    said = [np.where(rng.random((m, n)) < 0.5, y, rng.integers(0, C, (m, n))) for _ in range(splits)]
    return y, said


def f1(tables):
    return metrics.f1_by_class(tables).mean(axis=-1)


def se_of(cov):
    return np.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])


def test_the_bootstrap_is_that_of_counts_of_truth_first_and_second():
    y, (said,) = answered(2, 3_000)
    cov = bootstrap_covariance([SplitOutcomes(np.arange(3_000), y * C + said)], 3_000, C, f1, seed=1)
    cube = np.bincount((y * C + said[0]) * C + said[1], minlength=C**3) / 3_000
    drawn = np.random.default_rng(0).multinomial(3_000, cube, 4_000).reshape(-1, C, C, C)
    expected = (f1(drawn.sum(axis=3)) - f1(drawn.sum(axis=2))).std(ddof=1)
    assert se_of(cov) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("n", [3_000, 20_000])  # rows one by one, and in blocks
def test_the_bootstrap_of_a_mean_is_its_formula(n):
    y, said = answered(2, n, splits=3)

    def mae(tables):
        distance = np.abs(np.arange(C)[:, None] - np.arange(C))
        return (tables * distance).sum(axis=(-2, -1)) / tables.sum(axis=(-2, -1))

    cov = bootstrap_covariance([SplitOutcomes(np.arange(n), y * C + labels) for labels in said], n, C, mae, seed=1)
    d = np.mean([np.abs(labels[0] - y) - np.abs(labels[1] - y) for labels in said], axis=0)
    assert se_of(cov) == pytest.approx(np.sqrt(d.var(ddof=1) / n), rel=0.06)


def test_the_bootstrap_draws_groups_whole():
    y, (said,) = answered(2, 1_000)
    alone = bootstrap_covariance([SplitOutcomes(np.arange(1_000), y * C + said)], 1_000, C, f1, seed=1)
    four = SplitOutcomes(np.repeat(np.arange(1_000), 4), np.repeat(y * C + said, 4, axis=1))
    assert se_of(bootstrap_covariance([four], 1_000, C, f1, seed=1)) == pytest.approx(se_of(alone))
