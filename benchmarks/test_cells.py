"""What a cell costs beside its labeler, what a resume costs, and how cells share the cores: `pytest benchmarks`.

`extra_info` has what docs/performance.md says of each: `cells`, `measured` (in s or its `unit`), `target`, `met`. At
full size with LABELHARNESS_CELLS=10000.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

CELLS = int(os.environ.get("LABELHARNESS_CELLS", "400"))
OVERHEAD = 50.0  # milliseconds a cell
SCAN = 2.0  # seconds for 10,000 cells
GROWTH = 1.0  # MiB of the parent's memory for 1,000 cells
SUITE = """
version: 1
name: bench
data: {{path: "twin:tulu_300k:{rows}", id: id, target: gpt_scores, source: source, classes: 6}}
blocks:
  embedding: {{embedder: column, column: embeddings}}
splits:
  - {{splitter: nested, test: 0.5, ratios: [{ratios}], seeds: [{seeds}]}}
labelers:
  - {labeler}
"""
NETWORK = "mlp: {on: embedding, epochs: 40}"
SCANNED = """
import json, sys, time
from pathlib import Path
from harness.suite import catalog
from harness.run.runner import Options, prepare_run
from harness.suite.suite import load_suite

found = catalog.discover()
ready = prepare_run(load_suite(Path("bench.yaml"), found), found, Options(threads=1), lambda text: None)
began = time.perf_counter()
finished = ready.store.finished_keys(cell.key for cell in ready.cells)
print(json.dumps([len(ready.cells), len(finished), time.perf_counter() - began]))
"""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write(folder: Path, seeds: int, labeler: str, rows: int, ratios: tuple[float, ...] = (0.4,)) -> None:
    """Write a suite of `labeler` and the baseline on every ratio and seed."""
    listed = {"ratios": ", ".join(map(str, ratios)), "seeds": ", ".join(map(str, range(seeds)))}
    (folder / "bench.yaml").write_text(SUITE.format(labeler=labeler, rows=rows, **listed))


def run(folder: Path, *options: str) -> float:
    """Run the suite; returns the seconds from its first cell to its last."""
    command = [sys.executable, "-m", "harness.cli", "run", "bench.yaml", "--json", *options]
    times = []
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            if json.loads(line)["event"] == "cell":
                times.append(time.perf_counter())
    assert process.returncode == 0
    return times[-1] - times[0]


def clear(folder: Path) -> None:
    """Put the finished cells aside: removing them would take the disk's time."""
    cells = folder / "runs" / "bench" / "cells"
    cells.rename(folder / f"old-{len(list(folder.iterdir()))}")


def say(benchmark, **info: float | bool | str | None) -> None:
    benchmark.extra_info.update(info)
    print("  ".join(f"{name} {value}" for name, value in info.items()))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A folder in which CELLS cells that do nothing have run, with (cells, MiB of the parent) seen on the way."""
    folder = tmp_path_factory.mktemp("many")
    write(folder, CELLS // 10, "prior", 300, (0.1, 0.2, 0.3, 0.4, 0.5))
    command = [sys.executable, "-m", "harness.cli", "run", "bench.yaml", "--threads", "1", "--json"]
    seen = []
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        parent = psutil.Process(process.pid)
        done = sum(1 for _ in cells_of(process.stdout, parent, seen))
    assert (process.returncode, done) == (0, CELLS // 10 * 10)
    return folder, seen


def cells_of(lines, parent, seen):
    """Yield the events of cells, and note the memory of the parent at every tenth of them."""
    done = 0
    for line in lines:
        event = json.loads(line)
        if event["event"] != "cell":
            continue
        done += 1
        if done % max(1, CELLS // 10) == 0:
            memory = parent.memory_full_info().uss if done < CELLS else None
            seen.append((done, time.perf_counter(), memory))
        yield event


@pytest.mark.timeout(900)
def test_cells_that_do_nothing(benchmark, tmp_path):
    """100 cells of two baselines, blocks made: the price of a process, a check and a durable commit each."""
    write(tmp_path, 50, "prior", 3_000)
    run(tmp_path)
    took = []
    benchmark.pedantic(lambda: took.append(run(tmp_path)), setup=lambda: clear(tmp_path), rounds=5)
    overhead = sorted(took)[len(took) // 2] / 99 * 1e3
    say(
        benchmark,
        cells=100,
        measured=round(overhead, 1),
        unit="ms",
        target=f"<= {OVERHEAD:g} ms a cell",
        met=overhead <= OVERHEAD,
    )


@pytest.mark.timeout(3600)
def test_a_resume_of_many_cells(benchmark, many):
    """A second look at finished cells, in a process of its own: how long until it knows that nothing is to do."""
    folder, _ = many
    took = []

    def scan() -> None:
        command = [sys.executable, "-c", SCANNED]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600)
        cells, finished, seconds = json.loads(done.stdout)
        assert cells == finished
        took.append(seconds)

    benchmark.pedantic(scan, rounds=5, warmup_rounds=1)
    seconds = sorted(took[1:])[2]
    met = seconds <= SCAN if CELLS >= 10_000 else None  # fewer cells tell nothing of ten thousand
    say(
        benchmark, cells=CELLS // 10 * 10, measured=round(seconds, 3), target=f"<= {SCAN:g} s for 10,000 cells", met=met
    )


@pytest.mark.timeout(3600)
def test_the_parent_of_many_cells(benchmark, many):
    """Memory that the run itself takes while cells pass through it; the benchmark's time is that of a board again."""
    folder, seen = many
    command = [sys.executable, "-m", "harness.cli", "leaderboard", "bench.yaml", "--threads", "1"]
    benchmark.pedantic(
        subprocess.run, (command,), {"cwd": folder, "check": True, "capture_output": True, "timeout": 3000}, rounds=1
    )
    (first, _, before), (last, _, after) = seen[0], [each for each in seen if each[2] is not None][-1]
    growth = (after - before) / 2**20 / (last - first) * 1_000
    met = growth <= GROWTH if CELLS >= 2_000 else None  # a page more or less is too much among fewer
    say(
        benchmark,
        cells=CELLS // 10 * 10,
        measured=round(growth, 2),
        unit="MiB",
        target=f"<= {GROWTH:g} MiB for 1,000 cells",
        met=met,
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("jobs", [1, CORES], ids=["one cell on all cores", "a one-threaded cell a core"])
def test_small_networks(benchmark, tmp_path, jobs):
    """Eight small networks, one at a time on all cores against one on each core."""
    options = ("-j", str(jobs), "--threads", str(CORES // jobs))
    write(tmp_path, 8, NETWORK, 3_000)
    run(tmp_path, *options)
    benchmark.pedantic(run, (tmp_path, *options), setup=lambda: clear(tmp_path), rounds=3)
    say(benchmark, cells=16, target=None, met=None)
