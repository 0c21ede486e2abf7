"""Messages of makers name the file, row and line that the user has."""

import json

import numpy as np
import pyarrow as pa
import pytest

from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.data.table import open_table
from harness.errors import DataError
from harness.label.new_rows import join_rows
from harness.run.locations import naming_user_files
from harness.suite.suite import load_suite
from harness_plugins.embedders.column import Column

SUITE = """\
version: 1
name: small
data: {path: data.parquet, target: y, classes: 3, source: who}
blocks: {e: {embedder: column, column: emb}}
splits: [{splitter: prefix, ratios: [0.5], seeds: [3]}]
labelers: [majority]
"""


def complaint(table, **data):
    """Return what is wrong with the column of vectors, as a run prints it."""
    dataset = load_dataset(Data("data", "y", 3, **data), Population(), table)
    with pytest.raises(DataError) as caught, naming_user_files(table, dataset.items):
        list(Column("emb").embed(dataset.items, 0))
    return str(caught.value)


@pytest.fixture
def joined(tmp_path, catalog, table_of):
    """A function that joins new rows, of parquet or JSON lines, to the labelled half of 20 rows."""
    (tmp_path / "suite.yaml").write_text(SUITE)
    labels = [i % 3 if i % 2 else None for i in range(20)]
    good = pa.array([[1.0, 2.0]] * 20)
    old = table_of({"y": labels, "who": ["a"] * 20, "emb": good})

    def join(new, lines=False):
        if lines:
            rows = pa.table(new).to_pylist()
            (tmp_path / "new.jsonl").write_text("\n\n".join(json.dumps(row) for row in rows))
            table = open_table("new.jsonl", (tmp_path,), tmp_path / "cache", "error", None)
        else:
            table = table_of(new, "new.parquet")
        return join_rows(load_suite(tmp_path / "suite.yaml", catalog), old, table, tmp_path / "cache").table

    return join


VECTORS = [[1.0, 2.0], None, [3.0, 4.0], None]


def test_a_vector_of_json_lines_is_named_by_its_line(tmp_path):
    lines = [json.dumps({"y": 1, "i": f"k{i}", "emb": vector}) for i, vector in enumerate(VECTORS)]
    (tmp_path / "data.jsonl").write_text("\n\n".join(lines))
    table = open_table("data.jsonl", (tmp_path,), tmp_path / "cache", "error", None)
    words = "data.jsonl: column 'emb' has a null where a vector should be, "
    assert complaint(table).startswith(f"{words}line 3, 7; mend")
    assert complaint(table, id="i").startswith(f"{words}id k1, k3, line 3, 7; mend")


@pytest.mark.parametrize(
    ("lines", "name", "where"), [(False, "new.parquet", "row 1, 3"), (True, "new.jsonl", "line 3, 7")]
)
def test_a_row_of_a_joined_file_is_named_by_its_own_file(joined, lines, name, where):
    new = {"who": ["b"] * 4, "emb": VECTORS}
    table = joined(new, lines)
    assert complaint(table).startswith(f"{name}: column 'emb' has a null where a vector should be, {where}; mend")
    table = joined(new | {"who": ["b", None, "b", None]}, lines)
    with pytest.raises(DataError, match=rf"^{name}: column 'who': null in 2 rows \({where}\); give every row a value"):
        load_dataset(Data("data", "y", 3, source="who"), Population(), table)


def test_an_old_row_of_a_joined_file_is_named_by_its_own_row(joined):
    table = joined({"who": ["b"] * 4, "emb": [[1.0, 2.0]] * 4})
    assert table.locate(np.array([0, 9, 10, 13])) == ("data.parquet", "row 1, 19", 2)
    assert table.locate(np.array([10, 13])) == ("new.parquet", "row 0, 3", 2)


def test_a_message_without_a_file_gets_the_name_of_the_data(table_of):
    table = table_of({"y": [0, 1, 2], "emb": [[1.0]] * 3})
    items = load_dataset(Data("data", "y", 3), Population(), table).items
    with (
        pytest.raises(DataError, match=r"^data.parquet: block 'e': NaN in 1 row \(id 2\)$"),
        naming_user_files(table, items),
    ):
        raise DataError("block 'e': NaN in 1 row (id 2)")
