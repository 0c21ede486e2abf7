"""Errors of paired differences, and how often equal labelers separate."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.scoring.standings import Evidence, rank_intervals_of
from harness.statistics import metrics, significance
from harness.statistics.bootstrap import SplitOutcomes, bootstrap_covariances
from harness.statistics.discordance import few_discordant
from harness.statistics.seed_variance import own_seed_variances, paired_seed_variances
from harness.statistics.significance import ALPHA, Measurements
from harness.statistics.value_interval import value_interval

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
    """Return measurements of right answers (m, J, n), in plain NumPy."""
    m, seeds, n = right.shape
    group = np.arange(n) if group is None else group
    units, weights = int(group.max()) + 1, np.bincount(group) / n
    shares = np.array([[np.bincount(group, right[a, j], units) / n for j in range(seeds)] for a in range(m)])
    residuals = shares - weights * shares.sum(axis=2, keepdims=True)
    mean = residuals.mean(axis=1)
    factor = units / (units - 1)
    alone = residuals - mean[:, None]
    own = None if seeds == 1 else np.einsum("aju,bju->ab", alone, alone) * factor / (seeds - 1)
    few = few_discordant(shares.mean(axis=1))
    return Measurements(right.mean(axis=2), mean @ mean.T * factor, units, own, few)


def test_the_error_of_a_difference_is_that_of_the_formula():
    """Of two labelers: the paired t-test by seeds, without what the rows do in one seed alone, and the rows."""
    right = hits(m=2, seeds=3, n=400).astype(float)
    estimates = significance.estimate_differences(measured(right))
    d = right[0] - right[1]
    by_rows = d.mean(axis=0).var(ddof=1) / 400
    alone = d - d.mean(axis=0)
    own = sum(alone[j].var(ddof=1) / 400 for j in range(3)) / 2
    s2 = d.mean(axis=1).var(ddof=1)
    by_seed = max(s2 - own, 0) / 3
    assert estimates.value[0] == pytest.approx(d.mean())
    assert estimates.se[0] == pytest.approx(np.sqrt(by_seed + by_rows))
    weight = 1 + 3 / 2
    df = (by_rows + weight * by_seed) ** 2 / ((weight * s2 / 3) ** 2 / 2 + by_rows**2 / 399)
    t = stats.t(df, d.mean(), np.sqrt(by_seed + by_rows))
    assert estimates.p[0] == pytest.approx(2 * min(t.cdf(0), t.sf(0)))
    assert [end[0] for end in estimates.interval] == pytest.approx(list(t.interval(0.95)))


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


def test_an_erratic_labeler_counts_with_its_own_variance_and_leaves_the_pool():
    rng = np.random.default_rng(5)
    calm, wild = 0.5 + 0.001 * rng.normal(size=(7, 5)), 0.5 + 0.05 * rng.normal(size=(1, 5))
    alone, together = paired_seed_variances(calm), paired_seed_variances(np.concatenate([calm, wild]))
    assert together.s2[:7] == pytest.approx(alone.s2), "the others are as if it were not there"
    assert (together.pool_df, together.df) == (alone.pool_df, 4)
    assert not together.pooled[7]
    assert together.s2[7] == pytest.approx((wild[0] - calm.mean(axis=0)).var(ddof=1), rel=0.01)


def test_variances_are_those_of_the_labelers_on_average():
    """Unlike labelers with a scatter in common: Grubbs' estimates have no bias, and no pool hides it here."""
    sd = np.array([0.5, 1.0, 2.0])
    rng = np.random.default_rng(6)
    values = rng.normal(size=(1_500, 1, 4)) * 5 + sd[:, None] * rng.normal(size=(1_500, 3, 4))
    own = np.array([np.mean([np.var(v[a] - v[b], ddof=1) for v in values]) for a, b in combinations(range(3), 2)])
    expected = [(own[0] + own[1] - own[2]) / 2, (own[0] + own[2] - own[1]) / 2, (own[1] + own[2] - own[0]) / 2]
    assert expected == pytest.approx(list(sd**2), rel=0.25)
    largest = np.mean([paired_seed_variances(v).s2[2] for v in values])
    assert largest == pytest.approx(sd[2] ** 2, rel=0.1)


def test_what_a_seed_does_to_all_labelers_is_no_variance_of_a_difference():
    luck = np.array([0.1, -0.2, 0.1])
    own = 0.01 * np.array([[1, 0, -1], [-1, 1, 0], [0, -1, 1]])  # rows that scatter alike
    paired, alone = paired_seed_variances(0.5 + luck + own), own_seed_variances(0.5 + luck + own)
    spread = [np.var(own[a] - own[b], ddof=1) for a, b in combinations(range(3), 2)]
    assert 2 * paired.s2 == pytest.approx(np.mean(spread))
    assert paired.pool_df == 4
    assert alone.s2.min() > 0.02, "of a value itself it is"


