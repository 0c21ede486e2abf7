"""Items: any rows of any file, streamed in parts, are the rows requested."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import DataError, Items
from harness.plugin import items as plugin_items

N = 61
GROUPS = (1, 2, 3, 7, 20, 100, "uneven")  # rows per row group
TALKS = [
    [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"a{i}"}][: i % 4] if i % 5 else None
    for i in range(N)
]
COLUMNS = {
    "number": pa.array([None if i % 7 == 3 else i * i for i in range(N)]),
    "word": pa.array([None if i % 6 == 1 else f"é{i}" for i in range(N)], pa.large_string()),
    "kind": pa.array([f"k{i % 3}" for i in range(N)]).dictionary_encode(),
    "vector": pa.array([[i, i + 0.5] for i in range(N)], pa.list_(pa.float32())),
    "talk": pa.array(TALKS, pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same table in files of many row-group sizes."""
    folder = tmp_path_factory.mktemp("items")
    for size in GROUPS[:-1]:
        pq.write_table(pa.table(COLUMNS), folder / f"{size}.parquet", row_group_size=size)
    table = pa.table(COLUMNS)
    with pq.ParquetWriter(folder / "uneven.parquet", table.schema) as writer:
        for first, last in pairwise((0, 2, 25, 26, 60, N)):
            writer.write_table(table.slice(first, last - first))
    return folder


def over(path, rows, **more):
    rows = np.asarray(rows, np.int64)
    return Items(str(path), rows, rows + 1000, tuple(COLUMNS), **more)


ROWS = st.lists(st.integers(0, N - 1), max_size=80).map(sorted)  # a row may come more than once


@pytest.mark.parametrize("column", COLUMNS)
@settings(max_examples=60, deadline=None)
@given(size=st.sampled_from(GROUPS), rows=ROWS, start=st.integers(0, 90), batch=st.sampled_from([1, 4, 7, 1000]))
def test_batches_are_what_take_takes(files, column, size, rows, start, batch):
    items = over(files / f"{size}.parquet", rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugin_items, "DECODED_ROWS", batch)
        parts = list(items.batches(column, start))
    assert all(0 < len(part) <= max(batch, len(rows)) for part in parts)
    values = [value for part in parts for value in part.to_pylist()]
    assert values == COLUMNS[column].take(pa.array(rows[start:], pa.int64())).to_pylist()


STREAM = """
import sys
import numpy as np
import pyarrow as pa
from harness import Items

items = Items(sys.argv[1], np.arange(10_000), np.arange(10_000), ("list", "fixed", "text"))
for column in items.columns:
    assert sum(map(len, items.batches(column))) == 10_000
    print(pa.default_memory_pool().max_memory())
"""


@pytest.mark.slow
def test_a_row_group_of_any_size_is_streamed(tmp_path):
    """In a process of its own: Arrow's peak memory is that since its import."""
    numbers = pa.array(np.random.default_rng(0).random(10_000 * 1_024, np.float32))
    fixed = pa.FixedSizeListArray.from_arrays(numbers, 1_024)
    text = pa.array([np.random.default_rng(i).bytes(2_000).hex() for i in range(10_000)])
    table = pa.table({"list": fixed.cast(pa.list_(pa.float32())), "fixed": fixed, "text": text})
    pq.write_table(table, tmp_path / "one.parquet", row_group_size=10_000)  # 40 MB each
    done = subprocess.run([sys.executable, "-c", STREAM, tmp_path / "one.parquet"], capture_output=True, check=True)
    assert all(int(memory) < 30_000_000 for memory in done.stdout.split())


def test_nothing_is_decoded_after_the_last_row(files, monkeypatch):
    monkeypatch.setattr(plugin_items, "DECODED_ROWS", 4)
    for size, last in ((100, 12), (7, 11)):
        decoded = list(over(files / f"{size}.parquet", [])._decode("number", np.array([2, 9])))
        assert decoded[-1][0] + len(decoded[-1][1]) == last


@pytest.mark.parametrize("size", GROUPS)
def test_every_row_of_every_file(files, size):
    items = over(files / f"{size}.parquet", range(N))
    assert items.values("number").to_pylist() == COLUMNS["number"].to_pylist()
    assert len(items) == N


