"""What a cell costs beside its labeler, and how cells share the cores: `pytest benchmarks`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
version: 1
name: bench
data: {{path: "twin:tulu_300k:3000", id: id, target: gpt_scores, source: source, classes: 6}}
blocks:
  embedding: {{embedder: column, column: embeddings}}
splits:
  - {{splitter: nested, test: 0.5, ratios: [0.4], seeds: [{seeds}]}}
labelers:
  - {labeler}
"""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(folder: Path, count: int, labeler: str, *options: str) -> None:
    """Run `count` cells of `labeler` (and as many of the baseline), blocks made, cells not."""
    seeds = ", ".join(map(str, range(count)))
    (folder / "bench.yaml").write_text(SUITE.format(seeds=seeds, labeler=labeler))
    command = [sys.executable, "-m", "harness.cli", "run", "bench.yaml", *options]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)


def clear(folder: Path) -> None:
    for cell in (folder / "runs" / "bench" / "cells").glob("*"):
        cell.rename(folder / f"old-{cell.name}-{len(list(folder.iterdir()))}")


@pytest.mark.timeout(900)
def test_cells_that_do_nothing(benchmark, tmp_path):
    """100 cells of two baselines: the price of a process, a check and a durable commit each."""
    run(tmp_path, 50, "prior")
    benchmark.pedantic(run, (tmp_path, 50, "prior"), setup=lambda: clear(tmp_path), rounds=5)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("jobs", [1, CORES], ids=["one cell on all cores", "a one-threaded cell a core"])
def test_small_networks(benchmark, tmp_path, jobs):
    """Eight small networks, one at a time on all cores against one on each core."""
    options = ("-j", str(jobs), "--threads", str(CORES // jobs))
    run(tmp_path, 8, "mlp: {on: embedding, epochs: 40}", *options)
    arguments = (tmp_path, 8, "mlp: {on: embedding, epochs: 40}", *options)
    benchmark.pedantic(run, arguments, setup=lambda: clear(tmp_path), rounds=3)