def test_what_the_rows_do_in_one_seed_counts_once():
    """Seeds that differ by luck on single rows alone have the variance of the rows, no more."""
    rng = np.random.default_rng(8)
    stated, true = [], []
    for _ in range(300):
        score = rng.normal(size=(2, 1, 500)) + rng.normal(size=(2, 4, 500))
        estimates = significance.estimate_differences(measured((score > 0).astype(float)))
        stated.append(estimates.se[0] ** 2)
        true.append(estimates.value[0])
    assert np.sqrt(np.mean(stated)) == pytest.approx(np.std(true), rel=0.12)


def test_four_rows_that_differ_are_tested_exactly():
    """Four of 2,000 rows, all won by one side: McNemar's exact p is 1/8, whatever t says."""
    right = np.ones((2, 3, 2_000))
    right[1, :, :4] = 0
    estimates = significance.estimate_differences(measured(right))
    assert 2 * stats.t.sf(estimates.value[0] / estimates.se[0], 1_999) < 0.05
    assert estimates.p[0] == pytest.approx(stats.binomtest(4, 4).pvalue) == 0.125
    low, high = (ends[0] for ends in estimates.interval)
    assert low < 0 < estimates.value[0] <= high
    right[1, :, 4:12] = 0
    assert significance.estimate_differences(measured(right)).p[0] < 0.05, "twelve to none are enough"


@given(st.integers(0, 60), st.integers(0, 60))
def test_an_interval_of_a_share_is_exact_and_stays_inside(wins, losses):
    n = wins + losses
    if n < 2:
        return
    right = np.r_[np.ones(wins), np.zeros(losses)].reshape(1, 1, n)
    own = significance.estimate_values(measured(right))
    low, high = (ends[0] for ends in value_interval(own, (0.0, 1.0), n))
    exact = stats.binomtest(wins, n).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-6)


@pytest.mark.parametrize("bounds", [(0.0, 5.0), (-1.0, 1.0), (0.0, np.inf)])
def test_intervals_stay_in_the_range_of_their_metric(bounds):
    values = np.array([bounds[0], bounds[0] + 0.001, min(bounds[1], 9.0) - 0.001])
    own = significance.Estimates(values, np.array([0.0, 0.01, 0.01]), np.full(3, 50.0))
    low, high = value_interval(own, bounds, 60)
    assert (bounds[0] <= low).all()
    assert (high <= bounds[1]).all()
    assert (low <= values + 1e-9).all()
    assert (values <= high + 1e-9).all()


def standings(measured, lower_is_better=False, titles="abcdefghijkl"):
    return rank_intervals_of(Evidence(tuple(titles[: len(measured.values)]), measured), lower_is_better, "a")


def test_rank_intervals_by_hand():
    """a and b are alike, c is far below, d is between and noisy."""
    values = np.array([[0.80], [0.79], [0.50], [0.65]]) + 1e-6 * np.array([-1, 0, 1])
    rows = np.diag([1e-4, 1e-4, 1e-4, 1e-2])
    ranked = standings(Measurements(values, rows, 1_000))
    assert [(s.rank, s.leading) for s in ranked.by_title.values()] == [
        ("1-3", True),
        ("1-3", True),
        ("3-4", False),
        ("1-4", True),
    ]
    upside_down = standings(Measurements(values, rows, 1_000), lower_is_better=True)
    assert [s.rank for s in upside_down.by_title.values()] == ["2-4", "2-4", "1-2", "1-4"]
    against = ranked.by_title["c"].against
    assert against.value == pytest.approx(-0.3)
    assert against.interval[0] < -0.3 < against.interval[1] < 0


@pytest.mark.parametrize(("seeds", "why"), [(1, "one seed"), (2, "two seeds")])
def test_fewer_than_three_seeds_test_nothing(seeds, why):
    values = np.array([[0.9], [0.1]]) + 1e-6 * np.arange(seeds)
    ranked = standings(Measurements(values, np.eye(2) * 1e-6, 100_000))
    assert ranked.untested == why
    assert [(s.rank, s.leading) for s in ranked.by_title.values()] == [("", False)] * 2
    (pair,) = ranked.pairs
    assert (pair.separated, pair.adjusted, pair.difference.p) == (False, None, None)
    assert ranked.by_title["a"].interval[0] < 0.9 < ranked.by_title["a"].interval[1]
    assert (ranked.detectable, ranked.planned) == (None, None)


def test_equal_answers_are_never_separated_and_have_p_1():
    right = hits(seeds=3)
    right[1] = right[0]
    ranked = standings(measured(right))
    assert (ranked.pairs[0].difference.p, ranked.pairs[0].separated) == (1.0, False)
    constant = np.ones((2, 3, 60))
    pair = standings(measured(constant)).pairs[0]
    assert (pair.difference.value, pair.difference.interval, pair.separated) == (0.0, (0.0, 0.0), False)


@pytest.mark.parametrize("n", [2, 29])
def test_few_rows_separate_nothing(n):
    right = np.zeros((2, 3, n), bool)
    right[0] = True
    ranked = standings(measured(right))
    assert not ranked.has_enough_rows
    assert [(s.rank, s.interval, s.leading) for s in ranked.by_title.values()] == [("", None, False)] * 2
    assert standings(measured(np.repeat(right, 30, axis=2))).by_title["a"].rank == "1"


