"""hub: data from a cache laid out by hand and from a hub on the loopback."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data.classes import listed_in_schema
from harness.data.hub import _lay_out
from harness.data.hub_reader import choose_split
from harness.errors import DataError
from harness.utils.hashing import hash_file
from tests.command_line import harness, ranks, run_module, table, write_suite

COMMIT, OTHER = "0123456789abcdef" * 2 + "01234567", "f" * 40
FETCH = """
import json, sys
from pathlib import Path
from harness.errors import DataError
from harness.data.hub import fetch
try:
    data = fetch(sys.argv[1], Path("cache"))
except DataError as error:
    print(json.dumps({"error": str(error)}))
else:
    print(json.dumps({"file": str(data.file), "display_name": data.display_name, "sha256": data.sha256}))
"""


def environment(home, **more):
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
    return ours | {"HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"} | more


def fetched(path, cwd, **more):
    """Return the data or the error of fetch() in a process of its own.

    The library reads its environment once.
    """
    (cwd / "fetch_one.py").write_text(FETCH)
    done = run_module("fetch_one", path, cwd=cwd, environment=environment(cwd / "hf", **more))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def lay_out_cache(cwd, files, commit=COMMIT, revision="main", repository="owner--name"):
    """Lay files {name: table or bytes} out as the hub's own library does."""
    home = cwd / "hf" / "hub" / f"datasets--{repository}"
    (home / "refs" / revision).parent.mkdir(parents=True, exist_ok=True)
    (home / "refs" / revision).write_text(commit)
    for name, rows in files.items():
        link = home / "snapshots" / commit / name
        link.parent.mkdir(parents=True, exist_ok=True)
        blob = home / "blobs" / hashlib.sha256(name.encode()).hexdigest()
        blob.parent.mkdir(exist_ok=True)
        if isinstance(rows, bytes):
            blob.write_bytes(rows)
        else:
            pq.write_table(rows, blob)
        link.unlink(missing_ok=True)
        link.symlink_to(blob)
    return home


def schema_of(file, column):
    schema = pq.read_schema(file)
    return schema.field(column), schema.metadata


def rows(*values, **more):
    return pa.table({"x": pa.array(values, pa.int64()), **more})


def shards(n=2, split="train"):
    return {f"data/{split}-{i:05}-of-{n:05}.parquet": rows(10 * i, 10 * i + 1) for i in range(n)}


# Which files are meant.

CARD = """---
configs:
- config_name: en
  data_files:
  - {split: train, path: en/*.csv}
  - {split: test, path: test.csv}
  sep: ";"
- config_name: de
  data_files: de/*.csv
---
"""


TRAIN = None, "train", [1, 0]


