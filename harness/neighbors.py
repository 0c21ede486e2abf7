"""The exact nearest labelled rows by cosine, and the neighbour graph of all rows."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.fuse import Floats, Rows, fuse
from harness.task import On, Task

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

QUERIES = 16_384  # rows searched at a time
PAIRS = 8_000_000  # candidates of all queries ranked at a time: some 300 MB
GATHERED = 4_000_000  # float32 values gathered at a time for the exact products
NOISE = 4e-6  # how far two orders of summing a product of unit vectors may differ


def neighbors(task: Task, on: On, k: int) -> tuple[Floats, Rows]:
    """Find the `k` nearest labelled rows of each row to label, by cosine of the blocks `on`.

    Returns similarity (m, k) float32 and index (m, k) into ``task.y``, nearest first, ties to the lower row number. A
    row is never its own neighbour. `k` is cut to the number of labelled rows; where a row has fewer candidates than
    that, the last places hold similarity -inf and index 0.
    """
    X, X_pool = task.matrix(on)
    return _search(unit(X), unit(X_pool), task.labelled, task.to_label, k)


def graph(task: Task, on: On, k: int) -> "csr_matrix":
    """Return the sparse (N', N') cosine similarities of every row to its `k` nearest others.

    The rows are the labelled ones, then those to label, then the spare ones, each in the task's order. Not symmetric:
    row i holds the neighbours of i.
    """
    from scipy.sparse import csr_matrix

    rows = np.concatenate([task.labelled, task.to_label, task.spare])
    (X,) = fuse(task.chosen(on), task.labelled, rows)
    similarity, index = _search(unit(X), X, rows, rows, k)
    found = np.isfinite(similarity)
    starts = np.concatenate([[0], np.cumsum(found.sum(axis=1))])
    return csr_matrix((similarity[found], index[found], starts), shape=(len(rows), len(rows)))


def unit(X: Floats) -> Floats:
    """Scale each row of X (rows, d) to length 1, in place; a zero row stays zero."""
    length = np.sqrt(np.einsum("nd,nd->n", X, X))[:, None]
    np.divide(X, length, out=X, where=length > 0)
    return X


def searched(
    base: Floats, queries: Floats, base_rows: Rows, query_rows: Rows, k: int, step: int = QUERIES
) -> Iterator[tuple[slice, Floats, Rows]]:
    """Yield (queries, similarity, index), `step` queries at a time: their `k` nearest of the unit vectors `base`.

    `index` points into `base`; otherwise as `neighbors` says. The step changes nothing but how often there is an
    answer.
    """
    # Stored in order of row number, so that among equals the lower place is the lower row.
    order = np.argsort(base_rows, kind="stable")
    base, ordered_rows = np.ascontiguousarray(base[order]), base_rows[order]
    # A row that is also asked about meets itself, once for every copy of it.
    low, high = np.searchsorted(ordered_rows, query_rows), np.searchsorted(ordered_rows, query_rows, side="right")
    k = min(k, len(base))
    for start in range(0, len(queries), step):
        here = slice(start, min(start + step, len(queries)))
        similarity, place = _exact(base, queries[here], low[here], high[here], k)
        yield here, similarity, np.where(np.isfinite(similarity), order[place], 0)


def _search(base: Floats, queries: Floats, base_rows: Rows, query_rows: Rows, k: int) -> tuple[Floats, Rows]:
    k = min(k, len(base))
    similarity = np.empty((len(queries), k), np.float32)
    index = np.empty((len(queries), k), np.int64)
    for here, near, where in searched(base, queries, base_rows, query_rows, k):
        similarity[here], index[here] = near, where
    return similarity, index


def _exact(base: Floats, queries: Floats, low: NDArray[np.intp], high: NDArray[np.intp], k: int) -> tuple[Floats, Rows]:
    """Search one chunk; look further for the rows whose k-th neighbour may be tied with one that was left out."""
    import faiss

    similarity = np.empty((len(queries), k), np.float32)
    place = np.empty((len(queries), k), np.int64)
    left, reach = np.arange(len(queries)), min(k + int((high - low).max(initial=0)) + 8, len(base))
    while len(left):
        settled = np.empty(len(left), np.bool_)
        for start in range(0, len(left), max(1, PAIRS // reach)):
            here = slice(start, start + max(1, PAIRS // reach))
            now = left[here]
            rough, where = faiss.knn(queries[now], base, reach, metric=faiss.METRIC_INNER_PRODUCT)
            last = rough[:, -1]
            found = _products(queries[now], base, where)
            found[(where >= low[now, None]) & (where < high[now, None])] = -np.inf
            nearest_first = np.lexsort((where, -found))[:, :k]
            similarity[now] = np.take_along_axis(found, nearest_first, 1)
            place[now] = np.take_along_axis(where, nearest_first, 1)
            settled[here] = (similarity[now, -1] > last + NOISE) | (reach == len(base))
        left, reach = left[~settled], min(reach * 4, len(base))
    return similarity, place


def _products(queries: Floats, base: Floats, where: Rows) -> Floats:
    """Return (q, r) products of each query with its candidates, summed alike wherever the candidate stands.

    A matrix product sums in an order that depends on the place in the block, so equal rows come out unequal by a bit;
    these do not, and ties are ties.
    """
    products = np.empty(where.shape, np.float32)
    step = max(1, GATHERED // (where.shape[1] * base.shape[1]))
    for start in range(0, len(queries), step):
        here = slice(start, start + step)
        products[here] = np.einsum("qd,qrd->qr", queries[here], base[where[here]])
    return products
