"""Probe labelers for leaks: the same question again, one thing changed.

What moves the answers shows what a labeler uses.

The questions are small: some rows of a split of the suite, with their own numbers and their own blocks. Changed blocks
are sparse files, in which only the rows of the question are written.
"""

import hashlib
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.audit.places import exchange_places
from harness.audit.probe_answer import ProbeAnswer
from harness.data.dataset import Dataset
from harness.data.tasks import make_task
from harness.errors import describe_error
from harness.plugin.block import Block, Rows
from harness.plugin.protocols import Split, iter_plugins
from harness.plugin.task import Task
from harness.run import worker
from harness.run.access import cell_access
from harness.run.answers import is_regular, read_answer
from harness.run.block_writer import ARRAY_FILE
from harness.suite import spec
from harness.suite.catalog import Catalog
from harness.utils.confined_worker import TEMPORARY_FOLDER
from harness.utils.hashing import digest
from harness.utils.processes import LOG_FILE, Child, Limits, Processes, wait_any

MAX_TRAIN_ROWS, MAX_TEST_ROWS, MAX_SPARE_ROWS = 600, 1_000, 200  # of a question
ROWS_PER_BATCH = 4_096  # rows of a block that are held in memory
OUTLIER_VALUE = 1e6  # what every number of one row is set to
BASE, PERMUTED, AGAIN, PLACES = "base", "permuted", "again", "places"
ROW, HALF, SEED, THREADS = "row", "half", "seed", "threads"
QUESTIONS = (BASE, PERMUTED, PLACES, ROW, HALF, SEED, THREADS, "shuffled 1")
SHUFFLES = 5  # in all, for a labeler that beats chance on the first

Blocks = Mapping[str, Block]


@dataclass(frozen=True, eq=False)
class ProbeBench:
    """The data and blocks that the questions to all labelers share."""

    dataset: Dataset
    split: Split  # of the rows of the questions, spare rows included
    blocks: Mapping[str, Blocks]  # "base", "row" and "half" -> blocks
    folder: Path  # of the changed blocks, a folder each
    salt: str  # of their names

    def task(self, question: str, names: tuple[str, ...]) -> Task:
        """Return the task of a question, with the blocks called `names`."""
        kind = question.partition(" ")[0]
        blocks = self.exchanged_blocks if kind == PLACES else self.blocks.get(kind, self.blocks[BASE])
        dataset = _permute_labels(self.dataset, self.split.train) if kind == PERMUTED else self.dataset
        task = replace(make_task(dataset, self.split, {name: blocks[name] for name in names}), spare=self.split.spare)
        if kind == PLACES:
            places, contents = self.exchanged_rows
            origin = np.arange(len(self.dataset))
            origin[places] = contents
            groups = None if task.groups is None else task.groups[origin]
            raters = None if task.rater_labels is None else task.rater_labels.of(origin)
            return replace(task, groups=groups, rater_labels=raters)
        if kind == SEED:
            return replace(task, seed=task.seed + 1)
        if kind == "shuffled":
            rng = np.random.default_rng(int(question.split()[1]))
            order = rng.permutation(len(task.y))
            task = replace(task, y=task.y[order], raters=None if task.raters is None else task.raters[order])
            if task.rater_labels is None:
                return task
            # Raters on the rows to label answer without any label of the train rows: nothing may be left of them.
            return replace(task, rater_labels=task.rater_labels.of(rng.permutation(len(self.dataset))))
        return task

    def remove(self) -> None:
        """Remove the changed blocks from the disk."""
        variants = [self.blocks[kind] for kind in (ROW, HALF)] + [self.__dict__.get("exchanged_blocks", {})]
        for path in [block.path for blocks in variants for block in blocks.values()]:
            shutil.rmtree(Path(path or "").parent)

    @cached_property
    def exchanged_rows(self) -> tuple[Rows, Rows]:
        """The rows whose contents change, and the rows they come from.

        Rows to label change places among themselves, and so do spare rows.
        """
        labels = np.full(len(self.dataset), -1)
        labels[self.dataset.labelled] = self.dataset.y
        sides = [side for side in (self.split.test, self.split.spare) if len(side)]
        contents = [side[exchange_places(labels[side])] for side in sides]
        return np.concatenate(sides), np.concatenate(contents)

    @cached_property
    def exchanged_blocks(self) -> Blocks:
        """The blocks in which the rows have changed places."""
        places, contents = self.exchanged_rows

        def exchange(array: Any, rows: Rows, changed: Rows, categories: bool) -> Iterator[tuple[Rows, Floats]]:
            return ((to, array[origin]) for to, origin in zip(*map(_row_batches, (places, contents)), strict=True))

        rows = np.concatenate([self.split.train, places])
        return {
            name: _rewrite_block(
                block, rows, places, exchange, changed_file(self.folder, block, PLACES, name, self.salt)
            )
            for name, block in self.blocks[BASE].items()
        }


