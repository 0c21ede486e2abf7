"""`harness embed`: blocks of suites and arrays of data, also in shards."""

import json
import os
import signal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.cli.console import Reporter
from harness.cli.progress import BlockProgress
from harness.errors import DataError, HarnessError
from harness.plugin.items import Items
from harness.run.block_writer import fill
from harness.run.blocks import Recipe
from harness.run.shards import Shard, gpu_slots, parse_shard
from harness.utils import processor
from tests.command_line import board, events, harness, run_module, start, table, until, write_labelers, write_suite

pytestmark = pytest.mark.slow

OFFLINE = {"HF_HUB_OFFLINE": "1"}
PLUGIN = """

@dataclass(frozen=True)
class Slow:
    name: ClassVar[str] = "slow"
    text_only: ClassVar[bool] = True

    seconds: float = 0.0
    peek: str = ""

    def embed(self, items, start):
        with open({log!r}, "a") as log:
            log.write(f"{{start}} {{os.environ.get('CUDA_VISIBLE_DEVICES', '-')}}\\n")
        if self.peek:
            items.values(self.peek)
        at = start - start % 7
        texts = list(items.texts(at))
        while texts:
            chunk, texts = texts[:7], texts[7:]
            mean = sum(map(len, chunk)) / len(chunk)  # what a row is computed beside counts
            seeds = [[at, i, *text.encode()] for i, text in enumerate(chunk)]
            vectors = [np.random.default_rng(seed).normal(mean, size=5) for seed in seeds]
            yield np.array(vectors)[max(start - at, 0):]
            at += 7
            time.sleep(self.seconds)


@hookimpl
def harness_embedders():
    return [Slow]
"""
EMBED = ("embed", "suite.yaml", "--plugin", "plugin.py", "--threads", 1)


def write_all(folder, rows=None, embedder="slow", **options):
    file = write_labelers(folder / "plugin.py", one="return uniform(task)")
    file.write_text(file.read_text() + PLUGIN.format(log=str(folder / "log")))
    (folder / "log").touch()
    blocks = {"slow": {"embedder": embedder, **options}, "text": {"features": "text_v1"}}
    write_suite(folder, [{"knn": {"on": "slow"}}], table(120) if rows is None else rows, blocks=blocks)


def begun(folder):
    """Return the row numbers that embedders were started from."""
    return [int(line.split()[0]) for line in (folder / "log").read_text().splitlines()]


def arrays(output):
    return list((output / "runs" / "cache" / "blocks").glob("*/array.npy"))


