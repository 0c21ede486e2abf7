"""Which columns of new rows are joined to the labelled ones."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.table import open_table
from harness.label.new_rows import join_rows
from harness.suite.suite import load_suite
from tests.command_line import write_suite


def test_columns_that_a_pattern_takes_are_joined(tmp_path, catalog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = {"x_1": np.arange(6.0), "x_2": np.arange(6.0) ** 2, "plain": np.ones(6), "other": np.ones(6)}
    old = pa.table({"y": [0, 1, 2, 0, 1, 2], **columns})
    file = write_suite(
        tmp_path,
        [{"linear": {"on": "x"}}],
        old,
        data={"path": "data.parquet", "target": "y"},
        blocks={"x": {"features": "columns", "columns": ["x_*", "plain"]}},
    )
    pq.write_table(old.drop_columns("y"), "new.parquet")
    tables = [
        open_table(name, (tmp_path,), tmp_path / "cache", "error", None) for name in ("data.parquet", "new.parquet")
    ]
    joined = join_rows(load_suite(file, catalog), *tables, tmp_path / "cache")
    assert tuple(joined.table.columns) == ("y", "x_1", "x_2", "plain")
    assert pq.read_table(joined.table.path)["x_2"].to_pylist() == [*columns["x_2"], *columns["x_2"]]


def test_raters_are_read_where_a_block_is_made_of_them(tmp_path, catalog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rated = {"a": [0, 1, 2, 0, 1, 2], "b": [2, 1, 0, 2, 1, 0]}
    old = pa.table({"y": [0, 1, 2, 0, 1, 2], **rated})
    file = write_suite(
        tmp_path,
        [{"linear": {"on": "a"}}],
        old,
        data={"path": "data.parquet", "target": "y", "raters": ["a", "b"]},
        blocks={"a": {"features": "one_hot", "columns": ["a"]}},
    )
    pq.write_table(old, "new.parquet")
    tables = [
        open_table(name, (tmp_path,), tmp_path / "cache", "error", None) for name in ("data.parquet", "new.parquet")
    ]
    joined = pq.read_table(join_rows(load_suite(file, catalog), *tables, tmp_path / "cache").table.path)
    assert joined["a"].to_pylist() == [*rated["a"], *rated["a"]]
    assert joined["b"].to_pylist() == [*rated["b"], *[None] * 6]
    assert joined["y"].to_pylist()[6:] == [None] * 6
