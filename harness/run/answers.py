"""Read and check the answer that a worker left in its folder."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from harness.errors import clean_lines
from harness.plugin.facts import find_table_error
from harness.plugin.task import Predictions, find_error
from harness.run.worker import ANSWER_FILE
from harness.utils.processes import LOG_FILE


def read_answer(folder: Path) -> dict[str, Any] | None:
    """Return the content of ANSWER_FILE; None where the worker left none."""
    try:
        answer = json.loads((folder / ANSWER_FILE).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(answer, dict) or not {"status", "reason"} <= answer.keys():
        return None
    return answer | {"reason": clean_lines(str(answer["reason"]).partition("\n")[0])}


def find_answer_error(folder: Path, m: int, n_classes: int, answer: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a worker's arrays for m rows, or None.

    The parent does not rely on the worker's own check. Sound arrays get the labels that they imply beside them.
    """
    checkpoints, files = answer["checkpoints"], answer["files"]
    _remove_unlisted(folder, {LOG_FILE, *files})
    try:
        proba = np.load(folder / "proba.npy", allow_pickle=False)
        states = np.load(folder / "checkpoints.npy", allow_pickle=False) if checkpoints else []
        rows = dict(np.load(folder / "rows.npz", allow_pickle=False)) if "rows.npz" in files else {}
        predictions = Predictions(proba, {}, dict(zip(checkpoints, states, strict=True)), rows)
    except (OSError, ValueError, BadZipFile) as error:
        return f"left an unreadable answer: {error}"
    fault = find_error(predictions, m, n_classes) or find_table_error(answer["facts"])
    if fault is None:
        np.save(folder / "labels.npy", proba.argmax(axis=1).astype(np.uint8), allow_pickle=False)
    return fault


def _remove_unlisted(folder: Path, names: set[str]) -> None:
    """Remove all but the named files: a labeler may have left others."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in names or path.is_symlink() or not path.is_file():
            path.unlink()
