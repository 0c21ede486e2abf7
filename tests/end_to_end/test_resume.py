"""Killed runs: no finished cell is lost or run twice, no process stays.

The board is that of a run that was not killed.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter

import pytest

from tests.command_line import COMMAND, board, cells, harness, ranks, running, start, until, write_labelers, write_suite

RUN = ("run", "suite.yaml", "--plugin", "plugin.py", "--threads", 1)
SPLITS = [{"splitter": "prefix", "ratios": [0.25, 0.5], "seeds": [3, 4]}]
LABELERS = ["majority", *({"slow": {"k": k}} for k in range(3))]  # 16 cells, 12 of them slow
SLOW = """
    with open({log!r}, "a") as log:
        log.write(f"{{Path.cwd().name}} {{os.getpid()}}\\n")  # the folder of a worker is named by its cell's key
    time.sleep(0.15)
    return Predictions(np.random.default_rng(task.seed + self.k).dirichlet([1] * 6, len(task.to_label)))
    """


def write_all(folder):
    (folder / "log").touch()
    file = write_labelers(folder / "plugin.py", slow=SLOW.format(log=str(folder / "log")))
    file.write_text(file.read_text() + f"\n\nSlowLabeler.writes = ({str(folder / 'log')!r},)\n")
    write_suite(folder, LABELERS, splits=SPLITS)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder of a run that nobody killed."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    folder.mkdir()
    write_all(folder)
    assert harness(*RUN, cwd=folder).returncode == 0
    return folder


@pytest.fixture
def fresh(uninterrupted, tmp_path):
    """A folder with the same files, in which nothing has run.

    The plugin is the same too, so that the board is.
    """
    for name in ("suite.yaml", "data.parquet", "plugin.py"):
        shutil.copy(uninterrupted / name, tmp_path)
    (uninterrupted / "log").write_text("")
    return tmp_path


def starts(folder):
    """Return {cell key: how often its labeler was started}."""
    return Counter(line.split()[0] for line in (folder / "log").read_text().splitlines())


def finished(folder):
    return {path.name for path in (folder / "runs" / "small").glob("cells/*")}


def nobody_left(mark):
    """Wait until no process of a killed run is left; fail after a time far beyond that of a cell."""
    until(lambda: not running(mark), patience=10)


def test_killed_at_ten_random_moments_it_ends_as_if_nothing_had_happened(uninterrupted, fresh):
    chance = random.Random(5)
    done_before, before = {}, set()
    stopped_midway = 0
    for attempt in range(10):
        mark = f"HARNESS_TEST_{fresh.name}_{attempt}"
        run = start(*RUN, "-j", 1 + attempt % 2, cwd=fresh, env={mark: "1"})
        if attempt % 3:  # else it is killed while it starts
            logged = (uninterrupted / "log").stat().st_size
            until(lambda run=run, at=logged: run.poll() is not None or (uninterrupted / "log").stat().st_size > at)
        time.sleep(chance.uniform(0, 0.4))
        run.kill()
        run.wait()
        nobody_left(mark)
        assert before <= finished(fresh), "a finished cell was lost"
        for key in finished(fresh) - before:
            done_before[key] = starts(uninterrupted)[key]
        stopped_midway += len(before) < len(finished(fresh)) < 16
        before = finished(fresh)
    assert stopped_midway >= 3, "the kills must fall into the run"
    result = harness(*RUN, cwd=fresh)
    assert result.returncode == 0, result.stderr
    assert len(finished(fresh)) == 16
    assert {key: starts(uninterrupted)[key] for key in done_before} == done_before, "a finished cell was run again"
    assert board(fresh) == board(uninterrupted)
    assert list((fresh / "runs" / "small" / "scratch").iterdir()) == []


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["the run", "its group"])
def test_ctrl_c_is_130_and_loses_nothing(uninterrupted, fresh, send):
    mark = f"HARNESS_TEST_{fresh.name}"
    run = start(*RUN, cwd=fresh, env={mark: "1"})
    until(lambda: len(finished(fresh)) >= 3)
    send(run.pid, signal.SIGINT)
    assert run.wait() == 130
    nobody_left(mark)
    kept = finished(fresh)
    assert 3 <= len(kept) < 16
    assert "Traceback" not in (fresh / "output.txt").read_text()
    before = starts(uninterrupted)
    assert harness(*RUN, cwd=fresh).returncode == 0
    assert all(starts(uninterrupted)[key] == before[key] for key in kept)
    assert board(fresh) == board(uninterrupted)


def test_a_run_in_the_background_of_a_script_can_be_ended(fresh):
    words = " ".join(map(str, (*COMMAND, *RUN)))
    run = subprocess.Popen(["sh", "-c", f"trap '' INT; exec {words}"], cwd=fresh, stderr=subprocess.DEVNULL)
    try:
        until(lambda: finished(fresh))
        run.terminate()
        assert run.wait(20) == 130
    finally:
        run.kill()
    assert len(finished(fresh)) < 16


def test_a_killed_worker_fails_its_cell_alone_and_is_redone(uninterrupted, fresh):
    run = start(*RUN, cwd=fresh)
    log = uninterrupted / "log"
    until(lambda: log.read_text().count("\n") == 2)
    key, pid = log.read_text().splitlines()[-1].split()
    os.kill(int(pid), signal.SIGKILL)
    assert run.wait() == 1
    failed = [row for row in cells(fresh).values() if row["status"] == "failed"]
    assert [(row["cell"], row["reason"]) for row in failed] == [(key, "crashed: SIGKILL")]
    assert ranks(fresh)[failed[0]["labeler"]] == "–"
    before = starts(uninterrupted)
    assert harness(*RUN, cwd=fresh).returncode == 0
    assert starts(uninterrupted) - before == {key: 1}
    assert board(fresh) == board(uninterrupted)


EMBEDDER = """

