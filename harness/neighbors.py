"""The exact nearest labelled rows by cosine, and the neighbour graph of all rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from harness.flat import flat
from harness.fuse import Floats, Rows, fuse
from harness.listed import question
from harness.task import On, Task

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LARGE = 2e11  # multiplications: below, the plain search is done before the fast one has begun
QUERIES = 16_384  # rows asked about at a time by the plain search


def neighbors(task: Task, on: On, k: int) -> tuple[Floats, Rows]:
    """Find the `k` nearest labelled rows of each row to label, by cosine of the blocks `on`.

    Returns similarity (m, k) float32 and index (m, k) into ``task.y``, nearest first, ties to the lower row number. A
    row is never its own neighbour. `k` is cut to the number of labelled rows; where a row has fewer candidates than
    that, the last places hold similarity -inf and index 0.
    """
    blocks, k = task.chosen(on), min(k, len(task.labelled))
    listed = task.listed.get((on,) if isinstance(on, str) else on)
    # A wrapper may have changed the rows or the blocks: then the list answers another question.
    if listed is not None and listed.k >= k and listed.of == question(blocks, task.labelled, task.to_label):
        return listed.first(k)
    rows = np.concatenate([task.labelled, task.to_label])
    (X,) = fuse(blocks, task.labelled, rows)
    return nearest(unit(X), rows, len(task.labelled), len(task.labelled), k)


def graph(task: Task, on: On, k: int) -> "csr_matrix":
    """Return the sparse (N', N') cosine similarities of every row to its `k` nearest others.

    The rows are the labelled ones, then those to label, then the spare ones, each in the task's order. Not symmetric:
    row i holds the neighbours of i.
    """
    from scipy.sparse import csr_matrix

    rows = np.concatenate([task.labelled, task.to_label, task.spare])
    (X,) = fuse(task.chosen(on), task.labelled, rows)
    similarity, index = nearest(unit(X), rows, len(rows), 0, k)
    found = np.isfinite(similarity)
    starts = np.concatenate([[0], np.cumsum(found.sum(axis=1))])
    return csr_matrix((similarity[found], index[found], starts), shape=(len(rows), len(rows)))


def unit(X: Floats) -> Floats:
    """Scale each row of X (rows, d) to length 1, in place; a zero row stays zero."""
    length = np.sqrt(np.einsum("nd,nd->n", X, X))[:, None]
    np.divide(X, length, out=X, where=length > 0)
    return X


def nearest(
    X: Floats, rows: Rows, size: int, start: int, k: int, progress: Callable[[int], None] = lambda done: None
) -> tuple[Floats, Rows]:
    """Find the `k` nearest of the first `size` rows of X (N, d), unit vectors, for each row from `start` on.

    `rows` (N,) are row numbers; the answer is that of `neighbors`. `progress` is told how many rows are answered.
    """
    k = min(k, size)
    if size * (len(X) - start) * X.shape[1] > LARGE:
        import faiss

        from harness.search import search

        (level,), _ = search(X, rows, [size], start, k, threads=faiss.omp_get_max_threads(), progress=progress)
        return level.similarity, level.place.astype(np.int64)
    similarity = np.empty((len(X) - start, k), np.float32)
    place = np.empty((len(X) - start, k), np.int64)
    for low in range(start, len(X), QUERIES):
        here, to = slice(low, low + QUERIES), slice(low - start, low - start + QUERIES)
        similarity[to], place[to] = flat(X[:size], rows[:size], X[here], rows[here], k)
        progress(min(low + QUERIES, len(X)) - start)
    return similarity, place