def repository(folder, names, card=None):
    """Make a repository of empty files, whose names alone count."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if card is not None:
        (folder / "README.md").write_text(card)
    return folder


@pytest.mark.parametrize(
    ("names", "card", "part", "split", "chosen"),
    [
        (["tulu.parquet"], None, None, "train", [0]),
        (["b.jsonl", "a.jsonl", "card.md"], None, None, "train", [1, 0]),
        (["data/train-00000-of-00001-0a1b2c.parquet", "data/test-00000-of-00001.parquet"], None, None, "train", [0]),
        (["data/train_sft-00000-of-00001.parquet"], None, None, "train_sft", [0]),
        (["test.csv", "train.csv"], None, "test", "test", [0]),
        (["val.csv.gz", "train.csv.gz"], None, "validation", "validation", [0]),
        (["default/train/1.parquet", "default/train/0.parquet", "default/test/0.parquet"], None, None, "train", [1, 0]),
        (["en/train.parquet", "de/train.parquet"], None, "de/train", "de/train", [1]),
        (["en/a.csv", "en/b.csv", "de/a.csv", "test.csv"], CARD, "en/train", "en/train", [0, 1]),
        (["en/a.csv", "de/a.csv", "test.csv"], CARD, "en/test", "en/test", [2]),
        (["en/a.csv", "de/a.csv", "test.csv"], CARD, "de/train", "de/train", [1]),
        (["a/one.parquet", "a/two.parquet", "b/one.parquet"], None, "a/*.parquet", "a/*.parquet", [0, 1]),
        (["en/train.csv", "de/train.csv"], None, "*/train.csv", "*/train.csv", [1, 0]),
        (["en/a.csv", "de/a.csv"], "---\nconfigs:\n- {config_name: default, data_files: '*/a.csv'}\n---\n", *TRAIN),
        (["a[1].csv", "a1.csv"], None, "a[1].csv", "a[1].csv", [0]),
    ],
)
def test_the_files_of_a_split(tmp_path, names, card, part, split, chosen):
    folder = repository(tmp_path / "repository", names, card)
    answer = choose_split(folder, part, "hub:o/n", tmp_path / "scratch")
    assert (answer.name, answer.files) == (split, tuple(names[i] for i in chosen))


@pytest.mark.parametrize(
    ("names", "card", "part", "words"),
    [
        (["weights.bin"], None, None, "^hub:o/n: holds no file in a format that the `datasets` library reads$"),
        (["en/a.csv", "de/a.csv", "test.csv"], CARD, None, "configurations en, de; name one, as hub:o/n:en/train$"),
        (["en/a.csv", "de/a.csv", "test.csv"], CARD, "fr/train", "no configuration is called 'fr'; known: de, en"),
        (["en/train.csv", "de/train.csv"], None, None, "in the folders de, en, .*; name one, as hub:o/n:de/train, or"),
        (["en/train.csv", "de/train.csv"], None, "train", "name one, as hub:o/n:de/train, or"),
        (["train.csv", "test.csv"], None, "tests", "no split is called 'tests'; did you mean 'test'"),
        (
            ["data/a-00000-of-00001.csv", "data/b-00000-of-00001.csv"],
            None,
            None,
            r"several splits \(a, b\); name one, as hub:o/n:a$",
        ),
        (["train.csv"], None, "tarin.csv", "no file is called 'tarin.csv'; did you mean 'train.csv'"),
    ],
)
def test_what_is_not_there_or_not_clear_is_refused(tmp_path, names, card, part, words):
    folder = repository(tmp_path / "repository", names, card)
    with pytest.raises(DataError, match=words) as caught:
        choose_split(folder, part, "hub:o/n" if part is None else f"hub:o/n:{part}", tmp_path / "scratch")
    assert "\n" not in str(caught.value)


# The cache alone.


@pytest.mark.slow
def test_shards_become_one_file_in_their_order(tmp_path):
    home = lay_out_cache(tmp_path, shards(12) | {"data/test-00000-of-00001.parquet": rows(7)})
    data = fetched("hub:owner/name", tmp_path, HF_HUB_OFFLINE="1")
    assert data["display_name"] == f"hub:owner/name@{COMMIT}:train"
    assert pq.read_table(data["file"])["x"].to_pylist() == [10 * i + j for i in range(12) for j in (0, 1)]
    before = Path(data["file"]).stat().st_ino
    again = fetched(data["display_name"], tmp_path, HF_HUB_OFFLINE="1")
    assert again == data, "the display name is an address too"
    assert Path(data["file"]).stat().st_ino == before, "it is joined once"
    test = fetched("hub:owner/name:test", tmp_path, HF_HUB_OFFLINE="1")
    test_file = home / "snapshots" / COMMIT / "data" / "test-00000-of-00001.parquet"
    assert test["file"] == str(test_file), "one file is used where it lies"
    assert test["sha256"] == hash_file(test_file)


@pytest.mark.slow
def test_a_revision_is_a_branch_or_a_commit(tmp_path):
    lay_out_cache(tmp_path, {"train.parquet": rows(1)})
    lay_out_cache(tmp_path, {"default/train/0000.parquet": rows(2)}, OTHER, "refs/convert/parquet")
    for path, value, commit in (
        ("hub:owner/name", 1, COMMIT),
        (f"hub:owner/name@{COMMIT}", 1, COMMIT),
        ("hub:owner/name@refs/convert/parquet", 2, OTHER),
        (f"hub:owner/name@{OTHER}:train", 2, OTHER),
    ):
        data = fetched(path, tmp_path, HF_HUB_OFFLINE="1")
        assert data["display_name"] == f"hub:owner/name@{commit}:train"
        assert pq.read_table(data["file"])["x"].to_pylist() == [value]


@pytest.mark.slow
def test_columns_in_another_order_or_all_null_are_the_same_columns(tmp_path):
    one = pa.table({"x": [1], "y": pa.nulls(1)})
    two = pa.table({"y": ["b"], "x": [2]})
    lay_out_cache(tmp_path, {"train-0-of-2.parquet": one, "train-1-of-2.parquet": two})
    data = fetched("hub:owner/name", tmp_path, HF_HUB_OFFLINE="1")
    assert pq.read_table(data["file"]).to_pylist() == [{"x": 1, "y": None}, {"x": 2, "y": "b"}]


LABELS = """---
dataset_info:
  features:
  - {name: text, dtype: string}
  - name: label
    dtype: {class_label: {names: {'0': neg, '1': pos}}}
