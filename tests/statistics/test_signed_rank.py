"""Wilcoxon's test beside SciPy's and beside all signs, one by one."""

from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.signed_rank import data_sets_needed, least_p, signed_rank_p


@pytest.mark.parametrize("n", [2, 5, 12, 40])
def test_it_is_scipys_exact_test(n):
    rng = np.random.default_rng(n)
    for shift in (0.0, 0.4, -1.0):
        differences = rng.normal(shift, 1, n)
        expected = scipy.stats.wilcoxon(differences, method="exact").pvalue
        assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_ties_and_zeros_are_those_of_all_signs(differences):
    differences = np.array(differences, float)
    nonzero = differences[differences != 0]
    ranks = scipy.stats.rankdata(np.abs(nonzero))
    sums = np.array([ranks[np.array(signs, bool)].sum() for signs in product((0, 1), repeat=len(nonzero))])
    middle = ranks.sum() / 2
    expected = np.mean(np.abs(sums - middle) >= abs(ranks[nonzero > 0].sum() - middle) - 1e-9)
    assert signed_rank_p(differences) == pytest.approx(expected)
    assert signed_rank_p(-differences) == signed_rank_p(differences)


@given(st.integers(1, 30))
def test_no_differences_have_a_smaller_p(n):
    assert signed_rank_p(np.arange(1.0, n + 1)) == pytest.approx(least_p(n))


def test_so_many_data_sets_can_separate_a_pair():
    assert [data_sets_needed(pairs, 0.05) for pairs in (1, 10, 45)] == [6, 9, 11]
    for pairs in (1, 10, 990):
        n = data_sets_needed(pairs, 0.05)
        assert pairs * least_p(n) < 0.05 <= pairs * least_p(n - 1)
