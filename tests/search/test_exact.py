"""The exact search against brute force and a sort: engines, levels, ties."""

import sys
from functools import partial

import numpy as np
import pytest

from harness import Block, Task, neighbors
from harness.search.brute_force import brute_force
from harness.search.exact import search
from harness.search.inner_products import Cuda, Float32, Int8, fastest
from harness.search.neighbors import nearest, normalize

ENGINES = ["int8", "float32", "cuda", "faiss"]


@pytest.fixture(autouse=True)
def a_device_that_is_the_processor(monkeypatch):
    """Run the code for a GPU on tensors of the processor."""
    monkeypatch.setattr("harness.search.inner_products.Cuda", partial(Cuda, device="cpu"))


def cloud(n, d, seed=0, topics=20):
    """Return (n, d) unit vectors in clusters of very different sizes."""
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal((topics, d)) + 1.5
    X = centre[np.minimum(rng.zipf(1.5, n), topics) - 1] + 0.7 * rng.standard_normal((n, d))
    return normalize(X.astype(np.float32))


def sort(X, rows, size, query, k):
    """Return similarity and index of a query's k nearest, by a plain sort."""
    near = X[:size].astype(np.float64) @ X[query]
    near[rows[:size] == rows[query]] = -np.inf
    order = np.lexsort((rows[:size], -near))[:k]
    return near[order], order


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("n", "d", "k"), [(3_000, 64, 10), (2_500, 33, 50), (700, 384, 200)])
def test_every_level_is_what_a_sort_finds(engine, n, d, k):
    X, rows = cloud(n, d), np.random.default_rng(1).permutation(n)
    ends = [max(1, n // 100), n // 10, n // 2, n - 7]
    levels, facts = search(X, rows, ends, ends[0], k, engine, threads=2)
    assert facts["engine"] == engine
    assert facts.get("recall", 1.0) == 1.0
    assert [level.first for level in levels] == [ends[0], *ends[1:]]
    for end, level in zip(ends, levels, strict=True):
        assert level.similarity.shape == level.index.shape == (n - level.first, k)
        for query in range(level.first, n, 97):
            similarity, index = sort(X, rows, end, query, k)
            got = level.similarity[query - level.first]
            np.testing.assert_allclose(got[: len(similarity)], similarity, atol=2e-6)
            assert (got[len(similarity) :] == -np.inf).all()
            # Rows that float64 tells apart stand in its order.
            clear = np.abs(np.diff(similarity)) > 1e-6
            same = level.index[query - level.first, : len(index)] == index
            assert same[1:-1][clear[:-1] & clear[1:]].all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [1, 2])
def test_a_base_of_hardly_any_rows(engine, size):
    X, rows = cloud(40, 8), np.arange(40)
    (level,), _ = search(X, rows, [size], 0, 3, engine)
    for query in range(40):
        similarity, index = sort(X, rows, size, query, 3)
        real = np.isfinite(similarity)
        np.testing.assert_allclose(level.similarity[query, : real.sum()], similarity[real], atol=2e-6)
        np.testing.assert_array_equal(level.index[query, : real.sum()], index[real])
        assert (level.similarity[query, real.sum() :] == -np.inf).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_zero_rows_are_equally_far_from_all(engine):
    X, rows = cloud(500, 16), np.random.default_rng(0).permutation(500)
    X[[3, 450, 460]] = 0
    (level,), _ = search(X, rows, [400], 400, 6, engine)
    for query in (450, 460):
        assert rows[level.index[query - 400]].tolist() == np.sort(rows[:400])[:6].tolist()
        assert (level.similarity[query - 400] == 0).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_whole_base_asked_about_itself_leaves_every_row_out(engine):
    X, rows = cloud(900, 48), np.arange(900)
    (level,), _ = search(X, rows, [900], 0, 12, engine, threads=2)
    expected, _ = brute_force(X, rows, X, rows, 12)
    np.testing.assert_array_equal(level.similarity, expected)
    assert not (level.index == rows[:, None]).any()


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_rows_come_in_the_order_of_their_numbers(engine):
    """A thousand rows tie for each query: more than any margin holds."""
    rng = np.random.default_rng(3)
    X = cloud(6, 40)[np.repeat(np.arange(6), 1_000)]
    rows = rng.permutation(6_000)
    queries = cloud(30, 40, seed=4)
    both, numbers = np.concatenate([X, queries]), np.concatenate([rows, np.arange(6_000, 6_030)])
    (level,), facts = search(both, numbers, [6_000], 6_000, 40, engine)
    assert facts.get("searched_again", 1) > 0  # dropped rows tie with the fortieth: only brute force can decide
    for q in range(30):
        group = np.argmax(cloud(6, 40) @ queries[q])
        expected = np.sort(rows[group * 1_000 : (group + 1) * 1_000])[:40]
        assert rows[level.index[q]].tolist() == expected.tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_it_agrees_with_brute_force_to_the_last_bit(engine):
    X, rows = cloud(4_000, 96, seed=5), np.arange(4_000)
    (level,), _ = search(X, rows, [3_000], 3_000, 25, engine, threads=2)
    similarity, index = brute_force(X[:3_000], rows[:3_000], X[3_000:], rows[3_000:], 25)
    np.testing.assert_array_equal(level.index, index)
    np.testing.assert_array_equal(level.similarity, similarity)


@pytest.mark.parametrize("engine", ["int8", "float32"])
@pytest.mark.slow
def test_unverified_queries_are_verified_by_more_candidates(monkeypatch, engine):
    """Groups of 120 rows, a few int8 steps apart, exceed the first margin."""
    monkeypatch.setattr(sys.modules["harness.search.exact"], "MAX_UNVERIFIED", 1.0)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 96))[np.repeat(np.arange(60), 120)] + 0.02 * rng.standard_normal((7_200, 96))
    X, rows = normalize(X[rng.permutation(7_200)].astype(np.float32)), rng.permutation(7_200)
    ends = [700, 4_000, 6_500]
    levels, facts = search(X, rows, ends, 700, 20, engine, threads=2)
    assert facts["searched_plainly"] == 0
    assert facts["searched_again"] > 1_000 if engine == "int8" else facts["searched_again"] == 0
    for end, level in zip(ends, levels, strict=True):
        similarity, index = brute_force(X[:end], rows[:end], X[level.first :], rows[level.first :], 20)
        np.testing.assert_array_equal(level.similarity, similarity)
        np.testing.assert_array_equal(level.index, index)


