"""A fault of a data file is one line; sound data are read exactly."""

import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data import conversion, json_records
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data, Fused
from harness.data.table import open_table
from harness.errors import DataError
from harness_plugins.embedders.column import Column

RATERS = ("gpt_scores", "llama_scores", "mistral_scores")
Y = [0, 1, 2, 3]


@pytest.fixture
def read(table_of):
    """A function that writes columns and loads them, by default with target y."""

    def write_and_load(columns, population=None, name="data.parquet", options=None, **data):
        data = {"target": "y", "classes": 6} | data
        table = table_of(columns, name, **(options or {}))
        return load_dataset(Data(path=name, **data), population or Population(), table)

    return write_and_load


@pytest.fixture
def lines(tmp_path):
    """A function that writes JSON lines and opens them as a table.

    Text and bytes are written as they are, other records as JSON.
    """

    def write_and_open(*records):
        texts = [record if isinstance(record, str | bytes) else json.dumps(record) for record in records]
        texts = [text.encode() if isinstance(text, str) else text for text in texts]
        (tmp_path / "data.jsonl").write_bytes(b"\n".join(texts))
        return open_table("data.jsonl", (tmp_path,), tmp_path / "cache", "error", None)

    return write_and_open


LATIN = pa.Array.from_buffers(
    pa.string(), 4, [None, pa.py_buffer(np.arange(5, dtype=np.int32)), pa.py_buffer(b"ab\xe9d")]
)
WRONG = [
    (
        {"y": [0, 7, 2, 300]},
        {},
        "column 'y': the label 7 in 2 rows (row 1, 3); labels are whole numbers from 0 to 5; map",
    ),
    ({"y": [-1, 1, 2, 3]}, {}, "column 'y': the label -1 in 1 row (row 0); labels are whole numbers from 0 to 5"),
    ({"y": [0, 6, 6, 6, 6, 6]}, {}, "column 'y': the label 6 in 5 rows (row 1, 2, 3, ...)"),
    (
        {"y": [0, 2.7, 1.5, 3]},
        {},
        "column 'y': the label 2.7 in 2 rows (row 1, 2); labels are whole numbers from 0 to 5",
    ),
    ({"y": [0, float("nan"), 1, None]}, {}, "column 'y': NaN in 1 row (row 1); write null where there is no label"),
    ({"y": [0, float("inf")]}, {}, "column 'y': the label inf in 1 row (row 1)"),
    ({"y": pa.array([2**63 + 5, 1], pa.uint64())}, {}, "column 'y': the label 9.22337e+18 in 1 row (row 0)"),
    ({"y": [True, False]}, {}, "column 'y': its labels are true and false; write 'classes: [false, true]'"),
    ({"y": ["3", "14"]}, {}, "column 'y': the label '14' in 1 row (row 1); the classes are 0 to 5"),
    ({"y": [[1], [2]]}, {}, "column 'y': labels must be numbers, text or true and false, are list"),
    (
        {"y": [1, 5, 3, 2]},
        {"classes": 5},
        "column 'y': the label 5 in 1 row (row 1); labels are whole numbers from 0 to 4; these are from 1 to 5: "
        "write 'classes: [1, 2, 3, 4, 5]'",
    ),
    (
        {"y": ["good", "god", "bad"]},
        {"classes": ("bad", "good")},
        "column 'y': the label 'god' in 1 row (row 1); the classes are bad, good; did you mean 'good'?",
    ),
    (
        {"y": [0, 0.5, 0.7]},
        {"classes": (0, 0.5, 1)},
        "column 'y': the label 0.7 in 1 row (row 2); the classes are 0, 0",
    ),
    ({"y": [float(i) for i in range(40)]}, {"classes": None}, "column 'y': has 40 different numbers; set data.classes"),
    ({"y": list("abcd")}, {"classes": None}, "column 'y': has 4 different texts in 4 rows; set data.classes"),
    ({"y": [1, 1, 1]}, {"classes": None}, "column 'y': must be from 2 to 256 classes, got 1; set data.classes"),
    ({"y": pa.array([None, None], pa.int8())}, {}, "column y: no row of the population has a label"),
    ({"y": [None, None]}, {}, "column y: no row of the population has a label"),
    ({"y": pa.array([], pa.int8())}, {}, "has no rows"),
    ({"y": Y, "row_id": Y}, {"target": "yy"}, "no column 'yy' for target or raters; did you mean 'y'?"),
    ({"y": Y, "row_id": Y}, {"id": "rowid"}, "no column 'rowid' for id; did you mean 'row_id'?"),
    ({"y": Y, "messages": Y}, {"text": "message"}, "no column 'message' for text; did you mean 'messages'?"),
    ({"y": Y, "source": Y}, {"source": "sauce"}, "no column 'sauce' for source or group; did you mean 'source'?"),
    ({"y": Y, "prompt": Y}, {"group": "promt"}, "no column 'promt' for source or group; did you mean 'prompt'?"),
    ({"y": Y, "llama": Y}, {"raters": ("lama",)}, "no column 'lama' for target or raters; did you mean 'llama'?"),
    (
        {"y": Y, "i": [1, 2, 1, 2]},
        {"id": "i"},
        "column 'i': the id 1 and others repeat in 2 rows (row 2, 3); ids must be",
    ),
    ({"y": Y, "i": list("abca")}, {"id": "i"}, "column 'i': the id a and others repeat in 1 row (row 3)"),
    ({"y": Y, "i": [1, None, 3, None]}, {"id": "i"}, "column 'i': null in 2 rows (row 1, 3); every row needs an id"),
    ({"y": Y, "i": [1.0, 2, 3, 4]}, {"id": "i"}, "column 'i': ids must be integers or strings, are double"),
    (
        {"y": Y, "i": pa.array([1, 2, 3, 2**63], pa.uint64())},
        {"id": "i"},
        "column 'i': an integer of 2^63 or more in 1",
    ),
    ({"y": Y, "i": LATIN}, {"id": "i"}, "column 'i' cannot be read: Invalid UTF8 sequence at string index 2"),
    ({"y": Y, "s": LATIN}, {"source": "s"}, "column 's' cannot be read: Invalid UTF8 sequence at string index 2"),
    (
        {"y": Y, "s": ["a", None, "b", "c"]},
        {"source": "s"},
        "column 's': null in 1 row (row 1); give every row a value",
    ),
    ({"y": Y, "s": [0.5, 1, 2, 3]}, {"group": "s"}, "column 's': must be strings or integers, is double"),
    (
        {"y": Y, "r": [0, None, 1, 2]},
        {"raters": ("y", "r")},
        "column 'r': no label of this rater in 1 row (row 1); leave",
    ),
    ({"y": Y, "r": [0, 9, 1, 2]}, {"raters": ("y", "r")}, "column 'r': the label 9 in 1 row (row 1)"),
]


