"""The plain neighbour search: faiss over the whole base, its products made again, ties to lower rows."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from harness.plugin.block import Floats, Rows

MAX_CANDIDATES = 8_000_000  # candidates of all queries at a time: some 100 MB
RERANKED_QUERIES = 1_024  # queries whose candidates a thread ranks at a time
FAISS_QUERIES = 16_384  # rows asked about at a time
ROUNDING_ERROR = 4e-6  # how far two orders of summing a product of unit vectors may differ


def brute_force(
    base: Floats, base_rows: Rows, queries: Floats, query_rows: Rows, k: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Find the `k` nearest rows of `base` (b, d) of each of the `queries` (q, d), all of them unit vectors.

    `base_rows` (b,) and `query_rows` (q,) are row numbers: a row is no neighbour of itself, and of equally near rows
    the lower number comes first. Returns similarity (q, k) and place (q, k) in the base, nearest first; where a query
    has fewer than `k` candidates, the last places hold -inf and 0.
    """
    import faiss

    similarity = np.full((len(queries), k), -np.inf, np.float32)
    place = np.zeros((len(queries), k), np.int64)
    # A row that is also asked about meets itself, once for every copy of it.
    ordered = np.sort(base_rows)
    copies = np.searchsorted(ordered, query_rows, side="right") - np.searchsorted(ordered, query_rows)
    wanted = min(k, len(base))
    left, reach = np.arange(len(queries)), min(wanted + int(copies.max(initial=0)) + 8, len(base))
    while len(left):
        settled = np.empty(len(left), np.bool_)
        for start in range(0, len(left), max(1, MAX_CANDIDATES // reach)):
            here = slice(start, start + max(1, MAX_CANDIDATES // reach))
            now = left[here]
            rough, where = faiss.knn(queries[now], base, reach, metric=faiss.METRIC_INNER_PRODUCT)
            similarity[now], place[now] = rerank(queries[now], base, base_rows, query_rows[now], where, k)
            # Otherwise the last neighbour may be tied with a row that was left out: look further.
            settled[here] = (similarity[now, wanted - 1] > rough[:, -1] + ROUNDING_ERROR) | (reach == len(base))
        left, reach = left[~settled], min(reach * 4, len(base))
    return similarity, place


def rerank(
    queries: Floats, base: Floats, base_rows: Rows, query_rows: Rows, candidates: Rows, k: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the `k` nearest of each query's candidates (q, r), places in the base: similarity and place (q, k).

    Every product is summed in one order wherever the candidate stands: a matrix product sums in an order that depends
    on the place in the block, so that equal rows come out unequal by a bit.
    """
    import faiss

    from harness.search import kernels

    similarity, place = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)

    def some(start: int) -> None:
        here = slice(start, start + RERANKED_QUERIES)
        kernels.rank(queries[here], base, base_rows, query_rows[here], candidates[here], similarity[here], place[here])

    with ThreadPoolExecutor(faiss.omp_get_max_threads()) as pool:
        list(pool.map(some, range(0, len(queries), RERANKED_QUERIES)))
    return similarity, place


def fill_by_brute_force(
    X: Floats,
    rows: Rows,
    own: Rows,
    size: int,
    start: int,
    similarity: Floats,
    place: NDArray[np.int32],
    threads: int,
    progress: Callable[[int], None],
) -> None:
    """Fill `similarity` and `place` (q, k) with the neighbours of the rows of X from `start` on among the first `size`.

    `rows` and `own` (N,) are row numbers: of the base, and of what each query shall not find.
    """
    k = min(similarity.shape[1], size)
    similarity[:, k:], place[:, k:] = -np.inf, 0
    with faiss_threads(threads):
        for low in range(start, len(X), FAISS_QUERIES):
            here, to = slice(low, low + FAISS_QUERIES), slice(low - start, low - start + FAISS_QUERIES)
            similarity[to, :k], place[to, :k] = brute_force(X[:size], rows[:size], X[here], own[here], k)
            progress(min(low + FAISS_QUERIES, len(X)) - start)


@contextmanager
def faiss_threads(threads: int) -> Iterator[None]:
    """Let faiss, and what ranks its answers, use so many threads."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
