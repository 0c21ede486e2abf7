"""Parts of one block, made side by side by processes or machines, and joined to the bytes that one run gives."""

import json
import re
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness import prepare, timing
from harness.digest import canonical
from harness.errors import DataError, HarnessError
from harness.items import Items
from harness.lock import locked
from harness.prepare import Recipe
from harness.process import Child, Limits, Processes, visible_gpus
from harness.rowfile import ARRAY, rows_in, write_header

DONE = "shard.json"
MOST = 10_000  # shards of one block
LEAST = 10_000  # rows that make another worker worth starting


@dataclass(frozen=True)
class Shard:
    """The `number`-th, from 1 on, of `of` contiguous parts of ceil(N / of) rows; the last may be shorter, or empty."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"

    def span(self, size: int) -> tuple[int, int]:
        """Return the first row of `size` and the one after the last."""
        rows = -(-size // self.of)
        return min((self.number - 1) * rows, size), min(self.number * rows, size)


def shard(text: str) -> Shard:
    """Read "2/8", the second of eight. Raises HarnessError."""
    found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= MOST:
        raise HarnessError(f"--shard {text}: must be i/n, from 1/n to n/n, such as 2/8; n is at most {MOST:,}")
    return Shard(int(found[1]), int(found[2]))


def slots(workers: int, device: str, alone: bool) -> tuple[str | None, ...]:
    """Return the GPU of each worker, None for those it sees anyway: `workers` many, or one for each visible GPU.

    `alone` says that there is one part to make. Raises DataError where no GPU is visible to be used.
    """
    gpus = visible_gpus() if device == "cuda" else ()
    if device == "cuda" and not gpus:
        raise DataError("--device cuda: CUDA_VISIBLE_DEVICES hides every GPU; use --device cpu")
    if alone:
        return (None,)
    return tuple(gpus[i % len(gpus)] if gpus else None for i in range(workers or len(gpus) or 1))


def can_be_cut(recipe: Recipe) -> bool:
    """Say whether the rows of a block can be made apart: none of them needs another."""
    return bool(getattr(recipe.maker, "resumable", True) if recipe.kind == "embedding" else _rowwise(recipe))


def _rowwise(recipe: Recipe) -> bool:
    return bool(getattr(recipe.maker, "rowwise", False))


def hands(recipe: Recipe, rows: int, cores: int) -> tuple[None, ...]:
    """Return the workers of a feature set, one for each of `cores` where there is work for it; of other blocks one."""
    return (None,) * (max(1, min(cores, rows // LEAST)) if _rowwise(recipe) else 1)


def make(
    recipe: Recipe,
    items: Items,
    cache: Path,
    processes: Processes,
    limits: Limits,
    progress: Callable[[int], None],
    workers: tuple[str | None, ...] = (None,),
) -> None:
    """Make a block with one worker for each of `workers`, the GPU that it shall see or None.

    Shards that a killed run has begun are gone on with, however many there were. `progress` is told how many rows are
    there. Raises DataError where the block cannot be made, InUse where another process makes a part of it.
    """
    of = (_begun(recipe, cache) or len(workers)) if can_be_cut(recipe) else 1
    if of == 1:
        prepare.make(recipe, items, cache, processes, limits, progress)
        return
    every = tuple(Shard(number, of) for number in range(1, of + 1))
    make_some(every, recipe, items, cache, processes, limits, progress, workers)


def make_some(
    shards: tuple[Shard, ...],
    recipe: Recipe,
    items: Items,
    cache: Path,
    processes: Processes,
    limits: Limits,
    progress: Callable[[int], None],
    workers: tuple[str | None, ...] = (None,),
) -> None:
    """Make these shards, all of one number, and join the block if it was the last that lacked."""
    if prepare.is_made(recipe, cache):
        return
    with ExitStack() as stack:
        for each in shards:
            stack.enter_context(locked(_folder(each, recipe, cache) / "lock", wait=False))
        waiting = [each for each in missing(recipe, items, cache, shards[0].of) if each in shards]
        if not prepare.is_made(recipe, cache):  # by somebody who has joined it meanwhile
            _run(
                waiting,
                recipe,
                items,
                cache,
                processes,
                limits,
                lambda: progress(_rows(shards, recipe, cache)),
                workers,
            )
            _join(recipe, items, cache, shards[0].of)


def missing(recipe: Recipe, items: Items, cache: Path, of: int) -> list[Shard]:
    """Return the shards that are not finished. An empty one always is."""
    if prepare.is_made(recipe, cache):
        return []
    every = (Shard(number, of) for number in range(1, of + 1))
    return [each for each in every if not _is_there(each, recipe, len(items), cache)]


def _run(
    waiting: list[Shard],
    recipe: Recipe,
    items: Items,
    cache: Path,
    processes: Processes,
    limits: Limits,
    report: Callable[[], None],
    workers: tuple[str | None, ...],
) -> None:
    """Run the shards, at most one for each of `workers` at a time. One that fails ends the others."""
    free, running = list(reversed(workers)), dict[Shard, tuple[Child, str | None, int]]()
    waiting = waiting[::-1]
    try:
        while waiting or running:
            while waiting and free:
                each, gpu = waiting.pop(), free.pop()
                folder = _folder(each, recipe, cache)
                before = rows_in(folder / ARRAY)
                child = prepare.begin(recipe, items, processes, folder, each.span(len(items)), gpu)
                running[each] = child, gpu, before
            time.sleep(0.1)
            for each, (child, gpu, before) in list(running.items()):
                stopped = child.over(limits) if child.process.is_alive() else None
                if stopped is not None or not child.process.is_alive():
                    child.kill()
                    about = prepare.ended(recipe, child, stopped)
                    prepare.cost(recipe, child, before)
                    (child.folder / DONE).write_text(canonical(about))
                    del running[each]
                    free.append(gpu)
            report()
    finally:
        for child, _, _ in running.values():
            child.kill()


def _join(recipe: Recipe, items: Items, cache: Path, of: int) -> None:
    """Put the shards together if all are there; the bytes are those of a block made in one go."""
    folder = cache / "blocks" / recipe.key
    with locked(folder.with_suffix(".lock")):
        if prepare.is_made(recipe, cache) or missing(recipe, items, cache, of):
            return
        every = [Shard(number, of) for number in range(1, of + 1)]
        parts = [folder for folder in (_folder(each, recipe, cache) for each in every) if (folder / ARRAY).exists()]
        widths = {np.load(part / ARRAY, mmap_mode="r").shape[1] for part in parts}
        if len(widths) > 1:
            raise DataError(
                f"block {recipe.name!r}: its shards have {sorted(widths)} columns; remove {parts[0].parent}"
            )
        joined = folder.with_suffix(".joined")
        shutil.rmtree(joined, ignore_errors=True)
        joined.mkdir(parents=True)
        with (joined / ARRAY).open("wb") as out:
            write_header(out, len(items), *widths)
            for part in parts:
                with (part / ARRAY).open("rb") as source:
                    np.lib.format.read_magic(source)
                    np.lib.format.read_array_header_1_0(source)
                    shutil.copyfileobj(source, out, 2**24)
        timing.note(joined, **_cost_of(parts))
        prepare.finish(joined, folder, json.loads((parts[0] / DONE).read_text()))
    for each in every:
        shutil.rmtree(_folder(each, recipe, cache), ignore_errors=True)
    if not any(_home(recipe, cache).iterdir()):
        _home(recipe, cache).rmdir()


def _cost_of(parts: list[Path]) -> dict[str, Any]:
    """Return what shards have cost together: their seconds added up, the memory of the largest of them."""
    costs = [cost for part in parts if (cost := timing.noted(part))]
    if not costs:
        return {}
    sums: dict[str, Any] = {name: sum(cost[name] for cost in costs) for name in ("seconds", "rows")}
    return {**costs[0], **sums, "memory": max(cost["memory"] for cost in costs)}


def _home(recipe: Recipe, cache: Path) -> Path:
    return (cache / "blocks" / recipe.key).with_suffix(".shards").absolute()


def _folder(each: Shard, recipe: Recipe, cache: Path) -> Path:
    return _home(recipe, cache) / str(each)


def _is_there(each: Shard, recipe: Recipe, size: int, cache: Path) -> bool:
    start, stop = each.span(size)
    folder = _folder(each, recipe, cache)
    return start == stop or ((folder / DONE).exists() and rows_in(folder / ARRAY) == stop - start)


def _rows(shards: tuple[Shard, ...], recipe: Recipe, cache: Path) -> int:
    return sum(rows_in(_folder(each, recipe, cache) / ARRAY) for each in shards)


def _begun(recipe: Recipe, cache: Path) -> int | None:
    """Return the number of shards that a killed run has cut the block into: of several, that with the most rows."""
    rows: dict[int, int] = {}
    for folder in _home(recipe, cache).glob("*-of-*"):
        of = folder.name.partition("-of-")[2]
        if of.isdecimal():
            rows[int(of)] = rows.get(int(of), 0) + rows_in(folder / ARRAY)
    return max(rows, key=lambda of: (rows[of], of)) if rows else None
