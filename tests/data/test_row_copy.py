"""Rows are copied with all of their columns, or refused before any work."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data.row_copy import RowCopy, check_rows
from harness.errors import DataError

N = 9_000


@pytest.fixture(scope="module")
def table():
    """Columns that pyarrow reads, and two that it reads from 26 on: fixed-size lists with nulls, one in a struct."""
    return pa.table(
        {
            "word": pa.array(["x", "y", None] * (N // 3)).dictionary_encode(),
            "image": pa.array([[0.0, i] if i % 5 else None for i in range(N)], pa.list_(pa.float32(), 2)),
            "s": pa.array(
                [{"v": [1, i] if i % 3 else None} for i in range(N)], pa.struct([("v", pa.list_(pa.int32(), 2))])
            ),
            "vector": pa.array([[0.0, i] for i in range(N)], pa.list_(pa.float32(), 2)),
            "when": pa.array(range(N), pa.timestamp("us", "UTC")),
        }
    )


def can_be_read(file, name):
    try:
        return pq.read_table(file, columns=[name]).num_rows == N
    except pa.ArrowException:
        return False


@pytest.mark.parametrize("names", [["word", "image", "s", "vector", "when"], ["image"], ["word", "vector"]])
def test_every_column_is_copied_with_its_values(table, tmp_path, names):
    file = tmp_path / "data.parquet"
    pq.write_table(table.select(names), file, row_group_size=7_000)
    rows = check_rows(file, "data.parquet")
    assert rows.as_lists == tuple(name for name in names if name in ("image", "s") and not can_be_read(file, name))
    again = pa.Table.from_batches(rows.batches(), rows.schema)
    assert again.to_pylist() == table.select(names).to_pylist()
    kept = [name for name in names if name not in rows.as_lists]
    assert again.select(kept).equals(table.select(kept))
    pq.write_table(again, tmp_path / "copy.parquet")
    assert check_rows(tmp_path / "copy.parquet", "copy") == RowCopy(tmp_path / "copy.parquet")


def test_a_column_that_cannot_be_read_is_named_before_the_work(tmp_path):
    file = tmp_path / "data.parquet"
    table = pa.table({"y": range(300), "t": [f"text {i}" for i in range(300)]})
    pq.write_table(table, file, write_page_checksum=True, compression="none", use_dictionary=False)
    good = file.read_bytes()
    at = good.index(b"text 17")
    file.write_bytes(good[:at] + b"TEXT" + good[at + 4 :])
    with pytest.raises(
        DataError, match=r"^d: column 't' cannot be read, and so not be copied: .*CRC.*; write the file"
    ):
        check_rows(file, "d")
