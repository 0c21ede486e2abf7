"""The main job by the command line: run a suite, run it again, change it."""

import csv
import os
import pty
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command_line import (
    BLOCKS,
    COMMAND,
    answer,
    board,
    cells,
    events,
    harness,
    ranks,
    scores,
    start,
    table,
    until,
    write_labelers,
    write_suite,
)

DATA = {"path": "data.parquet", "id": "row_id", "text": "messages", "target": "score", "classes": 6}
SPLITS = [{"splitter": "prefix", "ratios": [0.25, 0.5], "seeds": [3, 4]}]
LABELERS = ["majority", {"knn": {"on": "embedding", "k": 7}}, {"source_prior": {"on": "origin"}}, {"mine": {"k": 1}}]
RUN = ("run", "suite.yaml", "--plugin", "plugin.py", "--threads", "1")


def write_all(folder, labelers=LABELERS):
    write_labelers(folder / "plugin.py", mine="return uniform(task)")
    origin = {"features": "one_hot", "columns": ["source"]}
    return write_suite(
        folder, labelers, data=DATA | {"source": "source"}, blocks=BLOCKS | {"origin": origin}, splits=SPLITS
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A folder in which four labelers have run on four splits."""
    folder = tmp_path_factory.mktemp("first")
    write_all(folder)
    result = harness(*RUN, cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, result


@pytest.fixture
def again(first, tmp_path):
    """A copy of that folder: where it lies is no part of any identity."""
    return shutil.copytree(first[0], tmp_path / "again")


def run_labelers(result):
    """Return {labeler: cells that a run with --json ran}, and those reused."""
    start, *others = events(result)
    ran = [event["labeler"] for event in others if event["event"] == "cell"]
    return {labeler: ran.count(labeler) for labeler in ran}, start["reused"]


def test_scores_are_those_of_an_independent_computation(first):
    folder, _ = first
    y = np.array(table()["score"].to_pylist())
    by_cell = {(r["labeler"], int(r["seed"]), float(r["ratio"])): r for r in scores(folder) if is_accuracy(r)}
    assert len(by_cell) == 4 * 4
    for seed in (3, 4):
        order = np.random.default_rng(seed).permutation(len(y))
        for ratio in (0.25, 0.5):
            n = round(len(y) * ratio)
            expected = np.mean(y[order[n:]] == np.bincount(y[order[:n]]).argmax())
            row = by_cell["majority", seed, ratio]
            assert (float(row["value"]), int(row["n"])) == (expected, len(y) - n)
            assert float(by_cell["mine(k=1)", seed, ratio]["value"]) == np.mean(y[order[n:]] == 0)  # ties go down
    by_source = [r for r in scores(folder) if r["source"] == "flan" and r["metric"] == "accuracy"]
    assert len(by_source) == 4 * 4
    assert next(iter(ranks(folder).items())) == ("knn(on=embedding, k=7)", "1"), "the first line of the board"


def is_accuracy(row):
    return row["metric"] == "accuracy" and not (row["class"] or row["source"] or row["rows"])


def test_all_files_tell_the_same(first):
    folder, result = first
    run = folder / "runs" / "small"
    metrics = pq.read_table(run / "tables" / "metrics.parquet").to_pylist()
    keys = {row["cell"] for row in cells(folder).values()}
    assert keys == {path.name for path in (run / "cells").iterdir()} == {row["cell"] for row in metrics}
    assert [row["value"] for row in metrics] == [
        float(row["value"]) if row["value"] else None for row in scores(folder)
    ]
    with (folder / "leaderboards" / "small" / "timings.csv").open(newline="") as file:
        timings = list(csv.DictReader(file))
    assert [(row["kind"], row["on"]) for row in timings[:2]] == [("block", "embedding"), ("block", "origin")]
    assert [row["kind"] for row in timings[2:]] == ["cell"] * len(keys) == ["cell"] * 16
    assert all(0 < float(row["seconds"]) < 60 for row in timings)
    assert all(1 < float(row["peak_memory_mib"]) < 10_000 for row in timings[2:])
    assert list((run / "scratch").iterdir()) == []
    assert "16 ok" in result.stdout
    assert result.stderr.count("\n[") == 16, "a line a cell where no terminal is"
    assert "\x1b" not in result.stdout + result.stderr


def test_a_second_run_reuses_every_cell_and_changes_no_byte(again, first):
    result = harness(*RUN, "--json", cwd=again)
    assert result.returncode == 0, result.stderr
    assert run_labelers(result) == ({}, 16)
    assert {event["simulated"] for event in events(result)} == {False}
    done = {"event": "done", "simulated": False, "leaderboard": "leaderboards/small/README.md", "ok": 16}
    assert events(result)[-1] == done
    assert board(again) == board(first[0])


def test_two_cells_at_a_time_give_the_same_bytes(again, first):
    shutil.rmtree(again / "runs")
    shutil.rmtree(again / "leaderboards")
    assert harness(*RUN, "-j", 2, cwd=again).returncode == 0
    assert board(again) == board(first[0])


def test_changed_parameters_and_changed_code_rerun_their_own_cells_only(again):
    changed = [LABELERS[0], {"knn": {"on": "embedding", "k": 9}}, *LABELERS[2:], {"mine": {"k": 2}}]
    write_all(again, changed)
    ran = {"knn(on=embedding, k=9)": 4, "mine(k=2)": 4}
    assert run_labelers(harness(*RUN, "--json", cwd=again)) == (ran, 12)
    write_labelers(again / "plugin.py", mine="return uniform(task)[:, ::-1]")
    ran = {"mine(k=1)": 4, "mine(k=2)": 4}
    assert run_labelers(harness(*RUN, "--json", cwd=again)) == (ran, 12)


def test_other_data_under_the_same_name_size_and_time_are_noticed(tmp_path):
    write_suite(tmp_path, ["majority", {"knn": {"on": "embedding"}}])
    file = tmp_path / "data.parquet"

    def write(columns):  # so that the size does not depend on the values
        options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
        pq.write_table(columns, file, **options)

    write(table())
    before = file.stat()
    assert harness("run", "suite.yaml", "--threads", 1, cwd=tmp_path).returncode == 0
    old = {key[0]: answer(tmp_path, row["cell"]) for key, row in cells(tmp_path).items()}
    other = table()["embeddings"].to_pylist()[::-1]
    write(table().set_column(4, "embeddings", pa.array(other, pa.list_(pa.float32()))))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    result = harness("run", "suite.yaml", "--threads", 1, "--json", cwd=tmp_path)
    assert run_labelers(result) == ({"majority": 1, "knn(on=embedding)": 1}, 0)
    new = {key[0]: answer(tmp_path, row["cell"]) for key, row in cells(tmp_path).items()}
    assert new["knn(on=embedding)"] != old["knn(on=embedding)"]
    assert new["majority"] == old["majority"]


def test_every_way_to_give_embeddings_gives_the_same_answers(tmp_path):
    data = table(unlabelled=40)
    lists = data["embeddings"].combine_chunks()
    data = data.append_column("fixed", lists.cast(pa.list_(pa.float32(), 16)))
    array = np.array(lists.to_pylist(), np.float32)
    order = np.random.default_rng(1).permutation(len(array))
    np.save(tmp_path / "same.npy", array)
    np.save(tmp_path / "shuffled.npy", array[order])
    np.save(tmp_path / "ids.npy", data["row_id"].to_numpy()[order])
    blocks = {
        "lists": {"embedder": "column", "column": "embeddings"},
        "fixed": {"embedder": "column", "column": "fixed"},
        "same": {"embedder": "npy", "path": "same.npy", "order": "same"},
        "joined": {"embedder": "npy", "path": "shuffled.npy", "ids": "ids.npy"},
        "text": {"features": "text_v1"},
    }
    spare = "return Predictions(uniform(task), {'spare': task.spare.tolist(), 'blocks': sorted(task.blocks)})"
    write_labelers(tmp_path / "plugin.py", mine=spare)
    write_suite(tmp_path, [*({"knn": {"on": name}} for name in blocks), "mine"], data, blocks=blocks)
    result = harness(*RUN, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    keys = {key[0]: row["cell"] for key, row in cells(tmp_path).items()}
    answers = {name: answer(tmp_path, keys[f"knn(on={name})"]) for name in blocks}
    assert answers["lists"] == answers["fixed"] == answers["same"] == answers["joined"] != answers["text"]
    assert np.load(tmp_path / "runs/small/cells" / keys["mine"] / "labels.npy").shape == (100,)
    record = (tmp_path / "runs/small/cells" / keys["mine"] / "cell.json").read_text()
    assert f'"spare":[{",".join(map(str, range(200, 240)))}]' in record
    assert '"blocks":["fixed","joined","lists","same","text"]' in record
    assert "240 (population: all), 200 of them labelled" in (tmp_path / "leaderboards/small/README.md").read_text()


def test_neither_embeddings_nor_texts_nor_blocks_are_needed(tmp_path):
    data = {"path": "data.parquet", "target": "score", "classes": 6}
    write_suite(tmp_path, ["majority", "prior"], table().select(["score"]), data=data, blocks=None)
    assert harness("run", "suite.yaml", "--threads", 1, cwd=tmp_path).returncode == 0
    assert ranks(tmp_path) == {"majority": "1=", "prior": "1="}, "equal answers are tied"


def test_one_cell_under_two_names_is_run_once(tmp_path):
    write_labelers(tmp_path / "plugin.py", mine="time.sleep(0.5); return uniform(task)")
    write_suite(tmp_path, ["mine", {"mine": {"k": 0}, "as": "the same"}])
    result = harness(*RUN, "-j", 3, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    ran, _ = run_labelers(result)
    assert ran.pop("mine", 0) + ran.pop("the same", 0) == ran["majority"] == 1
    keys = {key[0]: row["cell"] for key, row in cells(tmp_path).items()}
    assert keys["mine"] == keys["the same"]
    assert ranks(tmp_path)["mine"] == ranks(tmp_path)["the same"]


def test_failed_and_refused_cells_are_shown_and_not_ranked(tmp_path):
    train = {seed: set(np.random.default_rng(seed).permutation(240)[:120].tolist()) for seed in (3, 4)}
    row = min(train[4] - train[3])
    write_labelers(
        tmp_path / "plugin.py",
        sometimes=f"""
            if {row} in task.labelled:
                raise RuntimeError("no luck | today\\nand a second line")
            return uniform(task)
            """,
        refuses="raise NotApplicable('it wants more')",
    )
    splits = [{"splitter": "prefix", "ratios": [0.5], "seeds": [3, 4]}]
    write_suite(tmp_path, ["majority", "refuses", "sometimes"], splits=splits)
    result = harness(*RUN, cwd=tmp_path)
    assert result.returncode == 1
    assert "1 failed, 2 not applicable, 3 ok" in result.stdout
    assert "failed: sometimes (prefix, 50 % labelled): RuntimeError: no luck | today\n" in result.stderr
    page = (tmp_path / "leaderboards/small/README.md").read_text()
    assert "- sometimes: failed: RuntimeError: no luck &#124; today\n" in page
    assert "- refuses: not applicable: it wants more\n" in page
    assert "second line" not in page + result.stderr
    assert ranks(tmp_path) == {"majority": "1", "refuses": "–", "sometimes": "–"}

    # What does not apply is no failure, and a failure is told until it is mended.
    status = harness("status", "suite.yaml", "--plugin", "plugin.py", cwd=tmp_path)
    assert "failed: sometimes | prefix, 50 % labelled, seed 4: RuntimeError: no luck | today\n" in status.stdout
    assert status.stdout.endswith("1 failed, 3 finished, 2 not applicable\n")
    write_suite(tmp_path, ["majority", "refuses"], splits=splits)
    assert harness(*RUN, cwd=tmp_path).returncode == 0


def test_the_twin_says_that_it_is_simulated(tmp_path):
    data = {"path": "missing.parquet", "target": "gpt_scores", "classes": 6, "when_missing": "twin"}
    write_suite(tmp_path, ["majority"], data=data, blocks={"source": {"features": "one_hot", "columns": ["source"]}})
    (tmp_path / "data.parquet").unlink()
    refused = harness("run", "suite.yaml", "--require-real", cwd=tmp_path)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "missing.parquet: no such file" in refused.stderr
    assert not (tmp_path / "leaderboards").exists()
    write_labelers(tmp_path / "plugin.py", mine="return uniform(task)")
    suite = (tmp_path / "suite.yaml").read_text()
    (tmp_path / "suite.yaml").write_text(suite.replace('"majority"', '"majority", "mine"'))
    result = harness(*RUN, "--twin-rows", 200, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"SIMULATED DATA: missing\.parquet is not there.*\n", result.stderr)
    kinds = [event["event"] for event in events(result)]
    assert kinds == ["start", "block", "cell", "cell", "line", "line", "done"]
    assert {event["event"]: event["simulated"] for event in events(result)} == dict.fromkeys(kinds, True)
    page = (tmp_path / "leaderboards/small/README.md").read_text().splitlines()
    assert page[:3] == [
        "# small",
        "",
        "> **SIMULATED DATA: nothing on this page says anything about real data.**",
    ]


def test_the_second_run_in_one_directory_is_turned_away_at_once(tmp_path):
    write_labelers(tmp_path / "plugin.py", mine="time.sleep(3600)")
    write_suite(tmp_path, ["mine"])
    one = start(*RUN, cwd=tmp_path)
    try:
        until(lambda: list((tmp_path / "runs/small").glob("scratch/*/log.txt")))
        two = harness(*RUN, cwd=tmp_path)
        assert (two.returncode, two.stdout) == (4, "")
        assert two.stderr.splitlines()[-1] == f"error: runs/small is in use by process {one.pid}"
        assert one.poll() is None, "the second has not waited for the first"
    finally:
        one.terminate()
        assert one.wait() == 130


MISTAKES = {
    "no such suite": (["run", "no.yaml"], "no.yaml"),
    "a folder as a suite": (["run", "."], "."),
    "an unknown labeler": (["run", "typo.yaml"], r"typo.yaml:\d+: .*'majorty'.*did you mean 'majority'\?"),
    "a broken plugin": (["run", "suite.yaml", "--plugin", "broken.py"], "broken.py: SyntaxError"),
    "no such plugin": (["run", "suite.yaml", "--plugin", "no.py"], r"no\.py"),
    "no such column": (["run", "column.yaml"], "no column 'scor' .*did you mean 'score'"),
    "a file as output": (["run", "suite.yaml", "-o", "data.parquet"], "data.parquet"),
    "no such device": (["run", "suite.yaml", "--device", "gpu"], "gpu"),
}


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory):
    """What became of each mistaken command."""
    folder = tmp_path_factory.mktemp("mistaken")
    text = write_suite(folder, ["majority"]).read_text()
    (folder / "typo.yaml").write_text(text.replace("majority", "majorty"))
    (folder / "column.yaml").write_text(text.replace('"score"', '"scor"'))
    (folder / "broken.py").write_text("def (:\n")
    with ThreadPoolExecutor(2) as pool:
        commands = {case: pool.submit(harness, *arguments, cwd=folder) for case, (arguments, _) in MISTAKES.items()}
    assert not (folder / "runs" / "small" / "cells").exists(), "nothing has run"
    return {case: command.result() for case, command in commands.items()}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_clear_line(mistaken, case):
    result = mistaken[case]
    assert result.returncode == 2, result.stderr
    assert (result.stdout, result.stderr.count("\n")) == ("", 1), result.stderr
    assert re.search(MISTAKES[case][1], result.stderr), result.stderr


def test_no_color_is_obeyed_on_a_terminal(first):
    def shown(**env):
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(first[0])
            os.execvpe(COMMAND[0], [*COMMAND, *RUN], os.environ | {"TERM": "xterm-256color", "COLUMNS": "160"} | env)
        parts = []
        while True:
            try:
                parts.append(os.read(terminal, 65536))
            except OSError:  # what Linux says at the end
                break
        os.close(terminal)
        assert os.waitpid(pid, 0)[1] == 0
        return b"".join(parts).decode()

    colour = re.compile("\x1b\\[[0-9;]*(3[0-7]|38;5;[0-9]+|9[0-7])m")
    environment = {key: value for key, value in os.environ.items() if key in ("NO_COLOR", "FORCE_COLOR")}
    assert not environment, "these two decide the test"
    assert colour.search(shown())
    assert not colour.search(shown(NO_COLOR="1"))


def test_splits_may_be_put_to_some_labelers_and_the_baseline(tmp_path):
    """A curve for some, one ratio for all."""
    one_ratio = {"splitter": "prefix", "ratios": [0.5], "seeds": [3]}
    some = {"splitter": "prefix", "ratios": [0.2, 0.8], "seeds": [3], "labelers": ["near"]}
    near = {"knn": {"on": "embedding", "k": 3}, "as": "near"}
    write_suite(tmp_path, ["majority", "prior", near], splits=[one_ratio, some])
    done = harness("run", "suite.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "leaderboards/small/standings.csv").open(newline="") as file:
        standings = [(row["comparison"], row["labeler"]) for row in csv.DictReader(file)]
    at = "prefix, {} % labelled".format
    assert sorted(standings) == sorted(
        [(at(50), name) for name in ("majority", "prior", "near")]
        + [(at(ratio), name) for ratio in (20, 80) for name in ("majority", "near")]
    )
    write_suite(tmp_path, ["majority", near], splits=[some | {"labelers": ["neer"]}])
    done = harness("run", "suite.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "splits[0].labelers: no labeler is called 'neer'" in done.stderr
    assert "near" in done.stderr.partition("'neer'")[2]
