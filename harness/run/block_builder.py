"""Build blocks: workers write shards, which are joined to one array.

The array has the bytes that one worker would write.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.plugin.items import Items, columns_of
from harness.run import timing
from harness.run.block_writer import ARRAY_FILE, OUTCOME_FILE, count_rows, write_block, write_header
from harness.run.blocks import Recipe, is_made, sealed_block
from harness.run.shards import Shard, can_be_sharded, is_rowwise
from harness.suite import spec
from harness.utils.files import check_space, remove_folder, replace_text, sync
from harness.utils.hashing import canonical_json
from harness.utils.locks import hold_lock
from harness.utils.processes import LOG_FILE, Child, Limits, Processes, wait_any

SHARD_FILE = "shard.json"  # stands beside the rows of a finished shard
SPARE_BYTES = 2**20  # that must be free beside the rows of a shard that has failed
MIN_ROWS_PER_WORKER = 5_000  # that make another worker worth starting

Slots = tuple[str | None, ...]
"""One item for each worker that may run at a time: its GPU, or None for all visible ones."""


def default_slots(recipe: Recipe, rows: int, cores: int) -> Slots:
    """Return a slot per core for a large row-wise feature set, else one slot."""
    return (None,) * (max(1, min(cores, rows // MIN_ROWS_PER_WORKER)) if is_rowwise(recipe) else 1)


def build_block(
    recipe: Recipe,
    items: Items,
    cache: Path,
    processes: Processes,
    limits: Limits,
    progress: Callable[[int], None],
    slots: Slots = (None,),
) -> None:
    """Build a block by one worker, and so one shard, for each of `slots`.

    `progress` is called with the number of finished rows. Shards that a killed run began are continued, however many
    there were. Raises DataError where the block cannot be built, InUse where another process builds a shard of it.
    """
    clear_shards(recipe, cache)
    number_of_shards = (_started_count(recipe, cache) or len(slots)) if can_be_sharded(recipe) else 1
    shards = [Shard(number, number_of_shards) for number in range(1, number_of_shards + 1)]
    with hold_lock(_lock(recipe, cache)):
        if not is_made(recipe, cache):
            _run_missing(shards, recipe, items, cache, processes, limits, progress, slots)
            _join_shards(recipe, items, cache, number_of_shards)


def build_shards(
    shards: list[Shard],
    recipe: Recipe,
    items: Items,
    cache: Path,
    processes: Processes,
    limits: Limits,
    progress: Callable[[int], None],
    slots: Slots = (None,),
) -> None:
    """Build shards of one block, and join them if no other is missing."""
    if is_made(recipe, cache):
        return
    _run_missing(shards, recipe, items, cache, processes, limits, progress, slots)
    with hold_lock(_lock(recipe, cache)):
        _join_shards(recipe, items, cache, shards[0].count)


def clear_shards(recipe: Recipe, cache: Path) -> None:
    """Remove the shards of a finished block.

    A run that is killed after it has joined them leaves them behind.
    """
    folder = _block_folder(recipe, cache)
    if folder.exists() and is_made(recipe, cache):
        with hold_lock(_lock(recipe, cache)):
            remove_folder(folder)


def missing_shards(recipe: Recipe, items: Items, cache: Path, count: int) -> list[Shard]:
    """Return the unfinished shards of `count`; an empty one is finished."""
    if is_made(recipe, cache):
        return []
    shards = (Shard(number, count) for number in range(1, count + 1))
    return [shard for shard in shards if not _is_finished(shard, recipe, len(items), cache)]


def _run_missing(
    shards: list[Shard],
    recipe: Recipe,
    items: Items,
    cache: Path,
    processes: Processes,
    limits: Limits,
    progress: Callable[[int], None],
    slots: Slots,
) -> None:
    """Run the shards that are not finished, each under its lock."""
    with ExitStack() as locks:
        for shard in shards:
            locks.enter_context(hold_lock(_shard_folder(shard, recipe, cache) / "lock", wait=False))
        waiting = [shard for shard in missing_shards(recipe, items, cache, shards[0].count) if shard in shards]

        def report() -> None:
            progress(sum(count_rows(_shard_folder(shard, recipe, cache) / ARRAY_FILE) for shard in shards))

        _run_shards(waiting, recipe, items, cache, processes, limits, report, slots)


def _run_shards(
    waiting: list[Shard],
    recipe: Recipe,
    items: Items,
    cache: Path,
    processes: Processes,
    limits: Limits,
    report: Callable[[], None],
    slots: Slots,
) -> None:
    """Run the shards, one in each slot at a time; a failure ends all."""
    free, waiting = list(reversed(slots)), waiting[::-1]
    running = dict[int, tuple[Child, str | None, int]]()
    try:
        while waiting or running:
            while waiting and free:
                shard, gpu = waiting.pop(), free.pop()
                folder = _shard_folder(shard, recipe, cache)
                rows_before = count_rows(folder / ARRAY_FILE)
                child = _start_worker(recipe, items, processes, folder, shard.span(len(items)), gpu)
                running[id(child)] = child, gpu, rows_before
            for child, limit in wait_any([child for child, _, _ in running.values()], limits, timeout=0.1):
                _, gpu, rows_before = running.pop(id(child))
                outcome = _read_outcome(recipe, child, limit)
                _record_cost(recipe, child, rows_before)
                sync(child.folder / ARRAY_FILE)
                replace_text(child.folder / SHARD_FILE, canonical_json(outcome))
                free.append(gpu)
            report()
    finally:
        for child, _, _ in running.values():
            child.kill()


def _start_worker(
    recipe: Recipe, items: Items, processes: Processes, folder: Path, span: tuple[int, int], gpu: str | None
) -> Child:
    """Start a worker that appends rows `span` of a block to folder/array.npy."""
    (folder / OUTCOME_FILE).unlink(missing_ok=True)
    if getattr(recipe.maker, "text_only", False) and items.text is not None:
        items = replace(items, columns=columns_of(items.text), hidden=(), file_raters=None)
    job = (spec.to_spec(recipe.maker), recipe.reference, recipe.kind, recipe.name, items, span, gpu)
    return processes.start(write_block, job, folder)


def _read_outcome(recipe: Recipe, child: Child, limit: str | None) -> dict[str, Any]:
    """Return what an ended worker wrote, {"kind": ..., "names": ...}.

    Raises DataError with the reason where it failed or passed a `limit`, OSError where its disk is full.
    """
    try:
        outcome: dict[str, Any] | None = json.loads((child.folder / OUTCOME_FILE).read_text())
    except (OSError, ValueError):
        outcome = None
    if limit or outcome is None or "error" in outcome:
        array = child.folder / ARRAY_FILE
        check_space(child.folder.parent, SPARE_BYTES + (array.stat().st_size if array.exists() else 0))
    if limit or outcome is None:
        raise DataError(f"block {recipe.name!r}: {limit or child.describe_exit()}; see {child.folder / LOG_FILE}")
    if "error" in outcome:
        raise DataError(outcome["error"])
    return outcome


def _record_cost(recipe: Recipe, child: Child, rows_before: int) -> None:
    """Write an ended worker's cost; `rows_before` rows are not its own."""
    rows = count_rows(child.folder / ARRAY_FILE) - rows_before
    timing.write_timing(
        child.folder, seconds=child.seconds, memory=child.peak, rows=rows, spec=spec.to_spec(recipe.maker)
    )