@dataclass(frozen=True)
class Slow:
    name: ClassVar[str] = "slow"

    def embed(self, items, start):
        with open({log!r}, "a") as log:
            log.write(f"{{start}}\\n")
        for low in range(start, len(items), 7):
            rows = items.rows[low : low + 7]
            yield np.stack([np.random.default_rng(int(row)).normal(size=32) for row in rows])
            time.sleep(0.05)


@hookimpl
def harness_embedders():
    return [Slow]
"""


def test_a_block_goes_on_where_its_making_was_killed(tmp_path):
    log = tmp_path / "log"
    file = write_labelers(tmp_path / "plugin.py", one="return uniform(task)")
    file.write_text(file.read_text() + EMBEDDER.format(log=str(log)))
    write_suite(tmp_path, [{"knn": {"on": "slow"}}], blocks={"slow": {"embedder": "slow"}})

    def array(output):
        return next((output / "runs" / "cache" / "blocks").glob("*/array.npy")).read_bytes()

    assert harness(*RUN, "-o", "whole", cwd=tmp_path).returncode == 0
    partial = tmp_path / "killed" / "runs" / "cache" / "blocks"
    for least in (10_000, 20_000):  # bytes of 240 rows of 32 numbers, 30,848 in all
        run = start(*RUN, "-o", "killed", cwd=tmp_path, env={f"HARNESS_TEST_{tmp_path.name}": "1"})
        until(lambda size=least: any(file.stat().st_size > size for file in partial.glob("*.shards/*/array.npy")))
        run.kill()
        run.wait()
        nobody_left(f"HARNESS_TEST_{tmp_path.name}")
        with next(partial.glob("*.shards/*/array.npy")).open("ab") as torn:
            torn.write(b"torn")  # as if killed in the middle of a row
    assert harness(*RUN, "-o", "killed", cwd=tmp_path).returncode == 0
    begun = [int(line) for line in log.read_text().split()]
    assert begun[:2] == [0, 0]
    assert 70 < begun[2] < begun[3] < 240
    assert array(tmp_path / "killed") == array(tmp_path / "whole")
    assert board(tmp_path / "killed") == board(tmp_path / "whole")
    assert not list(partial.glob("*.shards"))
