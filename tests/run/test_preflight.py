"""What a run would refuse is refused before it, with the suite's line."""

import hashlib
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data import limits
from harness.errors import HarnessError
from harness.run.runner import Options, prepare_run
from harness.run.store import Store, write_suite_record
from harness.suite.suite import load_suite
from tests.command_line import harness

SUITE = """\
version: 1
name: small
data: {path: data.parquet, target: y, classes: 3, text: text}
population: {take: all}
blocks:
  e: {embedder: column, column: emb}
splits:
  - {splitter: prefix, ratios: [0.5], seeds: [3]}
labelers:
  - majority
"""


@pytest.fixture
def folder(tmp_path):
    """A suite and its data: 60 rows with labels, texts, vectors, words and numbers."""
    vectors = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    columns = {
        "y": np.arange(60) % 3,
        "text": [f"word {i}" for i in range(60)],
        "emb": pa.array(list(vectors), pa.list_(pa.float32())),
        "who": ["a", "b"] * 30,
        "w": vectors[:, 0],
    }
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    np.save(tmp_path / "x.npy", vectors)
    np.save(tmp_path / "short.npy", vectors[:9])
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY")
    return tmp_path


@pytest.fixture
def refused(folder, catalog, monkeypatch):
    """A function that changes the suite and returns why it is refused."""
    monkeypatch.chdir(folder)

    def find(old, new):
        assert SUITE.count(old) == 1
        (folder / "suite.yaml").write_text(SUITE.replace(old, new))
        suite = load_suite(folder / "suite.yaml", catalog)
        with pytest.raises(HarnessError) as caught:
            prepare_run(suite, catalog, Options(folder / "out", threads=1), print)
        assert not list((folder / "out").rglob("*.npy")), "nothing is made"
        return str(caught.value).replace(f"{folder}/", "")

    return find


BLOCKS = {
    "{embedder: column, column: nope}": "data.parquet: column 'nope' cannot be read here",
    "{embedder: column, column: em}": "data.parquet: column 'em' cannot be read here; did you mean 'emb'?",
    "{embedder: column, column: y}": "data.parquet: column 'y' may not be used as an input: the target is made of it",
    "{embedder: column, column: who}": "data.parquet: column 'who' must hold lists of numbers, holds string",
    "{embedder: npy, path: ., order: same}": "cannot be read as a .npy file of numbers or text: [Errno 21]",
    "{embedder: npy, path: absent.npy, order: same}": "absent.npy: No such file or directory",
    "{embedder: npy, path: bad.npy, order: same}": "bad.npy cannot be read as a .npy file",
    "{embedder: npy, path: short.npy, order: same}": "short.npy has 9 rows, data.parquet has 60",
    "{embedder: npy, path: x.npy, ids: absent.npy}": "absent.npy: No such file or directory",
    "{features: one_hot, columns: [who, v]}": "data.parquet: column 'v' cannot be read here",
    "{features: one_hot, columns: [y]}": "data.parquet: column 'y' may not be used as an input",
    "{features: one_hot, columns: [w]}": "data.parquet: column 'w' holds float; one-hot needs categories",
}


@pytest.mark.parametrize("block", BLOCKS, ids=[block.replace("/", "") for block in BLOCKS])
def test_a_block_that_cannot_be_made_is_refused_with_its_line(refused, block):
    message = refused("{embedder: column, column: emb}", block)
    assert message.startswith("suite.yaml:6: blocks.e: block 'e': ")
    assert BLOCKS[block] in message
    assert "\n" not in message


