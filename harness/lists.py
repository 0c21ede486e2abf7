"""Neighbour lists, made once in a worker for all cells that ask for them, and for all nested train sets in one pass."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness import timing
from harness.contracts import Split
from harness.digest import canonical, digest, of_array, of_code
from harness.errors import HarnessError
from harness.fuse import Block, Rows, fuse
from harness.listed import INDEX, SIMILARITY, Listed, question
from harness.lock import locked
from harness.neighbors import nearest, unit
from harness.plan import Cell, Cut
from harness.process import Limits, Processes
from harness.search import search
from harness.task import On

WORTH = 2e10  # multiplications saved that are worth a worker of its own
ABOUT = "list.json"
DONE = "done.txt"  # how many queries the worker has answered
CODE = ("fuse", "kernels", "products", "flat", "search", "neighbors", "lists")


@dataclass(frozen=True)
class Wanted:
    """One list: of the rows to label of a split, in the space of some blocks, `k` neighbours long."""

    cut: Cut
    on: tuple[str, ...]
    k: int


@dataclass(frozen=True)
class Chain:
    """Lists of growing train sets, each of which holds the one before: one pass finds them all."""

    links: tuple[Wanted, ...]


def wanted(cells: list[Cell]) -> list[Wanted]:
    """Return the lists that the labelers of these cells declare, as long as the longest that any of them asks for."""
    longest: dict[tuple[int, tuple[str, ...]], tuple[Cut, int]] = {}
    for cell in cells:
        for names, k in needs(cell.candidate.labeler):
            _, before = longest.get((id(cell.cut), names), (cell.cut, 0))
            longest[id(cell.cut), names] = cell.cut, max(before, min(k, len(cell.cut.split.train)))
    return [Wanted(cut, on, k) for (_, on), (cut, k) in longest.items()]


def needs(labeler: Any) -> list[tuple[tuple[str, ...], int]]:
    """Return the neighbour lists that a labeler declares: the names of the blocks, and how many neighbours."""
    declared: list[tuple[On, int]] = labeler.needs() if hasattr(labeler, "needs") else []
    return [((on,) if isinstance(on, str) else tuple(on), k) for on, k in declared]


def chains(lists: list[Wanted], blocks: Mapping[str, Block]) -> list[Chain]:
    """Put lists of one space together where each train set holds the one before.

    A space with features is scaled anew by every train set, so its lists stay alone.
    """
    found: list[list[Wanted]] = []
    for each in sorted(lists, key=lambda each: len(each.cut.split.train)):
        alone = any(blocks[name].kind == "feature" for name in each.on)
        chain = next((chain for chain in found if not alone and _continues(chain[-1], each)), None)
        if chain is None:
            found.append([each])
        else:
            chain.append(each)
    return [Chain(tuple(links)) for links in found]


def _continues(last: Wanted, each: Wanted) -> bool:
    if last.on != each.on:
        return False
    train, before = each.cut.split.train, last.cut.split.train
    return len(train) > len(before) and bool(np.isin(before, train).all())


def worth(chain: Chain, cells: list[Cell], blocks: Mapping[str, Block]) -> bool:
    """Say whether cells that search for themselves would take noticeably longer."""
    on = chain.links[0].on
    d = sum(blocks[name].array.shape[1] for name in on)
    asking = {id(link.cut): 0 for link in chain.links}
    for cell in cells:
        if id(cell.cut) in asking and on in dict(needs(cell.candidate.labeler)):
            asking[id(cell.cut)] += 1
    pairs = sum(asking[id(link.cut)] * len(link.cut.split.train) * len(link.cut.split.test) for link in chain.links)
    return pairs * d > WORTH and (len(chain.links) > 1 or asking[id(chain.links[0].cut)] > 1)


def work_of(chain: Chain, d: int) -> float:
    """Return how many multiplications a search over d columns for a chain is at most."""
    last = chain.links[-1].cut.split
    return float(len(last.train)) * max(len(link.cut.split.test) for link in chain.links) * d


def folder_of(link: Wanted, keys: Mapping[str, str], cache: Path) -> Path:
    """Return where a list is kept: by the content of its blocks, its rows, its length, and the code that finds it."""
    code = of_code([Path(__file__).with_name(f"{name}.py") for name in CODE])
    rows = [of_array(link.cut.split.train), of_array(link.cut.split.test)]
    return cache / "lists" / digest(code, [[name, keys[name]] for name in link.on], rows, link.k)


def opened(link: Wanted, blocks: Mapping[str, Block], folder: Path) -> Listed | None:
    """Return a list that is on disk, else None."""
    if not (folder / ABOUT).exists():
        return None
    split = link.cut.split
    return Listed(str(folder.absolute()), link.k, question([blocks[name] for name in link.on], split.train, split.test))


def make(
    chain: Chain,
    blocks: Mapping[str, Block],
    folders: list[Path],
    processes: Processes,
    limits: Limits,
    threads: int,
    progress: Callable[[int, int], None],
) -> None:
    """Find the lists of a chain in a worker. `progress` is told how many rows are answered, and of how many.

    Raises HarnessError where the worker does not end well; a cell can then still search for itself.
    """
    last = folders[-1]
    with locked(last.with_suffix(".lock")):
        if all((folder / ABOUT).exists() for folder in folders):
            return
        partial = last.with_suffix(".partial").absolute()
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        links = [(link.cut.split, link.k, folder.name) for link, folder in zip(chain.links, folders, strict=True)]
        total = max(len(link.cut.split.test) for link in chain.links)
        child = processes.start(_find, ([blocks[name] for name in chain.links[0].on], links, threads), partial)
        stopped = None
        try:
            while stopped is None and child.process.is_alive():
                child.process.join(0.1)
                stopped = child.over(limits)
                progress(min(_told(partial / DONE), total), total)
        finally:
            child.kill()
        if stopped or not all((partial / folder.name / ABOUT).exists() for folder in folders):
            raise HarnessError(f"neighbours on {'+'.join(chain.links[0].on)}: {stopped or child.ending()}")
        d = sum(blocks[name].array.shape[1] for name in chain.links[0].on)
        share = {"seconds": child.seconds / len(links), "work": work_of(chain, d) / len(links), "threads": threads}
        for folder in folders:
            timing.note(partial / folder.name, **share, memory=child.peak)
            shutil.rmtree(folder, ignore_errors=True)
            (partial / folder.name).rename(folder)
        shutil.rmtree(partial)


def _told(file: Path) -> int:
    try:
        return int(file.read_text() or 0)
    except (OSError, ValueError):
        return 0


# What follows runs in the worker.


def _find(blocks: list[Block], links: list[tuple[Split, int, str]], threads: int) -> None:
    def tell(done: int) -> None:
        Path(DONE).write_text(str(done))

    if len(links) == 1:
        ((split, k, name),) = links
        rows, n = np.concatenate([split.train, split.test]), len(split.train)
        (X,) = fuse(blocks, split.train, rows)
        _write(name, *nearest(unit(X), rows, n, n, k, tell), {"engine": "auto"})
        return
    entered, ends = [np.empty(0, np.int64)], []
    for split, _, _ in links:
        entered.append(np.setdiff1d(split.train, np.concatenate(entered)))
        ends.append(sum(map(len, entered)))
    known = np.concatenate(entered)
    asked = np.unique(np.concatenate([split.test for split, _, _ in links]))
    rows = np.concatenate([known, np.setdiff1d(asked, known)])
    start = ends[0] if np.isin(asked, known).any() else ends[-1]
    (X,) = fuse(blocks, rows[: ends[0]], rows)
    levels, facts = search(unit(X), rows, ends, start, max(k for _, k, _ in links), threads=threads, progress=tell)
    place = np.empty(rows.max() + 1, np.int64)
    place[rows] = np.arange(len(rows))
    for (split, k, name), level in zip(links, levels, strict=True):
        here = place[split.test] - level.first
        position = np.zeros(len(rows), np.int64)
        position[place[split.train]] = np.arange(len(split.train))
        _write(name, level.similarity[here, :k], position[level.place[here, :k]], facts)


def _write(name: str, similarity: Any, index: Rows, facts: Mapping[str, Any]) -> None:
    folder = Path(name)
    folder.mkdir()
    np.save(folder / SIMILARITY, np.ascontiguousarray(similarity, np.float32), allow_pickle=False)
    found = np.isfinite(similarity)
    np.save(folder / INDEX, np.where(found, index, 0).astype(np.int32), allow_pickle=False)
    (folder / ABOUT).write_text(canonical(facts))
