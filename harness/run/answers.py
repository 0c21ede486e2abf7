"""Read and check the answer that a worker left in its folder.

Nothing in the folder is relied on: a labeler can write there too.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from harness.errors import describe_error, first_line, printable
from harness.plugin.facts import find_table_error
from harness.plugin.task import Predictions, find_error
from harness.run.timing import is_search
from harness.run.worker import ANSWER_FILE
from harness.utils.files import DISK_ERRORS, remove_folder, save_array
from harness.utils.processes import LOG_FILE

MAX_ANSWER_BYTES = 50_000_000  # of ANSWER_FILE: facts, names of checkpoints
ARRAY_FILES = {"proba.npy", "checkpoints.npy", "rows.npz"}


def read_answer(folder: Path) -> dict[str, Any] | None:
    """Return the content of ANSWER_FILE; None where the worker left none.

    An answer of another form counts as failed, with the reason.
    """
    try:
        content = _read_regular(folder / ANSWER_FILE, MAX_ANSWER_BYTES)
        answer = None if content is None else json.loads(content)
    except (ValueError, RecursionError, MemoryError) as error:
        return {"status": "failed", "reason": f"left an unreadable answer: {describe_error(error)}"}
    if answer is None:
        return None
    form_error = _find_form_error(answer)
    if form_error is not None:
        return {"status": "failed", "reason": f"left an answer that {form_error}"}
    return {**answer, "reason": printable(first_line(answer["reason"]))}


def find_answer_error(folder: Path, m: int, n_classes: int, answer: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a worker's arrays for m rows, or None.

    The parent does not rely on the worker's own check. Sound arrays get the labels that they imply beside them. Raises
    OSError where the disk is full or broken.
    """
    try:
        remove_unlisted(folder, {LOG_FILE, *answer["files"]})
        predictions = _load_predictions(folder, m, answer)
        fault = find_error(predictions, m, n_classes) or find_table_error(answer["facts"])
        if fault is None:
            labels = predictions.proba.argmax(axis=1).astype(np.uint8)
            save_array(folder / "labels.npy", labels)
    except Exception as error:  # whatever NumPy and zipfile raise on damaged files
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise  # no fault of the worker
        return f"left an unreadable answer: {describe_error(error)}"
    return fault


def remove_unlisted(folder: Path, names: set[str]) -> None:
    """Remove all but the named files: a labeler may have left others."""
    for path in list(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            remove_folder(path)
        elif path.name not in names or not is_regular(path):
            path.unlink()


def is_regular(path: Path) -> bool:
    """Return True for a file that is no link, pipe or device."""
    return path.is_file() and not path.is_symlink()


def _read_regular(file: Path, limit: int) -> str | None:
    """Return a file's text; None where it is no regular file.

    A named pipe is not waited for. Raises ValueError for more than `limit` bytes.
    """
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            return None
        if state.st_size > limit:
            raise ValueError(f"{state.st_size:,} bytes of facts and names, at most {limit:,} are stored")
        return b"".join(iter(lambda: os.read(handle, 2**20), b"")).decode()
    finally:
        os.close(handle)


def _load_predictions(folder: Path, m: int, answer: Mapping[str, Any]) -> Predictions:
    """Load the arrays that an answer names.

    As memory maps or after a look at their sizes: a header may claim any shape.
    """
    names, rows = answer["checkpoints"], {}
    proba = np.load(folder / "proba.npy", mmap_mode="r", allow_pickle=False)
    states = np.load(folder / "checkpoints.npy", mmap_mode="r", allow_pickle=False) if names else []
    if "rows.npz" in answer["files"]:
        with ZipFile(folder / "rows.npz") as archive:
            largest = max((entry.file_size for entry in archive.infolist()), default=0)
        if largest > 16 * m + 10_000:  # the largest numbers of NumPy, and a header
            raise ValueError(f"an array by row has {largest:,} bytes for {m:,} rows")
        with np.load(folder / "rows.npz", allow_pickle=False) as arrays:
            rows = dict(arrays)
    return Predictions(
        proba.view(np.ndarray),
        answer["facts"],
        {name: np.asarray(state) for name, state in zip(names, states, strict=True)},
        rows,
    )


def _find_form_error(answer: object) -> str | None:
    """Return the first error in the form of an answer, or None."""
    if not isinstance(answer, dict) or answer.get("status") not in ("ok", "failed", "not applicable"):
        return "has no status"
    if not isinstance(answer.get("reason"), str):
        return "has no reason"
    if answer["status"] != "ok":
        return None
    files, names, searches = answer.get("files"), answer.get("checkpoints"), answer.get("searches")
    if not isinstance(files, list) or not all(isinstance(name, str) for name in files) or set(files) - ARRAY_FILES:
        return f"names other files than {', '.join(sorted(ARRAY_FILES))}"
    if not isinstance(names, list) or len({str(name) for name in names}) < len(names):
        return "has no list of different checkpoints"
    if not isinstance(answer.get("facts"), dict):
        return "has no facts"
    if not all(_is_size(answer.get(name)) for name in ("seconds", "memory")):
        return "has no seconds and memory"
    if not isinstance(searches, list) or not all(map(is_search, searches)):
        return "has no list of searches"
    return None


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < 2**63
