"""neighbors() and graph() against a plain loop in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import Block, DataError, Task, graph, neighbors

TIED = 1e-6  # float64 similarities of different vectors, nearer than this, may change places


def task_of(blocks, labelled, to_label, spare=()):
    return Task(blocks, labelled, np.zeros(len(labelled)), to_label, 2, spare=np.array(spare, np.int64))


def embedding(X):
    return Block(np.asarray(X, np.float32), "embedding")


def unit(X):
    X = np.asarray(X, np.float64)
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(length > 0, length, 1)


def loop(X, base_rows, query_rows, k=None):
    """Return for each query the sorted (similarity, row number, position)s.

    They are of the `base_rows`, nearest first, computed one pair at a time.
    """
    X = unit(X)
    answers = []
    for query in query_rows:
        pairs = [
            (float(X[query] @ X[row]), int(row), position) for position, row in enumerate(base_rows) if row != query
        ]
        # Equal vectors tie exactly; a product that differs in the last bit only is no difference.
        answers.append(sorted(pairs, key=lambda item: (-round(item[0], 9), item[1], item[2]))[:k])
    return answers


def assert_same_neighbors(similarity, index, expected):
    """Assert the rows of the loop at every rank, up to ties in float64."""
    for got_s, got_i, ranked in zip(similarity, index, expected, strict=True):
        exact = {position: similarity for similarity, _, position in ranked}
        expected_s = [item[0] for item in ranked[: len(got_i)]]
        assert len(set(got_i.tolist())) == len(got_i)
        np.testing.assert_allclose([exact[position] for position in got_i], expected_s, rtol=0, atol=TIED)
        np.testing.assert_allclose(got_s, expected_s, rtol=0, atol=1e-5)
        assert (np.diff(got_s) <= 0).all()


@pytest.mark.parametrize(("n", "m", "d", "k"), [(200, 90, 32, 10), (50, 400, 3, 7), (1, 5, 4, 3), (40, 20, 1024, 5)])
def test_random_rows_have_the_neighbors_of_a_plain_loop(n, m, d, k):
    rng = np.random.default_rng(d)
    X = rng.standard_normal((n + m + 5, d)).astype(np.float32)
    rows = rng.permutation(len(X))
    labelled, to_label = rows[:n], rows[n : n + m]
    similarity, index = neighbors(task_of({"e": embedding(X)}, labelled, to_label), "e", k)
    assert similarity.shape == index.shape == (m, min(k, n))
    assert (similarity.dtype, index.dtype) == (np.float32, np.int32)
    assert_same_neighbors(similarity, index, loop(X, labelled, to_label))


@pytest.mark.parametrize("k", [1, 7, 40])
def test_among_equal_rows_the_lower_row_number_comes_first(k):
    """300 rows are copies of 6 vectors: more than k of them tie at the k-th."""
    rng = np.random.default_rng(k)
    vectors = rng.standard_normal((6, 24)).astype(np.float32)
    X = vectors[rng.integers(0, 6, 400)]
    rows = rng.permutation(400)
    labelled, to_label = rows[:300], rows[300:]
    similarity, index = neighbors(task_of({"e": embedding(X)}, labelled, to_label), "e", k)
    for got_s, got_i, ranked in zip(similarity, index, loop(X, labelled, to_label, k), strict=True):
        assert labelled[got_i].tolist() == [item[1] for item in ranked]  # exactly: ties here are ties
        np.testing.assert_allclose(got_s, [item[0] for item in ranked], atol=1e-5)


def test_a_tied_group_much_larger_than_k_gives_its_lowest_rows():
    """Two rows are nearer than 1,000 equal ones, whose lowest rows fill k."""
    rng = np.random.default_rng(0)
    query, equal = np.array([1.0, 0, 0]), np.array([0.8, 0.6, 0])
    X = np.vstack([np.tile(equal, (1000, 1)), [[1, 0.01, 0], [1, 0.1, 0]], [query]])
    labelled = rng.permutation(1002)
    similarity, index = neighbors(task_of({"e": embedding(X)}, labelled, [1002]), "e", 6)
    assert labelled[index[0]].tolist() == [1000, 1001, 0, 1, 2, 3]
    np.testing.assert_allclose(similarity[0, 2:], 0.8, atol=1e-6)


def test_equal_rows_tie_to_the_last_bit_in_wide_blocks():
    """Copies of a row tie, although a matrix product may sum them differently."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 1000)).astype(np.float32)[rng.integers(0, 300, 1301)]
    similarity, index = neighbors(task_of({"e": embedding(X)}, np.arange(1001), np.arange(1001, 1301)), "e", 30)
    steps = np.diff(index, axis=1)
    tied = np.diff(similarity, axis=1) == 0
    same = (X[index[:, 1:]] == X[index[:, :-1]]).all(axis=2)
    np.testing.assert_array_equal(tied, same)
    assert (steps[tied] > 0).all()
    assert tied.mean() > 0.5


