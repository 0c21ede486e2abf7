"""Two samples of one pool differ by chance; others are told apart."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from harness.statistics.homogeneity import compare_means, compare_shares


def test_the_p_value_is_pearsons():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, 300), rng.integers(0, 4, 900)
    table = np.stack([np.bincount(first), np.bincount(second)])
    assert compare_shares(first, second).p == pytest.approx(chi2_contingency(table, correction=False).pvalue)


def test_rare_categories_count_as_one():
    first, second = np.repeat([0, 1], [60, 40]), np.repeat([0, 1], [300, 200])
    singles, one = np.concatenate([second, np.arange(2, 42)]), np.concatenate([second, np.full(40, 2)])
    assert compare_shares(first, singles) == compare_shares(first, one)


def test_one_category_says_nothing():
    assert compare_shares(np.zeros(10), np.zeros(20)) is None
    assert compare_shares(np.zeros(0), np.zeros(20)) is None
    assert compare_means(np.ones((5, 2)), np.ones((9, 2))) is None


def rejected(test, grouped, worlds=200):
    """Return how often samples of one population seem to differ at 5 %."""
    rng, count = np.random.default_rng(1), 0
    unit, other = np.repeat(np.arange(40), 5), np.repeat(np.arange(80), 5)
    for _ in range(worlds):
        common = rng.normal(size=(120, 3))[np.concatenate([unit, other + 40])]  # rows of a group are nearly alike
        X = common + 0.3 * rng.normal(size=common.shape)
        first, second = X[: len(unit)], X[len(unit) :]
        if test is compare_shares:
            first, second = (np.searchsorted([-0.5, 0.5], side[:, 0]) for side in (first, second))
        count += test(first, second, *((unit, other) if grouped else (None, None))).p < 0.05
    return count / worlds


@pytest.mark.parametrize("test", [compare_shares, compare_means])
def test_groups_are_the_rows_that_count(test, monkeypatch):
    monkeypatch.setattr("harness.statistics.homogeneity.PERMUTATIONS", 199)
    assert rejected(test, grouped=True) <= 0.09
    assert rejected(test, grouped=False) > 0.15


def test_a_moved_mean_is_found_with_its_size():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(600, 10)), rng.normal(size=(2_400, 10)) + 0.3
    test = compare_means(first, second)
    assert test.p == pytest.approx(1 / 1_000)
    assert test.effect == pytest.approx(0.3, abs=0.07)  # sqrt(10 x 0.09) over sqrt(10)
