"""Small tasks to try a labeler on, made from nothing."""

import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts import blocks_of
from harness.fuse import Block, Rows
from harness.task import Task

ONE_HOT = ("source", "raters")  # blocks of these names are one-hot; any other is numeric
WIDTH = 12  # columns of a numeric block


def example_task(on: Iterable[str] = (), n: int = 96, m: int = 48, n_classes: int = 6, seed: int = 0) -> Task:
    """Return a task of noisy but well-separated classes, the higher ones rarer; the same for equal arguments.

    It has the blocks "text" (features, one of them constant) and "embedding" (unit length), and one for every further
    name in `on`: one-hot where it is called "source" or "raters", else an embedding. `n` rows are labelled, `m` to
    label, both at least `n_classes`; 12 are spare. There are three raters, the first of whom gave the labels.
    """
    return example(on, n, m, n_classes, seed)[0]


def example(on: Iterable[str], n: int, m: int, n_classes: int, seed: int) -> tuple[Task, Rows]:
    """Return the example task and the true labels (N,) of all its rows, hidden ones included."""
    rng = np.random.default_rng(seed)
    labelled, to_label, spare, _ = np.split(rng.permutation(n + m + 12), [n, n + m, n + m + 12])
    share = 0.75 ** np.arange(n_classes)
    truth = rng.choice(n_classes, n + m + 12, p=share / share.sum())
    truth[labelled[:n_classes]] = truth[to_label[:n_classes]] = np.arange(n_classes)
    y = truth[labelled]
    others = np.clip(y[:, None] + rng.integers(-1, 2, (n, 2)), 0, n_classes - 1)
    blocks = {name: _block(name, truth, n_classes, seed) for name in ("text", "embedding", *on)}
    return Task(blocks, labelled, y, to_label, n_classes, seed, spare, np.column_stack([y, others])), truth


def task_for(labeler: object, seed: int = 0) -> Task:
    """Return an example task with every block that `labeler` names."""
    return example_task(blocks_of(labeler), seed=seed)


def keep(task: Task, positions: NDArray[Any]) -> Task:
    """Return the task with only these of its labelled positions: a mask (n,), or numbers that may repeat."""
    raters = None if task.raters is None else task.raters[positions]
    return replace(task, labelled=task.labelled[positions], y=task.y[positions], raters=raters)


def in_pairs(task: Task) -> Task:
    """Return the task with rows 0 and 1, 2 and 3, ... as groups."""
    return replace(task, groups=np.arange(len(next(iter(task.blocks.values())).array)) // 2)


def _block(name: str, truth: Rows, n_classes: int, seed: int) -> Block:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])  # whatever other blocks there are
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
