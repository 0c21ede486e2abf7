"""The exact nearest labelled rows by cosine, and the neighbour graph of all rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import DataError
from harness.plugin.block import Block, Floats, Places, Rows, fuse
from harness.plugin.precomputed import PrecomputedNeighbors, fingerprint
from harness.plugin.task import On, Task
from harness.search import deduplicate
from harness.search.engine import current_engine, record_search
from harness.search.exact import search

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SMALL_NORM = 1e-15  # lengths below are summed again: their squares leave float32
MIN_EXACT_SEARCH_COST = 1e11  # multiplications: below, the plain search is done before the fast one has begun


def neighbors(task: Task, on: On, k: int) -> tuple[Floats, Places]:
    """Find the `k` nearest labelled rows of each row to label, by cosine of the blocks `on`.

    Returns similarity (m, k) float32 and index (m, k) int32 into ``task.y``, nearest first, ties to the lower row
    number. A row is never its own neighbour. `k` is cut to the number of labelled rows; where a row has fewer
    candidates than that, the last places hold similarity -inf and index 0.
    """
    blocks, k = task.chosen(on), min(k, len(task.labelled))
    listed = task.precomputed.get((on,) if isinstance(on, str) else on)
    # A wrapper may have changed the rows or the blocks: then the list answers another question.
    if listed is not None and listed.serves(k, fingerprint(blocks, task.labelled, task.to_label)):
        return _read_precomputed(listed, k)
    rows = np.concatenate([task.labelled, task.to_label])
    (X,) = fuse(blocks, task.labelled, rows)
    similarity, index = nearest(normalize(X, rows), rows, len(task.labelled), len(task.labelled), k)
    return similarity, index.astype(np.int32)


def graph(task: Task, on: On, k: int) -> "csr_matrix":
    """Return the sparse (N', N') cosine similarities of every row to its `k` nearest others.

    The rows are the labelled ones, then those to label, then the spare ones, each in the task's order. Not symmetric:
    row i holds the neighbours of i.
    """
    from scipy.sparse import csr_matrix

    blocks, rows = task.chosen(on), np.concatenate([task.labelled, task.to_label, task.spare])
    listed, order = task.precomputed_graphs.get((on,) if isinstance(on, str) else on), np.argsort(rows, kind="stable")
    if listed is not None and listed.serves(k, fingerprint(blocks, *graph_rows(blocks, task.labelled, rows))):
        near, place = _read_precomputed(listed, k)  # in the order of the row numbers
        here = np.empty_like(order)
        here[order] = np.arange(len(rows))
        similarity, index = near[here], order[place[here]]
    else:
        (X,) = fuse(blocks, task.labelled, rows)
        similarity, index = nearest(normalize(X, rows), rows, len(rows), 0, k)
    found = np.isfinite(similarity)
    starts = np.concatenate([[0], np.cumsum(found.sum(axis=1))])
    return csr_matrix((similarity[found], index[found], starts), shape=(len(rows), len(rows)))


def graph_rows(blocks: list[Block], labelled: Rows, rows: Rows) -> tuple[Rows, Rows]:
    """Return what a graph of all `rows` depends on: the rows that features are scaled by, if any, and the rows."""
    scaled = any(block.kind == "feature" for block in blocks)
    return np.sort(labelled) if scaled else np.empty(0, np.int64), np.sort(rows)


def _read_precomputed(listed: PrecomputedNeighbors, k: int) -> tuple[Floats, Places]:
    record_search({**listed.about(), "shared": True})
    return listed.top(k)


def normalize(X: Floats, rows: Rows | None = None) -> Floats:
    """Scale each row of X (len, d) to length 1, in place; a zero row stays zero.

    Raises DataError where a value is not finite; `rows` (len,) are the numbers by which it names the row.
    """
    length = _lengths(X)
    odd = np.flatnonzero(~((length > SMALL_NORM) & (length < np.inf)))  # the squares of these are no float32, or 0
    if len(odd):
        largest = np.abs(X[odd]).max(axis=1, initial=0)
        if not np.isfinite(largest).all():
            place = odd[~np.isfinite(largest)][0]
            row = place if rows is None else rows[place]
            raise DataError(f"neighbours need finite values, row {row} has others")
        X[odd] /= np.where(largest > 0, largest, 1)[:, None]
        length[odd] = _lengths(X[odd])
    np.divide(X, length[:, None], out=X, where=length[:, None] > 0)
    return X


def _lengths(X: Floats) -> Floats:
    with np.errstate(over="ignore"):
        length: Floats = np.sqrt(np.einsum("nd,nd->n", X, X))
    return length


def nearest(
    X: Floats, rows: Rows, size: int, start: int, k: int, progress: Callable[[int], None] = lambda done: None
) -> tuple[Floats, Rows]:
    """Find the `k` nearest of the first `size` rows of X (N, d), unit vectors, for each row from `start` on.

    `rows` (N,) are row numbers; the answer is that of `neighbors`. `progress` is told how many rows are answered. The
    engine is the process's, see `harness.search.engine`.
    """
    import faiss

    k, asked, threads = min(k, size), len(X) - start, faiss.omp_get_max_threads()

    def look(
        Z: Floats, names: Rows, own: Rows, size: int, start: int, k: int, whole: int = asked
    ) -> tuple[Floats, Rows]:
        engine, queries = current_engine(), max(1, len(Z) - start)
        if engine == "auto" and size * queries * Z.shape[1] <= MIN_EXACT_SEARCH_COST:
            engine = "faiss"

        def follow(done: int) -> None:
            progress(done * whole // queries)

        (level,), facts = search(Z, names, [size], start, k, engine, threads, follow, own)
        record_search({"shared": False, "k": k, **facts})
        return level.similarity, level.place.astype(np.int64)

    first, kind = deduplicate.unique_rows(X)
    if deduplicate.has_large_groups(kind, size, k):
        return deduplicate.search_unique(X, rows, size, start, k, first, kind, look)
    return look(X, rows, rows, size, start, k)
