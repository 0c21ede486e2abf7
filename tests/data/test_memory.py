"""Rows in memory become one file by content, whatever holds them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data.memory import to_table, write_rows
from harness.errors import DataError


def frame(n=50):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "text": [f"é {i}" if i % 3 else None for i in range(n)],
            "score": np.where(np.arange(n) % 5, rng.integers(0, 4, n), np.nan),
            "kind": pd.Categorical(rng.choice(["a", "b"], n)),
            "x": list(rng.normal(size=(n, 3)).astype(np.float32)),
        }
    )


def test_equal_rows_are_one_file_whatever_their_index_and_chunks(tmp_path):
    rows = frame()
    file = write_rows(rows, tmp_path)
    table = to_table(rows)
    chunked = pa.concat_tables([table.slice(0, 7), table.slice(7)])
    for same in (rows.set_index(rows["id"].to_numpy() * 2), table, chunked):
        assert write_rows(same, tmp_path) == file
    assert list(file.parent.iterdir()) == [file]
    stored = pq.read_table(file)
    assert stored["score"].null_count == 10, "NaN of a DataFrame is no value"
    assert stored["text"].to_pylist() == [None if text is None else text for text in table["text"].to_pylist()]
    assert write_rows(rows.iloc[::-1], tmp_path) != file


def test_a_known_file_keeps_its_times(tmp_path):
    file = write_rows(frame(), tmp_path)
    before = file.stat()
    assert write_rows(frame(), tmp_path).stat() == before


def test_datasets_are_taken_with_their_order_and_selection(tmp_path):
    datasets = pytest.importorskip("datasets")
    table = to_table(frame().drop(columns="kind"))
    whole = datasets.Dataset(table)
    assert write_rows(whole.select([3, 1, 2]), tmp_path) == write_rows(table.take([3, 1, 2]), tmp_path)
    with pytest.raises(DataError, match="DatasetDict with the splits train, test; give one of them"):
        write_rows(datasets.DatasetDict(train=whole, test=whole), tmp_path)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (pd.DataFrame({"a": [1, "x", None]}), "column 'a' cannot be written"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are called 'a'"),
        (pa.table([[1], [2]], names=["a", "a"]), "two columns have the same name"),
        (np.zeros((2, 2)), r"got numpy\.ndarray"),
    ],
    ids=["mixed", "twice", "twice_in_a_table", "array"],
)
def test_what_is_no_table_is_refused_in_a_line(rows, words, tmp_path):
    with pytest.raises(DataError, match=words) as caught:
        write_rows(rows, tmp_path)
    assert len(caught.value.problems) == 1
