"""Brute-force neighbour search: candidates from faiss, re-ranked exactly."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from harness.plugin.block import Floats, Rows

MAX_CANDIDATES = 8_000_000  # candidates of one call of faiss, all queries together: some 100 MB
RERANKED_QUERIES = 1_024  # queries that a thread re-ranks at a time
FAISS_QUERIES = 16_384  # queries at a time
ROUNDING_ERROR = 4e-6  # how far two orders of summing a product of unit vectors may differ


def brute_force(
    base: Floats, base_rows: Rows, queries: Floats, query_rows: Rows, k: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Find the `k` nearest rows of `base` (b, d) for each query (q, d).

    All are unit vectors, compared by cosine. `base_rows` (b,) and `query_rows` (q,) are row numbers: a row is no
    neighbour of itself, and of equally near rows the lower number comes first. Returns similarity (q, k) and index
    (q, k) into the base, nearest first; where a query has fewer than `k` candidates, the last entries are -inf and 0.
    """
    import faiss

    similarity = np.full((len(queries), k), -np.inf, np.float32)
    index = np.zeros((len(queries), k), np.int64)
    # A query that is also in the base finds itself, once for each of its copies.
    ordered = np.sort(base_rows)
    copies = np.searchsorted(ordered, query_rows, side="right") - np.searchsorted(ordered, query_rows)
    n_neighbors = min(k, len(base))
    unverified, n_candidates = np.arange(len(queries)), min(n_neighbors + int(copies.max(initial=0)) + 8, len(base))
    while len(unverified):
        verified = np.empty(len(unverified), np.bool_)
        for start in range(0, len(unverified), max(1, MAX_CANDIDATES // n_candidates)):
            part = slice(start, start + max(1, MAX_CANDIDATES // n_candidates))
            query = unverified[part]
            rough, candidates = faiss.knn(queries[query], base, n_candidates, metric=faiss.METRIC_INNER_PRODUCT)
            similarity[query], index[query] = rerank(queries[query], base, base_rows, query_rows[query], candidates, k)
            # Otherwise the last neighbour may tie with a row that is no candidate: take more candidates.
            verified[part] = (similarity[query, n_neighbors - 1] > rough[:, -1] + ROUNDING_ERROR) | (
                n_candidates == len(base)
            )
        unverified, n_candidates = unverified[~verified], min(n_candidates * 4, len(base))
    return similarity, index


def rerank(
    queries: Floats, base: Floats, base_rows: Rows, query_rows: Rows, candidates: Rows, k: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Return similarity and index (q, k) of the `k` nearest candidates (q, r).

    Candidates and index are indices into the base. All products are summed in the same order: a matrix product sums in
    an order that depends on the position in the block, so equal rows could differ in the last bit.
    """
    import faiss

    from harness.search import kernels

    similarity, index = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)

    def rank_part(start: int) -> None:
        part = slice(start, start + RERANKED_QUERIES)
        kernels.rank(queries[part], base, base_rows, query_rows[part], candidates[part], similarity[part], index[part])

    with ThreadPoolExecutor(faiss.omp_get_max_threads()) as pool:
        list(pool.map(rank_part, range(0, len(queries), RERANKED_QUERIES)))
    return similarity, index


def fill_by_brute_force(
    X: Floats,
    rows: Rows,
    own: Rows,
    size: int,
    start: int,
    similarity: Floats,
    index: NDArray[np.int32],
    threads: int,
    progress: Callable[[int], None],
) -> None:
    """Write the neighbours of the queries to `similarity` and `index` (q, k).

    The queries are the rows of X (N, d) from `start` on, the base its first `size` rows. `rows` (N,) are row numbers;
    `own` (N,) are the row numbers that each query shall not find.
    """
    k = min(similarity.shape[1], size)
    similarity[:, k:], index[:, k:] = -np.inf, 0
    with faiss_threads(threads):
        for low in range(start, len(X), FAISS_QUERIES):
            part, to = slice(low, low + FAISS_QUERIES), slice(low - start, low - start + FAISS_QUERIES)
            similarity[to, :k], index[to, :k] = brute_force(X[:size], rows[:size], X[part], own[part], k)
            progress(min(low + FAISS_QUERIES, len(X)) - start)


@contextmanager
def faiss_threads(threads: int) -> Iterator[None]:
    """Set the threads of faiss and of the re-ranking inside the context."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