def _join_shards(recipe: Recipe, items: Items, cache: Path, count: int) -> None:
    """Join the shards to the finished block if none is missing.

    The caller holds the block's lock.
    """
    if is_made(recipe, cache) or missing_shards(recipe, items, cache, count):
        return
    shards = [Shard(number, count) for number in range(1, count + 1)]
    parts = [folder for shard in shards if ((folder := _shard_folder(shard, recipe, cache)) / ARRAY_FILE).exists()]
    widths = {np.load(part / ARRAY_FILE, mmap_mode="r").shape[1] for part in parts}
    if len(widths) > 1:
        raise DataError(f"block {recipe.name!r}: its shards have {sorted(widths)} columns; remove {parts[0].parent}")
    joined = _block_folder(recipe, cache).with_suffix(".joined")
    shutil.rmtree(joined, ignore_errors=True)
    joined.mkdir(parents=True)
    if len(parts) == 1:
        _link_or_move(parts[0] / ARRAY_FILE, joined / ARRAY_FILE)
    else:
        _concatenate(parts, len(items), widths.pop(), joined / ARRAY_FILE)
    timing.write_timing(joined, **_total_cost(parts))
    _commit_block(recipe, cache, joined, _read_shard(parts[0]) or {})
    for shard in shards:
        shutil.rmtree(_shard_folder(shard, recipe, cache), ignore_errors=True)
    if not any(_block_folder(recipe, cache).iterdir()):
        _block_folder(recipe, cache).rmdir()
    sealed_block(recipe, cache).mark_as_verified()  # after the last change of its files: the array had two names


