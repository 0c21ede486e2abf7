"""Phase one: every cell in a process of its own that is handed a spec and a Task, and never a hidden label."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from harness.data.dataset import Dataset
from harness.data.tasks import make_task
from harness.plugin.block import Block
from harness.plugin.facts import find_table_error
from harness.plugin.needs import Among, needs
from harness.plugin.precomputed import PrecomputedNeighbors
from harness.plugin.protocols import iter_plugins
from harness.plugin.task import Predictions, find_error
from harness.run.estimates import cost_features
from harness.run.plan import Cell, EvaluationSplit
from harness.run.scheduler import MemoryBudget
from harness.run.store import Store
from harness.run.worker import ANSWER_FILE, References, label_in_worker
from harness.search.engine import Engine
from harness.suite import spec
from harness.suite.catalog import Catalog
from harness.utils.processes import LOG_FILE, Child, Limits, Processes, wait_any

MAX_KEPT_LOG = 100_000  # bytes of a cell's log that stay with it
NeighborLists = dict[EvaluationSplit, dict[tuple[tuple[str, ...], Among], PrecomputedNeighbors]]


@dataclass(frozen=True)
class Outcome:
    """How one cell ended: "ok", "failed" or "not applicable", and why."""

    cell: Cell
    status: str
    reason: str = ""
    seconds: float = 0.0


def run_cells(
    cells: list[Cell],
    dataset: Dataset,
    blocks: Mapping[str, Block],
    lists: NeighborLists,
    catalog: Catalog,
    store: Store,
    processes: Processes,
    limits: Limits,
    jobs: int,
    report: Callable[[Outcome], None],
    budget: MemoryBudget,
    engine: Engine = "auto",
) -> None:
    """Run the cells, `jobs` at a time, and commit each as it ends. Whatever a cell does, the others go on.

    Cells start in the order given, but one for which there is no `budget` beside those that run lets others pass.
    """
    # Labelers that differ in name alone have one key, and so one cell.
    waiting, running = list({cell.key: cell for cell in cells}.values())[::-1], dict[int, tuple[Cell, Child]]()
    ended: list[tuple[Cell, Child, str | None]] = []
    try:
        while waiting or running or ended:
            while len(running) < jobs and (cell := budget.take(waiting, [cell for cell, _ in running.values()])):
                child = _start(cell, dataset, blocks, lists, catalog, store, processes, engine)
                running[id(child)] = cell, child
            for cell, child, stopped in ended:  # while others run: a commit waits for the disk
                report(_commit_or_fail(cell, child, stopped, dataset.n_classes, store, blocks, processes.threads))
            limits_passed = wait_any([child for _, child in running.values()], limits, timeout=0.05)
            ended = [(*running.pop(id(child)), limit) for child, limit in limits_passed]
    finally:
        for _, child in running.values():
            child.kill()


def _start(
    cell: Cell,
    dataset: Dataset,
    blocks: Mapping[str, Block],
    lists: NeighborLists,
    catalog: Catalog,
    store: Store,
    processes: Processes,
    engine: Engine,
) -> Child:
    folder = store.scratch / cell.key
    folder.mkdir()
    labeler = cell.candidate.labeler
    references: References = {plugin.name: catalog.of(plugin).reference() for plugin in iter_plugins(labeler)}
    task = make_task(dataset, cell.evaluation.split, {name: blocks[name] for name in cell.blocks})
    here = lists.get(cell.evaluation, {})
    asked = {(need.on, need.among) for need in needs(labeler)}
    listed, graphs = (
        {on: here[on, among] for on, among in asked & here.keys() if among == kind} for kind in ("labelled", "all")
    )
    task = replace(task, precomputed=listed, precomputed_graphs=graphs)
    return processes.start(label_in_worker, (spec.to_spec(labeler), references, task, engine), folder.absolute())


def _commit_or_fail(
    cell: Cell,
    child: Child,
    stopped: str | None,
    n_classes: int,
    store: Store,
    blocks: Mapping[str, Block],
    threads: int,
) -> Outcome:
    """Check what the worker left and commit it, or remember why there is nothing."""
    seconds = child.seconds
    answer = None if stopped else _read_answer(child.folder)
    if answer is None:
        status, reason = "failed", stopped or child.describe_exit()
    else:
        status, reason = answer["status"], answer["reason"]
    if status == "ok" and answer is not None:
        reason = _validate(child.folder, len(cell.evaluation.split.test), n_classes, answer) or ""
        status = "failed" if reason else "ok"
    _shorten(child.folder / LOG_FILE)
    if status != "ok" or answer is None:
        _keep_log(child.folder / LOG_FILE, store, cell.key)
        shutil.rmtree(child.folder, ignore_errors=True)
        store.fail(cell.key, {"status": status, "reason": reason, "seconds": seconds})
        return Outcome(cell, status, reason, seconds)
    record = {
        "spec": spec.to_spec(cell.candidate.labeler),
        "split": [
            cell.evaluation.comparison,
            cell.evaluation.split.seed,
            cell.evaluation.split.ratio,
            cell.evaluation.split.fold,
        ],
        "parts": cell.parts,
        "facts": answer["facts"],
        "checkpoints": answer["checkpoints"],
    }
    cost = {"seconds": answer["seconds"], "wall": seconds, "memory": max(child.peak, answer["memory"])}
    asked = cost_features(cell, {name: block.array.shape[1] for name, block in blocks.items()})
    store.commit(cell.key, child.folder, record, cost | {"threads": threads, "searches": answer["searches"]} | asked)
    return Outcome(cell, "ok", "", seconds)


def _validate(folder: Path, m: int, n_classes: int, answer: Mapping[str, Any]) -> str | None:
    """Check the arrays a worker left, by the parent's own eyes, and add the labels they imply."""
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


def _remove_unlisted(folder: Path, kept: set[str]) -> None:
    """Remove whatever a labeler has left in its working folder beside its answer."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in kept or path.is_symlink() or not path.is_file():
            path.unlink()


def _read_answer(folder: Path) -> dict[str, Any] | None:
    try:
        answer = json.loads((folder / ANSWER_FILE).read_text())
    except (OSError, ValueError):
        return None
    whole = isinstance(answer, dict) and {"status", "reason"} <= answer.keys()
    return answer if whole else None


def _shorten(log: Path) -> None:
    if log.exists() and log.stat().st_size > MAX_KEPT_LOG:
        with log.open("r+b") as file:
            file.seek(-MAX_KEPT_LOG, 2)
            tail = file.read()
            file.seek(0)
            file.write(b"... (shortened)\n" + tail)
            file.truncate()


def _keep_log(log: Path, store: Store, key: str) -> None:
    if log.exists():
        log.rename(store.failed / f"{key}.log")
