"""one_hot: values and names by hand, what it refuses, and what the items refuse for it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import DataError, FeatureSet, Items
from harness_plugins.features.one_hot import OneHot


def items_of(folder, columns, hidden=(), rows=None, **options):
    path = folder / "data.parquet"
    table = pa.table(columns)
    pq.write_table(table, path, **options)
    rows = np.arange(table.num_rows) if rows is None else np.array(rows)
    readable = tuple(name for name in table.column_names if name not in hidden)
    return Items(path=str(path), rows=rows, ids=rows, columns=readable, hidden=hidden)


def encode(items, *columns):
    array, names = OneHot(columns).features(items)
    assert array.dtype == np.float32
    return array.tolist(), names


def test_columns_follow_in_order_and_their_values_are_sorted(tmp_path):
    items = items_of(tmp_path, {"source": ["dolly", "alpaca", "dolly"], "score": pa.array([10, 2, -1], pa.int8())})
    array, names = encode(items, "score", "source")
    assert names == ("score=-1", "score=2", "score=10", "source=alpaca", "source=dolly")
    assert array == [[0, 0, 1, 0, 1], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1]]


def test_null_is_a_category_of_its_own_and_comes_last(tmp_path):
    items = items_of(tmp_path, {"source": ["b", None, "z"], "flag": [None, True, False]})
    array, names = encode(items, "source", "flag")
    assert names == ("source=b", "source=z", "source=null", "flag=false", "flag=true", "flag=null")
    assert array == [[1, 0, 0, 0, 0, 1], [0, 0, 1, 0, 1, 0], [0, 1, 0, 1, 0, 0]]


def test_the_text_null_is_told_from_null(tmp_path):
    array, names = encode(items_of(tmp_path, {"source": ["null", None]}), "source")
    assert names == ("source='null'", "source=null")
    assert array == [[1, 0], [0, 1]]


def test_a_column_of_nulls_is_one_category(tmp_path):
    items = items_of(tmp_path, {"a": pa.nulls(2), "b": pa.nulls(2, pa.string())})
    assert encode(items, "a", "b") == ([[1, 1], [1, 1]], ("a=null", "b=null"))


def test_dictionaries_that_differ_between_row_groups_are_read_by_value(tmp_path):
    source = pa.array(["b", "b", "a", None, "c", "b"]).dictionary_encode()
    items = items_of(tmp_path, {"source": source}, rows=[1, 2, 3, 5], row_group_size=2)
    array, names = encode(items, "source")
    assert names == ("source=a", "source=b", "source=null")  # c is not among these rows
    assert array == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]


@settings(max_examples=25)
@given(st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=3)), min_size=1))
def test_every_row_is_one_in_the_column_named_after_its_value(tmp_path_factory, values):
    array, names = OneHot(("c",)).features(items_of(tmp_path_factory.mktemp("one_hot"), {"c": pa.array(values)}))
    assert (array.sum(axis=1) == 1).all()
    assert len(set(names)) == len(names)
    told = [names[position].removeprefix("c=") for position in array.argmax(axis=1)]
    quoted = None in values
    expected = ["null" if each is None else "'null'" if quoted and each == "null" else each for each in values]
    assert told == expected


@pytest.mark.parametrize("values", [pa.array([0.5]), pa.array([[1]]), pa.array([0.5], pa.float16())])
def test_what_is_no_category_is_refused(tmp_path, values):
    with pytest.raises(DataError, match=r"data\.parquet: column 'c' holds .*; one-hot needs categories"):
        encode(items_of(tmp_path, {"c": values}), "c")


def test_a_thousand_values_are_taken_and_one_more_is_refused(tmp_path):
    items = items_of(tmp_path, {"c": range(1_001), "d": range(1_001)})
    with pytest.raises(DataError, match=r"column 'd' has 1,001 distinct values, one-hot takes at most 1,000"):
        encode(items, "d")
    array, _ = encode(items_of(tmp_path, {"c": range(1_000)}), "c")
    assert np.array_equal(array, np.eye(1_000))


def test_what_the_target_is_made_of_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"'score' may not be used as an input: the target is made of it"):
        encode(items_of(tmp_path, {"source": ["a"], "score": [1]}, hidden=("score",)), "source", "score")


def test_an_unknown_column_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(DataError, match=r"'sorce' cannot be read here; did you mean 'source'\?"):
        encode(items_of(tmp_path, {"source": ["a"]}), "sorce")


def test_columns_must_be_named_once_each():
    with pytest.raises(ValueError, match="at least one"):
        OneHot(())
    with pytest.raises(ValueError, match="twice: a, b, a"):
        OneHot(("a", "b", "a"))


def test_is_a_feature_set_that_must_see_all_rows_until_it_is_fitted(tmp_path):
    assert isinstance(OneHot(("a",)), FeatureSet)
    assert not OneHot(("a",)).rowwise
    items = items_of(tmp_path, {"a": ["x", "y"]})
    assert OneHot(("a",)).fitted(items, ("a=x", "a=y")).rowwise


def test_fitted_it_makes_the_columns_that_it_has_met(tmp_path):
    columns = {"a": ["x", "y", None], "a=b": [1, 2, 2]}
    items = items_of(tmp_path, columns)
    fitted = OneHot(("a", "a=b"))
    array, names = fitted.features(items)
    fitted = fitted.fitted(items, names)
    np.testing.assert_array_equal(fitted.features(items)[0], array)
    other = items_of(tmp_path, {"a": ["z", "x"], "a=b": [2, 7]})
    made = {name: column.tolist() for name, column in zip(names, fitted.features(other)[0].T, strict=True)}
    expected = {"a=x": [0, 1], "a=y": [0, 0], "a=null": [0, 0], "a=b=1": [0, 0], "a=b=2": [1, 0]}
    assert fitted.features(other)[1] == names
    assert made == expected


def test_categories_are_of_a_column():
    with pytest.raises(ValueError, match="got 'b=1'"):
        OneHot(("a",), ("a=x", "b=1"))