def test_searching_in_small_portions_changes_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((20, 8)).astype(np.float32)[rng.integers(0, 20, 300)]
    task = task_of({"e": embedding(X)}, np.arange(200), np.arange(200, 300))
    at_once = neighbors(task, "e", 9)
    for name, value in (("FAISS_QUERIES", 17), ("MAX_CANDIDATES", 50), ("RERANKED_QUERIES", 7)):
        monkeypatch.setattr(f"harness.search.brute_force.{name}", value)
    parts = neighbors(task, "e", 9)
    np.testing.assert_array_equal(at_once[1], parts[1])
    np.testing.assert_allclose(at_once[0], parts[0], atol=1e-6)


def test_a_row_is_never_its_own_neighbor_even_when_it_is_labelled_many_times():
    X = np.random.default_rng(0).standard_normal((12, 5)).astype(np.float32)
    labelled = np.array([4, 0, 4, 7, 4, 9, 4, 0])
    to_label = np.array([4, 0, 11])
    task = task_of({"e": embedding(X)}, labelled, to_label)
    similarity, index = neighbors(task, "e", 8)
    expected = loop(X, labelled, to_label, 8)
    assert [len(ranked) for ranked in expected] == [4, 6, 8]
    assert np.isfinite(similarity).sum(axis=1).tolist() == [4, 6, 8]
    assert (index[0, 4:] == 0).all()
    for row, got_i, ranked in zip(to_label, index, expected, strict=True):
        assert row not in labelled[got_i[: len(ranked)]]
        assert labelled[got_i[: len(ranked)]].tolist() == [item[1] for item in ranked]


def test_copies_of_one_labelled_row_count_each():
    X = np.array([[1, 0], [0.9, 0.1], [0, 1]])
    similarity, index = neighbors(task_of({"e": embedding(X)}, [2, 1, 1, 2, 1], [0]), "e", 4)
    assert index[0].tolist() == [1, 2, 4, 0]
    np.testing.assert_allclose(similarity[0], [0.9 / np.hypot(0.9, 0.1)] * 3 + [0], atol=1e-6)


def test_k_beyond_the_labelled_rows_is_cut():
    X = np.eye(4)
    similarity, index = neighbors(task_of({"e": embedding(X)}, [0, 1, 2], [3]), "e", 50)
    assert index.tolist() == [[0, 1, 2]]
    assert similarity.tolist() == [[0, 0, 0]]


def test_a_zero_row_is_equally_far_from_all():
    X = np.array([[1, 0], [0, 1], [0, 0]])
    similarity, index = neighbors(task_of({"e": embedding(X)}, [1, 0], [2]), "e", 2)
    assert index.tolist() == [[1, 0]]  # position 1 is row 0
    assert similarity.tolist() == [[0, 0]]


