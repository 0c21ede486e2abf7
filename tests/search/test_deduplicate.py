"""Groups of equal rows: neighbours as by brute force, bit by bit."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.search.brute_force import brute_force
from harness.search.deduplicate import DuplicateGroups, has_large_groups, unique_rows
from harness.search.neighbors import nearest, normalize


def draw_copies(rng, n, n_groups, d=6, grid=True):
    """Return n unit vectors in groups of equal ones; some groups tie."""
    vectors = rng.integers(-1, 2, (n_groups, d)) if grid else rng.standard_normal((n_groups, d))
    return normalize(vectors.astype(np.float32)[rng.integers(0, n_groups, n)])


def test_groups_by_hand():
    X = np.array([[1, 0], [0, 1], [1, 0], [0, 0], [0, 1], [1, 0]], np.float32)
    first, group = unique_rows(X)
    assert sorted(first.tolist()) == [0, 1, 3]
    assert first[group].tolist() == [0, 1, 0, 3, 1, 0]


def test_two_rows_with_one_hash_are_not_taken_for_each_other(monkeypatch):
    class Weightless:
        def integers(self, low, high, d, group):
            return np.zeros(d, group)  # every weight becomes 1: rows that are permutations of each other clash

    monkeypatch.setattr("harness.search.deduplicate.np.random.default_rng", lambda seed: Weightless())
    first, group = unique_rows(np.array([[1, 0], [0, 1], [1, 0]], np.float32))
    assert first[group].tolist() == [0, 1, 2]


def test_a_large_group_is_more_than_k_copies_in_a_fiftieth_of_the_base():
    group = np.repeat(np.arange(96), [5, *[1] * 95])  # 100 rows, five of them equal
    assert has_large_groups(group, 100, 4)
    assert not has_large_groups(group, 100, 5)
    assert not has_large_groups(np.concatenate([group, np.arange(96, 400)]), 404, 4)
    only_queries = np.concatenate([np.arange(100), np.zeros(50, int)])
    assert not has_large_groups(only_queries, 100, 4)


def test_groups_that_tie_give_their_lowest_rows_whichever_group_they_are():
    groups = DuplicateGroups.of(np.array([9, 1, 5, 3, 7]), np.array([0, 0, 1, 1, 2]), 3)
    similarity = np.array([[0.5, 0.5, 0.2], [0.9, 0.1, -np.inf]], np.float32)
    near, index = groups.expand(similarity, np.array([[0, 1, 2], [2, 1, 0]]))
    assert groups.rows[index].tolist() == [[1, 3, 5], [7, 3, 5]]
    np.testing.assert_array_equal(near, np.array([[0.5, 0.5, 0.5], [0.9, 0.1, 0.1]], np.float32))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(1, 12), st.integers(1, 30), st.booleans(), st.booleans())
def test_it_agrees_with_brute_force(seed, n, n_groups, k, among_all, repeated):
    rng = np.random.default_rng(seed)
    size, start = (n, 0) if among_all else (max(1, n // 2), max(1, n // 2))
    X = draw_copies(rng, n, n_groups)
    rows = rng.permutation(n)
    if repeated:  # a row number comes several times, as after oversampling
        again = rng.integers(0, n, n)
        X, rows = X[again], rows[again]
    k = min(k, size)
    similarity, index = nearest(X, rows, size, start, k)
    expected_s, expected_i = brute_force(X[:size], rows[:size], X[start:], rows[start:], k)
    np.testing.assert_array_equal(similarity, expected_s)
    real = np.isfinite(expected_s)
    np.testing.assert_array_equal(rows[index][real], rows[expected_i][real])
    assert (index[~real] == 0).all()


@pytest.mark.parametrize("engine", ["int8", "float32", "faiss"])
@pytest.mark.parametrize("among_all", [True, False])
def test_every_engine_finds_the_same_in_large_groups(engine, among_all):
    from harness.search.engine import use_engine

    rng = np.random.default_rng(1)
    X, rows = draw_copies(rng, 1_500, 40, 24, grid=False), rng.permutation(1_500)
    size, start = (1_500, 0) if among_all else (900, 900)
    assert has_large_groups(unique_rows(X)[1], size, 7)
    with use_engine(engine) as searches:
        similarity, index = nearest(X, rows, size, start, 7)
    assert [search["engine"] for search in searches] == [engine]
    expected_s, expected_i = brute_force(X[:size], rows[:size], X[start:], rows[start:], 7)
    np.testing.assert_array_equal(index, expected_i)
    np.testing.assert_allclose(similarity, expected_s, atol=5e-7)


def test_progress_ends_with_all_rows_though_fewer_are_searched():
    reports = []
    nearest(draw_copies(np.random.default_rng(0), 900, 9), np.arange(900), 500, 500, 3, reports.append)
    assert reports[-1] == 400


def test_small_portions_change_nothing(monkeypatch):
    rng = np.random.default_rng(2)
    X, rows = draw_copies(rng, 700, 90, 12, grid=False), rng.permutation(700)
    at_once = nearest(X, rows, 700, 0, 3)
    assert has_large_groups(unique_rows(X)[1], 700, 3)
    monkeypatch.setattr(sys.modules["harness.search.deduplicate"], "COMPARED_ROWS", 13)
    parts = nearest(X, rows, 700, 0, 3)
    np.testing.assert_array_equal(at_once[0], parts[0])
    np.testing.assert_array_equal(at_once[1], parts[1])