@pytest.mark.parametrize("block", ["{features: text_v1}", "{embedder: hashing_svd, dim: 2}"])
def test_a_block_of_texts_needs_texts(refused, folder, block):
    message = refused(
        "3, text: text}\npopulation: {take: all}\nblocks:\n  e: {embedder: column, column: emb}",
        f"3}}\nblocks:\n  e: {block}",
    )
    assert message.startswith(
        "suite.yaml:5: blocks.e: block 'e': data.parquet: this needs the texts; name their column"
    )


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("path: data.parquet", "path: absent.parquet", ["suite.yaml:3: data.path: absent.parquet: no such file"]),
        ("path: data.parquet", "path: x.npy", ["x.npy: is not a readable parquet"]),
        (
            "target: y, classes: 3, text: text",
            "target: z, classes: 3, text: txt, id: no, raters: [y, q], source: s, group: g, time: t",
            [
                *["suite.yaml:3: data.target: data.parquet: no column 'z' for target or raters; known: "],
                *[
                    "suite.yaml:3: data.raters[1]: data.parquet: no column 'q'",
                    "suite.yaml:3: data.id: data.parquet: no ",
                ],
                "suite.yaml:3: data.text: data.parquet: no column 'txt' for text; did you mean 'text'?",
                *[f"suite.yaml:3: data.{key}: data.parquet: no column" for key in ("source", "group", "time")],
            ],
        ),
        ("take: all", "take: first, n: 61", ["suite.yaml:4: population: data.parquet: the population wants 61 rows"]),
        (
            "prefix, ratios: [0.5]",
            "leave_source_out",
            ["suite.yaml:8: splits[0]: splitter 'leave_source_out' needs the column"],
        ),
    ],
    ids=["path", "format", "columns", "population", "splits"],
)
def test_data_that_do_not_fit_are_refused_with_their_line(refused, old, new, lines):
    problems = refused(old, new).splitlines()
    assert len(problems) == len(lines)
    for problem, words in zip(problems, lines, strict=True):
        assert problem.startswith(words)


@pytest.mark.parametrize(
    ("column", "value", "block"),
    [
        ("text", b"word 41", "{embedder: hashing_svd, dim: 2}"),
        ("text", b"word 41", "{features: text_v1}"),
        ("emb", None, "{embedder: column, column: emb}"),
    ],
    ids=["svd", "text", "vectors"],
)
def test_a_damaged_page_is_one_line_with_the_file(refused, folder, column, value, block):
    table = pq.read_table(folder / "data.parquet")
    options = {"write_page_checksum": True, "compression": "none", "use_dictionary": False}
    pq.write_table(table, folder / "data.parquet", **options)
    good = (folder / "data.parquet").read_bytes()
    at = good.index(np.float32(table["emb"][41][0].as_py()).tobytes() if value is None else value)
    (folder / "data.parquet").write_bytes(good[:at] + b"\x01" + good[at + 1 :])
    message = refused("{embedder: column, column: emb}", block)
    assert message.startswith("suite.yaml:6: blocks.e: block 'e': data.parquet")
    assert "CRC checksum" in message
    assert message.isprintable()


def test_a_file_that_has_changed_is_refused_with_both_hashes(refused, folder, catalog):
    sha256 = hashlib.sha256((folder / "data.parquet").read_bytes()).hexdigest()
    other = "0" * 64
    message = refused("classes: 3", f"classes: 3, sha256: '{other}'")
    assert message.startswith("suite.yaml:3: data.sha256: data.parquet: has changed: ")
    assert sha256 in message
    assert other in message
    (folder / "suite.yaml").write_text(SUITE.replace("classes: 3", f"classes: 3, sha256: {sha256}"))
    prepare_run(load_suite(folder / "suite.yaml", catalog), catalog, Options(folder, threads=1), print)


def test_rows_that_no_memory_holds_are_refused_before_they_are_read(refused, monkeypatch):
    monkeypatch.setattr(limits, "machine_memory", lambda: 60 * (limits.ROW_BYTES + limits.COLUMN_BYTES) * 2 - 1)
    message = refused("take: all", "take:  all")
    assert message.startswith(
        "suite.yaml:3: data.path: data.parquet: 60 rows take some 0.0 GiB of memory, which is too"
    )


@pytest.fixture
def planned(folder, catalog, monkeypatch):
    """A function that plans a suite file in a folder; runs/small there has the run of suite.yaml in `folder`."""
    (folder / "suite.yaml").write_text(SUITE)
    store = Store(folder / "runs" / "small")
    store.open()
    write_suite_record(store, folder / "suite.yaml", {})

    def plan(name, working_directory=folder, output="."):
        monkeypatch.chdir(working_directory)
        suite = load_suite(Path(name), catalog)
        return len(prepare_run(suite, catalog, Options(Path(output), threads=1), print).cells)

    return plan


