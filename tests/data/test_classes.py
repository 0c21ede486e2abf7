"""Whatever values a target has, labelers see 0 to C - 1 and people read the values."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.classes import Classes, find_value_error
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.data.table import open_table
from harness.errors import DataError

STARS = [5, 1, 3, None, 2, 4, 1]


@pytest.fixture
def read(tmp_path):
    """A function that loads a data file by the suite's data section."""

    def load(name, **data):
        table = open_table(name, (tmp_path,), tmp_path / "cache", "error", None)
        return load_dataset(Data(path=name, **({"target": "y"} | data)), Population(), table)

    return load


@pytest.fixture
def read_column(tmp_path, read):
    """A function that writes one column y by pandas and loads it."""

    def write_and_load(values, dtype=None, **data):
        pd.DataFrame({"y": pd.Series(values, dtype=dtype)}).to_parquet(tmp_path / "data.parquet")
        return read("data.parquet", **data)

    return write_and_load


GIVEN = [
    (STARS, "Int64", {"classes": (1, 2, 3, 4, 5)}, [4, 0, 2, 1, 3, 0]),
    (["good", "bad", None, "fair"], None, {"classes": ("bad", "fair", "good")}, [2, 0, 1]),
    ([0.5, 1.0, 0.0, np.nan], "Float64", {"classes": (0, 0.5, 1)}, [1, 2, 0]),
    ([True, False, True], bool, {"classes": (False, True)}, [1, 0, 1]),
    ([True, False, True], bool, {"classes": 2}, [1, 0, 1]),
    ([True, False, True], bool, {"classes": ("true", "false")}, [0, 1, 0]),
    ([2, 0, -1, 1], "int8", {"classes": 3, "missing": -1}, [2, 0, 1]),
    ([2, 0, 99, 1, -1], "int16", {"classes": 3, "missing": (-1, 99)}, [2, 0, 1]),
    (["b", "n/a", "a", ""], None, {"classes": ("a", "b"), "missing": "n/a"}, [1, 0]),
    (["3", "1", "2"], None, {"classes": (1, 2, 3)}, [2, 0, 1]),
    (["3", "1", "2"], None, {"classes": 4}, [3, 1, 2]),
    ([2, 0, 1, -1], "int64", {"classes": ("no", "maybe", "yes")}, [2, 0, 1]),  # the numbers of the names
    ([1.0000002, 0, 1.9999999], "float32", {"classes": 3}, [1, 0, 2]),
    ([1.0000002, 3, 1.9999999], "float64", {"classes": (1, 2, 3)}, [0, 2, 1]),
    ([3, 2, 1], "int64", {"classes": (3, 2, 1)}, [0, 1, 2]),  # in the order of the list
    ([0.1, 2.5, 9, 0.5, np.inf, None], "float64", {"cut": (0.5, 2.5)}, [0, 2, 2, 1, 2]),
]


@pytest.mark.parametrize(("values", "dtype", "data", "y"), GIVEN, ids=[f"{data}" for _, _, data, _ in GIVEN])
def test_given_classes(read_column, values, dtype, data, y):
    if np.inf in values:
        values = [value for value in values if value != np.inf]
        y = y[:-1]
    assert read_column(values, dtype, **data).y.tolist() == y


OWN = [
    (STARS, "Int64", (1, 2, 3, 4, 5), True, [4, 0, 2, 1, 3, 0]),
    ([0, 2, 1, 0], "int64", (0, 1, 2), True, [0, 2, 1, 0]),
    ([0, 0.5, 1, 0.5], "float64", (0.0, 0.5, 1.0), True, [0, 1, 2, 1]),
    ([True, False, None], "boolean", (False, True), False, [1, 0]),
    (["b", "a", "b", "a", None], None, ("a", "b"), False, [1, 0, 1, 0]),
    (["hi", "lo", "hi"], pd.CategoricalDtype(["lo", "mid", "hi"], ordered=True), ("lo", "mid", "hi"), True, [2, 0, 2]),
    (["hi", "lo", "hi"], pd.CategoricalDtype(["lo", "hi"]), ("hi", "lo"), False, [0, 1, 0]),
]


@pytest.mark.parametrize(("values", "dtype", "classes", "ordered", "y"), OWN, ids=[f"{c}" for _, _, c, _, _ in OWN])
def test_a_plain_column_is_taken_as_it_is_and_this_is_said(read_column, values, dtype, classes, ordered, y):
    dataset = read_column(values, dtype)
    assert (dataset.classes.values, dataset.classes.ordered) == (classes, ordered)
    assert dataset.y.tolist() == y
    order = "ordered" if ordered else "without an order"
    assert f"column 'y' has the classes {dataset.classes}, {order} (data.classes is not set)" in dataset.remarks