def test_one_labeler_is_first_and_does_not_lead():
    ranked = standings(measured(hits(m=1, seeds=3)))
    assert (ranked.by_title["a"].rank, ranked.by_title["a"].leading, ranked.pairs) == ("1", False, ())


def test_the_smallest_detectable_difference_is_found_in_four_of_five_runs():
    rng = np.random.default_rng(2)
    cov = np.diag([1e-4, 1e-4])
    planned = standings(Measurements(np.zeros((2, 3)), cov, 5_000)).planned
    seen = planned + rng.normal(size=4_000) * np.sqrt(2e-4)
    assert np.mean(seen / np.sqrt(2e-4) > stats.norm.ppf(1 - ALPHA / 2)) == pytest.approx(0.8, abs=0.02)


# How often the method is wrong. Rows are simulated one by one where they are few; where they are many, the sums over
# them are: normal, by the central limit theorem.


def worlds(count, m, seeds, n, sd, lead=0.0, disagreement=0.25, rng=None):
    """Yield measurements of equal labelers, but for the lead of the first.

    Seeds scatter by `sd`; all labelers share the rows.
    """
    rng = rng or np.random.default_rng(3)
    alone = 0.07 / n  # variance of one seed's mean by what the rows do in that seed alone
    own = disagreement / 2 / n - alone / seeds  # and by what they do to one labeler in all seeds
    rows = np.eye(m) * (own + alone / seeds) + 0.1 / n
    for _ in range(count):
        values = 0.5 + np.sqrt(0.1 / n) * rng.normal() + np.sqrt(own) * rng.normal(size=(m, 1))
        values = values + np.broadcast_to(sd, m)[:, None] * rng.normal(size=(m, seeds))
        values = values + np.sqrt(alone) * rng.normal(size=(m, seeds)) + 0.003 * rng.normal(size=seeds)
        values[0] += lead
        yield Measurements(values, rows, n, np.eye(m) * alone)


def separations(measurements):
    estimates = significance.estimate_differences(measurements)
    return estimates, significance.holm(estimates.p) < ALPHA


def false_share(many_measurements):
    return np.mean([separations(each)[1].any() for each in many_measurements])


# Standard deviations by the seed, in points: labelers that are alike, and with one of another kind.
WORLDS = {
    "alike": [0.3] * 8,
    "one of 2": [0.05, 1.0],
    "one of 3": [0.05, 0.05, 1.0],
    "one of 8": [0.05] * 7 + [1.0],
    "one of 12": [0.2] * 11 + [1.0],
}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("n", [6_000, 150_000])
@pytest.mark.parametrize("world", WORLDS)
def test_equal_labelers_are_separated_in_at_most_5_per_cent_of_worlds(world, n, seeds):
    sd = np.array(WORLDS[world]) / 100
    falsely, covered, count = [], [], 1_000 if seeds == 3 else 400
    for each in worlds(count, len(sd), seeds, n, sd):
        estimates, apart = separations(each)
        low, high = estimates.interval
        falsely.append(apart.any())
        covered.append(((low <= 0) & (high >= 0)).mean())
    assert np.mean(falsely) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / count)
    assert 0.93 <= np.mean(covered) <= 0.985


def test_an_erratic_labeler_does_not_blunt_the_others():
    """The leader of eleven calm labelers is separated from them nearly as often beside an erratic one."""
    found = []
    for sd in ([0.001] * 11, [*[0.001] * 11, 0.01]):
        many = [separations(each) for each in worlds(150, len(sd), 3, 27_000, sd, lead=0.012)]
        found.append(np.mean([(apart & (estimates.value > 0))[:10].mean() for estimates, apart in many]))
    assert found[1] >= found[0] - 0.12


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


def se_of(covariances):
    cov, _ = covariances
    return np.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])


def test_the_bootstrap_is_that_of_counts_of_truth_first_and_second():
    y, (said,) = answered(2, 3_000)
    cov = bootstrap_covariances([SplitOutcomes(np.arange(3_000), y * C + said)], 3_000, C, f1, seed=1)
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

    cov = bootstrap_covariances([SplitOutcomes(np.arange(n), y * C + labels) for labels in said], n, C, mae, seed=1)
    d = np.mean([np.abs(labels[0] - y) - np.abs(labels[1] - y) for labels in said], axis=0)
    assert se_of(cov) == pytest.approx(np.sqrt(d.var(ddof=1) / n), rel=0.06)


def test_the_bootstrap_draws_groups_whole():
    y, (said,) = answered(2, 1_000)
    alone = bootstrap_covariances([SplitOutcomes(np.arange(1_000), y * C + said)], 1_000, C, f1, seed=1)
    four = SplitOutcomes(np.repeat(np.arange(1_000), 4), np.repeat(y * C + said, 4, axis=1))
    assert se_of(bootstrap_covariances([four], 1_000, C, f1, seed=1)) == pytest.approx(se_of(alone))