def test_another_suite_of_the_same_name_is_refused_as_long_as_the_first_is_there(folder, planned):
    other = folder / "other.yaml"
    other.write_text(SUITE)
    assert planned("other.yaml") == 1, "an equal file is no other suite"
    other.write_text(SUITE.replace("0.5", "0.4"))
    with pytest.raises(HarnessError) as caught:
        planned("other.yaml")
    assert str(caught.value) == (
        "other.yaml:2: name: runs/small has the run of another suite of this name, "
        f"{folder / 'suite.yaml'}; give one of the two another name, or its own --output"
    )
    assert planned("other.yaml", output="elsewhere") == 1
    (folder / "suite.yaml").write_text(SUITE.replace("0.5", "0.3"))
    assert planned("suite.yaml") == 1, "a suite may change"
    (folder / "suite.yaml").unlink()
    assert planned("other.yaml") == 1


def test_a_copy_of_a_folder_with_its_runs_is_no_other_suite(folder, planned, tmp_path_factory):
    copy = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(folder, copy)
    (copy / "suite.yaml").write_text(SUITE.replace("0.5", "0.4"))
    assert planned("suite.yaml", copy) == 1


def test_a_small_file_of_very_many_rows_is_refused_unread(refused, folder):
    ones = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2_000_000, np.int32)), ["a"])
    pq.write_table(pa.table({"y": np.zeros(2_000_000, np.int8), "text": ones}), folder / "data.parquet")
    size = (folder / "data.parquet").stat().st_size
    start = time.process_time()
    message = refused("take: all", "take:  all")
    assert time.process_time() - start < 0.5
    assert message.startswith(f"suite.yaml:3: data.path: data.parquet: 2,000,000 rows in {size:,} bytes: nearly all")


def test_validate_looks_at_the_data_and_keeps_nothing(folder):
    (folder / "suite.yaml").write_text(SUITE)
    before = sorted(folder.rglob("*"))
    done = harness("validate", "suite.yaml", cwd=folder)
    assert done.stdout == "suite.yaml: ok (1 labeler, 1 block)\n"
    (folder / "suite.yaml").write_text(SUITE.replace("column: emb", "column: embb"))
    done = harness("validate", "suite.yaml", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: suite.yaml:6: blocks.e: block 'e': ")
    (folder / "suite.yaml").write_text(SUITE.replace("data.parquet", "absent.parquet"))
    done = harness("validate", "suite.yaml", cwd=folder)
    assert done.stdout.endswith(
        "ok (1 labeler, 1 block); absent.parquet is not there, so its columns were not checked\n"
    )
    assert sorted(folder.rglob("*")) == before


def test_validate_takes_several_files_and_prints_an_object_a_line_for_programs(folder):
    (folder / "good.yaml").write_text(SUITE.replace("small", "good"))
    (folder / "absent.yaml").write_text(SUITE.replace("data.parquet", "absent.parquet").replace("small", "absent"))
    (folder / "bad.yaml").write_text(SUITE.replace("column: emb", "colum: emb").replace("prefix", "prefx"))
    (folder / "column.yaml").write_text(SUITE.replace("column: emb", "column: embb"))
    names = ["bad.yaml", "good.yaml", "absent.yaml", "column.yaml", "none.yaml"]
    done = harness("validate", *names, "--json", cwd=folder)
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (2, "")
    assert [(content["file"], content["ok"]) for content in objects] == [(name, name[0] in "ga") for name in names]
    bad, good, absent, column, none = objects
    assert good == {"file": "good.yaml", "ok": True, "labelers": 1, "blocks": 1, "unchecked": "", "problems": []}
    assert absent["unchecked"] == "absent.parquet is not there, so its columns were not checked"
    lines = SUITE.splitlines()
    (at_block,) = (i for i, line in enumerate(lines, 1) if "column: emb" in line)
    (at_split,) = (i for i, line in enumerate(lines, 1) if "prefix" in line)
    assert {(problem["file"], problem["line"]) for problem in bad["problems"]} == {
        ("bad.yaml", at_block),
        ("bad.yaml", at_split),
    }
    assert any("did you mean 'column'?" in problem["message"] for problem in bad["problems"])
    assert [(problem["file"], problem["line"]) for problem in column["problems"]] == [("column.yaml", at_block)]
    assert none["problems"] == [{"file": None, "line": None, "message": "none.yaml: no such file"}]
    read = harness("validate", *names, cwd=folder)
    assert read.returncode == 2
    assert [line.partition(":")[0] for line in read.stdout.splitlines()] == ["good.yaml", "absent.yaml"]
    errors = [line for line in read.stderr.splitlines() if line.startswith("error: ")]
    assert [line.split(":")[1].strip() for line in errors] == ["bad.yaml", "column.yaml", "none.yaml"]