@settings(max_examples=60, deadline=None)
@given(size=st.sampled_from(GROUPS), rows=ROWS, start=st.integers(0, 90), part=st.integers(1, 30))
def test_texts_are_those_of_the_rows_in_parts_of_any_size(files, size, rows, start, part):
    items = over(files / f"{size}.parquet", rows, text="talk")
    expected = [[(turn["role"], turn["content"]) for turn in TALKS[row] or []] for row in rows][start:]
    assert list(items.conversations(start)) == expected
    parts = list(items.parts(part, start))
    assert [talk for each in parts for talk in each.conversations()] == expected
    assert [len(each) for each in parts[:-1]] == [part] * (len(parts) - 1)
    assert [row for each in parts for row in each.rows] == rows[start:]
    assert [identity for each in parts for identity in each.ids] == [row + 1000 for row in rows[start:]]
    joined = ["\n".join(f"###{role}: {content}" for role, content in talk) for talk in expected]
    assert list(items.texts(start)) == joined


def test_a_text_column_is_one_assistant_turn(files):
    items = over(files / "7.parquet", [0, 1, 2], text="word")
    assert list(items.conversations()) == [[("assistant", "é0")], [], [("assistant", "é2")]]
    assert list(items.texts()) == ["###assistant: é0", "", "###assistant: é2"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("many", [pa.list_, pa.large_list])
def test_messages_of_any_arrow_type(tmp_path, kind, many):
    turn = pa.struct([("content", kind), ("extra", pa.int8()), ("role", kind)])
    talks = [[{"role": "user", "content": "a\nb", "extra": 1}, {"role": None, "content": None}], [], None, [None]]
    pq.write_table(pa.table({"m": pa.array(talks, many(turn))}), tmp_path / "m.parquet")
    items = Items(str(tmp_path / "m.parquet"), np.arange(4), np.arange(4), ("m",), text="m")
    assert list(items.conversations()) == [[("user", "a\nb"), ("", "")], [], [], [("", "")]]
    assert list(items.texts()) == ["###user: a\nb\n###: ", "", "", "###: "]


def test_a_dictionary_of_texts_is_text_and_content_that_is_no_text_is_refused(tmp_path):
    texts = pa.array(["a", "b", "a"]).dictionary_encode()
    parts = pa.array([[{"role": "user", "content": [{"type": "text"}]}]] * 3)
    pq.write_table(pa.table({"t": texts, "m": parts}), tmp_path / "m.parquet")
    items = Items(str(tmp_path / "m.parquet"), np.arange(3), np.arange(3), ("t", "m"), text="t")
    assert list(items.texts()) == ["###assistant: a", "###assistant: b", "###assistant: a"]
    with pytest.raises(DataError, match=r"column 'm' must hold lists of \{role, content\} or strings, holds list"):
        list(Items(str(tmp_path / "m.parquet"), np.arange(3), np.arange(3), ("t", "m"), text="m").texts())


def test_what_is_no_text_is_refused(files, tmp_path):
    with pytest.raises(
        DataError, match=r"column 'number' must hold lists of \{role, content\} or strings, holds int64"
    ):
        list(over(files / "7.parquet", [0], text="number").texts())
    with pytest.raises(DataError, match="this needs the texts; name their column under data, as 'text: messages'"):
        list(over(files / "7.parquet", [0]).texts())
    latin = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.array([0, 3], pa.int32()).buffers()[1], pa.py_buffer(b"a\xe9b")]
    )
    pq.write_table(pa.table({"word": latin}), tmp_path / "latin.parquet")
    with pytest.raises(DataError, match=r"latin\.parquet: column 'word' holds text that is not UTF-8"):
        list(over(tmp_path / "latin.parquet", [0], text="word").texts())


def test_only_what_may_be_read_is_read(files):
    items = over(files / "7.parquet", [0], hidden=("number",))
    with pytest.raises(DataError, match="column 'number' may not be used as an input: the target is made of it"):
        items.values("number")
    with pytest.raises(DataError, match="column 'vectr' cannot be read here; did you mean 'vector'"):
        items.values("vectr")


def test_no_rows_are_no_batches(files):
    items = over(files / "7.parquet", [])
    assert list(items.batches("number")) == []
    assert len(items.values("number")) == 0
    assert list(items.parts(5)) == []
