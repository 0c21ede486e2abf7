"""Blocks on disk, made once per content by a worker, and the cut from a dataset to what a labeler may see."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import spec
from harness.catalog import Catalog, resolve
from harness.contracts import Split
from harness.dataset import Dataset
from harness.digest import canonical, digest, versions
from harness.errors import DataError, some
from harness.fuse import Block, Floats
from harness.items import Items
from harness.lock import locked
from harness.process import Limits, Processes
from harness.task import Task

PART = 8_192  # rows a row-wise feature set is asked for at a time
SCHEMA = 1


@dataclass(frozen=True)
class Recipe:
    """How one block is made, and the key that its content follows from."""

    name: str
    maker: Any  # Embedder or FeatureSet
    key: str
    reference: tuple[str, str, str | None]

    @property
    def kind(self) -> str:
        return "embedding" if hasattr(self.maker, "embed") else "feature"


def recipes(blocks: Mapping[str, Any], dataset: Dataset, catalog: Catalog, memo: Path) -> dict[str, Recipe]:
    """Return the recipe of every block. Nothing is made."""
    made = {}
    for name, maker in blocks.items():
        entry = catalog.of(maker)
        try:
            what = spec.identity(maker, memo)
        except OSError as error:
            raise DataError(f"block {name!r}: {error.filename}: {error.strerror}") from None
        key = digest(SCHEMA, dataset.items.identity, what, entry.identity(), versions())
        made[name] = Recipe(name, maker, key, entry.reference())
    return made


def is_made(recipe: Recipe, cache: Path) -> bool:
    """Say whether the block is on disk."""
    folder = cache / "blocks" / recipe.key
    return (folder / "block.json").exists() and _rows_in(folder / "array.npy") > 0


def open_block(recipe: Recipe, cache: Path) -> Block:
    """Map a block that is on disk."""
    folder = cache / "blocks" / recipe.key
    about = json.loads((folder / "block.json").read_text())
    return Block.open(str(folder.absolute() / "array.npy"), about["kind"], tuple(about["names"]))


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
        partial.mkdir(parents=True, exist_ok=True)
        (partial / "outcome.json").unlink(missing_ok=True)
        job = (spec.unbuild(recipe.maker), recipe.reference, recipe.kind, recipe.name, items)
        child = processes.start(_make, job, partial)
        stopped = None
        try:
            while stopped is None and child.process.is_alive():
                child.process.join(0.1)
                stopped = child.over(limits)
                progress(_rows_in(partial / "array.npy"))
        finally:
            child.kill()
        outcome = _outcome(partial)
        if stopped or outcome is None:
            raise DataError(f"block {recipe.name!r}: {stopped or child.ending()}; see {partial / 'log.txt'}")
        if "error" in outcome:
            raise DataError(outcome["error"])
        (partial / "block.json").write_text(canonical(outcome))
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)


def ask(dataset: Dataset, split: Split, blocks: Mapping[str, Block]) -> Task:
    """Cut a split down to what a labeler may see: the labels of the train rows, and nothing about the others'."""
    here = dataset.positions(split.train)
    return Task(
        blocks=dict(blocks),
        labelled=split.train,
        y=dataset.y[here],
        to_label=split.test,
        n_classes=dataset.n_classes,
        seed=int(digest("task", split.seed, split.fold)[:8], 16),
        spare=np.setdiff1d(np.arange(len(dataset)), np.concatenate([split.train, split.test])),
        raters=None if dataset.raters is None else dataset.raters[here],
        groups=dataset.groups,
    )


# What follows runs in the worker.


def _make(what: Mapping[str, Any], reference: tuple[str, str, str | None], kind: str, name: str, items: Items) -> None:
    outcome: dict[str, Any]
    try:
        maker = spec.rebuild(what, lambda _kind, _name: resolve(reference))
        outcome = {"kind": kind, "names": _fill(maker, kind, name, items, Path("array.npy"))}
    except DataError as error:
        outcome = {"error": f"block {name!r}: {error}"}
    except Exception as error:
        import traceback

        traceback.print_exc()
        reason = (str(error).strip() or "no message").splitlines()[0]
        outcome = {"error": f"block {name!r}: {type(error).__name__}: {reason}; see {Path.cwd() / 'log.txt'}"}
    Path("outcome.json").write_text(canonical(outcome))