def _link_or_move(source: Path, target: Path) -> None:
    """Give a file a second name, so that a kill loses nothing of it."""
    try:
        os.link(source, target)
    except OSError:  # a disk without hard links
        source.rename(target)


def _concatenate(parts: list[Path], rows: int, width: int, target: Path) -> None:
    """Concatenate the arrays of the parts to one of (rows, width)."""
    with target.open("wb") as out:
        write_header(out, rows, width)
        for part in parts:
            with (part / ARRAY_FILE).open("rb") as source:
                np.lib.format.read_magic(source)
                np.lib.format.read_array_header_1_0(source)
                shutil.copyfileobj(source, out, 2**24)


def _commit_block(recipe: Recipe, cache: Path, joined: Path, outcome: Mapping[str, Any]) -> None:
    """Turn the folder of a complete array into that of a finished block."""
    folder = sealed_block(recipe, cache)
    sealed_block(recipe, cache, joined).seal(outcome)
    remove_folder(folder.path)
    joined.rename(folder.path)
    sync(folder.path.parent)


def _total_cost(parts: list[Path]) -> dict[str, Any]:
    """Return the sum of the shards' seconds and rows, and the largest memory."""
    costs = [cost for part in parts if (cost := timing.read_timing(part))]
    if not costs:
        return {}
    sums: dict[str, Any] = {name: sum(cost[name] for cost in costs) for name in ("seconds", "rows")}
    return {**costs[0], **sums, "memory": max(cost["memory"] for cost in costs)}


def _lock(recipe: Recipe, cache: Path) -> Path:
    return (cache / "blocks" / recipe.key).with_suffix(".lock")


def _block_folder(recipe: Recipe, cache: Path) -> Path:
    return (cache / "blocks" / recipe.key).with_suffix(".shards").absolute()


def _shard_folder(shard: Shard, recipe: Recipe, cache: Path) -> Path:
    return _block_folder(recipe, cache) / str(shard)


def _is_finished(shard: Shard, recipe: Recipe, size: int, cache: Path) -> bool:
    start, stop = shard.span(size)
    folder = _shard_folder(shard, recipe, cache)
    return start == stop or (_read_shard(folder) is not None and count_rows(folder / ARRAY_FILE) == stop - start)


def _read_shard(folder: Path) -> dict[str, Any] | None:
    """Return the record of a finished shard; None where it is damaged."""
    try:
        record = json.loads((folder / SHARD_FILE).read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and {"kind", "names"} <= record.keys() else None


def _started_count(recipe: Recipe, cache: Path) -> int | None:
    """Return the number of shards that a killed run began, or None.

    Of several such numbers, it is the one with the most rows.
    """
    rows: dict[int, int] = {}
    for folder in _block_folder(recipe, cache).glob("*-of-*"):
        count = folder.name.partition("-of-")[2]
        if count.isdecimal():
            rows[int(count)] = rows.get(int(count), 0) + count_rows(folder / ARRAY_FILE)
    return max(rows, key=lambda count: (rows[count], count)) if rows else None
