"""`harness init`: from a file to a suite that is valid, by guesses, options or answers on a terminal."""

import json
import os
import pty
import re
import subprocess
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from harness.suite import catalog
from harness.suite.schema import suite_schema
from harness.utils.yaml_file import load
from tests.command_line import COMMAND, harness
from tests.tables import JOURNEYS

DATA = {
    "reviews.csv": {"target": "stars", "classes": [1, 2, 3, 4, 5], "id": "review_id"},
    "opinions.tsv": {"target": "class", "classes": ["bad", "fair", "good"], "text": "text"},
    "answers.json": {
        **{"target": "gpt_scores", "classes": 4, "id": "id", "text": "messages", "source": "model"},
        "group": "prompt_id",
    },
    "shards": {"target": "label", "classes": 3, "id": "key"},
    "saved": {"target": "label", "classes": ["polite", "toxic"], "ordered": False, "text": "text"},
}
INPUTS = {
    "reviews.csv": {"columns": {"features": "columns", "columns": ["colour", "price", "weeks", "verified"]}},
    "opinions.tsv": {"words": {"embedder": "hashing_svd", "dim": 16}, "surface": {"features": "text_v1"}},
    "answers.json": {
        "words": {"embedder": "hashing_svd", "dim": 16},
        "surface": {"features": "text_v1"},
        "source": {"features": "one_hot", "columns": ["model"]},
    },
    "shards": {"embedding": {"embedder": "column", "column": "embedding"}},
    "saved": {"words": {"embedder": "hashing_svd", "dim": 16}, "surface": {"features": "text_v1"}},
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with data of five formats and the suite of each, and {data: what init printed}."""
    folder = tmp_path_factory.mktemp("begun")
    printed = {}
    for name, write in JOURNEYS.items():
        write(folder)
        done = harness("init", name, cwd=folder)
        assert (done.returncode, done.stderr) == (0, ""), name
        printed[name] = done.stdout
    return folder, printed


@pytest.mark.parametrize("name", JOURNEYS)
def test_each_kind_of_data_gets_its_parts_and_a_valid_suite(begun, name):
    folder, printed = begun
    stem = name.partition(".")[0]
    suite = load(folder / f"{stem}.yaml").value
    assert suite["data"] == {"path": name, **DATA[name]}
    assert suite["blocks"] == INPUTS[name]
    assert [e if isinstance(e, str) else next(iter(e)) for e in suite["labelers"] if e != "source_prior"] == [
        *("majority", "prior", "knn", "linear", "gbm", "mlp")
    ]
    assert ("source_prior" in suite["labelers"]) == ("source" in DATA[name])
    assert Draft202012Validator(suite_schema(catalog.discover())).is_valid(suite)
    checked = harness("validate", f"{stem}.yaml", cwd=folder)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.strip() in printed[name]
    assert f"  harness run {stem}.yaml\n" in printed[name]


def test_every_line_of_the_suite_is_there_for_a_reason(begun):
    folder, printed = begun
    text = (folder / "shards.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=harness.schema.json\n")
    assert (folder / "harness.schema.json").is_file()
    assert "  # No inputs, since they look like labels too: label_text.\n" in text
    assert "  # split names a split of its own. It is no input, and the splits below are drawn anew" in text
    assert "{splitter: column, column: split, train: [train], test: [test]}" in text
    assert "llama_scores" in re.search(r"other labels +(.*)", printed["answers.json"])[1]
    assert max(map(len, text.splitlines())) <= 120


def test_nothing_is_overwritten(tmp_path):
    JOURNEYS["reviews.csv"](tmp_path)
    (tmp_path / "reviews.yaml").write_text("# mine\n")
    (tmp_path / "harness.schema.json").write_text("{}\n")
    refused = harness("init", "reviews.csv", cwd=tmp_path)
    message = "error: reviews.yaml is there already, and is not overwritten; name another file by --to\n"
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", message)
    done = harness("init", "reviews.csv", "--to", "suites/two.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "suites" / "two.yaml").value["name"] == "two"
    assert harness("init", "reviews.csv", "--to", "three.yaml", cwd=tmp_path).returncode == 0
    assert (tmp_path / "reviews.yaml").read_text() == "# mine\n"
    assert (tmp_path / "harness.schema.json").read_text() == "{}\n"


def test_options_fix_parts_and_a_dash_leaves_one_out(tmp_path):
    JOURNEYS["answers.json"](tmp_path)
    options = ["--target", "llama_scores", "--text", "messages", "--source", "-", "--id", "-", "--columns", "-"]
    done = harness("init", "answers.json", *options, "--group", "model", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = load(tmp_path / "answers.yaml").value["data"]
    assert data == {
        "path": "answers.json",
        "target": "llama_scores",
        "classes": 4,
        "text": "messages",
        "group": "model",
    }


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (
            {"a": [1, 2] * 20, "b": [0, 1] * 20, "c": np.arange(40) / 7},
            (),
            "which column is the target: a, b? Name it by --target",
        ),
        ({"a": np.arange(40) / 7}, (), "no column looks like a target, with a few values that repeat, among a; "),
        (
            {"label": [0, 1] * 20},
            (),
            "beside the target 'label' there is no text, vector or numeric column among label; name one by --text,",
        ),
        ({"label": [0, 1] * 20, "x": np.arange(40) / 7}, ("--id", "y"), "no column 'y' for --id; known: label, x"),
        (
            {"label": [0, 1] * 20, "x": [f"x{i}" for i in range(40)]},
            ("--target", "x"),
            "column 'x': has 40 different texts in 40 rows; set ",
        ),
    ],
)
def test_what_cannot_be_guessed_is_one_line_and_writes_no_suite(tmp_path, frame, options, message):
    pd.DataFrame(frame).to_csv(tmp_path / "d.csv", index=False)
    done = harness("init", "d.csv", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: d.csv: {message}")
    assert not list(tmp_path.glob("*.yaml"))


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    done = harness("init", "d.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "d.csv: no such file" in done.stderr


def answer_on_terminal(folder, words, answers):
    """Run a command on a terminal; answer {start of a question: line}, else take the default. Returns (code, text)."""
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": "200", "TERM": "dumb"}
    command = [*COMMAND, *words]
    with subprocess.Popen(
        command, cwd=folder, stdin=follower, stdout=follower, stderr=follower, env=environment, close_fds=True
    ) as process:
        os.close(follower)
        text, answered, end = "", 0, time.monotonic() + 120
        while time.monotonic() < end:
            try:
                text += os.read(leader, 4096).decode()
            except OSError:  # its other end is closed
                break
            question = text[answered:].rpartition("\n")[2]
            if question.endswith(": "):
                answered = len(text)
                given = next((answers.pop(start) for start in list(answers) if question.startswith(start)), "")
                os.write(leader, f"{given}\n".encode())
        os.close(leader)
        return process.wait(60), text


def test_on_a_terminal_it_asks_for_each_part_and_each_answer_counts(tmp_path):
    JOURNEYS["answers.json"](tmp_path)
    given = {"Target": "llama_scores", "Group": "prompt", "Source": "-"}
    code, text = answer_on_terminal(tmp_path, ["init", "answers.json"], given)
    assert code == 0, text
    questions = re.findall(r"^([A-Z]\w+).* \[(.*)\]: ", text, re.MULTILINE)
    assert [question for question, _ in questions] == [
        *("Target", "Text", "Vectors", "Numbers", "Id", "Group", "Group", "Source")
    ]
    defaults = dict(questions)
    assert (defaults["Target"], defaults["Text"], defaults["Vectors"]) == ("gpt_scores", "messages", "-")
    assert "no column 'prompt' for --group; did you mean 'prompt_id'?" in text
    data = load(tmp_path / "answers.yaml").value["data"]
    assert (data["target"], data["id"], data["group"], "source" in data) == ("llama_scores", "id", "prompt_id", False)


def test_a_target_that_cannot_be_one_is_asked_for_again(tmp_path):
    frame = {"a": [1, 2] * 20, "b": [0, 1] * 20, "c": [f"c{i}" for i in range(40)], "d": np.arange(40) / 7}
    pd.DataFrame(frame).to_csv(tmp_path / "d.csv", index=False)
    code, text = answer_on_terminal(tmp_path, ["init", "d.csv"], {"Target": "c", "Target, ": "b"})
    assert code == 0, text
    assert "which column is the target: a, b?" in text
    assert "column 'c': has 40 different texts" in text
    assert load(tmp_path / "d.yaml").value["data"]["target"] == "b"


def test_yes_asks_nothing_on_a_terminal(tmp_path):
    JOURNEYS["reviews.csv"](tmp_path)
    code, text = answer_on_terminal(tmp_path, ["init", "reviews.csv", "--yes"], {})
    assert code == 0, text
    assert "]: " not in text


def test_a_continuous_score_and_a_column_of_several_types(tmp_path):
    rows = [{"score": i / 7, "x": float(i % 11), "mixed": "a" if i % 5 else i} for i in range(90)]
    (tmp_path / "d.json").write_text(json.dumps(rows))
    done = harness("init", "d.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    suite = load(tmp_path / "d.yaml").value
    assert suite["data"]["cut"] == [pytest.approx(89 / 21, abs=0.01), pytest.approx(2 * 89 / 21, abs=0.01)]
    assert suite["blocks"]["columns"]["columns"] == ["x"]
    assert "not used      mixed" in done.stdout


def test_simulated_data_are_headed_so_and_the_output_folder_is_named(tmp_path):
    done = harness("init", "twin:tulu_300k:300", "--to", "sub/small.yaml", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert "SIMULATED DATA" in first
    assert "  harness run sub/small.yaml -o out" in others
    suite = load(tmp_path / "sub" / "small.yaml").value
    assert (suite["data"]["path"], suite["data"]["target"]) == ("twin:tulu_300k:300", "gpt_scores")
    assert suite["labelers"][5] == {"gbm": {"on": ["embeddings", "surface"], "rounds": 300, "preset": "fast"}}
    assert {path.name for path in tmp_path.iterdir()} == {"sub", "out"}


def test_many_numbered_columns_are_one_pattern_and_a_large_file_a_sample(tmp_path):
    n = 60_000
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], n // 2)  # sorted, as many files are
    columns = {f"x_{i}": rng.standard_normal(n).astype(np.float32) for i in range(5)}
    frame = {"label": y, **columns, "xylophone": rng.standard_normal(n)}
    pq.write_table(pa.table(frame), tmp_path / "d.parquet")
    done = harness("init", "d.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    suite = load(tmp_path / "d.yaml").value
    assert suite["data"]["classes"] == 2
    assert suite["blocks"]["columns"]["columns"] == ["x_*", "xylophone"]
    assert suite["population"] == {"take": "stratified", "n": 20_000}
