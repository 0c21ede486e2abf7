"""The k nearest base rows of every query by cosine, exact, for several sizes of the base in one pass.

Candidates come from rough products. What is ranked and returned are products made again in float32. Every answer is
checked: where a row that was dropped might belong among the k, the query is searched again with more candidates, and
where that leaves it unverified, in the plain way.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from harness.plugin.block import Floats, Rows
from harness.search.brute_force import brute_force, faiss_threads, fill_by_brute_force
from harness.search.engine import Engine
from harness.search.inner_products import Products, RowSelection, fastest, products

BLOCK_QUERIES, BLOCK_WIDTH = 768, 2_048  # rows of one block of products: 6 MB, which stays in the processor's cache
MIN_CANDIDATES = 768  # candidates a query gathers before the weakest are dropped, at least
FIRST_MARGIN, MARGIN_GROWTH, MAX_MARGIN = (
    2,
    1.5,
    12,
)  # candidates kept for each neighbour wanted: at first, in steps of, at most
ERROR_BOUND = 6.0  # root mean squares that a rough product may lie from the exact one
SAMPLE_RUNS, SAMPLE_RUN_LENGTH = (
    8,
    32,
)  # runs of queries on which the margin is tried and the recall measured, and their length
MAX_UNVERIFIED = 0.06  # share of answers unverified above which all queries are given more candidates, not only theirs
MAX_UNVERIFIED_AT_WIDEST = (
    0.004  # share unverified with all the candidates there may be, above which better products are cheaper
)


@dataclass(frozen=True, eq=False)
class Level:
    """The neighbours of the last queries among the first rows of the base."""

    first: int  # the first query, a row of X
    similarity: Floats  # (q, k) nearest first; -inf where there are fewer than k
    place: NDArray[np.int32]  # (q, k) rows of X; 0 where there is none


def search(
    X: Floats,
    rows: Rows,
    ends: list[int],
    start: int,
    k: int,
    engine: Engine = "auto",
    threads: int = 1,
    progress: Callable[[int], None] = lambda done: None,
    own: Rows | None = None,
    scratch: Path | None = None,
) -> tuple[list[Level], dict[str, Any]]:
    """Search the first ``ends[l]`` rows of X, for each l, for the neighbours of the rows from `start` on.

    X (N, d) are unit vectors, `rows` (N,) their row numbers: a row is no neighbour of itself, and of equally near rows
    the lower number comes first. `ends` rises. A query among the first ends[l] rows does not ask level l, so that the
    level answers the rows from ``max(start, ends[l])`` on; level 0 answers all of them. `progress` is told how many
    queries are done. `own` (N,) are the rows that each query shall not find, where it is not `rows`. With `scratch`, a
    folder, the levels are maps of nameless files there: those of a dozen ratios are larger than X.

    Returns the levels and the facts: engine, margin, recall on a sample, how many answers were unverified and searched
    again, how many of them in the plain way, seconds. Where "auto" takes int8 and no margin is wide enough for it,
    float32 takes over. The engine "faiss" looks at each level by itself, in the plain way that the others are checked
    against.
    """
    began = time.perf_counter()
    own = rows if own is None else own
    levels = _levels(len(X), ends, start, k, scratch)
    facts: dict[str, Any] = {"engine": engine}
    if engine == "faiss":
        for number, (end, level) in enumerate(zip(ends, levels, strict=True)):
            last = progress if number == 0 else lambda done: None  # level 0 is asked by all
            fill_by_brute_force(X, rows, own, end, level.first, level.similarity, level.place, threads, last)
    else:
        with threadpool_limits(1), _one_torch_thread():  # the threads are ours, one for each block of queries
            for kind in dict.fromkeys((fastest(X.shape[1]), "float32")) if engine == "auto" else (engine,):
                attempt = _Search(X, rows, own, ends, levels, products(kind, X))
                facts |= {"engine": kind, **attempt.calibrate_margin(threads)}
                if not attempt.margin_too_small:
                    break
            unverified = attempt.run(None, threads, progress)
            facts["searched_again"] = sum(map(len, unverified))
            unverified = attempt.search_again(unverified, threads)
        facts["searched_plainly"] = attempt.search_by_brute_force(unverified, threads)
    return levels, facts | {"seconds": round(time.perf_counter() - began, 3)}


def _levels(count: int, ends: list[int], start: int, k: int, scratch: Path | None) -> list[Level]:
    firsts = [start, *(max(start, end) for end in ends[1:])]
    shapes = [(count - first, k) for first in firsts]
    return [
        Level(first, _allocate(shape, np.float32, scratch), _allocate(shape, np.int32, scratch))
        for first, shape in zip(firsts, shapes, strict=True)
    ]


def _allocate(shape: tuple[int, int], kind: type, scratch: Path | None) -> NDArray[Any]:
    if scratch is None or 0 in shape:
        return np.zeros(shape, kind)
    with tempfile.TemporaryFile(dir=scratch) as file:  # gone with the map
        return np.memmap(file, kind, "w+", shape=shape).view(np.ndarray)


class _Search:
    """One pass over the base: what all blocks of queries share."""

    def __init__(
        self, X: Floats, rows: Rows, own: Rows, ends: list[int], levels: list[Level], products: Products
    ) -> None:
        self.X, self.rows, self.own = _read_only(X), _read_only(rows), _read_only(own)
        self.ends, self.levels, self.products = ends, levels, products
        self.k = k = levels[0].place.shape[1]
        self.keep = max(FIRST_MARGIN * k, k + 32)
        self.max_keep = MAX_MARGIN * k + 32
        self.margin_too_small = False  # whether the widest margin leaves too many unverified
        self.local = threading.local()

    def calibrate_margin(self, threads: int) -> dict[str, Any]:
        """Try the margin on some queries of the highest level, and widen it until few of them are unverified.

        Those that are not shall have found what the plain search finds: their share that has is the recall.
        """
        top, level = len(self.ends) - 1, self.levels[-1]
        if level.first == len(self.X):
            return {"margin": self.keep, "sample": 0, "recall": None}
        starts = np.linspace(level.first, max(level.first, len(self.X) - SAMPLE_RUN_LENGTH), SAMPLE_RUNS).astype(
            np.int64
        )
        runs = [slice(int(low), min(int(low) + SAMPLE_RUN_LENGTH, len(self.X))) for low in np.unique(starts)]
        asked = np.concatenate([np.arange(run.start, run.stop) for run in runs])
        with threadpool_limits(threads):
            true, _ = self.brute_force(top, asked)
        real = np.isfinite(true)
        while True:
            with ThreadPoolExecutor(threads) as pool:
                unverified = np.concatenate([found[-1] for found in pool.map(lambda run: self.block(run, top), runs)])
            found = level.similarity[asked - level.first]  # by value: of equally near rows each is right
            sure = real & ~unverified[:, None]
            recall = float((found[sure] >= true[sure] - 1e-6).mean()) if sure.any() else 1.0
            if (unverified.mean() <= MAX_UNVERIFIED and recall == 1.0) or self.keep == self.max_keep:
                break
            self.keep = min(int(MARGIN_GROWTH * self.keep), self.max_keep)
        self.margin_too_small = self.keep == self.max_keep and (
            recall < 1.0 or bool(unverified.mean() > MAX_UNVERIFIED_AT_WIDEST)
        )
        return {"margin": self.keep, "sample": len(asked), "recall": recall}

    def run(
        self, subset: NDArray[np.intp] | None, threads: int, progress: Callable[[int], None]
    ) -> list[NDArray[np.intp]]:
        """Answer all queries, or those `subset`; returns, level by level, those whose answers are unverified."""
        unverified: list[list[NDArray[np.intp]]] = [[np.empty(0, np.intp)] for _ in self.ends]
        numbers, done = np.arange(len(self.X)), 0
        with ThreadPoolExecutor(threads) as pool:
            for queries, found in pool.map(lambda each: (each[0], self.block(*each)), list(self.blocks(subset))):
                for number, doubt in enumerate(found):
                    unverified[number].append(numbers[queries][doubt])
                done += len(numbers[queries])
                progress(done)
        return [np.concatenate(places) for places in unverified]

    def search_again(self, unverified: list[NDArray[np.intp]], threads: int) -> list[NDArray[np.intp]]:
        """Answer those unverified with all the candidates there may be; returns whose answers still are."""
        if self.keep == self.max_keep:
            return unverified
        self.keep = self.max_keep
        return self.run(np.unique(np.concatenate(unverified)), threads, lambda done: None)

    def search_by_brute_force(self, unverified: list[NDArray[np.intp]], threads: int) -> int:
        """Answer what is unverified in the plain way; returns how many answers those were."""
        with faiss_threads(threads):
            for number, asked in enumerate(unverified):
                if len(asked):
                    level = self.levels[number]
                    similarity, place = self.brute_force(number, asked)
                    level.similarity[asked - level.first], level.place[asked - level.first] = similarity, place
        return sum(map(len, unverified))

    def brute_force(self, level: int, queries: NDArray[Any]) -> tuple[Floats, Rows]:
        end = self.ends[level]
        return brute_force(self.X[:end], self.rows[:end], self.X[queries], self.own[queries], self.k)

    def blocks(self, subset: NDArray[np.intp] | None) -> Iterator[tuple[RowSelection, int]]:
        """Yield some queries at a time with the highest level that they ask, the costly ones first."""
        edges = [*(level.first for level in self.levels), len(self.X)]
        for top in reversed(range(len(self.ends))):
            low, high = edges[top], edges[top + 1]
            if subset is None:
                yield from ((slice(at, min(at + BLOCK_QUERIES, high)), top) for at in range(low, high, BLOCK_QUERIES))
            else:
                some = subset[(subset >= low) & (subset < high)]
                yield from ((some[at : at + BLOCK_QUERIES], top) for at in range(0, len(some), BLOCK_QUERIES))

    def block(self, queries: RowSelection, top: int) -> list[NDArray[np.bool_]]:
        """Answer some queries at every level up to `top`; returns who is unverified, level by level."""
        from harness.search import kernels

        mine = self.X, self.own, self.products.scale, self.products.shift
        X, own, scale, shift = (_read_only(array[queries]) for array in mine)
        q = len(own)
        rough, place, exact = (array[:q] for array in self.candidates())
        count, threshold = np.zeros(q, np.int64), np.full(q, -np.inf, np.float32)
        similarity, found = np.full((q, self.k), -np.inf, np.float32), np.zeros((q, self.k), np.int32)
        unverified, low = [], 0
        for end, level in zip(self.ends[: top + 1], self.levels, strict=False):
            while low < end:
                base = slice(low, min(low + BLOCK_WIDTH, end))
                kernels.scan(
                    self.products.block(queries, base),
                    self.products.scale[base],
                    self.products.shift[base],
                    scale,
                    low,
                    threshold,
                    rough,
                    place,
                    exact,
                    count,
                    self.keep,
                )
                low = base.stop
            verified = np.empty(q, np.bool_)
            kernels.verify(
                X,
                self.X,
                self.rows,
                own,
                scale,
                shift,
                threshold,
                rough,
                place,
                exact,
                count,
                self.keep,
                ERROR_BOUND,
                similarity,
                found,
                verified,
            )
            here = _shift(queries, level.first)
            level.similarity[here], level.place[here] = similarity, found
            unverified.append(~verified)
        return unverified

    def candidates(self) -> tuple[Floats, NDArray[np.int32], Floats]:
        """Return the calling thread's room for candidates: rough products, places, exact products."""
        from harness.search import kernels

        room = max(MIN_CANDIDATES, self.keep + self.keep // 2 + kernels.SCANNED_PRODUCTS)
        if getattr(self.local, "room", 0) != room:
            kinds = (np.float32, np.int32, np.float32)
            self.local.arrays = tuple(np.empty((BLOCK_QUERIES, room), kind) for kind in kinds)
            self.local.room = room
        arrays: tuple[Floats, NDArray[np.int32], Floats] = self.local.arrays
        return arrays


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that is not to be written: loops are compiled once for maps of files, copies and what is ours."""
    view = array.view()
    view.setflags(write=False)
    return view


def _shift(queries: RowSelection, first: int) -> RowSelection:
    """Count the places of queries from the first one that a level answers."""
    return slice(queries.start - first, queries.stop - first) if isinstance(queries, slice) else queries - first


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
