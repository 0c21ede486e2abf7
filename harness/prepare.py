"""Blocks on disk, made once per content by a worker, and the cut from a dataset to what a labeler may see."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from harness import spec, timing
from harness.catalog import Catalog
from harness.contracts import Split
from harness.dataset import Dataset
from harness.digest import canonical, digest, versions
from harness.errors import DataError
from harness.fuse import Block
from harness.items import Items
from harness.lock import locked
from harness.process import LOG, Child, Limits, Processes
from harness.rowfile import ARRAY, OUTCOME, rows_in, write
from harness.task import Task

SCHEMA = 1


@dataclass(frozen=True)
class Recipe:
    """How one block is made, and the key that its content follows from."""

    name: str
    maker: Any  # Embedder or FeatureSet
    key: str
    reference: tuple[str, str, str | None]
    parts: Mapping[str, Any] = field(default_factory=dict)  # what the key is the hash of, by name

    @property
    def kind(self) -> str:
        return "embedding" if hasattr(self.maker, "embed") else "feature"


def recipes(blocks: Mapping[str, Any], dataset: Dataset, catalog: Catalog, memo: Path) -> dict[str, Recipe]:
    """Return the recipe of every block. Nothing is made."""
    made = {}
    for name, maker in blocks.items():
        made[name] = recipe(name, maker, dataset.items, catalog, memo)
    return made


def recipe(name: str, maker: Any, items: Items, catalog: Catalog, memo: Path) -> Recipe:
    """Return the recipe of one block of these rows; its maker is pinned. Raises DataError where it lacks a file."""
    entry = catalog.of(maker)
    try:
        maker = maker.pinned() if hasattr(maker, "pinned") else maker
        what = spec.identity(maker, memo)
        rows = _texts_of(items, memo) if getattr(maker, "text_only", False) else items.identity
    except DataError as error:
        raise DataError(f"block {name!r}: {error}") from None
    except OSError as error:
        raise DataError(f"block {name!r}: {error.filename}: {error.strerror}") from None
    libraries = versions() | _versions_of(getattr(maker, "requires", ()))
    key = digest(SCHEMA, rows, what, entry.identity(), libraries)
    made_by = {"distribution": f"{entry.distribution} {entry.version}".strip(), "files": entry.code()}
    parts = {"rows": rows, "maker": what, "code": made_by, "libraries": libraries}
    return Recipe(name, maker, key, entry.reference(), parts)


def _versions_of(modules: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of the distributions that are called as their modules are."""
    found = {}
    for module in modules:
        with suppress(PackageNotFoundError):
            found[module] = version(module)
    return found


def _texts_of(items: Items, memo: Path) -> str:
    """Return the hash of the conversations in row order, noted under the identity of the items."""
    note = memo / f"texts-{items.identity[:32]}.json"
    try:
        known = json.loads(note.read_text())
        if known["items"] == items.identity:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no note yet, or a torn one: read again
    state = hashlib.sha256()
    for conversation in items.conversations():
        state.update(canonical(conversation).encode() + b"\n")
    note.parent.mkdir(parents=True, exist_ok=True)
    scratch = note.with_suffix(f".{os.getpid()}")
    scratch.write_text(canonical({"items": items.identity, "sha256": state.hexdigest()}))
    scratch.replace(note)
    return state.hexdigest()


def is_made(recipe: Recipe, cache: Path) -> bool:
    """Say whether the block is on disk."""
    folder = cache / "blocks" / recipe.key
    return (folder / "block.json").exists() and rows_in(folder / ARRAY) > 0


def array_of(recipe: Recipe, cache: Path) -> Path:
    """Return the file with the array of a block that is on disk."""
    return cache / "blocks" / recipe.key / ARRAY


def open_block(recipe: Recipe, cache: Path) -> Block:
    """Map a block that is on disk."""
    folder = cache / "blocks" / recipe.key
    about = json.loads((folder / "block.json").read_text())
    return Block.open(str(folder.absolute() / ARRAY), about["kind"], tuple(about["names"]))


def make(
    recipe: Recipe,
    items: Items,
    cache: Path,
    processes: Processes,
    limits: Limits,
    progress: Callable[[int], None],
) -> None:
    """Make one block in a worker, going on where a killed run stopped. `progress` is told how many rows are there."""
    folder = cache / "blocks" / recipe.key
    with locked(folder.with_suffix(".lock")):
        if is_made(recipe, cache):
            return
        partial = folder.with_suffix(".partial").absolute()
        before = rows_in(partial / ARRAY)
        child = begin(recipe, items, processes, partial, (0, len(items)))
        stopped = None
        try:
            while stopped is None and child.process.is_alive():
                child.process.join(0.1)
                stopped = child.over(limits)
                progress(rows_in(partial / ARRAY))
        finally:
            child.kill()
        about = ended(recipe, child, stopped)
        cost(recipe, child, before)
        finish(partial, folder, about)


def begin(
    recipe: Recipe, items: Items, processes: Processes, folder: Path, span: tuple[int, int], gpu: str | None = None
) -> Child:
    """Start a worker that writes rows `span` of a block into folder/array.npy, after those that are there.

    `gpu` is the one GPU it shall see; None leaves it those that it would see anyway.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OUTCOME).unlink(missing_ok=True)
    if getattr(recipe.maker, "text_only", False) and items.text is not None:
        items = replace(items, columns=(items.text,), hidden=())
    job = (spec.unbuild(recipe.maker), recipe.reference, recipe.kind, recipe.name, items, span, gpu)
    return processes.start(write, job, folder)


def ended(recipe: Recipe, child: Child, stopped: str | None) -> dict[str, Any]:
    """Return what an ended worker says of its rows, {"kind": ..., "names": ...}; a DataError says why it failed."""
    outcome = _outcome(child.folder)
    if stopped or outcome is None:
        raise DataError(f"block {recipe.name!r}: {stopped or child.ending()}; see {child.folder / LOG}")
    if "error" in outcome:
        raise DataError(outcome["error"])
    return outcome


def cost(recipe: Recipe, child: Child, before: int) -> None:
    """Note beside its rows what an ended worker has cost; `before` is how many rows it found there."""
    rows = rows_in(child.folder / ARRAY) - before
    timing.note(child.folder, seconds=child.seconds, memory=child.peak, rows=rows, spec=spec.unbuild(recipe.maker))


def finish(partial: Path, folder: Path, about: Mapping[str, Any]) -> None:
    """Turn the folder of a whole array into that of a finished block."""
    (partial / "block.json").write_text(canonical(about))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def ask(dataset: Dataset, split: Split, blocks: Mapping[str, Block]) -> Task:
    """Cut a split down to what a labeler may see: the labels of the train rows, and nothing about the others'."""
    here = dataset.positions(split.train)
    spare = np.ones(len(dataset), np.bool_)
    spare[split.train] = spare[split.test] = False
    return Task(
        blocks=dict(blocks),
        labelled=split.train,
        y=dataset.y[here],
        to_label=split.test,
        n_classes=dataset.n_classes,
        seed=int(digest("task", split.seed, split.fold)[:8], 16),
        spare=np.flatnonzero(spare),
        raters=None if dataset.raters is None else dataset.raters[here],
        groups=dataset.groups,
    )


def _outcome(folder: Path) -> dict[str, Any] | None:
    try:
        outcome: dict[str, Any] = json.loads((folder / OUTCOME).read_text())
    except (OSError, ValueError):
        return None
    return outcome
