"""Neighbours found once in a worker for all cells that ask: for all nested train sets in one pass, or of all rows."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from harness import timing
from harness.contracts import Split
from harness.copies import crowded, vectors
from harness.digest import canonical, digest, of_array, of_code
from harness.engine import Engine, chosen, searching
from harness.errors import HarnessError, PluginError
from harness.fuse import CHUNK, Block, Floats, Rows, fuse
from harness.listed import ABOUT, INDEX, SIMILARITY, Listed, question
from harness.lock import locked
from harness.neighbors import nearest, of_all, unit
from harness.plan import Cell, Cut
from harness.process import Limits, Processes
from harness.search import Level, search

WORTH = 2e10  # multiplications saved that are worth a worker of its own
DONE = "done.txt"  # how many queries the worker has answered
CODE = ("fuse", "kernels", "products", "flat", "copies", "search", "neighbors", "lists")

Among = Literal["labelled", "all"]


@dataclass(frozen=True)
class Need:
    """What a labeler declares that it will ask for: neighbours in the space of some blocks, `k` of them."""

    on: tuple[str, ...]
    k: int
    among: Among = "labelled"  # labelled: of the rows to label among the labelled ones; all: of every row

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) for name in self.on) or not isinstance(self.k, int) or self.k < 1:
            raise ValueError(
                f"of ({self.on!r}, {self.k!r}) the first must name blocks, the second be a number from 1 on"
            )
        if self.among not in get_args(Among):
            raise ValueError(f"the third must be left out, or 'all', is {self.among!r}")


@dataclass(frozen=True)
class Wanted:
    """One list that the cells of a split need."""

    cut: Cut
    need: Need


@dataclass(frozen=True)
class Chain:
    """Lists that one pass finds: of growing train sets, each of which holds the one before, or of all rows."""

    links: tuple[Wanted, ...]

    @property
    def on(self) -> tuple[str, ...]:
        return self.links[0].need.on

    @property
    def among(self) -> Among:
        return self.links[0].need.among


def wanted(cells: list[Cell]) -> list[Wanted]:
    """Return the lists that the labelers of these cells declare, as long as the longest that any of them asks for."""
    longest: dict[tuple[int, tuple[str, ...], Among], Wanted] = {}
    for cell in cells:
        for need in needs(cell.candidate.labeler):
            if need.among == "labelled":
                need = replace(need, k=min(need.k, len(cell.cut.split.train)))
            before = longest.get((id(cell.cut), need.on, need.among))
            if before is None or before.need.k < need.k:
                longest[id(cell.cut), need.on, need.among] = Wanted(cell.cut, need)
    return list(longest.values())


def needs(labeler: Any) -> list[Need]:
    """Return the neighbours that a labeler declares. Raises PluginError where they are none."""
    try:
        declared = labeler.needs() if hasattr(labeler, "needs") else []
        return [Need((on,) if isinstance(on, str) else tuple(on), k, *among) for on, k, *among in declared]
    except (TypeError, ValueError) as error:
        what = "[(on, k), ...], or (on, k, 'all') for those of graph"
        raise PluginError(f"labeler {labeler.name!r}: needs() must return {what}: {error}") from error


def chains(lists: list[Wanted], blocks: Mapping[str, Block]) -> list[Chain]:
    """Put lists of one space together where one pass finds them: each train set holds the one before, or all rows.

    A space with features is scaled anew by every train set, so its lists stay alone.
    """
    found: list[list[Wanted]] = []
    for each in sorted(lists, key=lambda each: len(each.cut.split.train)):
        alone = _scaled(each, blocks)
        chain = next((chain for chain in found if not alone and _continues(chain[-1], each)), None)
        if chain is None:
            found.append([each])
        else:
            chain.append(each)
    return [Chain(_as_long(links) if links[0].need.among == "all" else tuple(links)) for links in found]


def _scaled(each: Wanted, blocks: Mapping[str, Block]) -> bool:
    return any(blocks[name].kind == "feature" for name in each.need.on)


def _continues(last: Wanted, each: Wanted) -> bool:
    if (last.need.on, last.need.among) != (each.need.on, each.need.among):
        return False
    train, before = each.cut.split.train, last.cut.split.train
    return each.need.among == "all" or (len(train) > len(before) and bool(np.isin(before, train).all()))


def _as_long(links: list[Wanted]) -> tuple[Wanted, ...]:
    longest = max(link.need.k for link in links)
    return tuple(replace(link, need=replace(link.need, k=longest)) for link in links)


def worth(chain: Chain, cells: list[Cell], blocks: Mapping[str, Block]) -> bool:
    """Say whether cells that search for themselves would take noticeably longer."""
    d = sum(blocks[name].array.shape[1] for name in chain.on)
    asking = {id(link.cut): 0 for link in chain.links}
    for cell in cells:
        if id(cell.cut) in asking:
            asked = [(need.on, need.among) for need in needs(cell.candidate.labeler)]
            asking[id(cell.cut)] += (chain.on, chain.among) in asked
    each = [(link.cut.split, asking[id(link.cut)]) for link in chain.links]
    if chain.among == "all":
        pairs = sum(asked for _, asked in each) * len(blocks[chain.on[0]].array) ** 2
    else:
        pairs = sum(asked * len(split.train) * len(split.test) for split, asked in each)
    return pairs * d > WORTH and (len(each) > 1 or each[0][1] > 1)


def work_of(chain: Chain, d: int, n_rows: int) -> float:
    """Return how many multiplications a search over d columns for a chain is at most, among `n_rows` in all."""
    base = n_rows if chain.among == "all" else len(chain.links[-1].cut.split.train)
    return float(base) * max(answered(link, n_rows) for link in chain.links) * d


def answered(link: Wanted, n_rows: int) -> int:
    """Return how many rows a list has, of `n_rows` in all."""
    return n_rows if link.need.among == "all" else len(link.cut.split.test)


def folder_of(link: Wanted, blocks: Mapping[str, Block], keys: Mapping[str, str], cache: Path) -> Path:
    """Return where a list is kept: by the content of its blocks, its rows, its length, and the code that finds it."""
    code = of_code([Path(__file__).with_name(f"{name}.py") for name in CODE])
    rows = [of_array(each) for each in _rows(link, blocks)]
    need = link.need
    return cache / "lists" / digest(code, [[name, keys[name]] for name in need.on], rows, need.k, need.among)


def _rows(link: Wanted, blocks: Mapping[str, Block]) -> tuple[Rows, Rows]:
    split = link.cut.split
    if link.need.among == "labelled":
        return split.train, split.test
    spaces = [blocks[name] for name in link.need.on]
    return of_all(spaces, split.train, np.arange(len(spaces[0].array)))


def opened(link: Wanted, blocks: Mapping[str, Block], folder: Path) -> Listed | None:
    """Return a list that is on disk, else None."""
    if not (folder / ABOUT).exists():
        return None
    of = question([blocks[name] for name in link.need.on], *_rows(link, blocks))
    return Listed(str(folder.absolute()), link.need.k, of)


def make(
    chain: Chain,
    blocks: Mapping[str, Block],
    folders: list[Path],
    processes: Processes,
    limits: Limits,
    threads: int,
    progress: Callable[[int, int], None],
    engine: Engine = "auto",
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
        links = {
            folder: (link.cut.split, link.need.k, folder.name)
            for link, folder in zip(chain.links, folders, strict=True)
        }
        spaces = [blocks[name] for name in chain.on]
        whole = chain.among == "all"
        total = max(answered(link, len(spaces[0].array)) for link in chain.links)
        child = processes.start(_find, (spaces, list(links.values()), whole, threads, engine), partial)
        stopped = None
        try:
            while stopped is None and child.process.is_alive():
                child.process.join(0.1)
                stopped = child.over(limits)
                progress(min(_told(partial / DONE), total), total)
        finally:
            child.kill()
        if stopped or not all((partial / folder.name / ABOUT).exists() for folder in folders):
            raise HarnessError(f"neighbours on {'+'.join(chain.on)}: {stopped or child.ending()}")
        d = sum(blocks[name].array.shape[1] for name in chain.on)
        work = work_of(chain, d, len(spaces[0].array))
        share = {"seconds": child.seconds / len(links), "work": work / len(links), "threads": threads}
        for folder in links:
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


def _find(blocks: list[Block], links: list[tuple[Split, int, str]], whole: bool, threads: int, engine: Engine) -> None:
    import faiss

    faiss.omp_set_num_threads(threads)

    def tell(done: int) -> None:
        Path(DONE).write_text(str(done))

    with searching(engine):
        if not whole and len(links) > 1 and _pass(blocks, links, threads, engine, tell):
            return
        for split, k, name in links:
            _alone(blocks, split, k, name, whole, tell)


def _alone(blocks: list[Block], split: Split, k: int, name: str, whole: bool, tell: Callable[[int], None]) -> None:
    """Find one list."""
    rows = np.arange(len(blocks[0].array)) if whole else np.concatenate([split.train, split.test])
    n, start = (len(rows), 0) if whole else (len(split.train), len(split.train))
    (X,) = fuse(blocks, split.train, rows)
    with searching(chosen()) as searches:
        similarity, index = nearest(unit(X, rows), rows, n, start, k, tell)
    del X
    _write(name, similarity.shape, lambda part: (similarity[part], index[part]), searches[0])


def _pass(
    blocks: list[Block], links: list[tuple[Split, int, str]], threads: int, engine: Engine, tell: Callable[[int], None]
) -> bool:
    """Find the lists of growing train sets at once; False where crowds of equal rows would make that slow."""
    entered, ends = [np.empty(0, np.int64)], []
    for split, _, _ in links:
        entered.append(np.setdiff1d(split.train, np.concatenate(entered)))
        ends.append(sum(map(len, entered)))
    known = np.concatenate(entered)
    asked = np.unique(np.concatenate([split.test for split, _, _ in links]))
    rows = np.concatenate([known, np.setdiff1d(asked, known)])
    start = ends[0] if np.isin(asked, known).any() else ends[-1]
    longest = max(k for _, k, _ in links)
    (X,) = fuse(blocks, rows[: ends[0]], rows)
    if crowded(vectors(unit(X, rows))[1], ends[-1], longest):
        return False
    levels, facts = search(X, rows, ends, start, longest, engine, threads, tell, scratch=Path())
    del X
    place = np.empty(rows.max() + 1, np.int64)
    place[rows] = np.arange(len(rows))
    for split, k, name in links:
        level = levels.pop(0)
        position = np.zeros(len(rows), np.int32)
        position[place[split.train]] = np.arange(len(split.train))
        here = place[split.test] - level.first
        _write(name, (len(here), k), _taken(level, here, position, k), {"k": k, **facts})
    return True


Part = Callable[[slice], tuple[Floats, NDArray[Any]]]


def _taken(level: Level, here: Rows, position: NDArray[np.int32], k: int) -> Part:
    return lambda part: (level.similarity[here[part], :k], position[level.place[here[part], :k]])


def _write(name: str, shape: tuple[int, ...], part: Part, facts: Mapping[str, Any]) -> None:
    """Write a list, some rows at a time: all of it is as large as the memory that a cell may have."""
    folder = Path(name)
    folder.mkdir()
    files = [
        np.lib.format.open_memmap(folder / file, "w+", kind, shape)
        for file, kind in ((SIMILARITY, np.float32), (INDEX, np.int32))
    ]
    for start in range(0, shape[0], CHUNK):
        here = slice(start, start + CHUNK)
        similarity, index = part(here)
        files[0][here], files[1][here] = similarity, np.where(np.isfinite(similarity), index, 0)
    for file in files:
        file.flush()
    (folder / ABOUT).write_text(canonical(facts))
