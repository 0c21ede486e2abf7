"""Crowds of equal rows: the neighbours are those of the search that knows of no copies, to the last place."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.search.brute_force import brute_force
from harness.search.deduplicate import DuplicateGroups, has_large_groups, unique_rows
from harness.search.neighbors import nearest, normalize


def drawn(rng, n, kinds, d=6, grid=True):
    """Return n unit vectors of few kinds, some of them at right angles or zero, so that different kinds tie too."""
    made = rng.integers(-1, 2, (kinds, d)) if grid else rng.standard_normal((kinds, d))
    return normalize(made.astype(np.float32)[rng.integers(0, kinds, n)])


def test_vectors_by_hand():
    X = np.array([[1, 0], [0, 1], [1, 0], [0, 0], [0, 1], [1, 0]], np.float32)
    first, kind = unique_rows(X)
    assert sorted(first.tolist()) == [0, 1, 3]
    assert first[kind].tolist() == [0, 1, 0, 3, 1, 0]


def test_two_rows_with_one_hash_are_not_taken_for_each_other(monkeypatch):
    class Weightless:
        def integers(self, low, high, d, kind):
            return np.zeros(d, kind)  # every weight becomes 1: rows that are permutations of each other clash

    monkeypatch.setattr("harness.search.deduplicate.np.random.default_rng", lambda seed: Weightless())
    first, kind = unique_rows(np.array([[1, 0], [0, 1], [1, 0]], np.float32))
    assert first[kind].tolist() == [0, 1, 2]


def test_a_crowd_is_more_than_k_copies_in_a_fiftieth_of_the_base():
    kind = np.repeat(np.arange(96), [5, *[1] * 95])  # 100 rows, five of them equal
    assert has_large_groups(kind, 100, 4)
    assert not has_large_groups(kind, 100, 5)
    assert not has_large_groups(np.concatenate([kind, np.arange(96, 400)]), 404, 4)
    assert not has_large_groups(
        np.concatenate([np.arange(100), np.zeros(50, int)]), 100, 4
    )  # copies that are only asked about


def test_kinds_that_tie_give_their_lowest_rows_whichever_kind_they_are():
    crowd = DuplicateGroups.of(np.array([9, 1, 5, 3, 7]), np.array([0, 0, 1, 1, 2]), 3)
    similarity = np.array([[0.5, 0.5, 0.2], [0.9, 0.1, -np.inf]], np.float32)
    near, place = crowd.expand(similarity, np.array([[0, 1, 2], [2, 1, 0]]))
    assert crowd.rows[place].tolist() == [[1, 3, 5], [7, 3, 5]]
    np.testing.assert_array_equal(near, np.array([[0.5, 0.5, 0.5], [0.9, 0.1, 0.1]], np.float32))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(1, 12), st.integers(1, 30), st.booleans(), st.booleans())
def test_it_agrees_with_the_plain_search(seed, n, kinds, k, whole, repeated):
    rng = np.random.default_rng(seed)
    size, start = (n, 0) if whole else (max(1, n // 2), max(1, n // 2))
    X = drawn(rng, n, kinds)
    rows = rng.permutation(n)
    if repeated:  # a row number comes several times, as after oversampling
        again = rng.integers(0, n, n)
        X, rows = X[again], rows[again]
    k = min(k, size)
    similarity, place = nearest(X, rows, size, start, k)
    wanted_s, wanted_p = brute_force(X[:size], rows[:size], X[start:], rows[start:], k)
    np.testing.assert_array_equal(similarity, wanted_s)
    found = np.isfinite(wanted_s)
    np.testing.assert_array_equal(rows[place][found], rows[wanted_p][found])
    assert (place[~found] == 0).all()


@pytest.mark.parametrize("engine", ["int8", "float32", "faiss"])
@pytest.mark.parametrize("whole", [True, False])
def test_every_engine_finds_the_same_in_crowds(engine, whole):
    from harness.search.engine import use_engine

    rng = np.random.default_rng(1)
    X, rows = drawn(rng, 1_500, 40, 24, grid=False), rng.permutation(1_500)
    size, start = (1_500, 0) if whole else (900, 900)
    assert has_large_groups(unique_rows(X)[1], size, 7)
    with use_engine(engine) as searches:
        similarity, place = nearest(X, rows, size, start, 7)
    assert [search["engine"] for search in searches] == [engine]
    wanted_s, wanted_p = brute_force(X[:size], rows[:size], X[start:], rows[start:], 7)
    np.testing.assert_array_equal(place, wanted_p)
    np.testing.assert_allclose(similarity, wanted_s, atol=5e-7)


def test_progress_ends_with_all_rows_though_fewer_are_searched():
    told = []
    nearest(drawn(np.random.default_rng(0), 900, 9), np.arange(900), 500, 500, 3, told.append)
    assert told[-1] == 400


def test_small_portions_change_nothing(monkeypatch):
    rng = np.random.default_rng(2)
    X, rows = drawn(rng, 700, 90, 12, grid=False), rng.permutation(700)
    whole = nearest(X, rows, 700, 0, 3)
    assert has_large_groups(unique_rows(X)[1], 700, 3)
    monkeypatch.setattr(sys.modules["harness.search.deduplicate"], "COMPARED_ROWS", 13)
    parts = nearest(X, rows, 700, 0, 3)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])