@dataclass(frozen=True)
class ProbeQuestion:
    """A question put to one labeler."""

    labeler: Any
    names: tuple[str, ...]  # of the blocks that the labeler reads
    question: str


def subsample(
    split: Split,
    spare: Rows,
    train: int | None = MAX_TRAIN_ROWS,
    test: int | None = MAX_TEST_ROWS,
    more: int | None = MAX_SPARE_ROWS,
) -> Split:
    """Return the split with at most so many rows, drawn evenly; None: all.

    `spare` are the rows that are neither train nor test rows, of which `more` stay.
    """
    rng = np.random.default_rng(0)

    def sample(rows: Rows, size: int | None) -> Rows:
        return rows if size is None or len(rows) <= size else np.sort(rng.permutation(rows)[:size])

    return replace(
        split,
        train=sample(split.train, train),
        test=sample(split.test, test),
        spare=sample(spare, more),
    )


def make_bench(dataset: Dataset, split: Split, blocks: Blocks, folder: Path, salt: str = "") -> ProbeBench:
    """Return the bench of a split; write its changed blocks to `folder`.

    Benches of another `salt` have other files.
    """
    half = np.concatenate([split.test[len(split.test) // 2 :], split.spare])
    rows = np.concatenate([split.train, split.test, split.spare])
    changes: dict[str, tuple[Change, Rows]] = {ROW: (_replace_one, split.test[:1]), HALF: (_transform_rows, half)}
    variants: dict[str, Blocks] = {BASE: blocks}
    for kind, (change, changed) in changes.items():
        variants[kind] = {
            name: _rewrite_block(block, rows, changed, change, changed_file(folder, block, kind, name, salt))
            for name, block in blocks.items()
        }
    return ProbeBench(dataset, split, variants, folder, salt)


def changed_file(folder: Path, block: Block, kind: str, name: str, salt: str) -> Path:
    """Return the file of a changed block, named as those of blocks are."""
    return folder / digest(block.key, kind, name, salt) / ARRAY_FILE


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
    """Answer each question in a worker of its own, `jobs` at a time.

    `report` is called with each question that is answered.
    """
    waiting, running = deque(questions), dict[int, tuple[ProbeQuestion, Child]]()
    answers: dict[ProbeQuestion, ProbeAnswer] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                question = waiting.popleft()
                name = digest(spec.to_spec(question.labeler), question.names, question.question)
                child = _start(bench, question, catalog, processes, folder / name)
                running[id(child)] = question, child
            for child, limit in wait_any([child for _, child in running.values()], limits, timeout=0.05):
                question, _ = running.pop(id(child))
                answers[question] = _read(child, limit)
                if not answers[question].leftovers:  # they stay, for the same question asked again
                    shutil.rmtree(child.folder, ignore_errors=True)
                report(question)
    finally:
        for _, child in running.values():
            child.kill()
    return answers


def _start(bench: ProbeBench, probe: ProbeQuestion, catalog: Catalog, processes: Processes, folder: Path) -> Child:
    folder.mkdir(parents=True)
    references: worker.References = {
        plugin.name: catalog.of(plugin).reference() for plugin in iter_plugins(probe.labeler)
    }
    task = bench.task(probe.question, probe.names)
    threads = 2 if probe.question == THREADS else 1
    arguments = spec.to_spec(probe.labeler), references, task, threads
    return processes.start(_run_probe, arguments, folder.absolute(), cell_access(probe.labeler, task, catalog))


def _read(child: Child, stopped: str | None) -> ProbeAnswer:
    try:
        answer = None if stopped else read_answer(child.folder)
        if answer is None:
            return ProbeAnswer("failed", stopped or child.describe_exit())
        if answer["status"] != "ok":
            return ProbeAnswer(answer["status"], answer["reason"])
        content = hashlib.sha256()
        if not all(is_regular(child.folder / name) for name in answer["files"]):
            return ProbeAnswer("failed", "left an unreadable answer: its arrays are no files")
        for name in sorted(answer["files"]):
            # The arrays alone: an archive also holds the time at which it was written.
            loaded = np.load(child.folder / name, allow_pickle=False)
            arrays = [loaded] if isinstance(loaded, np.ndarray) else [loaded[key] for key in sorted(loaded.files)]
            content.update(b"".join(array.tobytes() for array in arrays))
        own = {worker.ANSWER_FILE, LOG_FILE, TEMPORARY_FOLDER, *answer["files"]}
        leftovers = tuple(sorted(path.name for path in child.folder.iterdir() if path.name not in own))
        proba = np.load(child.folder / "proba.npy", allow_pickle=False)
        return ProbeAnswer("ok", "", proba, content.hexdigest(), leftovers)
    except Exception as error:  # whatever NumPy and zipfile raise on damaged files
        return ProbeAnswer("failed", f"left an unreadable answer: {describe_error(error)}")


def _permute_labels(dataset: Dataset, train: Rows) -> Dataset:
    """Return the dataset with the labels of all but train rows permuted.

    The raters' labels of a row move along with it.
    """
    hidden = np.flatnonzero(~np.isin(dataset.labelled, train))
    order = np.arange(len(dataset.labelled))
    order[hidden] = np.random.default_rng(0).permutation(hidden)
    raters = None if dataset.raters is None else dataset.raters[order]
    return replace(dataset, y=dataset.y[order], raters=raters)


Floats = NDArray[np.float32]
Change = Callable[[Any, Rows, Rows, bool], Iterator[tuple[Rows, Floats]]]
"""From an array, its rows, those to change and whether it holds categories: yields (rows, new values)."""


def _rewrite_block(block: Block, rows: Rows, changed: Rows, change: Change, file: Path) -> Block:
    """Write a block of the `rows` alone, the `changed` ones with new values."""
    file.parent.mkdir(parents=True, exist_ok=True)
    array = np.lib.format.open_memmap(file, "w+", np.float32, block.array.shape)
    categories = True  # whether all numbers are zeros and ones
    for batch in _row_batches(rows):  # with --full these may be all rows of a large block
        values = block.array[batch]
        array[batch] = values
        categories = categories and bool(((values == 0) | (values == 1)).all())
    for batch, values in change(block.array, rows, changed, categories):
        array[batch] = values
    array.flush()
    key = block.key and file.parent.name  # a block without a key would give the question away
    return Block.open(str(file.absolute()), block.kind, block.names, key)


def _replace_one(array: Any, rows: Rows, changed: Rows, categories: bool) -> Iterator[tuple[Rows, Floats]]:
    """Set one row to a million; among zeros and ones, copy another row.

    That is the first row which differs from it.
    """
    if not categories:
        yield changed, np.full((len(changed), array.shape[1]), OUTLIER_VALUE, np.float32)
        return
    for batch in _row_batches(rows):
        others = batch[(array[batch] != array[changed]).any(axis=1)]
        if len(others):
            yield changed, array[others[:1]]
            return


def _transform_rows(array: Any, rows: Rows, changed: Rows, categories: bool) -> Iterator[tuple[Rows, Floats]]:
    """Set rows to 3 x + 5 with their columns reversed.

    It turns mean, scale and axes. Zeros and ones stay such: the values of these rows change places, last to first.
    """
    for batch, mirrored in zip(_row_batches(changed), _row_batches(changed[::-1]), strict=True):
        yield batch, array[mirrored] if categories else 3 * np.asarray(array[batch][:, ::-1], np.float32) + 5


def _row_batches(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), ROWS_PER_BATCH):
        yield rows[start : start + ROWS_PER_BATCH]


# What follows runs in the worker.


def _run_probe(labeler_spec: Mapping[str, Any], references: worker.References, task: Task, threads: int) -> None:
    from threadpoolctl import threadpool_limits

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)  # for what is loaded from here on
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    with threadpool_limits(threads):  # for what is loaded already
        worker.label_in_worker(labeler_spec, references, task)
