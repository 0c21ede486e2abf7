"""column, npy and hashing_svd: what they yield, from any row on, and what they refuse."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import DataError, Embedder, Items
from harness_plugins.embedders.column import Column
from harness_plugins.embedders.hashing_svd import HashingSVD
from harness_plugins.embedders.npy import Npy


def items_of(folder, columns, ids=None, rows=None, **options):
    path = folder / "data.parquet"
    table = pa.table(columns)
    pq.write_table(table, path, **options)
    rows = np.arange(table.num_rows) if rows is None else np.array(rows)
    ids = rows + 100 if ids is None else np.array(ids)
    return Items(path=str(path), rows=rows, ids=ids, columns=tuple(table.column_names), text="text")


def embedded(embedder, items, start=0):
    parts = list(embedder.embed(items, start))
    assert all(part.dtype == np.float32 and part.ndim == 2 for part in parts)
    return np.concatenate(parts)


def vectors(rows, kind):
    return {"e": pa.array(rows, kind)}


# column

LISTS = [
    pa.list_(pa.float32()),
    pa.list_(pa.float64()),
    pa.list_(pa.float16()),
    pa.large_list(pa.float32()),
    pa.list_(pa.float32(), 2),
    pa.list_(pa.int8()),
    pa.list_(pa.uint64(), 2),
]


@pytest.mark.parametrize("kind", LISTS, ids=str)
@pytest.mark.parametrize("rows", [None, [1, 2, 4], [0, 0, 3]])
@pytest.mark.parametrize("start", [0, 1, 3])
def test_column_takes_every_kind_of_list_from_any_row_on(tmp_path, kind, rows, start):
    values = np.array([[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]], np.float16)
    plain = values.tolist() if pa.types.is_floating(kind.value_type) else values.astype(int).tolist()
    plain = [[np.float16(v) for v in row] for row in plain] if kind.value_type == pa.float16() else plain
    items = items_of(tmp_path, vectors(plain, kind), rows=rows, row_group_size=2)
    expected = values[items.rows][start:].astype(np.float32)
    parts = list(Column("e").embed(items, start))
    assert all(part.dtype == np.float32 for part in parts)
    assert np.array_equal(np.concatenate([np.empty((0, 2)), *parts]), expected)


def test_column_keeps_the_bits_of_float32(tmp_path):
    values = np.random.default_rng(0).normal(size=(9_000, 3)).astype(np.float32)
    items = items_of(tmp_path, {"e": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 3)})
    assert embedded(Column("e"), items).tobytes() == values.tobytes()
    assert embedded(Column("e"), items, 8_500).tobytes() == values[8_500:].tobytes()


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float32())], ids=str)
@pytest.mark.parametrize("start", [0, 1])
def test_column_refuses_null_rows_and_names_the_first_ids(tmp_path, kind, start):
    items = items_of(tmp_path, vectors([[1, 2], [3, 4], None, None, None, None], kind))
    message = r"data\.parquet: column 'e' has a null where a vector should be, id 102, 103, 104, \.\.\.; mend"
    with pytest.raises(DataError, match=message):
        embedded(Column("e"), items, start)


@pytest.mark.parametrize("start", [0, 1])
def test_column_refuses_null_rows_of_a_fixed_size_which_arrow_cannot_read(tmp_path, start):
    items = items_of(tmp_path, vectors([[1, 2], None, None], pa.list_(pa.float32(), 2)))
    with pytest.raises(DataError, match=r"data\.parquet: column 'e' (cannot be read|has a null).*take them out of the"):
        embedded(Column("e"), items, start)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 2)], ids=str)
@pytest.mark.parametrize("start", [0, 1])
def test_column_refuses_null_elements_and_names_the_first_ids(tmp_path, kind, start):
    elements = items_of(tmp_path, vectors([[1, 2], [3, 4], [None, None], [5, 6], [7, None]], kind))
    with pytest.raises(DataError, match=r"column 'e' has vectors with a null element, id 102, 104;"):
        embedded(Column("e"), elements, start)


def test_column_refuses_other_lengths_than_the_first_rows(tmp_path):
    items = items_of(tmp_path, vectors([[1, 2], [3, 4, 5], [6, 7, 8]], pa.list_(pa.float32())))
    message = r"column 'e' has vectors of another length than the first row's 2 \(3\), id 101, 102;"
    for start in (0, 1):  # from row 1 on all are alike, and still not like row 0
        with pytest.raises(DataError, match=message):
            embedded(Column("e"), items, start)


@pytest.mark.parametrize(("row", "what"), [(None, "a null"), ([], "an empty list")])
def test_column_refuses_a_first_row_without_a_width(tmp_path, row, what):
    items = items_of(tmp_path, vectors([row, [1]], pa.list_(pa.float32())))
    for start in (0, 1):
        with pytest.raises(DataError, match=f"{what} where a vector should be, id 100;"):
            embedded(Column("e"), items, start)


@pytest.mark.parametrize("values", [[1.5], ["[1]"], [["a"]], [[True]], [[[1.0]]]], ids=str)
def test_column_refuses_what_holds_no_lists_of_numbers(tmp_path, values):
    with pytest.raises(DataError, match=r"column 'e' must hold lists of numbers, holds "):
        embedded(Column("e"), items_of(tmp_path, {"e": values}))


def test_column_leaves_what_is_not_finite_to_the_harness(tmp_path):
    items = items_of(tmp_path, vectors([[1e300, 0], [float("nan"), 0]], pa.list_(pa.float64())))
    assert np.array_equal(embedded(Column("e"), items), [[np.inf, 0], [np.nan, 0]], equal_nan=True)


# npy


def saved(folder, name, array):
    np.save(folder / name, array)
    return folder / name


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f8", "i1", ">i4", "u8"])
@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("start", [0, 2])
def test_npy_takes_numbers_of_any_kind_in_the_order_of_the_file(tmp_path, dtype, layout, start):
    array = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]], dtype, order=layout)
    items = items_of(tmp_path, {"text": list("abcd")}, rows=[0, 1, 1, 3])
    found = embedded(Npy(saved(tmp_path, "x.npy", array), order="same"), items, start)
    assert found.dtype.isnative
    assert np.array_equal(found, array[[0, 1, 1, 3]][start:])


@settings(max_examples=25)
@given(st.permutations(range(6)), st.booleans(), st.integers(0, 3))
def test_npy_finds_rows_by_id(tmp_path_factory, order, text, start):
    folder = tmp_path_factory.mktemp("npy")
    names = np.array(["zero", "one", "two", "three", "four", "five"]) if text else np.array([7, -1, 3, 2**62 + 1, 0, 5])
    array = np.arange(12, dtype=np.float32).reshape(6, 2)  # of row i: 2i, 2i + 1
    x, ids = saved(folder, "x.npy", array[order]), saved(folder, "ids.npy", names[order])
    items = items_of(folder, {"text": list("abcd")}, ids=names[:4])
    assert np.array_equal(embedded(Npy(x, ids=ids), items, start), array[:4][start:])


def test_npy_takes_object_and_uint64_ids_for_what_they_are(tmp_path):
    x = saved(tmp_path, "x.npy", np.array([[1.0], [2.0]]))
    text = items_of(tmp_path, {"text": ["a", "b"]}, ids=np.array(["a", "bb"], object))
    assert embedded(Npy(x, ids=saved(tmp_path, "t.npy", np.array(["bb", "a"]))), text).tolist() == [[2], [1]]
    big = items_of(tmp_path, {"text": ["a", "b"]}, ids=[2**53, 2**53 + 1])  # alike as float64
    sidecar = saved(tmp_path, "u.npy", np.array([2**53 + 1, 2**53], np.uint64))
    assert embedded(Npy(x, ids=sidecar), big).tolist() == [[2], [1]]


def test_npy_comes_in_pieces(tmp_path):
    array = np.arange(10_000, dtype=np.float32)[:, None]
    items = items_of(tmp_path, {"text": [""] * 10_000})
    parts = list(Npy(saved(tmp_path, "x.npy", array), order="same").embed(items, 1_000))
    assert [len(part) for part in parts] == [8_192, 808]
    assert np.array_equal(np.concatenate(parts), array[1_000:])


def test_npy_never_joins_by_position_unsaid(tmp_path):
    x = tmp_path / "x.npy"
    for options in ({}, {"ids": x, "order": "same"}):
        with pytest.raises(ValueError, match=r"never joined by position unsaid: give either 'ids: FILE\.npy'.*'order"):
            Npy(x, **options)


def test_npy_in_the_same_order_must_have_as_many_rows_as_the_file(tmp_path):
    items = items_of(tmp_path, {"text": [""] * 1_002}, rows=[0, 1])
    x = saved(tmp_path, "x.npy", np.ones((1_001, 2)))
    with pytest.raises(DataError, match=r"x\.npy has 1,001 rows, .*data\.parquet has 1,002:"):
        embedded(Npy(x, order="same"), items)


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.ones(3), r"float64 of shape \(3,\)"),
        (np.ones((2, 0)), r"float64 of shape \(2, 0\)"),
        (np.ones((2, 1), bool), r"bool of shape \(2, 1\)"),
        (np.ones((2, 1), complex), r"complex128 of shape"),
        (np.array([["a"], ["b"]]), r"<U1 of shape"),
    ],
)
def test_npy_refuses_other_arrays(tmp_path, array, what):
    items = items_of(tmp_path, {"text": ["a", "b"]})
    with pytest.raises(DataError, match=r"x\.npy must be a two-dimensional array of numbers, is " + what):
        embedded(Npy(saved(tmp_path, "x.npy", array), order="same"), items)


def test_npy_refuses_what_is_no_npy_file(tmp_path):
    items = items_of(tmp_path, {"text": ["a", "b"]})
    whole = saved(tmp_path, "whole.npy", np.ones((2, 2))).read_bytes()
    np.savez(tmp_path / "several.npz", a=np.ones((2, 1)))
    np.save(tmp_path / "objects.npy", np.array([[{}], [{}]]), allow_pickle=True)
    (tmp_path / "torn.npy").write_bytes(whole[:-8])
    (tmp_path / "none.npy").write_bytes(b"")
    (tmp_path / "text.npy").write_text("1 2 3")
    for name in ("torn.npy", "none.npy", "text.npy", "objects.npy", "absent.npy"):
        with pytest.raises(DataError, match=rf"{name} cannot be read as a \.npy file"):
            embedded(Npy(tmp_path / name, order="same"), items)
    with pytest.raises(DataError, match=r"several\.npz holds several arrays"):
        embedded(Npy(tmp_path / "several.npz", order="same"), items)


@pytest.mark.parametrize(
    ("sidecar", "message"),
    [
        ([1, 2, 3, 4], r"must hold 5 ids, one for each row of .*x\.npy, .* is int64 of shape \(4,\)"),
        ([[1], [2], [3], [4], [5]], r"is int64 of shape \(5, 1\)"),
        ([1.0, 2.0, 3.0, 4.0, 5.0], r"integers or text; is float64"),
        (["1", "2", "3", "4", "5"], r"the ids in .*ids\.npy are text, those of .*data\.parquet are integers"),
        ([1, 2, 1, 3, 2], r"ids\.npy holds 2 ids more than once: 1, 2; each must be unique"),
        ([2, 9, 8, 7, 6], r"ids\.npy lacks 4 of the 5 ids of .*data\.parquet: 1, 3, 4, \.\.\.; every row needs"),
    ],
)
def test_npy_refuses_ids_that_cannot_be_joined(tmp_path, sidecar, message):
    items = items_of(tmp_path, {"text": list("abcde")}, ids=[1, 2, 3, 4, 5])
    x, ids = saved(tmp_path, "x.npy", np.ones((5, 2))), saved(tmp_path, "ids.npy", np.array(sidecar))
    with pytest.raises(DataError, match=message):
        embedded(Npy(x, ids=ids), items)


# hashing_svd

COOKING = ["stir the soup with salt", "add salt, stir the soup", "the soup wants salt"]
CODE = ["compile a program again", "fix a bug, compile a program", "a program with a bug"]


def test_hashing_svd_puts_texts_on_one_subject_together(tmp_path):
    items = items_of(tmp_path, {"text": COOKING + CODE})
    X = embedded(HashingSVD(dim=2), items)
    assert X.shape == (6, 2)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-6)
    cosine = X @ X.T
    same = np.arange(6)[:, None] // 3 == np.arange(6) // 3
    assert cosine[same].min() > cosine[~same].max()


def test_hashing_svd_is_the_same_again_for_a_seed(tmp_path):
    items = items_of(tmp_path, {"text": [f"word{i % 7} word{i % 11} word{i % 13}" for i in range(60)]})
    first = embedded(HashingSVD(dim=4, seed=1), items)
    assert embedded(HashingSVD(dim=4, seed=1), items).tobytes() == first.tobytes()
    assert embedded(HashingSVD(dim=4, seed=2), items).tobytes() != first.tobytes()


def test_hashing_svd_gives_every_text_a_direction(tmp_path):
    texts = pa.array(["alpha beta", "alpha beta", "alpha gamma", None, "", "?!", "unique", "\x00", "beta gamma"])
    for dim in (1, 2, 5):
        X = embedded(HashingSVD(dim=dim), items_of(tmp_path, {"text": texts}))
        assert np.isfinite(X).all()
        np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(X[0], X[1], atol=1e-5)


def test_hashing_svd_falls_back_where_the_projection_is_nothing(tmp_path):
    """A text without a word shares no token with the rest: one dimension leaves nothing of it."""
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    rows = [[("user", "alpha beta")]] * 9 + [[]]
    conversations = pa.array([[dict(zip(("role", "content"), t, strict=True)) for t in row] for row in rows])
    items = items_of(tmp_path, {"text": conversations.cast(pa.list_(turn))})
    assert embedded(HashingSVD(dim=1), items)[9].tolist() == [1]
    full = embedded(HashingSVD(dim=2), items)
    np.testing.assert_allclose(full[:9] @ full[9], 0, atol=1e-5)  # with a second dimension it has its own


def test_hashing_svd_of_equal_texts_does_not_warn(tmp_path):
    X = embedded(HashingSVD(dim=2), items_of(tmp_path, {"text": ["alpha beta"] * 5}))
    np.testing.assert_allclose(X, np.repeat(X[:1], 5, axis=0), atol=1e-5)


def test_hashing_svd_says_how_many_dimensions_there_are(tmp_path):
    rows = items_of(tmp_path, {"text": COOKING})
    with pytest.raises(DataError, match=r"3 texts with \d+ distinct n-grams cannot give 4 dimensions; set 'dim: 3'"):
        embedded(HashingSVD(dim=4), rows)
    few = items_of(tmp_path, {"text": ["a", "b", "a", "b"]})  # with the role, three words
    with pytest.raises(DataError, match=r"4 texts with 3 distinct n-grams cannot give 4 dimensions; set 'dim: 3'"):
        embedded(HashingSVD(dim=4, ngram_max=1), few)
    with pytest.raises(DataError, match="no text to embed"):
        embedded(HashingSVD(dim=1), items_of(tmp_path, {"text": pa.array([], pa.string())}))


def test_hashing_svd_counts_longer_ngrams(tmp_path):
    items = items_of(tmp_path, {"text": ["a b c", "c b a", "b a c", "a c b"]})
    words = embedded(HashingSVD(dim=1, ngram_max=1), items)
    np.testing.assert_allclose(words, words[:1].repeat(4, axis=0))  # the same words
    pairs = embedded(HashingSVD(dim=4, ngram_max=2), items)
    assert min(np.abs(a - b).max() for a, b in pairwise(pairs)) > 0.1


@pytest.mark.parametrize(
    "options", [{"dim": 0}, {"n_features": 0}, {"ngram_max": 0}, {"seed": -1}, {"dim": 9, "n_features": 8}]
)
def test_hashing_svd_refuses_numbers_out_of_range(options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))} must be"):
        HashingSVD(**options)


def test_all_are_embedders_and_only_the_svd_must_see_every_row(tmp_path):
    assert isinstance(Column("e"), Embedder)
    assert isinstance(Npy(tmp_path, order="same"), Embedder)
    assert isinstance(HashingSVD(), Embedder)
    assert not HashingSVD.resumable
    assert getattr(Column, "resumable", True)
    assert getattr(Npy, "resumable", True)