---
"""
OTHERS = {"de/a.csv": b"x\n5\n", "test.csv": b"x;y\n6;7\n"}
CSV = b"text,label\na,pos\nb,neg\n"
JSON = b'{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.csv", CSV),
        ("train.csv.gz", gzip.compress(CSV, mtime=0)),
        ("train.jsonl", JSON),
        ("train.parquet", pa.table({"text": ["a", "b"], "label": [1, 0]})),
    ],
    ids=["csv", "csv.gz", "jsonl", "parquet"],
)
def test_files_of_any_format_have_the_class_names_of_the_card(tmp_path, name, content):
    lay_out_cache(tmp_path, {name: content, "README.md": LABELS.encode()})
    data = fetched("hub:owner/name", tmp_path, HF_HUB_OFFLINE="1")
    written = pq.read_table(data["file"])
    assert written.to_pylist() == [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    classes = listed_in_schema(written.schema.field("label"), written.schema.metadata)
    assert classes.names == ("neg", "pos")
    before = Path(data["file"]).stat().st_ino
    assert fetched("hub:owner/name", tmp_path, HF_HUB_OFFLINE="1") == data
    assert Path(data["file"]).stat().st_ino == before, "it is converted once"
    assert not list((tmp_path / "cache/hub").glob("*/")), "nothing is left of the conversion"
    lay_out_cache(tmp_path, {"README.md": LABELS.replace("'1': pos", "'1': pos, '2': odd").encode()})
    other = fetched("hub:owner/name", tmp_path, HF_HUB_OFFLINE="1")
    assert other["sha256"] != data["sha256"], "what decides how a file is read is content"
    assert listed_in_schema(*schema_of(other["file"], "label")).names == ("neg", "pos", "odd")


@pytest.mark.slow
def test_options_of_the_card_are_obeyed(tmp_path):
    lay_out_cache(tmp_path, {"en/a.csv": b"x;y\n1;2\n", "en/b.csv": b"x;y\n3;4\n", "README.md": CARD.encode()} | OTHERS)
    data = fetched("hub:owner/name:en/train", tmp_path, HF_HUB_OFFLINE="1")
    assert data["display_name"] == f"hub:owner/name@{COMMIT}:en/train"
    assert pq.read_table(data["file"]).to_pylist() == [{"x": 1, "y": 2}, {"x": 3, "y": 4}]


@pytest.mark.slow
def test_files_that_do_not_fit_are_one_line(tmp_path):
    lay_out_cache(tmp_path, {"a.csv": b"x,y\n1,2\n", "b.csv": b"x\n1\n"})
    lay_out_cache(tmp_path, {"a.jsonl": b"{oops\n"}, repository="owner--broken")
    lay_out_cache(tmp_path, {"a.parquet": rows(1), "b.parquet": b"PAR1 not"}, repository="owner--half")
    lay_out_cache(tmp_path, {"a.parquet": b"PAR1", "README.md": LABELS.encode()}, repository="owner--damaged")
    for path, words in (
        ("hub:owner/name", "different"),
        ("hub:owner/broken", "hub:owner/broken@"),
        ("hub:owner/half", f"hub:owner/half@{COMMIT}:train: "),
        ("hub:owner/damaged", f"hub:owner/damaged@{COMMIT}:train: "),
    ):
        error = fetched(path, tmp_path, HF_HUB_OFFLINE="1")["error"]
        assert words in error
        assert "\n" not in error
        assert str(tmp_path) not in error


def test_files_are_not_led_out_of_the_folder(tmp_path):
    _lay_out(["../../x.csv", "/tmp/y.csv", "data/z.csv"], None, tmp_path / "in" / "side")
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.csv")] == ["in/side/data/z.csv"]


@pytest.mark.slow
def test_what_the_cache_lacks_is_refused_with_the_command_that_fetches_it(tmp_path):
    files = shards(3)
    files.pop("data/train-00001-of-00003.parquet")
    lay_out_cache(tmp_path, files)
    wrong = {"a-0-of-2.parquet": rows(1), "a-1-of-2.parquet": rows(1, z=pa.array(["?"]))}
    lay_out_cache(tmp_path, wrong, repository="owner--columns")
    lay_out_cache(
        tmp_path, {"a-0-of-2.parquet": rows(1), "a-1-of-2.parquet": pa.table({"x": ["a"]})}, repository="owner--types"
    )
    home = lay_out_cache(tmp_path, {"a.parquet": rows(1)}, repository="owner--damaged")
    damaged = home / "snapshots" / COMMIT / "a.parquet"
    damaged.resolve().write_bytes(b"PAR1 not")
    command = "hf download owner/{} --repo-type dataset"
    for path, message in (
        ("hub:owner/name", f"2 of its 3 files are in the hub cache; fetch the others: {command.format('name')}"),
        ("hub:owner/absent", f"HF_HUB_OFFLINE is set; where there is a network: {command.format('absent')}"),
        ("hub:owner/name@v2", "hf download owner/name --repo-type dataset --revision v2"),
        (f"hub:owner/name@{OTHER}", "not in the hub cache"),
        ("hub:owner/columns", "a-1-of-2.parquet: a column 'z', "),
        ("hub:owner/types", "all files need the same types"),
        ("hub:owner", "must be hub:OWNER/NAME, with @REVISION and :SPLIT"),
        ("hub:owner/../name", "must be hub:OWNER/NAME"),
        ("hub:owner/name@../../x", "must be hub:OWNER/NAME"),
    ):
        error = fetched(path, tmp_path, HF_HUB_OFFLINE="1")["error"]
        assert message in error, error
        assert error.startswith(("hub:", path))
        assert "\n" not in error


@pytest.mark.slow
def test_without_the_library_the_extra_is_named(tmp_path):
    (tmp_path / "huggingface_hub.py").write_text("raise ModuleNotFoundError('gone')")
    error = fetched("hub:owner/name", tmp_path, PYTHONPATH=str(tmp_path))["error"]
    assert error.endswith("pip install 'labelharness[hf]'")


def test_without_a_hub_path_no_library_of_the_hub_is_imported(tmp_path):
    pq.write_table(rows(1), tmp_path / "d.parquet")
    program = """