def test_features_are_compared_by_their_z_scores_and_blocks_side_by_side():
    rng = np.random.default_rng(1)
    F = rng.standard_normal((120, 4)) * [1e-3, 1, 50, 1e4] + [5, 0, -3, 1e5]
    E = rng.standard_normal((120, 6))
    rows = rng.permutation(120)
    labelled, to_label = rows[:70], rows[70:]
    task = task_of({"f": Block(F.astype(np.float32)), "e": embedding(E)}, labelled, to_label)
    F = F.astype(np.float32).astype(np.float64)
    Z = (F - F[labelled].mean(axis=0)) / F[labelled].std(axis=0)
    assert_same_neighbors(*neighbors(task, "f", 8), loop(Z, labelled, to_label))
    assert_same_neighbors(*neighbors(task, ("e", "f"), 8), loop(np.hstack([E, Z]), labelled, to_label))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_small_task_has_the_neighbors_of_a_plain_loop(data):
    """Integer vectors have exact ties; rows may come twice, on both sides."""
    n_rows = data.draw(st.integers(2, 14))
    vector = st.sampled_from([(1, 0), (0, 1), (1, 1), (-1, 0), (2, 1), (0, 0)])
    X = np.array(data.draw(st.lists(vector, min_size=n_rows, max_size=n_rows)), float)
    row = st.integers(0, n_rows - 1)
    labelled = np.array(data.draw(st.lists(row, min_size=1, max_size=20)))
    to_label = np.array(data.draw(st.lists(row, min_size=1, max_size=8, unique=True)))
    k = data.draw(st.integers(1, 25))
    similarity, index = neighbors(task_of({"e": embedding(X)}, labelled, to_label), "e", k)
    for got_s, got_i, ranked in zip(similarity, index, loop(X, labelled, to_label, k), strict=True):
        assert got_i[: len(ranked)].tolist() == [item[2] for item in ranked]
        np.testing.assert_allclose(got_s[: len(ranked)], [item[0] for item in ranked], atol=1e-6)
        assert (got_s[len(ranked) :] == -np.inf).all()


def test_a_value_that_is_not_finite_is_refused_with_its_row():
    X = np.eye(5)
    X[3, 1] = np.nan
    with pytest.raises(DataError, match=r"^neighbours need finite values, row 3 has others$"):
        neighbors(task_of({"e": embedding(X)}, [4, 0], [3, 1]), "e", 1)
    X[3, 1] = np.inf
    with pytest.raises(DataError, match="row 3 has others"):
        graph(task_of({"e": embedding(X)}, [4, 0], [3, 1]), "e", 1)


def test_vectors_whose_squares_leave_float32_have_a_direction_all_the_same():
    X = np.array([[1, 0], [3e-30, 4e-30], [3e30, 4e30], [0, 1e-40]])
    similarity, index = neighbors(task_of({"e": embedding(X)}, [0, 1], [2, 3]), "e", 2)
    np.testing.assert_allclose(similarity, [[1, 0.6], [0.8, 0]], atol=1e-4)
    assert index.tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("copies", [False, True])
def test_the_graph_holds_the_nearest_others_of_every_row(copies):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((90, 6)).astype(np.float32)
    if copies:
        X = X[rng.integers(0, 8, 90)]
    rows = rng.permutation(90)
    labelled, to_label, spare = rows[:30], rows[30:70], rows[70:85]
    matrix = graph(task_of({"e": embedding(X)}, labelled, to_label, spare), "e", 5)
    assert matrix.shape == (85, 85)
    assert (np.diff(matrix.indptr) == 5).all()
    assert matrix.diagonal().sum() == 0
    expected = loop(X, rows[:85], rows[:85], 5)
    for row in range(85):
        row_slice = slice(matrix.indptr[row], matrix.indptr[row + 1])
        assert sorted(matrix.indices[row_slice]) == sorted(item[2] for item in expected[row])
        np.testing.assert_allclose(matrix.data[row_slice], [item[0] for item in expected[row]], atol=1e-5)


def test_the_graph_of_features_is_scaled_by_the_labelled_rows():
    F = np.array([[0.0, 0], [2, 2], [4, 0], [1000, 3]])
    matrix = graph(task_of({"f": Block(F.astype(np.float32))}, [0, 1], [2], [3]), "f", 1).toarray()
    Z = unit((F - [1, 1]) / [1, 1])
    cosine = Z @ Z.T - 9 * np.eye(4)
    nearest = cosine.argmax(axis=1)
    assert (matrix != 0).argmax(axis=1).tolist() == nearest.tolist()
    np.testing.assert_allclose(matrix.sum(axis=1), cosine.max(axis=1), atol=1e-6)
