"""Find shared neighbour lists in a worker process."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.plugin.block import GATHER_ROWS, Block, Floats, Rows, fuse
from harness.plugin.precomputed import INDEX_FILE, RECORD_FILE, SIMILARITY_FILE
from harness.plugin.protocols import Split
from harness.run import timing
from harness.run.neighbor_plan import SharedSearch
from harness.search.deduplicate import has_large_groups, unique_rows
from harness.search.engine import Engine, current_engine, use_engine
from harness.search.exact import Level, search
from harness.search.neighbors import nearest, normalize
from harness.utils.files import remove_folder, sync
from harness.utils.hashing import canonical_json
from harness.utils.locks import hold_lock
from harness.utils.processes import Limits, Processes

PROGRESS_FILE = "done.txt"  # number of finished queries


def find_lists(
    shared: SharedSearch,
    cache: Path,
    processes: Processes,
    limits: Limits,
    threads: int,
    progress: Callable[[int, int], None],
    engine: Engine = "auto",
) -> None:
    """Find the lists of a search in a worker.

    `progress` is called with the number of finished queries and of all. Raises HarnessError where the worker fails; a
    cell can then still search by itself.
    """
    last = shared.folders(cache)[-1]
    with hold_lock(last.with_suffix(".lock")):
        partial = last.with_suffix(".partial").absolute()
        shutil.rmtree(partial, ignore_errors=True)
        on_disk = zip(shared.lists, shared.sealed_folders(cache), strict=True)
        missing = tuple(request for request, folder in on_disk if not folder.is_intact())
        if not missing:
            return
        shared = replace(shared, lists=missing)
        folders = shared.folders(cache)
        partial.mkdir(parents=True)
        total = shared.query_count
        lists = {
            folder.name: (request.evaluation.split, request.neighbors.k, folder.name)
            for request, folder in zip(shared.lists, folders, strict=True)
        }
        arguments = (list(shared.blocks), list(lists.values()), shared.among == "all", threads, engine)
        child = processes.start(_find_in_worker, arguments, partial)
        limit = child.wait(limits, lambda: progress(min(_read_progress(partial / PROGRESS_FILE), total), total))
        if limit or not all((partial / name / RECORD_FILE).exists() for name in lists):
            raise HarnessError(f"neighbours on {'+'.join(shared.on)}: {limit or child.describe_exit()}")
        share = {"seconds": child.seconds / len(lists), "work": shared.cost / len(lists), "threads": threads}
        for name in lists:
            timing.write_timing(partial / name, **share, memory=child.peak)
            made = shared.sealed(partial / name, cache)
            made.seal(made.read() or {})
            remove_folder(last.with_name(name))
            (partial / name).rename(last.with_name(name))
            shared.sealed(last.with_name(name), cache).mark_as_verified()
        sync(last.parent)
        shutil.rmtree(partial)


def _read_progress(file: Path) -> int:
    try:
        return int(file.read_text() or 0)
    except (OSError, ValueError):
        return 0


# What follows runs in the worker.


def _find_in_worker(
    blocks: list[Block], lists: list[tuple[Split, int, str]], among_all: bool, threads: int, engine: Engine
) -> None:
    import faiss

    faiss.omp_set_num_threads(threads)

    def report(done: int) -> None:
        Path(PROGRESS_FILE).write_text(str(done))

    with use_engine(engine):
        if not among_all and len(lists) > 1 and _find_nested(blocks, lists, threads, engine, report):
            return
        for split, k, name in lists:
            _find_one(blocks, split, k, name, among_all, report)


def _find_one(
    blocks: list[Block], split: Split, k: int, name: str, among_all: bool, report: Callable[[int], None]
) -> None:
    """Find one list."""
    rows = np.arange(len(blocks[0].array)) if among_all else np.concatenate([split.train, split.test])
    n, start = (len(rows), 0) if among_all else (len(split.train), len(split.train))
    (X,) = fuse(blocks, split.train, rows)
    with use_engine(current_engine()) as searches:
        similarity, index = nearest(normalize(X, rows), rows, n, start, k, report)
    del X
    _write_list(name, similarity.shape, lambda part: (similarity[part], index[part]), searches[0])


def _find_nested(
    blocks: list[Block],
    lists: list[tuple[Split, int, str]],
    threads: int,
    engine: Engine,
    report: Callable[[int], None],
) -> bool:
    """Find the lists of nested train sets in one pass.

    Returns False, without a list, where large groups of equal rows would make that slow.
    """
    added, ends = [np.empty(0, np.int64)], []  # rows that each train set adds, and its size
    for split, _, _ in lists:
        added.append(np.setdiff1d(split.train, np.concatenate(added)))
        ends.append(sum(map(len, added)))
    base = np.concatenate(added)
    queries = np.unique(np.concatenate([split.test for split, _, _ in lists]))
    rows = np.concatenate([base, np.setdiff1d(queries, base)])
    start = ends[0] if np.isin(queries, base).any() else ends[-1]
    longest = max(k for _, k, _ in lists)
    (X,) = fuse(blocks, rows[: ends[0]], rows)
    if has_large_groups(unique_rows(normalize(X, rows))[1], ends[-1], longest):
        return False
    levels, facts = search(X, rows, ends, start, longest, engine, threads, report, scratch=Path())
    del X
    row_index = np.empty(rows.max() + 1, np.int64)  # row number -> index in `rows`
    row_index[rows] = np.arange(len(rows))
    for split, k, name in lists:
        level = levels.pop(0)
        train_index = np.zeros(len(rows), np.int32)  # index in `rows` -> index in the train set
        train_index[row_index[split.train]] = np.arange(len(split.train))
        query = row_index[split.test] - level.first
        _write_list(name, (len(query), k), _select_part(level, query, train_index, k), {"k": k, **facts})
    return True


ReadPart = Callable[[slice], tuple[Floats, NDArray[Any]]]


def _select_part(level: Level, query: Rows, train_index: NDArray[np.int32], k: int) -> ReadPart:
    return lambda part: (level.similarity[query[part], :k], train_index[level.index[query[part], :k]])


def _write_list(name: str, shape: tuple[int, ...], read_part: ReadPart, facts: Mapping[str, Any]) -> None:
    """Write a list, GATHER_ROWS rows at a time.

    All of it may take as much memory as a cell may use.
    """
    folder = Path(name)
    folder.mkdir()
    files = [
        np.lib.format.open_memmap(folder / file, "w+", kind, shape)
        for file, kind in ((SIMILARITY_FILE, np.float32), (INDEX_FILE, np.int32))
    ]
    for start in range(0, shape[0], GATHER_ROWS):
        rows = slice(start, start + GATHER_ROWS)
        similarity, index = read_part(rows)
        files[0][rows], files[1][rows] = similarity, np.where(np.isfinite(similarity), index, 0)
    for file in files:
        file.flush()
    (folder / RECORD_FILE).write_text(canonical_json(facts))