import sys
from pathlib import Path
from harness.run import runner
from harness.data.table import open_table
open_table("d.parquet", (Path(),), Path("cache"), "error", None)
print({"datasets", "huggingface_hub"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


# A suite.


def on_hub(folder, **data):
    """Write a suite on a data set of the hub, cached in two shards."""
    everything = table()
    file = write_suite(folder, ["majority", {"knn": {"on": "embedding", "k": 7}}])
    suite = json.loads(file.read_text())
    suite["data"] |= {"path": "hub:owner/name"} | data
    file.write_text(json.dumps(suite))
    files = {"data/train-0-of-2.parquet": everything[:100], "data/train-1-of-2.parquet": everything[100:]}
    lay_out_cache(folder, files)
    return file


@pytest.mark.slow
def test_a_suite_on_the_hub_scores_as_on_the_file(tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "file").mkdir()
    on_hub(tmp_path / "hub")
    (tmp_path / "hub" / "data.parquet").unlink()
    write_suite(tmp_path / "file", ["majority", {"knn": {"on": "embedding", "k": 7}}])
    env = environment(tmp_path / "hub" / "hf", HF_HUB_OFFLINE="1")
    result = run_module("harness.cli", "run", "suite.yaml", "--threads", 1, cwd=tmp_path / "hub", environment=env)
    assert result.returncode == 0, result.stderr
    assert harness("run", "suite.yaml", "--threads", 1, cwd=tmp_path / "file").returncode == 0
    pages = [(tmp_path / place / "leaderboards/small/README.md").read_text() for place in ("hub", "file")]
    lines = [[line for line in page.splitlines() if line.startswith("| 1")] for page in pages]
    assert lines[0] == lines[1] != []
    assert ranks(tmp_path / "hub") == ranks(tmp_path / "file")
    assert f"hub:owner/name@{COMMIT}:train" in pages[0], "the board has the commit"


@pytest.mark.slow
def test_a_suite_on_what_is_not_there_is_one_line(tmp_path):
    env = environment(tmp_path / "hf", HF_HUB_OFFLINE="1")
    on_hub(tmp_path, path="hub:owner/absent")
    refused = run_module("harness.cli", "run", "suite.yaml", "--threads", 1, cwd=tmp_path, environment=env)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "hf download owner/absent --repo-type dataset" in refused.stderr
    on_hub(tmp_path, when_missing="twin")
    refused = run_module("harness.cli", "run", "suite.yaml", "--threads", 1, cwd=tmp_path, environment=env)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "when_missing: twin is for files" in refused.stderr


# A hub on the loopback.


class Hub(ThreadingHTTPServer):
    """A hub that serves {(repository, commit): {file: bytes}}, with a log."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.heads, self.requests, self.token = {}, {}, [], None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def push(self, commit, files, repository="owner/name", revision="main"):
        self.repositories[repository, commit] = files
        self.heads[repository, revision] = self.heads[repository, commit] = commit

    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path).removeprefix("/api")
        self.server.requests.append((self.command, path))
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            return self.refuse("RepoNotFound", 401)
        _, _, owner, name, endpoint, rest = path.split("/", 5)
        repository = f"{owner}/{name}"
        revision, _, file = rest.partition("/") if endpoint in ("resolve", "tree") else (rest, "", "")
        if repository not in {owned for owned, _ in self.server.heads}:
            return self.refuse("RepoNotFound", 404)
        if (repository, revision) not in self.server.heads:
            return self.refuse("RevisionNotFound", 404)
        commit = self.server.heads[repository, revision]
        files = self.server.repositories[repository, commit]
        if endpoint == "revision":
            return self.answer({"id": repository, "sha": commit, "siblings": [{"rfilename": each} for each in files]})
        if endpoint == "tree":
            sizes = [(each, len(content), hashlib.sha1(content).hexdigest()) for each, content in files.items()]
            return self.answer([{"type": "file", "path": p, "size": size, "oid": oid} for p, size, oid in sizes])
        etag = f'"{hashlib.sha1(files[file]).hexdigest()}"'
        return self.send(200, files[file], {"ETag": etag, "X-Repo-Commit": commit})

    def answer(self, value):
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def refuse(self, code, status):
        self.send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def send(self, status, body, headers):
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub():
    with Hub() as server:
        yield server
        server.shutdown()


def as_bytes(files):
    out = {}
    for name, content in files.items():
        sink = pa.BufferOutputStream()
        pq.write_table(content, sink)
        out[name] = sink.getvalue().to_pybytes()
    return out


@pytest.mark.slow
def test_what_the_cache_lacks_is_fetched_once_and_the_commit_stays(tmp_path, hub):
    hub.push(COMMIT, as_bytes(shards(2) | shards(1, "test")) | {"README.md": b"# card"})
    data = fetched("hub:owner/name", tmp_path, HF_ENDPOINT=hub.address())
    assert data["display_name"] == f"hub:owner/name@{COMMIT}:train"
    assert pq.read_table(data["file"])["x"].to_pylist() == [0, 1, 10, 11]
    got = {path.rpartition("/")[2] for method, path in hub.requests if method == "GET" and "/resolve/" in path}
    split = {"train-00000-of-00002.parquet", "train-00001-of-00002.parquet"}
    assert got == {"README.md", *split}, "the card and the split, and nothing else"
    assert (tmp_path / "hf/hub/datasets--owner--name/refs/main").read_text() == COMMIT

    hub.requests.clear()
    hub.push(OTHER, as_bytes({"train.parquet": rows(99)}))
    assert fetched("hub:owner/name", tmp_path, HF_ENDPOINT=hub.address()) == data
    assert hub.requests == [], "the cached commit stays, without a request, when the branch moves on"

    test = fetched("hub:owner/name:test", tmp_path, HF_ENDPOINT=hub.address())
    assert test["display_name"] == f"hub:owner/name@{COMMIT}:test", "another split is of the same commit"
    assert pq.read_table(test["file"])["x"].to_pylist() == [0, 1]
    moved = fetched(f"hub:owner/name@{OTHER}", tmp_path, HF_ENDPOINT=hub.address())
    assert pq.read_table(moved["file"])["x"].to_pylist() == [99]
    assert fetched("hub:owner/name", tmp_path, HF_HUB_OFFLINE="1") == data


@pytest.mark.slow
def test_a_cache_with_a_part_of_a_split_is_completed(tmp_path, hub):
    files = {name: rows(i) for i, name in enumerate(("a.parquet", "b.parquet", "c.parquet"))}
    lay_out_cache(tmp_path, {"b.parquet": rows(1)})
    hub.push(COMMIT, as_bytes(files))
    data = fetched("hub:owner/name", tmp_path, HF_ENDPOINT=hub.address())
    assert pq.read_table(data["file"])["x"].to_pylist() == [0, 1, 2]


@pytest.mark.slow
def test_a_cache_is_enough_where_the_hub_cannot_be_reached(tmp_path, hub):
    lay_out_cache(tmp_path, shards(2))
    address = hub.address()
    hub.server_close()
    data = fetched("hub:owner/name", tmp_path, HF_ENDPOINT=address)
    assert pq.read_table(data["file"])["x"].to_pylist() == [0, 1, 10, 11]
    error = fetched("hub:owner/absent", tmp_path, HF_ENDPOINT=address)["error"]
    assert f"cannot be fetched from {address}: ConnectError: " in error
    assert "hf download owner/absent" in error


@pytest.mark.slow
def test_refusals_of_the_hub_are_one_line(tmp_path, hub):
    hub.push(COMMIT, as_bytes({"train.parquet": rows(1)}))
    absent = fetched("hub:owner/absent", tmp_path, HF_ENDPOINT=hub.address())["error"]
    assert f"no data set of this name at {hub.address()}; if it is private, set HF_TOKEN" in absent
    assert "has no revision 'v9'" in fetched("hub:owner/name@v9", tmp_path, HF_ENDPOINT=hub.address())["error"]
    hub.token = "hf_secret"
    refused = fetched("hub:owner/name", tmp_path, HF_ENDPOINT=hub.address(), HF_TOKEN="hf_wrong")["error"]
    assert "set HF_TOKEN" in refused
    assert "hf_wrong" not in refused
    data = fetched("hub:owner/name", tmp_path, HF_ENDPOINT=hub.address(), HF_TOKEN="hf_secret")
    assert pq.read_table(data["file"])["x"].to_pylist() == [1]
