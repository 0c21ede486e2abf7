"""What the end-to-end tests share: small data, a suite about them, one-off plugins, and the real command line."""

import atexit
import contextlib
import csv
import io
import json
import os
import resource
import subprocess
import sys
import textwrap
import time
from functools import cache

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from harness.report.page_consistency import read_leaderboards
from harness.report.parquet_files import csv_copy, read_parquet
from tests.warm import Warm

COMMAND = (sys.executable, "-m", "harness.cli")
PATIENCE = 180  # seconds a command may take on a machine that does much else
BLOCKS = {"embedding": {"embedder": "column", "column": "embeddings"}}
PREAMBLE = """\
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from harness import DataError, NotApplicable, Predictions, hookimpl


def uniform(task):
    return np.full((len(task.to_label), task.n_classes), 1 / task.n_classes)

"""


def vectors(score, d=16, seed=0):
    """Return (n, d) float32 vectors that tell the scores in part."""
    rng = np.random.default_rng(seed)
    score = np.asarray(score)
    return (rng.normal(size=(6, d))[score] + 1.5 * rng.normal(size=(len(score), d))).astype(np.float32)


def table(n=240, unlabelled=0):
    """Return n rows with ids, texts, three sources, scores from 0 to 5 and 16-d embeddings; the last have no score."""
    rng = np.random.default_rng(0)
    score = rng.integers(0, 6, n)
    source = np.array(["flan", "oasst", "dolly"])[rng.integers(0, 3, n)]
    turns = [
        [{"role": "user", "content": f"Question {i}?"}, {"role": "assistant", "content": "It is so. " * (1 + s)}]
        for i, s in enumerate(score)
    ]
    return pa.table(
        {
            "row_id": np.arange(n) + 1000,
            "messages": turns,
            "source": source.tolist(),
            "score": pa.array(score, pa.int8(), mask=np.arange(n) >= n - unlabelled),
            "embeddings": pa.array(list(vectors(score)), pa.list_(pa.float32())),
        }
    )


def write_suite(folder, labelers, rows=None, **sections):
    """Write folder/data.parquet and folder/suite.yaml; `sections` replace whole sections, None leaves one out."""
    pq.write_table(table() if rows is None else rows, folder / "data.parquet")
    suite = {
        "version": 1,
        "name": "small",
        "data": {"path": "data.parquet", "id": "row_id", "text": "messages", "target": "score", "classes": 6},
        "blocks": BLOCKS,
        "splits": [{"splitter": "prefix", "ratios": [0.5], "seeds": [3]}],
        "labelers": labelers,
    }
    file = folder / "suite.yaml"
    suite = {key: value for key, value in (suite | sections).items() if value is not None}
    file.write_text(json.dumps(suite, indent=1))  # JSON is YAML
    return file


def write_labelers(file, **bodies):
    """Write a one-off plugin with one labeler a keyword: its name, and the body of its `label`. Each has a field k."""
    source = PREAMBLE
    names = {name: f"{name.title().replace('_', '')}Labeler" for name in bodies}
    for name, body in bodies.items():
        source += f"\n\n@dataclass(frozen=True)\nclass {names[name]}:\n"
        source += f'    name: ClassVar[str] = "{name}"\n    k: int = 0\n\n    def label(self, task):\n'
        source += textwrap.indent(textwrap.dedent(body).strip("\n"), " " * 8) + "\n"
    file.write_text(f"{source}\n\n@hookimpl\ndef harness_labelers():\n    return [{', '.join(names.values())}]\n")
    return file


@cache
def warm():
    """Return the command line that all tests of this process share."""
    server = Warm()
    atexit.register(server.close)
    return server


def harness(*arguments, cwd, env=None, patience=PATIENCE):
    """Run a command to its end, without a terminal; returns the CompletedProcess with its text.

    Variables that a program may read while it starts, `env`, need a start of Python; so does a test of what differs
    from one start to the next, with an empty `env`.
    """
    if env is None:
        return run_module("harness.cli", *arguments, cwd=cwd, patience=patience)
    return _run([*COMMAND, *map(str, arguments)], cwd, os.environ | env, patience)


def run_module(module, *arguments, cwd, environment=None, patience=PATIENCE):
    """Run `python -m module arguments` to its end; returns the CompletedProcess with its text.

    What it reads in its environment must be read after Python, NumPy and the harness are imported.
    """
    words = list(map(str, arguments))
    if sys.platform == "linux":
        return warm().run(module, *words, cwd=cwd, timeout=patience, environment=environment)
    return _run([sys.executable, "-m", module, *words], cwd, environment, patience)


def _run(command, cwd, environment, patience):
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience
    )


def start(*arguments, cwd, env=None):
    """Start a command in a process group of its own and leave it running, its output in cwd/output.txt."""
    with (cwd / "output.txt").open("w") as output:
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=cwd,
            env=os.environ | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )


@contextlib.contextmanager
def no_file_beyond(size):
    """Let no file grow beyond so many bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def until(condition, patience=PATIENCE):
    """Wait until the condition holds; fails after `patience` seconds."""
    end = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def running(mark):
    """Return the processes whose environment holds the variable `mark`."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.environ() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:  # gone, or somebody else's
            continue
    return found


def events(result):
    """Return the JSON lines of a command's stdout."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def cells(output, name="small"):
    """Return {(labeler, seed, ratio): the cell's row of tables/cells.parquet}."""
    rows = pq.read_table(output / "runs" / name / "tables" / "cells.parquet").to_pylist()
    return {(row["labeler"], row["seed"], row["ratio"]): row for row in rows}


def board(output, name="small"):
    """Return the bytes of a leaderboard's files that must not change."""
    folder = output / "leaderboards" / name
    return {file: (folder / file).read_bytes() for file in ("README.md", "scores.parquet")}


def ranks(output, name="small"):
    """Return {labeler: rank} of the first table of a leaderboard, without the mark of the leading group."""
    page = (output / "leaderboards" / name / "README.md").read_text()
    lines = list(read_leaderboards(page))
    return {rest["Labeler"]: shown["Rank"].removesuffix(" •") for title, shown, rest in lines if title == lines[0][0]}


def long_rows(file, name="scores.parquet"):
    """Return the rows of a long table of a board, each cell as the text that its CSV copy has."""
    return list(csv.DictReader(io.StringIO(csv_copy(read_parquet(name, file)), newline="")))


def scores(output, name="small"):
    """Return the rows of scores.parquet, each cell as the text that its CSV copy has."""
    return long_rows(output / "leaderboards" / name / "scores.parquet")


def answer(output, key, what="proba", name="small"):
    """Return the bytes of one array of a finished cell."""
    return (output / "runs" / name / "cells" / key / f"{what}.npy").read_bytes()