def _fill(maker: Any, kind: str, block: str, items: Items, file: Path) -> tuple[str, ...]:
    """Write the rows of a block one chunk after the other; returns the names of its columns."""
    resumable = getattr(maker, "resumable", True) if kind == "embedding" else getattr(maker, "rowwise", False)
    done = _rows_in(file) if resumable else 0
    names: tuple[str, ...] = getattr(maker, "names", ())
    width = (_row_offset(file, 1) - _row_offset(file, 0)) // 4 if done else None
    with file.open("r+b" if done else "wb") as out:
        if done:
            out.truncate(out.seek(_row_offset(file, done)))
        for chunk, found in _chunks(maker, kind, items, done):
            part = _checked(chunk, kind, items, done)
            names = found or names
            if width not in (None, part.shape[1]):
                raise DataError(f"gave {part.shape[1]} columns from row number {done:,} on, {width} before")
            if width is None:
                width = part.shape[1]
                header = {"descr": "<f4", "fortran_order": False, "shape": (len(items), part.shape[1])}
                np.lib.format.write_array_header_1_0(out, header)
            out.write(part.data)
            out.flush()
            done += len(part)
    if done != len(items):
        raise DataError(f"gave {done:,} rows for {len(items):,}")
    return names


def _chunks(maker: Any, kind: str, items: Items, start: int) -> Iterator[tuple[NDArray[Any], tuple[str, ...]]]:
    """Yield (rows, names) of a block from row number `start` on; names are () where the maker gives none by the way."""
    if kind == "embedding":
        for chunk in maker.embed(items, start):
            yield chunk, ()
        return
    for part in items.parts(PART, start) if getattr(maker, "rowwise", False) else (items,):
        answer = maker.features(part)
        yield answer if isinstance(answer, tuple) else (answer, ())


def _checked(chunk: NDArray[Any], kind: str, items: Items, start: int) -> Floats:
    """Return a chunk as float32 if every row of it can be used; `start` is the number of its first row."""
    chunk = np.ascontiguousarray(chunk, np.float32)
    if chunk.ndim != 2 or chunk.shape[1] == 0:
        raise DataError(f"must give (rows, d) arrays, gave shape {chunk.shape}")

    def refuse(bad: Any, what: str) -> None:
        rows = start + np.flatnonzero(bad)
        if len(rows):
            count = f"{len(rows):,} row{'s' if len(rows) > 1 else ''}"
            raise DataError(f"{what} in {count} (id {some(items.ids[rows].tolist())}); mend or leave out these rows")

    refuse(~np.isfinite(chunk).all(axis=1), "NaN or infinite values")
    if kind == "embedding":
        refuse(~chunk.any(axis=1), "zero vectors, which have no direction,")
    return chunk


def _row_offset(file: Path, rows: int) -> int:
    """Return where in a .npy file of float32 rows the row number `rows` begins."""
    with file.open("rb") as source:
        np.lib.format.read_magic(source)
        shape, _, _ = np.lib.format.read_array_header_1_0(source)
        return source.tell() + rows * shape[1] * 4


def _rows_in(file: Path) -> int:
    """Return how many whole rows a .npy file that is being written holds."""
    try:
        first = _row_offset(file, 0)
        return (file.stat().st_size - first) // (_row_offset(file, 1) - first)
    except (OSError, ValueError):
        return 0  # not begun


def _outcome(folder: Path) -> dict[str, Any] | None:
    try:
        outcome: dict[str, Any] = json.loads((folder / "outcome.json").read_text())
    except (OSError, ValueError):
        return None
    return outcome
