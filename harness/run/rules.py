"""Learn a rule, and label rows by one, in a confined worker."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.tasks import make_task
from harness.errors import DataError, PluginError
from harness.plugin.block import Block
from harness.plugin.task import Task
from harness.run.access import cell_access
from harness.run.answers import is_regular, read_answer
from harness.run.blocks import open_block
from harness.run.executor import make_processes, references_of
from harness.run.plan import Cell
from harness.run.rule_worker import ARRAYS_FILE, FORM_FILE, PROBA_FILE, label_by_rule, learn_in_worker
from harness.run.runner import Options, Run
from harness.suite import spec
from harness.suite.candidates import Candidate
from harness.suite.catalog import Catalog
from harness.utils.files import remove_folder
from harness.utils.processes import Child, Limits

NO_ROWS = np.empty(0, np.int64)


@dataclass(frozen=True)
class LearntRule:
    """A rule that a worker has learnt."""

    form: Any  # what its arrays are, JSON
    blocks: tuple[str, ...]  # that it reads, in the order of the cell's


def learn_rule(run: Run, cell: Cell, folder: Path) -> LearntRule:
    """Learn the rule of a finished cell.

    The arrays are in ARRAYS_FILE of `folder`. The labeler is trained once more; the rule, as it is read back from its
    files, must give the probabilities of the cell, to the byte. Raises PluginError where it does not.
    """
    labeler = cell.candidate.labeler
    task = make_task(
        run.dataset, cell.evaluation.split, {name: open_block(run.recipes[name], run.cache) for name in cell.blocks}
    )
    arguments = (spec.to_spec(labeler), references_of(labeler, run.catalog), task, run.options.engine)
    processes = make_processes([cell.candidate], run.options)
    child = processes.start(learn_in_worker, arguments, folder.absolute(), cell_access(labeler, task, run.catalog))
    answer = _await(child, run.options.limits, cell.candidate.title)
    if not is_regular(folder / FORM_FILE) or not is_regular(folder / ARRAYS_FILE):
        raise PluginError(f"{cell.candidate.title}: its worker left no rule")
    proba = _open_proba(folder, len(task.to_label), task.n_classes)
    if proba.tobytes() != np.asarray(run.store.read(cell.key).proba).tobytes():
        raise PluginError(
            f"{cell.candidate.title}: what it learns gives other probabilities than its label(), so nothing is saved; "
            f"harness check {labeler.name} finds why"
        )
    read = answer["facts"].get("blocks", ())
    return LearntRule(json.loads((folder / FORM_FILE).read_text()), tuple(name for name in cell.blocks if name in read))


def label_rows(
    candidate: Candidate,
    form: Any,
    arrays_file: Path,
    blocks: Mapping[str, Block],
    rows: int,
    n_classes: int,
    catalog: Catalog,
    options: Options,
    folder: Path,
) -> NDArray[np.float32]:
    """Return (rows, C) probabilities of the rows of blocks by a stored rule.

    They are a memory map of a file in `folder`.
    """
    labeler = candidate.labeler
    access = cell_access(labeler, Task(blocks, NO_ROWS, NO_ROWS, NO_ROWS, n_classes), catalog)
    access = replace(access, reads=(*access.reads, str(arrays_file.absolute())))
    references = references_of(labeler, catalog)
    arguments = (spec.to_spec(labeler), references, str(arrays_file.absolute()), form, blocks, rows, n_classes)
    processes = make_processes([candidate], options)
    child = processes.start(label_by_rule, (*arguments, options.engine), folder.absolute(), access)
    _await(child, options.limits, candidate.title)
    return _open_proba(folder, rows, n_classes)


def _await(child: Child, limits: Limits, title: str) -> Mapping[str, Any]:
    """Return a worker's answer; raise DataError with the reason if it failed."""
    limit = child.wait(limits)
    answer = None if limit else read_answer(child.folder)
    if answer is None or answer["status"] != "ok":
        raise DataError(f"{title}: {limit or (answer or {}).get('reason') or child.describe_exit()}")
    return answer


def _open_proba(folder: Path, rows: int, n_classes: int) -> NDArray[np.float32]:
    """Map what a worker left; raise DataError where it is of another form."""
    try:
        proba: NDArray[np.float32] = np.load(folder / PROBA_FILE, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"a worker left unreadable probabilities: {error}") from None
    if proba.shape != (rows, n_classes) or proba.dtype != np.float32:
        raise DataError(f"a worker left probabilities of shape {proba.shape}, {proba.dtype}")
    return proba


def clear(folder: Path) -> Path:
    """Return the folder, empty."""
    remove_folder(folder)
    folder.mkdir(parents=True)
    return folder
