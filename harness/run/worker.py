"""Run one labeler on one Task, inside a worker process."""

import errno
import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import NotApplicable, describe_error, first_line, printable
from harness.plugin.task import Predictions, Task, find_error
from harness.search.engine import Engine, use_engine
from harness.suite import spec
from harness.suite.catalog import resolve
from harness.utils.files import replace_text, save_array
from harness.utils.hashing import canonical_json

ANSWER_FILE = "answer.json"
References = dict[str, tuple[str, str, str | None]]


def label_in_worker(
    labeler_spec: Mapping[str, Any], references: References, task: Task, engine: Engine = "auto"
) -> None:
    """Run a labeler on a task; write its answer to the current folder."""

    def label(labeler: Any) -> dict[str, Any]:
        folder, started = Path.cwd(), time.perf_counter()
        try:
            with use_engine(engine) as searches:
                result = labeler.label(task)
        finally:
            os.chdir(folder)
        seconds = time.perf_counter() - started
        fault = find_error(result, len(task.to_label), task.n_classes)
        if fault is not None:
            return {"status": "failed", "reason": fault}
        predictions = result if isinstance(result, Predictions) else Predictions(result)
        return save_predictions(predictions) | {"seconds": seconds, "memory": _peak_memory(), "searches": searches}

    write_answer(labeler_spec, references, label)


def write_answer(
    labeler_spec: Mapping[str, Any], references: References, work: Callable[[Any], dict[str, Any]]
) -> None:
    """Build a labeler, let it work, and write the outcome to ANSWER_FILE.

    That has the status, the reason of a failure, and what `work` returns: such as the names of the files with arrays.
    """
    answer: dict[str, Any] = {"status": "failed", "reason": ""}
    folder = Path.cwd()
    try:
        answer = {"status": "ok", "reason": ""} | work(spec.from_spec(labeler_spec, finder(references)))
    except NotApplicable as error:
        answer = {"status": "not applicable", "reason": first_line(str(error))}
    except MemoryError:
        answer["reason"] = "MemoryError: out of memory"
    except PermissionError as error:
        answer["reason"] = describe_denial(error)
    except SystemExit:
        raise
    except BaseException as error:  # a panic of a Rust library is no Exception
        traceback.print_exc()
        answer["reason"] = describe_error(error)
    replace_text(folder / ANSWER_FILE, canonical_json(answer))


def finder(references: References) -> Callable[[str, str], type[Any]]:
    """Return the function by which `spec.from_spec` finds labelers."""
    return lambda _kind, name: resolve(references[name])


def describe_denial(error: PermissionError) -> str:
    """Return what a confined labeler tried, and how to declare it."""
    innermost = traceback.extract_tb(error.__traceback__)[-1].filename
    if Path(innermost).name == "socket.py":
        return "may not open a socket: a plugin that needs the network declares `network: ClassVar[bool] = True`"
    if error.errno == errno.EACCES:
        path = printable(str(error.filename or error).splitlines()[0])
        return f"may not use {path}: a worker has its task alone; a plugin declares what else it reads: `reads`"
    return f"PermissionError: {printable(str(error))}"


def save_predictions(predictions: Predictions) -> dict[str, Any]:
    """Save the arrays to the current folder; return what names them."""
    facts = json.loads(json.dumps(dict(predictions.facts), default=_to_json, allow_nan=False))
    save_array(Path("proba.npy"), predictions.proba.astype(np.float32))
    files = ["proba.npy"]
    if predictions.checkpoints:
        save_array(Path("checkpoints.npy"), np.stack(list(predictions.checkpoints.values())))
        files.append("checkpoints.npy")
    if predictions.rows:
        np.savez("rows.npz", allow_pickle=False, **dict(predictions.rows))
        files.append("rows.npz")
    return {"facts": facts, "checkpoints": list(predictions.checkpoints), "files": files}


def _to_json(value: object) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"facts must be JSON values, got {type(value).__name__}")


def _peak_memory() -> int:
    from harness.utils.memory import memory_of

    return memory_of(os.getpid())
