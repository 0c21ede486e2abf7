"""Small example tasks, files and labelled rows, generated from seeds."""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.plugin.block import Block, Rows
from harness.plugin.items import Conversation, Items
from harness.plugin.protocols import Labelled, block_names
from harness.plugin.raters import RaterLabels
from harness.plugin.task import Task

ONE_HOT = ("source", "raters")  # blocks of these names are one-hot; any other is numeric
WIDTH = 12  # columns of a numeric block

SUBJECTS = ("salt", "rain", "bread", "iron", "music", "glass", "paper", "sugar", "stone", "light", "sand", "milk")
TALKS: list[Conversation] = [
    [("user", f"Question {i}: what is {word}?"), ("assistant", f"It is {word}. " * (1 + 7 * i % 11))]
    for i, word in enumerate(SUBJECTS * 2)
]
"""Ordinary conversations, 24 of 12 subjects, their lengths in no order."""

ODD_TALKS: list[Conversation] = [
    [("user", "Why?"), ("assistant", "Because.")],
    [],
    [("user", "Is there nobody?")],
    [("assistant", "")],
    [("user", ""), ("assistant", " \n\t ")],
    [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", "More"), ("assistant", "No.")],
    [("user", "é 中文 עברית 🙂 \x00 \u2028"), ("assistant", "…٣²½ ﬁ")],
    [("user", "Write a lot."), ("assistant", "a word and " * 2_000)],
    [("user", "Why?"), ("assistant", "Because.")],
]
"""What is in real data too: no turn, no answer, empty and blank ones, other scripts, a long text, a repeated row."""


def example_task(on: Iterable[str] = (), n: int = 96, m: int = 48, n_classes: int = 6, seed: int = 0) -> Task:
    """Return a task of noisy but well-separated classes.

    Higher classes are rarer. Equal arguments give the same task. It has the blocks "text" (features, one of them
    constant) and "embedding" (unit length), and one for every further name in `on`: one-hot where it is called "source"
    or "raters", else an embedding. `n` rows are labelled, `m` to label, both at least `n_classes`; 12 are spare. There
    are three raters, the first of whom gave the labels; three more labelled some of all rows.
    """
    return example(on, n, m, n_classes, seed)[0]


def example(on: Iterable[str], n: int, m: int, n_classes: int, seed: int) -> tuple[Task, Rows]:
    """Return the example task and the true labels (N,) of all its rows."""
    rng = np.random.default_rng(seed)
    labelled, to_label, spare, _ = np.split(rng.permutation(n + m + 12), [n, n + m, n + m + 12])
    share = 0.75 ** np.arange(n_classes)
    truth = rng.choice(n_classes, n + m + 12, p=share / share.sum())
    truth[labelled[:n_classes]] = truth[to_label[:n_classes]] = np.arange(n_classes)
    y = truth[labelled]
    others = np.clip(y[:, None] + rng.integers(-1, 2, (n, 2)), 0, n_classes - 1)
    blocks = {name: _block(name, truth, n_classes, seed) for name in ("text", "embedding", *on)}
    raters, rater_labels = np.column_stack([y, others]), _label_some(truth, n_classes, seed)
    return Task(blocks, labelled, y, to_label, n_classes, seed, spare, raters, rater_labels=rater_labels), truth


def _label_some(truth: Rows, n_classes: int, seed: int) -> RaterLabels:
    """Return labels of three raters, each right on most of the rows."""
    rng = np.random.default_rng([seed, zlib.crc32(b"raters of all rows")])
    rows, raters = np.nonzero(rng.random((len(truth), 3)) < 0.7)
    labels = (truth[rows] + (rng.random(len(rows)) < 0.3) * rng.integers(1, n_classes, len(rows))) % n_classes
    return RaterLabels(rows, raters, labels, len(truth), 3)


def task_for(labeler: object, seed: int = 0) -> Task:
    """Return an example task with every block that `labeler` names."""
    return example_task(block_names(labeler), seed=seed)


def keep_positions(task: Task, positions: NDArray[Any]) -> Task:
    """Return the task with a part of its labelled rows.

    `positions` is a mask (n,), or numbers that may repeat.
    """
    raters = None if task.raters is None else task.raters[positions]
    return replace(task, labelled=task.labelled[positions], y=task.y[positions], raters=raters)


def pair_groups(task: Task) -> Task:
    """Return the task with rows 0 and 1, 2 and 3, ... as groups."""
    return replace(task, groups=np.arange(len(next(iter(task.blocks.values())).array)) // 2)


def _block(name: str, truth: Rows, n_classes: int, seed: int) -> Block:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])  # so that it does not depend on the other blocks
    if name in ONE_HOT:
        value = (truth + rng.integers(0, 2, len(truth))) % n_classes
        return Block(np.eye(n_classes, dtype=np.float32)[value], names=tuple(f"{name}={c}" for c in range(n_classes)))
    centres = 2 * rng.standard_normal((n_classes, WIDTH))
    X = centres[truth] + rng.standard_normal((len(truth), WIDTH))  # (N, d)
    if name == "text":
        X = X * np.logspace(-2, 3, WIDTH) + np.linspace(-5, 5, WIDTH)
        X[:, -1] = 0.1
        return Block(X.astype(np.float32), names=tuple(f"{name}_{column}" for column in range(WIDTH)))
    return Block((X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), "embedding")


@contextmanager
def example_items(talks: list[Conversation] = TALKS, seed: int = 0) -> Iterator[Items]:
    """Yield one row for each of `talks`, in a temporary parquet file.

    Columns: ``messages``, ``embeddings`` (lists of 8 numbers), ``source``, and ``score``, which is hidden: the labels,
    drawn from `seed`. Three raters labelled some rows. The file has rows before, between and behind that
    are not among the items.
    """
    rows = 1 + 2 * np.arange(len(talks))
    of_row: list[Conversation] = [
        [("user", f"Row {row}"), ("assistant", "is left out. " * row)] for row in range(rows[-1] + 3)
    ]
    for row, talk in zip(rows.tolist(), talks, strict=True):
        of_row[row] = talk
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    rng = np.random.default_rng(7)
    table = {
        "messages": pa.array([[{"role": r, "content": c} for r, c in talk] for talk in of_row], pa.list_(turn)),
        "embeddings": pa.array(list(rng.standard_normal((len(of_row), 8), np.float32)), pa.list_(pa.float32())),
        "source": pa.array([f"source {row % 3}" for row in range(len(of_row))]),
        "score": pa.array(np.random.default_rng(seed).integers(0, 6, len(of_row))),
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "data.parquet"
        pq.write_table(pa.table(table), path)
        readable = ("messages", "embeddings", "source")
        raters = _label_some(np.random.default_rng(11).integers(0, 6, len(of_row)), 6, 0)
        yield Items(str(path), rows, rows + 1_000, readable, ("score",), "messages", file_raters=raters)


def example_labelled(n: int = 60, n_classes: int = 6) -> Labelled:
    """Return n labelled rows of three sources and twelve months.

    They are every other row of a population, so row numbers are no positions.
    """
    rng = np.random.default_rng(0)
    rows = 1 + 2 * np.arange(n)
    sources = np.array([f"source {i % 3}" for i in range(n)], np.dtypes.StringDType())
    times = np.array([f"2024-{1 + i * 12 // n:02}" for i in range(n)], np.dtypes.StringDType())
    return Labelled(rows, rng.permutation(np.arange(n) % n_classes), rows + 1_000, None, sources, times)
