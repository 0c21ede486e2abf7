"""Long tables as parquet: the same bytes for the same rows."""

import math

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.report import parquet_files
from harness.report.parquet_files import COLUMNS, PAIRS, SCORES, csv_copy, has_same_rows, read_parquet, to_parquet

ROW = {"comparison": "c", "labeler": "a", "seed": 3, "ratio": 0.1, "fold": None, "status": "ok", "metric": "accuracy"}
NUMBERS = {"class": 0, "source": None, "rows": None, "stage": None, "oracle": False, "value": 0.1 + 0.2, "n": 7}


def rows(count):
    return [ROW | NUMBERS | {"labeler": f"labeler {i // 9}", "value": math.sin(i)} for i in range(count)]


def test_every_value_comes_back_as_it_was():
    small = ROW | NUMBERS | {"value": 5e-324, "ratio": 1 / 3, "seed": 2**62}
    given = [ROW | NUMBERS, ROW | {"status": "failed"}, small]
    back = read_parquet(SCORES, to_parquet(SCORES, given)).to_pylist()
    assert back == [dict.fromkeys(COLUMNS[SCORES]) | row for row in given]
    assert read_parquet(PAIRS, to_parquet(PAIRS, [])).to_pylist() == []


def test_the_bytes_follow_from_the_rows_alone():
    listed = rows(3 * parquet_files.ROWS_PER_BATCH)
    written = to_parquet(SCORES, listed)
    assert written == to_parquet(SCORES, (dict(reversed(row.items())) for row in listed))
    *first, last = listed
    assert written != to_parquet(SCORES, [*first, last | {"value": math.nextafter(last["value"], 9)}])
    assert b"pandas" not in written
    assert b"ARROW:schema" not in written


def test_many_rows_are_row_groups_of_one_size(monkeypatch):
    monkeypatch.setattr(parquet_files, "ROWS_PER_BATCH", 10)
    monkeypatch.setattr(parquet_files, "ROW_GROUP_ROWS", 40)
    listed = rows(95)
    written = to_parquet(SCORES, iter(listed))
    metadata = pq.ParquetFile(parquet_files.pa.BufferReader(written)).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [40, 40, 15]
    assert {metadata.row_group(0).column(i).compression for i in range(metadata.num_columns)} == {"ZSTD"}
    assert read_parquet(SCORES, written).to_pylist() == listed


def test_a_table_takes_a_tenth_of_the_bytes_of_its_csv():
    written = to_parquet(SCORES, rows(20_000))
    assert 10 * len(written) < len(csv_copy(read_parquet(SCORES, written)).encode())


def test_a_csv_copy_has_numbers_in_full_and_no_formula():
    written = to_parquet(SCORES, [ROW | NUMBERS | {"labeler": "=1+1", "oracle": True}])
    header, line = csv_copy(read_parquet(SCORES, written)).splitlines()
    assert header == "comparison,labeler,seed,ratio,fold,status,metric,class,source,rows,stage,oracle,value,n"
    assert line == "c,'=1+1,3,0.1,,ok,accuracy,0,,,,True,0.30000000000000004,7"
    assert csv_copy(read_parquet(PAIRS, to_parquet(PAIRS, []))).startswith("comparison,labeler_a,")


@pytest.mark.parametrize("torn", [b"", b"PAR1", b"comparison,labeler\nc,a\n"])
def test_what_is_no_table_is_said_in_one_line(torn, tmp_path):
    with pytest.raises(ValueError, match=r"^cannot be read: [^\n]+$"):
        read_parquet(SCORES, torn)
    (tmp_path / "a=1").mkdir()  # no partition of a data set
    (tmp_path / "a=1/scores.parquet").write_bytes(torn)
    with pytest.raises(ValueError, match=r"^cannot be read: [^\n]+$"):
        read_parquet(SCORES, tmp_path / "a=1/scores.parquet")
    assert not has_same_rows(SCORES, torn, to_parquet(SCORES, []))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False)), max_size=30))
def test_names_and_numbers_of_any_kind_come_back(given_pairs):
    listed = [ROW | NUMBERS | {"labeler": name, "value": value} for name, value in given_pairs]
    assert read_parquet(SCORES, to_parquet(SCORES, listed)).to_pylist() == listed
