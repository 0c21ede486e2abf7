"""The answer of a labeler to a small task, and what changed around it."""

import io
import json
import os
import signal
import sys
import threading
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness.plugin.protocols import Labeler, block_names
from harness.plugin.task import Predictions, Task
from harness.run.answers import find_answer_error, read_answer
from harness.run.worker import ANSWER_FILE, save_predictions
from harness.suite import spec
from harness.testing.examples import example_task
from harness.utils.memory import children_of

TORCH_DEFAULTS = ("torch.float32", True)  # type of numbers; whether gradients are recorded


@dataclass(frozen=True, eq=False)
class Observation:
    """The answer to a task, and the names of what changed meanwhile."""

    task: Task
    result: Any
    changed: frozenset[str]
    printed: int  # characters

    @property
    def predictions(self) -> Predictions:
        return self.result if isinstance(self.result, Predictions) else Predictions(self.result)


_last: list[tuple[str, Observation]] = []  # the checks of one labeler share its answer


def small_task(labeler: Labeler, n: int = 30, m: int = 12, n_classes: int = 3, seed: int = 0) -> Task:
    """Return a small example task with every block that a labeler names."""
    return example_task(block_names(labeler), n, m, n_classes, seed)


def observe(labeler: Labeler) -> Observation:
    """Return the answer to a small task, in an empty folder.

    The last answer is kept: equal labelers share it.
    """
    name = f"{type(labeler).__module__}.{type(labeler).__qualname__} {labeler!r}"
    if not _last or _last[0][0] != name:
        _last[:] = [(name, _observe(labeler))]
    return _last[0][1]


def _observe(labeler: Labeler) -> Observation:
    task, output, handlers = small_task(labeler), io.StringIO(), dict(_handlers())
    with TemporaryDirectory() as folder, chdir(folder), redirect_stdout(output):
        before = _surroundings(labeler, folder)
        try:
            result = labeler.label(task)
            after = _surroundings(labeler, folder)
        finally:
            for number, handler in handlers.items():
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
    changed = frozenset(name for name, value in after.items() if value != before[name])
    return Observation(task, result, changed, len(output.getvalue()))


def _handlers() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}


def _surroundings(labeler: Labeler, folder: str) -> dict[str, object]:
    """Return what a labeler must leave as it is, by name."""
    mask = os.umask(0)
    os.umask(mask)
    torch = sys.modules.get("torch")
    return {
        "working directory": str(Path.cwd()),
        "environment": dict(os.environ),
        "files": sorted(path.name for path in Path(folder).iterdir()),
        "children": sorted(children_of(os.getpid())),
        "signal handlers": {number: id(handler) for number, handler in _handlers().items()},
        "standard streams": (id(sys.stdout), id(sys.stdin)),
        "recursion limit": sys.getrecursionlimit(),
        "threads": sum(not thread.daemon for thread in threading.enumerate()),
        "print options": str(np.get_printoptions()),
        "umask": mask,
        "spec": json.dumps(spec.to_spec(labeler)),
        "torch": TORCH_DEFAULTS if torch is None else (str(torch.get_default_dtype()), torch.is_grad_enabled()),
    }


def stored_error(observation: Observation) -> str | None:
    """Return why an answer cannot be stored as a cell, or None.

    It is written as a worker writes it, and read as the parent reads it.
    """
    task = observation.task
    with TemporaryDirectory() as folder, chdir(folder):
        answer = save_predictions(observation.predictions)
        answer |= {"status": "ok", "reason": "", "seconds": 0.0, "memory": 0, "searches": []}
        Path(ANSWER_FILE).write_text(json.dumps(answer))
        read = read_answer(Path(folder)) or {"status": "failed", "reason": "is not there"}
        if read["status"] != "ok":
            return str(read["reason"])
        return find_answer_error(Path(folder), len(task.to_label), task.n_classes, read)