@pytest.mark.parametrize(("columns", "data", "words"), WRONG, ids=[f"{words:.40}" for _, _, words in WRONG])
def test_a_fault_names_column_rows_count_and_advice(read, columns, data, words):
    with pytest.raises(DataError) as caught:
        read(columns, **data)
    assert str(caught.value).startswith(f"data.parquet: {words}")
    assert str(caught.value).isprintable()


def damaged(good):
    return good[:4] + b"\xff" * 200 + good[204:]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda good: b"", "is not a readable parquet file: Parquet file size is 0 bytes"),
        (lambda good: good[:-20], "is not a readable parquet file: Parquet magic bytes not found"),
        (lambda good: good[: len(good) // 2], "is not a readable parquet file"),
        (lambda good: b"y\n1\n2\n" * 9, "is not a readable parquet file"),
        (damaged, "column 'y' cannot be read: "),
    ],
    ids=["empty", "short", "half", "text", "damaged inside"],
)
def test_a_file_that_is_no_sound_parquet(table_of, tmp_path, harm, words):
    table = table_of({"y": np.random.default_rng(0).integers(0, 6, 5_000)})
    table.path.write_bytes(harm(table.path.read_bytes()))

    def read_again():
        again = open_table("data.parquet", (tmp_path,), tmp_path / "cache", "error", None)
        return load_dataset(Data("data.parquet", "y", 6), Population(), again)

    with pytest.raises(DataError) as caught:
        read_again()
    assert words in str(caught.value)
    assert "data.parquet" in str(caught.value)
    assert str(caught.value).isprintable()


