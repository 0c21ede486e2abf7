"""columns: numbers, yes and no, categories, nulls; what a pattern takes and what is refused."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import Block, DataError, Items, Task
from harness_plugins.features.columns import Columns


@pytest.fixture
def encode(tmp_path):
    """A function that writes a frame and encodes columns of it."""

    def write_and_encode(frame, *columns, hidden=()):
        table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(pd.DataFrame(frame))
        pq.write_table(table, tmp_path / "d.parquet")
        rows = np.arange(table.num_rows)
        readable = tuple(name for name in table.column_names if name not in hidden)
        array, names = Columns(columns).features(Items(str(tmp_path / "d.parquet"), rows, rows, readable, hidden))
        assert array.dtype == np.float32
        return array.tolist(), names

    return write_and_encode


def test_numbers_categories_and_nulls(encode):
    frame = {
        "age": [30, None, 50],
        "paid": [True, False, True],
        "plan": pd.Categorical(["b", "a", None]),
        "w": np.array([0.5, np.inf, 1.5], "float32"),
    }
    array, names = encode(frame, "age", "paid", "plan", "w")
    assert names == ("age", "age=null", "paid", "plan=a", "plan=b", "plan=null", "w", "w=null")
    assert array == [
        [30, 0, 1, 0, 1, 0, 0.5, 0],
        [40, 1, 0, 1, 0, 0, 1.0, 1],
        [50, 0, 1, 0, 0, 1, 1.5, 0],
    ]


def test_fitted_it_makes_the_same_columns_of_other_rows(tmp_path):
    def items(frame):
        table = pa.Table.from_pandas(pd.DataFrame(frame))
        pq.write_table(table, tmp_path / "d.parquet")
        rows = np.arange(table.num_rows)
        return Items(str(tmp_path / "d.parquet"), rows, rows, tuple(table.column_names))

    pool = {"x_age": [30, None, 50], "x_plan": ["b", "a", None], "x_same": [1, 1, 1], "x_yes": [True, False, True]}
    first = items(pool)
    array, names = Columns(("x_*",)).features(first)
    fitted = Columns(("x_*",)).fitted(first, names)
    assert fitted.columns == ("x_age", "x_plan", "x_yes")
    assert fitted.rowwise
    np.testing.assert_array_equal(fitted.features(first)[0], array)
    other = items({"x_age": [None, 7], "x_plan": ["c", "b"], "x_yes": [True, True], "x_new": ["p", "q"]})
    made, same_names = fitted.features(other)
    assert same_names == names == ("x_age", "x_age=null", "x_plan=a", "x_plan=b", "x_plan=null", "x_yes")
    assert made.tolist() == [[40, 1, 0, 0, 0, 1], [7, 0, 0, 1, 0, 1]]


def test_a_pattern_takes_what_can_be_used_in_the_order_of_the_file(encode):
    n = 120
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "x_row": np.arange(7, 7 + n),
            "x_b": rng.random(n, np.float32),
            "x_key": [f"k{i}" for i in range(n)],
            "x_vector": pa.array([[0.0, 1.0]] * n),
            "x_same": np.full(n, 3),
            "x_empty": pa.nulls(n, pa.float64()),
            "x_a": rng.integers(0, 5, n),
            "x_y": np.zeros(n),
            "other": rng.random(n),
        }
    )
    assert encode(table, "x_*", hidden=("x_y",))[1] == ("x_b", "x_a")
    assert encode(table, "o*", "x_a")[1] == ("other", "x_a")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("row",), "column 'row' numbers the rows: as a feature it says where a row stands in the file"),
        (("key",), "column 'key' has 120 categories in 120 rows: names, not categories"),
        (("vector",), "column 'vector' holds list<.*; one-hot needs categories"),
        (("empty",), "column 'empty' has no finite number"),
        (("z*",), r"no column is called 'z\*'"),
        (("ke*",), r"no column of ke\* has numbers or categories"),
        (("y",), "column 'y' may not be used as an input: the target is made of it"),
        (("flo",), "column 'flo' cannot be read here; did you mean 'flow'"),
    ],
)
def test_columns_that_are_refused(encode, columns, words):
    n = 120
    table = pa.table(
        {
            "row": np.arange(n),
            "key": [f"k{i}" for i in range(n)],
            "vector": pa.array([[0.0, 1.0]] * n),
            "empty": pa.nulls(n, pa.float64()),
            "y": np.zeros(n),
            "flow": np.random.default_rng(0).random(n),
        }
    )
    with pytest.raises(DataError, match=words):
        encode(table, *columns, hidden=("y",))


def test_a_labeler_gets_the_columns_z_scored_on_its_train_rows(encode):
    frame = {"a": np.arange(8.0)[[3, 1, 0, 2, 7, 5, 4, 6]], "b": [True, False] * 4}
    array, names = encode(frame, "a", "b")
    task = Task(
        {"x": Block(np.array(array, np.float32), "feature", names)}, np.arange(4), np.zeros(4, int), np.arange(4, 8), 2
    )
    train, test = task.matrix("x")
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(test[:, 0], (np.array([7, 5, 4, 6]) - 1.5) / np.std([0, 1, 2, 3]), rtol=1e-5)