@pytest.fixture(scope="module")
def bytes_of_one_worker(tmp_path_factory):
    """The bytes of the block when one worker makes it in one go."""
    folder = tmp_path_factory.mktemp("one_go")
    write_all(folder)
    result = harness(*EMBED, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "block slow (slow): 120 rows of 5 numbers\n"
    (array,) = arrays(folder)
    assert np.load(array).shape == (120, 5)
    assert begun(folder) == [0]
    return array.read_bytes()


# shards


@pytest.mark.parametrize("size", [0, 1, 7, 10, 1000])
@pytest.mark.parametrize("of", [1, 2, 3, 8, 11])
def test_shards_are_contiguous_and_of_the_size_that_the_record_names(size, of):
    spans = [Shard(number, of).span(size) for number in range(1, of + 1)]
    assert [row for low, high in spans for row in range(low, high)] == list(range(size))
    assert all(high - low == -(-size // of) for low, high in spans if high < size)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "-1/2", "a/b", "1/2/3", "1/10001", "٣/٤"])
def test_a_shard_that_cannot_be_is_refused(text):
    with pytest.raises(HarnessError, match=r"--shard .*: must be i/n, from 1/n to n/n, such as 2/8"):
        parse_shard(text)
    assert parse_shard("2/8") == Shard(2, 8)


def test_shards_made_in_any_order_join_to_the_bytes_of_one_run(tmp_path, bytes_of_one_worker):
    write_all(tmp_path)
    for number, lacking in ((3, "1/3, 2/3"), (1, "2/3")):
        result = harness(*EMBED, "--shard", f"{number}/3", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        shown = f"shard {number}/3 is made; {lacking.count('/')} of 3 are missing: {lacking}; the last to be made joins"
        assert shown in result.stdout
        assert not arrays(tmp_path)
    again = harness(*EMBED, "--shard", "1/3", "--json", cwd=tmp_path)
    assert events(again)[-1] == {
        **{"event": "shard", "simulated": False, "block": "slow", "maker": "slow"},
        **{"shard": "1/3", "missing": ["2/3"]},
    }
    last = harness(*EMBED, "--shard", "2/3", cwd=tmp_path)
    assert last.stdout == "block slow (slow): 120 rows of 5 numbers\n"
    assert begun(tmp_path) == [80, 0, 40], "none of them twice"
    (array,) = arrays(tmp_path)
    assert array.read_bytes() == bytes_of_one_worker
    assert not list(array.parents[1].glob("*.shards"))
    assert harness("run", *EMBED[1:], cwd=tmp_path).returncode == 0
    assert begun(tmp_path) == [80, 0, 40], "the run finds it"


def test_there_may_be_more_shards_than_rows(tmp_path):
    write_all(tmp_path, table(12))
    for number in (1, 4, 9):  # of 2 rows each; those after the 6th are empty
        assert harness(*EMBED, "--shard", f"{number}/9", cwd=tmp_path).returncode == 0
    assert begun(tmp_path) == [0, 6]
    result = harness(*EMBED, "--workers", 2, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert sorted(begun(tmp_path)) == list(range(0, 12, 2)), "the shards that were begun are gone on with"
    (array,) = arrays(tmp_path)
    alone = tmp_path / "alone"
    assert harness(*EMBED, "-o", "alone", cwd=tmp_path).returncode == 0
    assert array.read_bytes() == arrays(alone)[0].read_bytes()


def test_several_workers_killed_and_gone_on_with_give_the_bytes_of_one(tmp_path, bytes_of_one_worker):
    write_all(tmp_path, seconds=0.1)
    blocks = tmp_path / "runs" / "cache" / "blocks"
    for least in (300, 600):  # bytes in either of the two halves of 60 rows of 5 numbers, 1,328 in all
        run = start(*EMBED, "--workers", 2, cwd=tmp_path)
        until(lambda size=least: sum(f.stat().st_size > size for f in blocks.glob("*.shards/*/array.npy")) == 2)
        run.kill()
        assert run.wait() == -signal.SIGKILL
        assert not arrays(tmp_path)
        with next(blocks.glob("*.shards/1-of-2/array.npy")).open("ab") as torn:
            torn.write(b"torn")  # as if killed in the middle of a row
    result = harness(*EMBED, "--workers", 3, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    one, two, three = (sorted(begun(tmp_path)[i : i + 2]) for i in (0, 2, 4))
    assert one == [0, 60]
    assert 0 < two[0] < three[0] < 60 < two[1] < three[1], "each went on from its last whole chunk"
    assert arrays(tmp_path)[0].read_bytes() == bytes_of_one_worker


def test_one_part_is_made_by_one_command_at_a_time(tmp_path):
    write_all(tmp_path, seconds=3600)  # longer than the other command takes on any machine: it ends by the signal alone
    one = start(*EMBED, "--shard", "1/2", cwd=tmp_path)
    try:
        until(lambda: begun(tmp_path))
        two = harness(*EMBED, "--shard", "1/2", cwd=tmp_path)
        assert two.returncode == 4
        assert two.stderr.splitlines()[-1].endswith(f"1-of-2 is in use by process {one.pid}")
    finally:
        one.send_signal(signal.SIGINT)
        assert one.wait() == 130
    assert "interrupted: the same command goes on" in (tmp_path / "output.txt").read_text()


def test_what_must_see_all_rows_is_not_cut(tmp_path):
    write_all(tmp_path, embedder="hashing_svd", dim=3)
    result = harness(*EMBED, "--shard", "1/2", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "block 'slow' cannot be made in shards, 'hashing_svd' must see all rows" in result.stderr
    assert harness(*EMBED, "--workers", 2, cwd=tmp_path).returncode == 0, "one worker makes it"
    assert np.load(arrays(tmp_path)[0]).shape == (120, 3)


def test_a_worker_that_fails_is_one_line(tmp_path):
    write_all(tmp_path, peek="score")
    result = harness(*EMBED, "--workers", 2, cwd=tmp_path)
    assert result.returncode == 2
    assert "error: block 'slow': " in result.stderr.splitlines()[-1]
    assert "column 'score' cannot be read here; known: messages" in result.stderr, (
        "what reads the texts reads them alone"
    )


# whatever else changes


def test_another_label_or_target_costs_no_embedding(tmp_path):
    rows = table(120)
    write_all(tmp_path, rows)
    assert harness(*EMBED, cwd=tmp_path).returncode == 0
    other = pa.array(np.roll(rows["score"].to_numpy(), 1), pa.int8())
    write_all(tmp_path, rows.set_column(3, "score", other).append_column("second", rows["score"]))
    assert harness(*EMBED, cwd=tmp_path).returncode == 0
    suite = (tmp_path / "suite.yaml").read_text()
    (tmp_path / "suite.yaml").write_text(suite.replace('"target": "score"', '"target": "second"'))
    assert harness("run", *EMBED[1:], cwd=tmp_path).returncode == 0
    assert begun(tmp_path) == [0]
    texts = [[{"role": "user", "content": "another"}], *rows["messages"].to_pylist()[1:]]
    write_all(tmp_path, rows.set_column(1, "messages", pa.array(texts)))
    assert harness(*EMBED, cwd=tmp_path).returncode == 0
    assert begun(tmp_path) == [0, 0]


# of a suite


def test_only_embeddings_are_made_unless_a_block_is_named(tmp_path):
    write_all(tmp_path)
    result = harness(*EMBED, "--block", "text", "--json", cwd=tmp_path)
    made = {"event": "made", "simulated": False, "block": "text", "maker": "text_v1", "rows": 120, "columns": 35}
    assert events(result)[-1] == made
    assert begun(tmp_path) == []
    assert [event["block"] for event in events(harness(*EMBED, "--json", cwd=tmp_path))] == ["slow", "slow"]
    wrong = harness(*EMBED, "--block", "slwo", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "suite.yaml: no block is called 'slwo'; did you mean 'slow'?" in wrong.stderr


# of data


def test_an_array_for_data_is_that_of_the_suite_and_joins_by_id(tmp_path, bytes_of_one_worker):
    write_all(tmp_path)
    data = ("embed", "data.parquet", "--plugin", "plugin.py", "--embedder", "slow", "--text", "messages")
    result = harness(*data, "--id", "row_id", "--to", "new/out.npy", "--workers", 2, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "{embedder: npy, path: new/out.npy, ids: new/out_ids.npy}" in result.stdout
    assert (tmp_path / "new" / "out.npy").read_bytes() == bytes_of_one_worker
    assert np.load(tmp_path / "new" / "out_ids.npy").tolist() == list(range(1000, 1120))
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["out.npy", "out_ids.npy"]
    knn = [{"knn": {"on": "slow"}}]
    blocks = {"slow": {"embedder": "npy", "path": "new/out.npy", "ids": "new/out_ids.npy"}}
    assert harness("run", *EMBED[1:], cwd=tmp_path).returncode == 0
    assert sorted(begun(tmp_path)) == [0, 60], "the same texts, made once"
    by_embedder = board(tmp_path)["scores.parquet"]
    write_suite(tmp_path, knn, table(120), blocks=blocks)
    assert harness("run", "suite.yaml", "-o", "joined", "--threads", 1, cwd=tmp_path).returncode == 0
    assert board(tmp_path / "joined")["scores.parquet"] == by_embedder


def test_texts_in_json_lines_with_names_for_ids(tmp_path):
    write_all(tmp_path)
    rows = [{"name": f"row é {i}", "text": f"text {i}"} for i in range(9)]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = ("embed", "data.jsonl", "--plugin", "plugin.py", "--embedder", "slow", "--text", "text")
    assert harness(*data, "--id", "name", "--to", "out.npy", cwd=tmp_path).returncode == 0
    assert np.load(tmp_path / "out_ids.npy").tolist() == [row["name"] for row in rows]
    assert np.load(tmp_path / "out.npy").shape == (9, 5)


MISTAKES = {
    "no array": (["data.parquet", "--embedder", "slow", "--text", "messages"], "--to is missing: the .npy file"),
    "no .npy": (["data.parquet", "--embedder", "slow", "--to", "x.bin"], r"--to x\.bin: must end in \.npy"),
    "the old -o": (["data.parquet", "--embedder", "slow", "-o", "x.npy"], "the file to write is --to x.npy"),
    "no embedder": (["data.parquet", "--to", "x.npy"], "--embedder is missing: such as"),
    "a typo": (
        ["data.parquet", "--embedder", "slwo", "--to", "x.npy"],
        "no embedder is called 'slwo'; did you mean 'sl",
    ),
    "no text": (["data.parquet", "--embedder", "slow", "--to", "x.npy"], "--text is missing: the column of data.parq"),
    "no column": (
        ["data.parquet", "--embedder", "slow", "--text", "mesages", "--to", "x.npy"],
        "did you mean 'messages'",
    ),
    "no data": (["no.parquet", "--embedder", "slow", "--to", "x.npy", "--text", "a"], "no.parquet: no such file"),
    "data's option": (["suite.yaml", "--text", "messages"], "--text is for data, and suite.yaml is not that"),
    "a suite's option": (["data.parquet", "--block", "slow"], "--block is for a suite, and data.parquet is not that"),
    "both": (["suite.yaml", "--shard", "1/2", "--workers", "2"], "give one of the two"),
    "a bad shard": (["suite.yaml", "--shard", "0/2"], "--shard 0/2: must be i/n"),
    "no model": (
        ["data.parquet", "--embedder", "reward_model: {model: some/where}", "--text", "messages", "--to", "x.npy"],
        "hf download some/where$",
    ),
}


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistaken")
    write_all(folder)
    return folder


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_clear_line(mistaken, case):
    arguments, message = MISTAKES[case]
    command = ("embed", *arguments, "--plugin", "plugin.py")
    result = run_module("harness.cli", *command, cwd=mistaken, environment=os.environ | OFFLINE)
    assert result.returncode == 2, result.stderr
    assert (result.stdout, result.stderr.count("\n")) == ("", 1), result.stderr
    with pytest.raises(HarnessError, match=message):
        raise HarnessError(result.stderr.rstrip("\n"))
    assert begun(mistaken) == []


# a real model


def test_a_real_model_killed_among_two_workers_gives_the_bytes_of_one_run(tmp_path):
    import torch

    from harness_plugins.embedders.reward_model import RewardModel
    from tests.tiny_llama import write_llama

    model = write_llama(tmp_path / "model")
    rows = table(1_100)  # three chunks, the second in both halves
    pq.write_table(rows, tmp_path / "data.parquet")
    embedder = "reward_model: {model: model, dtype: float32}"
    command = ("embed", "data.parquet", "--embedder", embedder, "--text", "messages", "--to", "x.npy", "--threads", 1)
    blocks = tmp_path / "runs" / "cache" / "blocks"
    run = start(*command, "--workers", 2, cwd=tmp_path, env=OFFLINE)
    until(lambda: any(file.stat().st_size > 5_000 for file in blocks.glob("*.shards/*/array.npy")))
    run.kill()
    run.wait()
    assert not arrays(tmp_path)
    result = harness(*command, "--workers", 2, cwd=tmp_path, env=OFFLINE)
    assert result.returncode == 0, result.stderr

    numbers = np.arange(1_100)
    items = Items(str(tmp_path / "data.parquet"), numbers, numbers, ("messages",), text="messages")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = np.concatenate(list(RewardModel(model, dtype="float32").embed(items, 0)))
    finally:
        torch.set_num_threads(threads)
    assert np.load(tmp_path / "x.npy").tobytes() == expected.tobytes()


# GPUs


def test_each_worker_has_a_visible_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-7")
    assert processor.visible_gpus() == ("4", "GPU-7")
    assert gpu_slots(0, "cuda", single=False) == ("4", "GPU-7")
    assert gpu_slots(3, "cuda", single=False) == ("4", "GPU-7", "4")
    assert gpu_slots(0, "cuda", single=True) == (None,)
    assert gpu_slots(0, "cpu", single=False) == (None,)
    assert gpu_slots(2, "cpu", single=False) == (None, None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(DataError, match="CUDA_VISIBLE_DEVICES hides every GPU"):
        gpu_slots(0, "cuda", single=False)


def test_a_worker_sees_the_gpu_it_was_given(tmp_path):
    """A real worker; the test above is of its parent."""
    write_all(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(
        """
from pathlib import Path
import numpy as np
from harness.run import block_builder, blocks as prepare
from harness.suite import catalog
from harness.plugin.items import Items
from harness.utils.processes import Limits, Processes

found = catalog.discover((Path("plugin.py"),))
turns = tuple([("user", str(i))] for i in range(40))
items = Items("none", np.arange(40), np.arange(40), ("t",), text="t", identity="i", loaded=turns)
recipe = prepare.recipe("b", found.find("embedders", "slow")(), items, found, Path("memo"))
processes = Processes((), 1, "cuda")
block_builder.build_block(recipe, items, Path("cache"), processes, Limits(60, 2**34), lambda rows: None, ("5", "6"))
"""
    )
    import subprocess
    import sys

    env = os.environ | {"CUDA_VISIBLE_DEVICES": "5,6"}
    subprocess.run([sys.executable, script], cwd=tmp_path, env=env, check=True, timeout=120)
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["0 5", "20 6"]


# progress


def test_progress_tells_rows_speed_and_time_left(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr("harness.cli.progress.time.monotonic", lambda: now[0])
    recipe = Recipe("bge", type("Maker", (), {"name": "maker"})(), "key", ("", "", None))
    for as_json in (False, True):
        reporter = Reporter(as_json)
        with reporter.bar() as bar:
            progress = BlockProgress(reporter, bar)
            for at, rows in ((0, 0), (40, 0), (50, 1_000), (56, 1_600), (70, 3_000), (71, 3_100), (90, 3_100)):
                now[0] = 100.0 + at
                progress.block(recipe, rows, 5_000)
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        "making block bge (maker)",
        "block bge: 1,000 of 5,000 rows",
        "block bge: 3,000 of 5,000 rows, 100 rows/s, 0:00:20 left",
        "block bge: 3,100 of 5,000 rows, 52.5 rows/s, 0:00:36 left",
    ]
    printed = [json.loads(line) for line in shown.out.splitlines()]
    assert [event["event"] for event in printed] == ["block", "rows", "rows", "rows"]
    assert printed[2] == {
        **{"event": "rows", "simulated": False, "block": "bge", "rows": 3_000, "total": 5_000},
        **{"per_second": 100.0, "seconds_left": 20.0},
    }


def test_the_rows_of_a_shard_are_cut_at_its_end(tmp_path):
    class Counts:
        def embed(self, items, start):
            for low in range(start, len(items), 4):
                yield np.arange(low, min(low + 4, len(items)), dtype=np.float32)[:, None] + 1

    items = Items("none", np.arange(10), np.arange(10), ())
    for span in ((0, 5), (5, 9), (9, 10)):
        fill(Counts(), "embedding", items, tmp_path / "array.npy", span)
        assert np.load(tmp_path / "array.npy")[:, 0].tolist() == [row + 1 for row in range(*span)]
        (tmp_path / "array.npy").unlink()
