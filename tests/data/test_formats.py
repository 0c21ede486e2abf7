"""Every accepted format gives the same rows, whichever library wrote it."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.data.table import open_table
from harness.errors import DataError

FRAME = pd.DataFrame(
    {"y": [0, 2, 1, 2, 0, 1], "t": ["a", "é\u2028", 'q"q', "two\nlines", "4", "b,\tc"], "w": [0.5, 1, -2, 3, 4, 5]}
)


@pytest.fixture
def read(tmp_path, monkeypatch):
    """A function that opens a path beside the current folder."""
    monkeypatch.chdir(tmp_path)
    return lambda path: open_table(path, (tmp_path,), tmp_path / "cache", "error", None)


def zstd(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return sink.getvalue().to_pybytes()


def json_lines(frame):
    return frame.to_json(orient="records", lines=True).encode()


WRITERS = {
    "d.parquet": lambda frame, path: frame.to_parquet(path),
    "d.feather": lambda frame, path: frame.to_feather(path),
    "d.arrow": lambda frame, path: feather.write_feather(frame, path, compression="zstd"),
    "d.csv": lambda frame, path: frame.to_csv(path, index=False),
    "d.csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    "d.tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "d.tsv.zst": lambda frame, path: path.write_bytes(zstd(frame.to_csv(index=False, sep="\t").encode())),
    "d.json": lambda frame, path: frame.to_json(path, orient="records"),
    "d.json.gz": lambda frame, path: frame.to_json(path, orient="records"),
    "d.jsonl": lambda frame, path: path.write_bytes(json_lines(frame)),
    "d.jsonl.gz": lambda frame, path: path.write_bytes(gzip.compress(json_lines(frame))),
    "d.ndjson.zst": lambda frame, path: path.write_bytes(zstd(json_lines(frame))),
}


def rows_of(table):
    return pq.read_table(table.path).to_pylist()


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_any_format_has_the_rows(read, tmp_path, name):
    WRITERS[name](FRAME, tmp_path / name)
    table = read(name)
    assert rows_of(table) == FRAME.to_dict("records")
    assert load_dataset(Data(name, "y", 3, text="t"), Population(), table).y.tolist() == FRAME.y.tolist()


@pytest.mark.parametrize("name", WRITERS)
def test_shards_in_a_folder_or_a_pattern_are_joined_in_the_order_of_their_names(read, tmp_path, name):
    suffix = name.removeprefix("d")
    for part, rows in {"b/part-1": FRAME[2:3], "a/part-9": FRAME[:2], "c": FRAME[3:]}.items():
        (tmp_path / "many" / part).parent.mkdir(parents=True, exist_ok=True)
        WRITERS[name](rows.reset_index(drop=True), tmp_path / "many" / f"{part}{suffix}")
    (tmp_path / "many" / "README.md").write_text("about the files")
    (tmp_path / "many" / ".hidden.csv").write_text("x")
    whole = read("many")
    assert rows_of(whole) == FRAME.to_dict("records")
    assert read("many/").sha256 == whole.sha256 == read(str(tmp_path / "many")).sha256
    assert rows_of(read(f"many/*/part*{suffix}")) == FRAME[:3].to_dict("records")
    assert rows_of(read(f"many/c{suffix}")) == FRAME[3:].to_dict("records")


def test_a_fault_of_a_shard_names_its_file_and_row(read, tmp_path):
    (tmp_path / "many").mkdir()
    FRAME.to_csv(tmp_path / "many" / "a.csv", index=False)
    FRAME.assign(y=[0, 0, 7, 0, 8, 0]).to_csv(tmp_path / "many" / "b.csv", index=False)
    with pytest.raises(DataError, match=r"^b.csv: column 'y': the label 7 in 2 rows \(row 2, 4\)"):
        load_dataset(Data("many", "y", 3), Population(), read("many"))


def test_a_whole_number_widens_and_a_null_takes_any_type(read, tmp_path):
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "a.csv").write_text("y,w,s\n1,2,\n")
    (tmp_path / "many" / "b.csv").write_text("s,y,w\nx,2,2.5\n")
    assert rows_of(read("many")) == [{"y": 1, "w": 2.0, "s": None}, {"y": 2, "w": 2.5, "s": "x"}]


ODD = {
    "y,w\n1,2\n": "b.csv: no column 't', a.csv has one; all files need the same columns",
    "y,t,w,z\n1,a,2,3\n": "b.csv: a column 'z', a.csv has none; all files need the same columns",
    "y,t,w\n1,a,text\n": "b.csv: column 'w' is string, in a.csv double; all files need the same types",
}


@pytest.mark.parametrize("text", ODD)
def test_the_shard_with_other_columns_is_named(read, tmp_path, text):
    (tmp_path / "many").mkdir()
    FRAME.to_csv(tmp_path / "many" / "a.csv", index=False)
    (tmp_path / "many" / "b.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        read("many")
    assert str(caught.value) == ODD[text]


def test_a_mixed_column_of_a_shard_stops_only_who_reads_it(read, tmp_path):
    (tmp_path / "many").mkdir()
    mixed = [{"y": 0, "m": 1}, {"y": 1, "m": "x"}]
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "many" / name).write_text("\n".join(map(json.dumps, mixed)))
    table = read("many")
    assert load_dataset(Data("many", "y", 2), Population(), table).y.tolist() == [0, 1, 0, 1]
    with pytest.raises(DataError, match=r"^a.jsonl:2: column 'm': text, after int"):
        table.check_column("m")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["a.csv", "b.parquet"], "many: files of several formats, such as a.csv and b.parquet; name one, as '*.csv'"),
        (["README.md"], "many: no data file in this folder; read are parquet, Arrow or Feather, CSV"),
    ],
)
def test_folders_that_cannot_be_read(read, tmp_path, files, words):
    (tmp_path / "many").mkdir()
    for name in files:
        (tmp_path / "many" / name).write_text("y\n1\n")
    with pytest.raises(DataError) as caught:
        read("many")
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("name", ["d.csv.gz", "d.jsonl.zst", "d.json.gz", "d.arrow"])
@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_a_damaged_file_is_one_line(read, tmp_path, name, keep):
    frame = pd.DataFrame({"y": np.arange(4000) % 3, "t": np.random.default_rng(0).permutation(4000)})
    if name == "d.jsonl.zst":
        (tmp_path / name).write_bytes(zstd(json_lines(frame)))
    else:
        WRITERS[name](frame, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(keep * len(content))] if keep else b"\x00plain text" * 9)
    with pytest.raises(DataError) as caught:
        read(name)
    assert name in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_home_folder_and_a_folder_that_is_not_there(read, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    FRAME.to_csv(tmp_path / "home" / "d.csv", index=False)
    assert rows_of(read("~/d.csv")) == FRAME.to_dict("records")
    with pytest.raises(DataError, match=r"nowhere/\*.csv: no such file"):
        read("nowhere/*.csv")


def test_what_the_datasets_library_saves(read, tmp_path):
    datasets = pytest.importorskip("datasets")
    saved = datasets.Dataset.from_pandas(FRAME)
    saved.save_to_disk(tmp_path / "one", num_shards=2)
    assert rows_of(read("one")) == FRAME.to_dict("records")
    datasets.DatasetDict({"train": saved, "test": saved.select([1])}).save_to_disk(tmp_path / "both")
    assert rows_of(read("both/test")) == FRAME[1:2].to_dict("records")
    with pytest.raises(
        DataError, match="both: a saved DatasetDict with the splits test, train; name one, as both/test"
    ):
        read("both")


def test_memory_does_not_grow_with_the_number_of_shards(tmp_path):
    """Forty shards of 4 MB each: all of them at once would be 160 MB."""
    X = np.random.default_rng(0).standard_normal((1000, 1000), np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(X.reshape(-1), 1000)
    (tmp_path / "many").mkdir()
    pq.write_table(pa.table({"y": np.arange(1000) % 3, "x": vectors}), tmp_path / "many" / "00.parquet")
    for i in range(1, 40):
        (tmp_path / "many" / f"{i:02}.parquet").hardlink_to(tmp_path / "many" / "00.parquet")
    code = (
        "import resource; from pathlib import Path; from harness.data.table import open_table\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "open_table('many', (Path(),), Path('cache'), 'error', None)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 90