def test_files_that_are_not_there(tmp_path):
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "my_rows.parquet").touch()
    for path, words in (
        ("absent.parquet", rf"absent.parquet: no such file \(looked in {tmp_path}\)$"),
        ("my_row.parquet", rf"no such file \(looked in {tmp_path}\); did you mean '{tmp_path}/my_rows.parquet'\?$"),
        ("folder.parquet", "folder.parquet: no data file in this folder; read are parquet, Arrow"),
        ("hub:owner", "hub:owner: must be hub:OWNER/NAME"),
        ("twin:other", "twin:other: cannot be read; known are files .* and twin:tulu_300k"),
    ):
        with pytest.raises(DataError, match=words):
            open_table(path, (tmp_path,), tmp_path / "cache", "error", None)


def test_two_columns_of_one_name_are_refused(table_of):
    with pytest.raises(DataError, match="two columns have the same name"):
        table_of(pa.table([pa.array(Y), pa.array(Y)], ["y", "y"]))


@pytest.mark.parametrize(
    "y", [[0, None, 2, None, 5], pa.array([0.0, None, 2.0, None, 5.0]), pa.array([0, None, 2, None, 5], pa.int8())]
)
def test_null_is_unlabelled_and_never_class_0(read, y):
    dataset = read({"y": y})
    assert len(dataset) == 5
    assert dataset.labelled.tolist() == [0, 2, 4]
    assert dataset.y.tolist() == [0, 2, 5]
    assert dataset.positions(np.array([4, 0])).tolist() == [2, 0]
    labelled = dataset.for_splitters()
    assert (labelled.rows.tolist(), labelled.y.tolist(), labelled.ids.tolist()) == ([0, 2, 4], [0, 2, 5], [0, 2, 4])


INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(), pa.float64()]
TEXTS = [
    pa.string(),
    pa.large_string(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.large_string()),
]


def test_however_a_column_is_stored_the_dataset_is_the_same(read):
    labels = [3, 0, None, 5, 1, 1]
    names = ["a", "b", "b", "é", "a", "c"]

    def load_as(number, text, ids):
        columns = {
            "y": pa.array(labels, number),
            "s": pa.array(names).cast(text),
            "g": pa.array(names).cast(text),
            "i": pa.array(range(6), ids),
            "r": pa.array([0 if label is None else label for label in labels], number),
        }
        return read(columns, id="i", source="s", group="g", raters=("y", "r"))

    first = load_as(pa.int64(), pa.string(), pa.int64())
    assert first.sources.tolist() == names
    assert first.group_names[first.groups].tolist() == names
    assert sorted(set(first.groups.tolist())) == [0, 1, 2, 3]
    assert first.raters.tolist() == [[3, 3], [0, 0], [5, 5], [1, 1], [1, 1]]
    variants = [(number, pa.string(), pa.int64()) for number in INTEGERS]
    variants += [(pa.dictionary(pa.int8(), pa.int16()), pa.string(), pa.int64())]
    variants += [(pa.int64(), text, pa.int64()) for text in TEXTS]
    variants += [(pa.int64(), pa.string(), ids) for ids in INTEGERS[:6]]
    for variant in variants:
        other = load_as(*variant)
        for name in ("labelled", "y", "raters", "sources", "groups", "group_names"):
            assert getattr(other, name).dtype == getattr(first, name).dtype
            assert getattr(other, name).tolist() == getattr(first, name).tolist(), (variant, name)
        assert other.items.ids.dtype == first.items.ids.dtype
        assert other.items.ids.tolist() == first.items.ids.tolist()


def test_large_integers_are_kept_exactly(read):
    large = [2**53 + 1, 2**53, 2**63 - 1, -5]
    dataset = read({"y": Y, "i": large}, id="i", group="i")
    assert dataset.items.ids.tolist() == large
    assert dataset.group_names[dataset.groups].tolist() == large


