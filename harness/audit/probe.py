"""A labeler asked the same question again and again, one thing changed each time: what moves its answers gives it away.

The questions are small: some rows of a split of the suite, with their own numbers and their own blocks. Changed blocks
are sparse files, in which only the rows of the question are written.
"""

import hashlib
import json
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.data.tasks import make_task
from harness.plugin.block import Block, Rows
from harness.plugin.protocols import Split, iter_plugins
from harness.plugin.task import Task
from harness.run import worker
from harness.suite import spec
from harness.suite.catalog import Catalog
from harness.utils.processes import Child, Limits, Processes, wait_any

TRAIN_ROWS, TEST_ROWS, SPARE_ROWS = 600, 1_000, 200  # rows of a question, at most
ROWS_PER_BATCH = 4_096  # rows of a block that are held in memory
OUTLIER_VALUE = 1e6  # what every number of one row is set to
BASE, PERMUTED, AGAIN, ROW, HALF, SEED, THREADS = "base", "permuted", "again", "row", "half", "seed", "threads"
QUESTIONS = (BASE, PERMUTED, ROW, HALF, SEED, THREADS, "shuffled 1")
SHUFFLES = 5  # a labeler that beats chance on shuffled labels is tried on that many shuffles in all

Blocks = Mapping[str, Block]


@dataclass(frozen=True, eq=False)
class ProbeBench:
    """What all questions to all labelers of a suite are made from."""

    dataset: Dataset
    split: Split  # of the few rows; spare rows stand in it too
    blocks: Mapping[str, Blocks]  # "base", "row" and "half" -> blocks

    def task(self, question: str, names: tuple[str, ...]) -> Task:
        """Return the task of one question, with the blocks called `names`."""
        kind = question.partition(" ")[0]
        blocks = self.blocks.get(kind, self.blocks[BASE])
        dataset = _permute_labels(self.dataset, self.split.train) if kind == PERMUTED else self.dataset
        task = replace(make_task(dataset, self.split, {name: blocks[name] for name in names}), spare=self.split.spare)
        if kind == SEED:
            return replace(task, seed=task.seed + 1)
        if kind == "shuffled":
            order = np.random.default_rng(int(question.split()[1])).permutation(len(task.y))
            return replace(task, y=task.y[order], raters=None if task.raters is None else task.raters[order])
        return task


@dataclass(frozen=True, eq=False)
class ProbeAnswer:
    """What came back: "ok", "failed" or "not applicable"."""

    status: str
    reason: str
    proba: NDArray[np.float32] | None = None  # (m, C)
    digest: str = ""  # of everything it said: probabilities, checkpoints, rows

    @property
    def labels(self) -> NDArray[np.int64]:
        """The (m,) labels; ties go to the lower class."""
        assert self.proba is not None
        return np.asarray(self.proba.argmax(axis=1))


@dataclass(frozen=True)
class ProbeQuestion:
    """A question put to one labeler."""

    labeler: Any
    names: tuple[str, ...]  # of the blocks it is given
    question: str


def subsample(split: Split, spare: Rows, train: int | None = TRAIN_ROWS, test: int | None = TEST_ROWS) -> Split:
    """Return the split of some of its rows, drawn evenly; None takes them all. `spare` are the rows without a part."""
    rng = np.random.default_rng(0)

    def some(rows: Rows, most: int | None) -> Rows:
        few = most is None or len(rows) <= most
        return rows if few else np.sort(rng.permutation(rows)[:most])

    return replace(split, train=some(split.train, train), test=some(split.test, test), spare=some(spare, SPARE_ROWS))