@pytest.mark.parametrize(
    ("values", "dtype", "missing", "classes", "y"),
    [
        ([-1, 2, 0, 1, -1], "int64", -1, (0, 1, 2), [2, 0, 1]),
        (["b", "n/a", "a", "b", "a", "n/a"], None, "n/a", ("a", "b"), [1, 0, 1, 0]),
        (["b", "?", "a"], "category", ("?", "n/a"), ("a", "b"), [1, 0]),
        ([0.5, 9.0, 1.0], "float64", 9, (0.5, 1.0), [0, 1]),
    ],
)
def test_a_value_that_means_no_label_is_no_class_of_its_own(read_column, values, dtype, missing, classes, y):
    dataset = read_column(values, dtype, missing=missing)
    assert dataset.classes.values == classes
    assert dataset.y.tolist() == y


def test_the_suite_says_whether_classes_have_an_order(read_column):
    assert read_column(list("abab"), ordered=True).classes.ordered
    assert not read_column([1, 2, 3, 1], ordered=False).classes.ordered
    assert read_column(["b", "a"], classes=("a", "b")).classes.ordered
    assert not read_column(["b", "a"], classes=("a", "b"), ordered=False).classes.ordered


def test_class_labels_of_the_datasets_library(tmp_path, read):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"y": datasets.ClassLabel(names=["World", "Sports", "Business"])})
    datasets.Dataset.from_dict({"y": [2, 0, -1, 1]}, features=features).to_parquet(str(tmp_path / "d.parquet"))
    dataset = read("d.parquet")
    assert dataset.classes.names == ("World", "Sports", "Business")
    assert not dataset.classes.ordered
    assert dataset.y.tolist() == [2, 0, 1]
    assert dataset.classes.decode(dataset.y).to_pylist() == [2, 0, 1]  # as they came in


def test_labels_of_a_table_of_text(tmp_path, read):
    (tmp_path / "d.tsv").write_text("y\tn\ngood\t1\n\t2\nbad\t3\n")
    dataset = read("d.tsv", classes=("bad", "good"))
    assert dataset.y.tolist() == [1, 0]
    assert dataset.labelled.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"classes": 1}, "classes must be from 2 to 256, got 1"),
        ({"classes": ("a",)}, "classes: must be from 2 to 256 classes, got 1"),
        ({"classes": ("a", "b", "a")}, "classes: the class a is given twice"),
        ({"classes": (1, "b")}, "classes: must be all numbers or all names"),
        ({"classes": (1, 1 + 1e-7)}, "classes: the class 1 is given twice"),
        ({"classes": (0.0, 1e-6)}, "classes: numbers must be finite and differ by more than 2e-06"),
        ({"classes": ("a", " ")}, "classes: the name of a class must be text that can be printed"),
        ({"classes": 3, "cut": (1.0,)}, "'cut' makes the classes: leave 'classes' out"),
        ({"cut": (2.0, 1.0)}, r"cut must be increasing numbers, got \[2.0, 1.0\]"),
    ],
)
def test_lists_that_are_no_classes(data, words):
    with pytest.raises(ValueError, match=words):
        Data(path="d", target="y", **data)


values = st.one_of(
    st.lists(st.integers(-(2**31), 2**31), min_size=2, max_size=9, unique=True),
    st.lists(st.floats(-1e4, 1e4).map(lambda x: round(x, 3)), min_size=2, max_size=9, unique=True),
    st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=9, unique=True),
    st.just([False, True]),
)


@given(values, st.data())
def test_decoded_numbers_are_the_values_that_were_encoded(listed, data):
    if find_value_error(listed):
        return
    classes = Classes(tuple(listed))
    codes = np.array(data.draw(st.lists(st.integers(0, len(listed) - 1), min_size=1)))
    decoded = classes.decode(codes).to_pylist()
    assert decoded == [listed[code] for code in codes]
    if isinstance(listed[0], str):
        encoded = classes.number_texts(pa.array(decoded))
    else:
        encoded = classes.number_values(np.array(decoded, float))
    assert encoded.tolist() == codes.tolist()


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=5, unique=True).map(sorted), st.lists(st.floats(-9, 9)))
def test_cuts_against_plain_comparisons(cuts, scores):
    encoded = Classes.cut(tuple(cuts)).number_values(np.array(scores, float))
    assert encoded.tolist() == [sum(score >= cut for cut in cuts) for score in scores]


def test_one_more_class_than_256_is_refused_with_its_row(read_column):
    with pytest.raises(DataError, match=r"set data\.classes"):
        read_column([f"c{i}" for i in range(300)] * 3)