def test_the_number_of_a_group_has_nothing_of_its_name(read):
    names = [f"{label}-{i:03}" for label in range(4) for i in range(100)]
    dataset = read({"y": [int(name[0]) for name in names], "g": names}, group="g")
    by_number = dataset.y[np.argsort(dataset.groups)]  # 400 labels; in the order of the names, 100 of each in turn
    assert all(np.bincount(part, minlength=4).min() > 10 for part in np.split(by_number, 4))
    again = read({"y": [0, 1], "g": names[7:9]}, group="g")
    assert again.group_names.tolist() == [name for name in dataset.group_names.tolist() if name in names[7:9]]


def test_reading_does_not_wait_for_pandas(tmp_path):
    columns = {"y": [0, None, 2], "who": ["a", "b", "a"], "id": pa.array([7, 8, 9], pa.uint64())}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    code = """
import sys
from pathlib import Path
from harness.data.dataset import load_dataset
from harness.data.section import Data
from harness.data.population import Population
from harness.data.table import open_table
table = open_table("data.parquet", (Path(),), Path("cache"), "error", None)
load_dataset(Data("data.parquet", "y", 6, id="id", source="who", group="who", raters=("y",)), Population(), table)
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_identity_follows_every_label_and_the_rows(read):
    def identity(y=tuple(Y), g=tuple(Y), r=tuple(Y), classes=6, **more):
        columns = {"y": list(y), "g": list(g), "r": list(r)}
        return read(columns, classes=classes, group="g", raters=("y", "r"), **more).identity()

    same = identity()
    assert identity() == same
    assert identity(y=(0, 1, 2, 2)) != same
    assert identity(y=(0, 1, 2, None)) != same
    assert identity(g=(0, 1, 2, 2)) != same
    assert identity(r=(0, 1, 2, 2)) != same
    assert identity(classes=5) != same
    assert identity(population=Population("first", n=3)) != same


def plain_fusion(labels, how):
    """Fuse the labels of one row by counting or sorting them."""
    if how == "median":
        return sorted(labels)[(len(labels) - 1) // 2]
    ((label, most), *others) = Counter(labels).most_common()
    return labels[0] if any(count == most for _, count in others) else label


@pytest.mark.parametrize("how", ["majority", "median", "consensus"])
def test_fused_targets_against_a_plain_loop(read, how):
    labels = np.random.default_rng(0).integers(0, 4, (400, 3))
    columns = {name: labels[:, i] for i, name in enumerate("abc")}
    dataset = read(columns, target=Fused(how, ("a", "b", "c")))
    rows = [i for i in range(400) if how != "consensus" or len(set(labels[i])) < 3]
    assert dataset.items.rows.tolist() == rows
    assert dataset.y.tolist() == [plain_fusion(labels[i].tolist(), how) for i in rows]
    assert 0 < sum(len(set(row)) == 3 for row in labels.tolist()) < 400
    assert all(name not in dataset.items.columns for name in "abc")


def test_of_four_raters_the_lower_middle_is_the_median_and_a_tie_takes_the_first(read):
    columns = {"a": [3, 3, 5], "b": [1, 1, 1], "c": [1, 0, 0], "d": [3, 2, 2]}
    assert read(columns, target=Fused("median", tuple("abcd"))).y.tolist() == [1, 1, 1]
    assert read(columns, target=Fused("majority", tuple("abcd"))).y.tolist() == [3, 3, 5]
    assert read(columns, target=Fused("majority", tuple("bacd"))).y.tolist() == [1, 1, 1]


def test_a_row_that_one_of_the_fused_raters_left_out_is_unlabelled(read):
    columns = {"a": [3, None, 5], "b": [3, 1, 1], "c": [1, 2, 0]}
    assert read(columns, target=Fused("majority", tuple("abc"))).labelled.tolist() == [0, 2]
    consensus = read(columns, target=Fused("consensus", tuple("abc")))
    assert consensus.items.rows.tolist() == [0, 1]  # unlabelled rows stay; labelled ones need agreement
    assert consensus.labelled.tolist() == [0]


def test_fused_targets_on_the_real_scores(read, scores):
    first = scores.slice(0, 30_000)
    gpt = first["gpt_scores"].to_numpy()

    def fused(how):
        return read(first, target=Fused(how, RATERS), id="row_id", source="source")

    assert round((fused("majority").y == gpt).mean(), 4) == 0.8186
    assert round((fused("median").y == gpt).mean(), 4) == 0.6462
    assert len(fused("consensus").y) == len(fused("consensus")) == 20_837


def test_the_sources_of_the_pool_are_blocks(read, scores):
    dataset = read(scores, target="gpt_scores", source="source", id="row_id", raters=RATERS)
    names, first, counts = np.unique(dataset.sources, return_index=True, return_counts=True)
    assert sorted(zip(first.tolist(), counts.tolist(), strict=True)) == [
        (0, 100_000),
        (100_000, 33_919),
        (133_919, 100_000),
        (233_919, 15_011),
        (248_930, 52_002),
    ]
    assert len(names) == 5
    shares = np.bincount(dataset.y) / len(dataset)
    assert np.round(100 * shares, 2).tolist() == [6.19, 14.75, 28.62, 29.23, 19.93, 1.27]
    assert (dataset.raters[:, 0] == dataset.y).all()


def test_the_target_cannot_be_read_as_an_input(read):
    columns = {"a": Y, "b": Y, "c": Y}
    items = read(columns, target=Fused("median", ("a", "b")), raters=("a", "b", "c")).items
    assert items.values("c").to_pylist() == Y
    for name in "ab":
        with pytest.raises(DataError, match=f"column '{name}' may not be used as an input"):
            items.values(name)
    with pytest.raises(DataError, match="column 'd' cannot be read here; known: c"):
        items.values("d")


VECTORS = {
    "ragged": ([[1.0, 2.0], [3.0, 4.0], [5.0], [6.0, 7.0]], "another length than the first row's 2 (1), id 12;"),
    "null row": ([[1.0, 2.0], None, [5.0, 6.0], None], "a null where a vector should be, id 11, 13;"),
    "null first": ([None, [1.0, 2.0], [5.0, 6.0], [1.0, 1.0]], "a null where a vector should be, id 10;"),
    "null inside": ([[1.0, 2.0], [3.0, None], [5.0, 6.0], [1.0, 1.0]], "vectors with a null element, id 11;"),
    "empty": (pa.array([[], [], [], []], pa.list_(pa.float32())), "an empty list where a vector should be, id 10;"),
    "text": (list("abcd"), "must hold lists of numbers, holds string"),
    "numbers": ([1.0, 2.0, 3.0, 4.0], "must hold lists of numbers, holds double"),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_that_are_no_matrix(read, name):
    values, words = VECTORS[name]
    items = read({"y": Y, "i": [10, 11, 12, 13], "v": values}, id="i").items
    with pytest.raises(DataError) as caught:
        list(Column("v").embed(items, 0))
    assert "data.parquet: column 'v' " in str(caught.value)
    assert words in str(caught.value)


def test_json_lines_are_read_as_a_table(lines):
    long = 2**53 + 1
    table = lines(
        {"y": 1, "i": long, "t": "é\u2028", "m": [{"role": "user", "content": "日本"}]},
        "",
        {"y": None, "i": 2**63 - 1, "later": 0.5, "m": []},
        "   \t",
        '{"i": -1, "y": 2}\r',
    )
    assert pq.read_table(table.path).to_pylist() == [
        {"y": 1, "i": long, "t": "é\u2028", "m": [{"role": "user", "content": "日本"}], "later": None},
        {"y": None, "i": 2**63 - 1, "t": None, "m": [], "later": 0.5},
        {"y": 2, "i": -1, "t": None, "m": None, "later": None},
    ]
    dataset = load_dataset(Data("data.jsonl", "y", 6, id="i", text="m"), Population(), table)
    assert dataset.items.ids.tolist() == [long, 2**63 - 1, -1]
    assert dataset.labelled.tolist() == [0, 2]
    assert list(dataset.items.conversations()) == [[("user", "日本")], [], []]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (({"y": 1}, "{oops"), "data.jsonl:2: is not JSON: "),
        (({"y": 1}, "", '{"y": 2} {"y": 3}'), "data.jsonl:3: is not JSON: Extra data"),
        (({"y": 1}, "", [3]), "data.jsonl:3: must be an object {...}, is list"),
        (("null",), "data.jsonl:1: must be an object {...}, is NoneType"),
        ((b'{"y": 1, "s": "caf\xe9"}',), "data.jsonl:1: is not JSON: 'utf-8' codec can't decode"),
        (('{"y": ' + "[" * 100_000,), "data.jsonl:1: is not JSON: "),
        ((), "data.jsonl: has no rows"),
        (("", "  "), "data.jsonl: has no rows"),
    ],
)
def test_faults_of_json_lines_name_the_line(lines, records, words):
    with pytest.raises(DataError) as caught:
        lines(*records)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_may_widen_from_piece_to_piece(lines, monkeypatch):
    monkeypatch.setattr(conversion, "RECORDS_PER_PIECE", 2)
    table = lines({"a": None}, {"m": []}, {"a": 3}, {"m": [{"r": "x"}]}, {"a": 0.5}, {"m": [{"r": "y", "n": 1}]})
    assert pq.read_table(table.path).to_pylist() == [
        {"a": None, "m": None},
        {"a": None, "m": []},
        {"a": 3.0, "m": None},
        {"a": None, "m": [{"r": "x", "n": None}]},
        {"a": 0.5, "m": None},
        {"a": None, "m": [{"r": "y", "n": 1}]},
    ]


MIXED = [
    (({"y": 1}, {"y": 2}, {"y": "x"}), 3, "text, after int"),
    (({"y": 1}, "", {"y": True}), 3, "bool, after int"),
    (({"y": 1}, {"y": [1]}, {"y": {}}), 2, "list, after int"),
    (({"y": 2**53 + 1}, {"y": 2}, {"y": 0.5}), 3, "float, after long and int"),
    (({"y": 2**70},), 1, "an integer beyond 64 bits"),
    (('{"y": "\\ud800"}',), 1, "text that is not Unicode"),
]


@pytest.mark.parametrize(("records", "line", "words"), MIXED, ids=[words for _, _, words in MIXED])
@pytest.mark.parametrize("size", [2, 4_096])
def test_a_column_of_several_types_is_refused_only_where_it_is_read(lines, monkeypatch, records, line, words, size):
    monkeypatch.setattr(conversion, "RECORDS_PER_PIECE", size)
    given = [json.loads(record) if isinstance(record, str) else record for record in records if record]
    texts = [record if isinstance(record, str) else json.dumps(record | {"z": 1}) for record in records]
    table = lines(*texts)
    assert [json.loads(row["y"]) for row in pq.read_table(table.path).to_pylist()] == [row["y"] for row in given]
    with pytest.raises(DataError, match=f"^data.jsonl:{line}: column 'y': {words}; a column that the suite reads"):
        load_dataset(Data("data.jsonl", "y", 6), Population(), table)
    if len(given) > 1:
        assert load_dataset(Data("data.jsonl", "z", 6), Population(), table).y.tolist() == [1] * len(given)


def test_tool_calls_of_two_types_leave_the_conversation_readable(lines):
    def row(arguments, metadata):
        turns = [
            {"role": "user", "content": "2 + 2?"},
            {"role": "assistant", "content": "4", "tool_calls": [{"name": "sum", "arguments": arguments}]},
        ]
        return {"y": 1, "m": turns, "metadata": metadata}

    table = lines(row({"a": 2}, {}), row({"a": "two"}, {}), row('{"a": 2}', {}))
    dataset = load_dataset(Data("data.jsonl", "y", 6, text="m"), Population(), table)
    assert list(dataset.items.conversations()) == [[("user", "2 + 2?"), ("assistant", "4")]] * 3
    rows = pq.read_table(table.path).to_pylist()
    assert [json.loads(row["m"][1]["tool_calls"][0]["arguments"]) for row in rows] == [
        {"a": 2},
        {"a": "two"},
        '{"a": 2}',
    ]
    assert [row["metadata"] for row in rows] == ["{}"] * 3


def test_content_of_two_types_is_refused_with_its_line(lines):
    turns = [{"role": "user", "content": "hi"}], [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    table = lines({"y": 1, "m": turns[0]}, {"y": 1, "m": turns[1]})
    words = r"^data.jsonl:2: column 'm' \(\[\].content\): list, after text"
    with pytest.raises(DataError, match=words):
        load_dataset(Data("data.jsonl", "y", 6, text="m"), Population(), table)


def test_a_fault_of_json_data_names_the_line_of_the_file(lines):
    table = lines({"y": 1}, "", {"y": 2}, {"y": 7}, "", {"y": 9})
    with pytest.raises(DataError, match=r"^data.jsonl: column 'y': the label 7 in 2 rows \(line 4, 6\); labels are"):
        load_dataset(Data("data.jsonl", "y", 6), Population(), table)


@pytest.fixture
def written(tmp_path):
    """A function that writes a data file and opens it as a table."""

    def write_and_open(name, content):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_table(name, (tmp_path,), tmp_path / "cache", "error", None)

    return write_and_open


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("characters", [1, 7, 2**20])
def test_a_json_array_is_its_objects(written, monkeypatch, indent, characters):
    monkeypatch.setattr(json_records, "READ_CHARACTERS", characters)
    rows = [{"y": i, "t": f'w"[{i}], é\n', "n": [{"a": 1.5}]} for i in range(5)] + [{"y": 7, "t": "", "n": []}]
    table = written("data.json", "\ufeff \n" + json.dumps(rows, indent=indent, ensure_ascii=False) + "\n")
    assert pq.read_table(table.path).to_pylist() == rows
    line = (
        2
        if indent is None
        else [i for i, text in enumerate(json.dumps(rows, indent=1).split("\n"), 2) if text == " {"][5]
    )
    with pytest.raises(DataError, match=rf"^data.json: column 'y': the label 7 in 1 row \(line {line}\)"):
        load_dataset(Data("data.json", "y", 6), Population(), table)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "data.json: has no rows"),
        ("[ ]", "data.json: has no rows"),
        ('[{"y": 1},\n', "data.json:2: is not JSON: Expecting value"),
        ('[{"y": 1}\n{"y": 2}]', "data.json:2: is not JSON: Expecting"),
        ('[\n{"y": 1},\n{"y" 2}]', "data.json:3: is not JSON: Expecting ':' delimiter"),
        ('[{"y": 1},\n 3]', "data.json:2: must be an object {...}, is int"),
        ('[{"y": 1, "y": 2}]', "data.json: the key 'y' is given twice"),
        ("[" * 100_000, "data.json: is not JSON: "),
        ('{\n"rows": []}', "data.json:1: is a single object over several lines"),
        ("[{}]", "data.json: its objects have no keys"),
    ],
)
def test_faults_of_a_json_array(written, text, words):
    with pytest.raises(DataError) as caught:
        written("data.json", text)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("name", "mark"), [("data.csv", ","), ("data.tsv", "\t")])
def test_tables_of_text_are_read(written, name, mark):
    lines = [["y", "text", "w"], ["1", '"two\nlines, ""quoted"""', "0.5"], ["", "N/A", ""], ["2", "é\u2028", "3"]]
    table = written(name, "\ufeff" + "\r\n".join(mark.join(line) for line in lines) + "\r\n")
    assert pq.read_table(table.path).to_pylist() == [
        {"y": 1, "text": 'two\nlines, "quoted"', "w": 0.5},
        {"y": None, "text": "N/A", "w": None},
        {"y": 2, "text": "é\u2028", "w": 3.0},
    ]
    assert load_dataset(Data(name, "y", 6, text="text"), Population(), table).labelled.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y,t\n1,a\n2,b,c\n", "cannot be read as a table with commas between its columns: CSV parse error: Row #3"),
        ("y,y\n1,2\n", "data.csv:1: the header names a column twice: y"),
        ("", "cannot be read as a table with commas between its columns: Empty CSV file"),
        ("y,t\n", "data.csv: has no rows"),
    ],
)
def test_faults_of_a_table_of_text(written, text, words):
    def load():
        load_dataset(Data("data.csv", "y", 6), Population(), written("data.csv", text))

    with pytest.raises(DataError) as caught:
        load()
    assert words in str(caught.value)