def outlying(sign):
    """Return unit vectors with one column a hundred times the others."""
    X = np.random.default_rng(0).standard_normal((3_000, 64)).astype(np.float32)
    X[:, 0] += 100 * sign
    return normalize(X), np.arange(3_000)


def test_an_outlier_column_makes_int8_useless_and_verification_detects_it():
    """The others have a step or two of int8: almost no answer is verified."""
    X, rows = outlying(np.random.default_rng(1).choice([-1, 1], 3_000))
    (level,), facts = search(X, rows, [2_500], 2_500, 10, "int8")
    assert facts["margin"] > 42
    assert facts["searched_again"] > 0
    similarity, index = brute_force(X[:2_500], rows[:2_500], X[2_500:], rows[2_500:], 10)
    np.testing.assert_array_equal(level.similarity, similarity)
    np.testing.assert_array_equal(level.index, index)


def test_where_int8_is_useless_float32_takes_over(monkeypatch):
    monkeypatch.setattr("harness.search.exact.fastest", lambda d: "int8")
    X, rows = outlying(np.random.default_rng(1).choice([-1, 1], 3_000))
    (level,), facts = search(X, rows, [2_500], 2_500, 10)
    assert (facts["engine"], facts["searched_again"]) == ("float32", 0)
    np.testing.assert_array_equal(
        level.similarity, brute_force(X[:2_500], rows[:2_500], X[2_500:], rows[2_500:], 10)[0]
    )


def test_an_outlier_column_that_all_rows_share_costs_int8_nothing():
    X, rows = outlying(1)
    (level,), facts = search(X, rows, [2_500], 2_500, 10, "int8")
    assert (facts["margin"], facts["searched_again"]) == (42, 0)
    np.testing.assert_array_equal(
        level.similarity, brute_force(X[:2_500], rows[:2_500], X[2_500:], rows[2_500:], 10)[0]
    )


def test_threads_and_blocks_and_scratch_files_change_no_byte(monkeypatch, tmp_path):
    X, rows = cloud(2_000, 64), np.arange(2_000)
    one, _ = search(X, rows, [200, 1_000], 200, 20, "int8", threads=1)
    monkeypatch.setattr(sys.modules["harness.search.exact"], "BLOCK_QUERIES", 37)
    monkeypatch.setattr(sys.modules["harness.search.exact"], "BLOCK_WIDTH", 130)
    other, _ = search(X, rows, [200, 1_000], 200, 20, "int8", threads=3, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.index, b.index)
        np.testing.assert_array_equal(a.similarity, b.similarity)


@pytest.mark.parametrize("make", [Int8, Float32, lambda X: Cuda(X, "cpu")], ids=["int8", "float32", "device"])
def test_rough_products_are_near_the_true_ones(make):
    X = cloud(300, 70)
    rough = make(X)
    queries, base = slice(10, 30), slice(100, 250)
    block = rough.block(queries, base) * rough.scale[queries, None] * rough.scale[base]
    cosine = block + rough.shift[queries, None] + rough.shift[base]
    np.testing.assert_allclose(cosine, X[queries] @ X[base].T, atol=0.003)


def test_progress_rises_to_the_number_of_queries():
    X, reports = cloud(2_000, 16), []
    search(X, np.arange(2_000), [100, 500], 100, 5, "float32", progress=reports.append)
    assert reports == sorted(reports)
    assert reports[-1] == 1_900


def test_what_is_fastest_is_one_of_them():
    assert fastest(128) in ("int8", "float32", "cuda")


def test_large_tasks_take_the_fast_way_to_the_same_answer(monkeypatch):
    X = cloud(1_200, 24)
    labelled = np.random.default_rng(0).permutation(1_200)[:700]
    to_label = np.setdiff1d(np.arange(1_200), labelled)
    task = Task({"e": Block(X, "embedding")}, labelled, np.zeros(700, int), to_label, n_classes=2)
    small = neighbors(task, "e", 9)
    monkeypatch.setattr(sys.modules["harness.search.neighbors"], "MIN_EXACT_SEARCH_COST", 0)
    large = neighbors(task, "e", 9)
    np.testing.assert_array_equal(small[1], large[1])
    np.testing.assert_allclose(small[0], large[0], atol=5e-7)


def test_a_base_smaller_than_k_is_filled_up():
    X = cloud(50, 8)
    similarity, index = nearest(X, np.arange(50), 3, 3, 5)
    assert similarity.shape == index.shape == (47, 3)
    (level,), _ = search(X, np.arange(50), [3], 3, 5, "float32")
    assert (level.similarity[:, 3:] == -np.inf).all()
    assert (level.index[:, 3:] == 0).all()
