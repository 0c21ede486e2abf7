"""Exact nearest neighbours by cosine, for several sizes of the base.

Candidates come from rough products; they are re-ranked by exact float32 products. Every answer is verified: where a
dropped row might belong among the k, the query is searched again with more candidates, and where it is still
unverified, by brute force.
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
FIRST_MARGIN, MARGIN_GROWTH, MAX_MARGIN = 2, 1.5, 12  # candidates per neighbour: at first, growth factor, at most
ERROR_BOUND = 6.0  # largest error of a rough product, in root mean squares of the errors
SAMPLE_RUNS, SAMPLE_RUN_LENGTH = 8, 32  # runs of consecutive queries that calibrate the margin, and their length
MAX_UNVERIFIED = 0.06  # share of unverified answers above which all queries get more candidates, not only those
MAX_UNVERIFIED_AT_WIDEST = 0.004  # the same at the widest margin: above it, more exact products are cheaper


@dataclass(frozen=True, eq=False)
class Level:
    """The neighbours of the queries among the first rows of the base."""

    first: int  # the first query, a row of X
    similarity: Floats  # (q, k) nearest first; -inf where there are fewer than k
    index: NDArray[np.int32]  # (q, k) into X; 0 where there are fewer


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
    """Find the `k` nearest among the first ``ends[l]`` rows for each level.

    X (N, d) are unit vectors, `rows` (N,) their row numbers: a row is no neighbour of itself, and of equally near rows
    the lower number comes first. The queries are the rows from `start` on. `ends` increases. Level 0 has all queries;
    a further level l has those from ``max(start, ends[l])`` on, which are not in its base. `progress` gets the number
    of queries done. `own` (N,) are the row numbers that each query shall not find, `rows` by default. With `scratch`, a
    folder, the levels are memory maps of unnamed files there: those of a dozen ratios are larger than X.

    Returns the levels and the record: engine, margin, recall on a sample, number of answers that were searched again,
    number of those that took brute force, seconds. Where "auto" takes int8 and no margin is wide enough for it, float32
    takes over. The engine "faiss" searches each level by brute force, the reference for the others.
    """
    start_time = time.perf_counter()
    own = rows if own is None else own
    levels = _levels(len(X), ends, start, k, scratch)
    record: dict[str, Any] = {"engine": engine}
    if engine == "faiss":
        for number, (end, level) in enumerate(zip(ends, levels, strict=True)):
            report = progress if number == 0 else lambda done: None  # level 0 has all queries
            fill_by_brute_force(X, rows, own, end, level.first, level.similarity, level.index, threads, report)
    else:
        with threadpool_limits(1), _one_torch_thread():  # each block of queries has one thread
            for kind in dict.fromkeys((fastest(X.shape[1]), "float32")) if engine == "auto" else (engine,):
                attempt = _Search(X, rows, own, ends, levels, products(kind, X))
                record |= {"engine": kind, **attempt.calibrate_margin(threads)}
                if not attempt.margin_too_small:
                    break
            unverified = attempt.run(None, threads, progress)
            record["searched_again"] = sum(map(len, unverified))
            unverified = attempt.search_again(unverified, threads)
        record["searched_plainly"] = attempt.search_by_brute_force(unverified, threads)
    return levels, record | {"seconds": round(time.perf_counter() - start_time, 3)}


def _levels(count: int, ends: list[int], start: int, k: int, scratch: Path | None) -> list[Level]:
    firsts = [start, *(max(start, end) for end in ends[1:])]
    shapes = [(count - first, k) for first in firsts]
    return [
        Level(first, _allocate(shape, np.float32, scratch), _allocate(shape, np.int32, scratch))
        for first, shape in zip(firsts, shapes, strict=True)
    ]


def _allocate(shape: tuple[int, int], dtype: type, scratch: Path | None) -> NDArray[Any]:
    if scratch is None or 0 in shape:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(dir=scratch) as file:  # gone with the map
        return np.memmap(file, dtype, "w+", shape=shape).view(np.ndarray)


class _Search:
    """One pass over the base: the state that all blocks of queries share."""

    def __init__(
        self, X: Floats, rows: Rows, own: Rows, ends: list[int], levels: list[Level], products: Products
    ) -> None:
        self.X, self.rows, self.own = _read_only(X), _read_only(rows), _read_only(own)
        self.ends, self.levels, self.products = ends, levels, products
        self.k = k = levels[0].index.shape[1]
        self.keep = max(FIRST_MARGIN * k, k + 32)
        self.max_keep = MAX_MARGIN * k + 32
        self.margin_too_small = False  # whether the widest margin leaves too many answers unverified
        self.local = threading.local()

    def calibrate_margin(self, threads: int) -> dict[str, Any]:
        """Widen the margin until few sampled answers are unverified.

        The sample is queries of the highest level. The recall is the share of neighbours in verified answers that agree
        with brute force.
        """
        top, level = len(self.ends) - 1, self.levels[-1]
        if level.first == len(self.X):
            return {"margin": self.keep, "sample": 0, "recall": None}
        last = max(level.first, len(self.X) - SAMPLE_RUN_LENGTH)
        starts = np.linspace(level.first, last, SAMPLE_RUNS).astype(np.int64)
        runs = [slice(int(low), min(int(low) + SAMPLE_RUN_LENGTH, len(self.X))) for low in np.unique(starts)]
        sample = np.concatenate([np.arange(run.start, run.stop) for run in runs])
        with threadpool_limits(threads):
            true, _ = self.brute_force(top, sample)
        real = np.isfinite(true)
        while True:
            with ThreadPoolExecutor(threads) as pool:
                unverified = np.concatenate([masks[-1] for masks in pool.map(lambda run: self.block(run, top), runs)])
            similarity = level.similarity[sample - level.first]  # by value: any of equally near rows is right
            verified = real & ~unverified[:, None]
            recall = float((similarity[verified] >= true[verified] - 1e-6).mean()) if verified.any() else 1.0
            if (unverified.mean() <= MAX_UNVERIFIED and recall == 1.0) or self.keep == self.max_keep:
                break
            self.keep = min(int(MARGIN_GROWTH * self.keep), self.max_keep)
        self.margin_too_small = self.keep == self.max_keep and (
            recall < 1.0 or bool(unverified.mean() > MAX_UNVERIFIED_AT_WIDEST)
        )
        return {"margin": self.keep, "sample": len(sample), "recall": recall}

    def run(
        self, subset: NDArray[np.intp] | None, threads: int, progress: Callable[[int], None]
    ) -> list[NDArray[np.intp]]:
        """Search all queries or a `subset`; return the unverified ones per level."""
        unverified: list[list[NDArray[np.intp]]] = [[np.empty(0, np.intp)] for _ in self.ends]
        numbers, done = np.arange(len(self.X)), 0
        with ThreadPoolExecutor(threads) as pool:
            for queries, masks in pool.map(lambda block: (block[0], self.block(*block)), list(self.blocks(subset))):
                for level, mask in enumerate(masks):
                    unverified[level].append(numbers[queries][mask])
                done += len(numbers[queries])
                progress(done)
        return [np.concatenate(queries) for queries in unverified]

    def search_again(self, unverified: list[NDArray[np.intp]], threads: int) -> list[NDArray[np.intp]]:
        """Search unverified queries at the widest margin; return the rest."""
        if self.keep == self.max_keep:
            return unverified
        self.keep = self.max_keep
        return self.run(np.unique(np.concatenate(unverified)), threads, lambda done: None)

    def search_by_brute_force(self, unverified: list[NDArray[np.intp]], threads: int) -> int:
        """Search unverified queries by brute force; return their number."""
        with faiss_threads(threads):
            for number, queries in enumerate(unverified):
                if len(queries):
                    level, position = self.levels[number], queries - self.levels[number].first
                    level.similarity[position], level.index[position] = self.brute_force(number, queries)
        return sum(map(len, unverified))

    def brute_force(self, level: int, queries: NDArray[Any]) -> tuple[Floats, Rows]:
        """Return similarity and index (q, k) of the queries in a level."""
        end = self.ends[level]
        return brute_force(self.X[:end], self.rows[:end], self.X[queries], self.own[queries], self.k)

    def blocks(self, subset: NDArray[np.intp] | None) -> Iterator[tuple[RowSelection, int]]:
        """Yield blocks of queries and their highest level, costly ones first."""
        edges = [*(level.first for level in self.levels), len(self.X)]
        for top in reversed(range(len(self.ends))):
            low, high = edges[top], edges[top + 1]
            if subset is None:
                yield from ((slice(at, min(at + BLOCK_QUERIES, high)), top) for at in range(low, high, BLOCK_QUERIES))
            else:
                part = subset[(subset >= low) & (subset < high)]
                yield from ((part[at : at + BLOCK_QUERIES], top) for at in range(0, len(part), BLOCK_QUERIES))

    def block(self, queries: RowSelection, top: int) -> list[NDArray[np.bool_]]:
        """Search a block of queries in levels 0 to `top`.

        Returns the mask (q,) of unverified queries per level.
        """
        from harness.search import kernels

        arrays = self.X, self.own, self.products.scale, self.products.shift
        X, own, scale, shift = (_read_only(array[queries]) for array in arrays)
        q = len(own)
        rough, candidate, exact = (array[:q] for array in self.candidates())
        count, threshold = np.zeros(q, np.int64), np.full(q, -np.inf, np.float32)
        similarity, index = np.full((q, self.k), -np.inf, np.float32), np.zeros((q, self.k), np.int32)
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
                    candidate,
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
                candidate,
                exact,
                count,
                self.keep,
                ERROR_BOUND,
                similarity,
                index,
                verified,
            )
            position = _position_in_level(queries, level.first)
            level.similarity[position], level.index[position] = similarity, index
            unverified.append(~verified)
        return unverified

    def candidates(self) -> tuple[Floats, NDArray[np.int32], Floats]:
        """Return the thread's candidates: rough products, indices, exact ones."""
        from harness.search import kernels

        room = max(MIN_CANDIDATES, self.keep + self.keep // 2 + kernels.SCANNED_PRODUCTS)
        if getattr(self.local, "room", 0) != room:
            dtypes = (np.float32, np.int32, np.float32)
            self.local.arrays = tuple(np.empty((BLOCK_QUERIES, room), dtype) for dtype in dtypes)
            self.local.room = room
        arrays: tuple[Floats, NDArray[np.int32], Floats] = self.local.arrays
        return arrays


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view.

    A compiled loop is compiled again for each type of array; memory maps, copies and own arrays then are of one.
    """
    view = array.view()
    view.setflags(write=False)
    return view


def _position_in_level(queries: RowSelection, first: int) -> RowSelection:
    """Return the positions of queries in a level that begins at `first`."""
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