def test_a_file_under_the_name_of_another_format_comes_with_its_right_name(written, tmp_path):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, pa.schema({"y": pa.int64()})) as writer:
        writer.write_table(pa.table({"y": Y}))
    with pytest.raises(DataError, match=r"is an Arrow \(Feather\) file, not parquet: call it data.arrow$"):
        written("data.parquet", sink.getvalue().to_pybytes())
    assert pq.read_table(written("data.arrow", sink.getvalue().to_pybytes()).path)["y"].to_pylist() == Y
    with pytest.raises(DataError, match=r"is compressed by gzip, not parquet: call it data.csv.gz, if it is"):
        written("data.parquet", gzip.compress(b"y\n1\n"))


@pytest.mark.parametrize("name", ["data.parquet", "data.jsonl"])
def test_a_pipe_is_refused_unopened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=rf"^{name}: is not a readable parquet file: is a pipe \(FIFO\), not"):
        open_table(name, (tmp_path,), tmp_path / "cache", "error", None)


def test_a_damaged_page_with_a_checksum_is_refused_and_never_read(read, tmp_path):
    y = np.arange(600) % 6
    table = pa.table({"y": y, "s": [f"name {i % 5}" for i in y]})
    options = {"write_page_checksum": True, "compression": "none", "use_dictionary": False}
    assert read(table, options=options).y.tolist() == y.tolist()
    good = (tmp_path / "data.parquet").read_bytes()
    at = good.index(np.arange(6, dtype=np.int64).tobytes())
    (tmp_path / "data.parquet").write_bytes(good[:at] + b"\x01" + good[at + 1 :])
    again = open_table("data.parquet", (tmp_path,), tmp_path / "cache", "error", None)
    with pytest.raises(DataError, match=r"data.parquet: column 'y' cannot be read: .*CRC checksum"):
        load_dataset(Data("data.parquet", "y", 6), Population(), again)