def make_bench(dataset: Dataset, split: Split, blocks: Blocks, folder: Path) -> ProbeBench:
    """Return the bench of a carved split; its changed blocks are written to `folder`."""
    half = np.concatenate([split.test[len(split.test) // 2 :], split.spare])
    changed = {ROW: _replace_one, HALF: _transform_rows}
    rows = {ROW: split.test[:1], HALF: half}
    everyone = np.concatenate([split.train, split.test, split.spare])
    made: dict[str, Blocks] = {BASE: blocks}
    for kind, change in changed.items():
        made[kind] = {
            name: _rewrite_block(block, everyone, rows[kind], change, folder / f"{kind}-{place}.npy")
            for place, (name, block) in enumerate(blocks.items())
        }
    return ProbeBench(dataset, split, made)


def run_probes(
    bench: ProbeBench,
    questions: list[ProbeQuestion],
    catalog: Catalog,
    processes: Processes,
    limits: Limits,
    folder: Path,
    jobs: int,
    report: Callable[[ProbeQuestion], None],
) -> dict[ProbeQuestion, ProbeAnswer]:
    """Put each question in a worker of its own, `jobs` at a time. `report` hears of each that is answered."""
    waiting, running = deque(enumerate(questions)), dict[int, tuple[ProbeQuestion, Child]]()
    answers: dict[ProbeQuestion, ProbeAnswer] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, question = waiting.popleft()
                child = _start(bench, question, catalog, processes, folder / str(number))
                running[id(child)] = question, child
            for child, limit in wait_any([child for _, child in running.values()], limits, timeout=0.05):
                question, _ = running.pop(id(child))
                answers[question] = _read(child, limit)
                shutil.rmtree(child.folder, ignore_errors=True)
                report(question)
    finally:
        for _, child in running.values():
            child.kill()
    return answers


def _start(bench: ProbeBench, asked: ProbeQuestion, catalog: Catalog, processes: Processes, folder: Path) -> Child:
    folder.mkdir(parents=True)
    references: worker.References = {
        plugin.name: catalog.of(plugin).reference() for plugin in iter_plugins(asked.labeler)
    }
    task = bench.task(asked.question, asked.names)
    threads = 2 if asked.question == THREADS else 1
    return processes.start(_run_probe, (spec.to_spec(asked.labeler), references, task, threads), folder.absolute())


def _read(child: Child, stopped: str | None) -> ProbeAnswer:
    try:
        told = json.loads((child.folder / worker.ANSWER_FILE).read_text())
        if stopped or told["status"] != "ok":
            return ProbeAnswer(told["status"] if not stopped else "failed", stopped or told["reason"])
        said = hashlib.sha256()
        for name in sorted(told["files"]):
            said.update(_content(child.folder / name))
        return ProbeAnswer("ok", "", np.load(child.folder / "proba.npy", allow_pickle=False), said.hexdigest())
    except (OSError, ValueError, KeyError, TypeError):
        return ProbeAnswer("failed", stopped or child.describe_exit())


def _content(file: Path) -> bytes:
    """Return the arrays of a file as bytes: an archive also holds the time at which it was written."""
    loaded = np.load(file, allow_pickle=False)
    arrays = [loaded] if isinstance(loaded, np.ndarray) else [loaded[name] for name in sorted(loaded.files)]
    return b"".join(array.tobytes() for array in arrays)


def _permute_labels(dataset: Dataset, train: Rows) -> Dataset:
    """Return the dataset with every label that is not a train row's permuted, those of the raters along with it."""
    hidden = np.flatnonzero(~np.isin(dataset.labelled, train))
    order = np.arange(len(dataset.labelled))
    order[hidden] = np.random.default_rng(0).permutation(hidden)
    raters = None if dataset.raters is None else dataset.raters[order]
    return replace(dataset, y=dataset.y[order], raters=raters)


Floats = NDArray[np.float32]
Change = Callable[[Any, Rows, Rows, bool], Iterator[tuple[Rows, Floats]]]
"""Takes an array, rows of it, those to change and whether it holds categories; yields (rows, what they become)."""


def _rewrite_block(block: Block, rows: Rows, changed: Rows, change: Change, file: Path) -> Block:
    """Write a block in which only `rows` are filled, the `changed` ones among them by other numbers."""
    array = np.lib.format.open_memmap(file, "w+", np.float32, block.array.shape)
    categories = True
    for some in _row_batches(rows):  # all rows of a large block, with --full: never at once
        array[some] = block.array[some]
        categories = categories and _is_categories(array[some])
    for some, values in change(block.array, rows, changed, categories):
        array[some] = values
    array.flush()
    return Block.open(str(file.absolute()), block.kind, block.names)


def _replace_one(array: Any, rows: Rows, one: Rows, categories: bool) -> Iterator[tuple[Rows, Floats]]:
    """Set one row to a million; among zeros and ones, to what the first row that differs has."""
    if not categories:
        yield one, np.full((len(one), array.shape[1]), OUTLIER_VALUE, np.float32)
        return
    for some in _row_batches(rows):
        others = some[(array[some] != array[one]).any(axis=1)]
        if len(others):
            yield one, array[others[:1]]
            return


def _transform_rows(array: Any, rows: Rows, changed: Rows, categories: bool) -> Iterator[tuple[Rows, Floats]]:
    """Move rows to 3 x + 5 with their columns reversed, which turns mean, scale and axes; among zeros and ones, give
    each row what another has, the last one's to the first.
    """
    for some, mirrored in zip(_row_batches(changed), _row_batches(changed[::-1]), strict=True):
        yield some, array[mirrored] if categories else 3 * np.asarray(array[some][:, ::-1], np.float32) + 5


def _row_batches(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), ROWS_PER_BATCH):
        yield rows[start : start + ROWS_PER_BATCH]


def _is_categories(values: NDArray[np.float32]) -> bool:
    return bool(((values == 0) | (values == 1)).all())


# What follows runs in the worker.


def _run_probe(labeler_spec: Mapping[str, Any], references: worker.References, task: Task, threads: int) -> None:
    from threadpoolctl import threadpool_limits

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)  # for what is loaded from here on
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    with threadpool_limits(threads):  # for what is loaded already
        worker.label_in_worker(labeler_spec, references, task)