def test_a_conversion_is_reused_until_the_file_changes(lines):
    first = lines({"y": 1})
    written = first.path.stat().st_mtime_ns
    again = lines({"y": 1})
    assert again == first
    assert again.path.stat().st_mtime_ns == written
    assert sorted(each.suffix for each in first.path.parent.iterdir()) == [".lock", ".parquet"]
    other = lines({"y": 2})
    assert other.path != first.path
    assert pq.read_table(other.path)["y"].to_pylist() == [2]


def test_memory_for_a_conversion_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "RECORDS_PER_PIECE", 200)

    def peak(rows):
        file = tmp_path / f"{rows}.jsonl"
        file.write_text("".join(f'{{"y": {i % 6}, "text": "{"word " * 100}{i}"}}\n' for i in range(rows)))
        tracemalloc.start()
        table = open_table(file.name, (tmp_path,), tmp_path / "cache", "error", None)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert pq.read_metadata(table.path).num_rows == rows
        return highest

    peak(200)
    assert peak(8_000) < 2 * peak(800)


def test_copies_of_an_oversampled_row_are_split_as_rows_of_their_own(table_of):
    from harness_plugins.splitters.nested import Nested
    from harness_plugins.splitters.prefix import Prefix

    y = [0] * 40 + [1] * 4
    data = Data("data.parquet", "y", 2, id="name")
    table = table_of({"y": y, "name": [f"row {i}" for i in range(44)]})
    dataset = load_dataset(data, Population("oversampled", per_class=40), table)
    assert len(dataset) == 80
    for splitter in (Prefix((0.5,)), Nested((0.5,), test=0.4)):
        (split,) = splitter.splits(dataset.for_splitters(), 0)
        both = np.intersect1d(dataset.items.rows[split.train], dataset.items.rows[split.test])
        assert both.tolist() == [40, 41, 42, 43], "the rare rows, ten times each, stand on both sides"
