"""Exact nearest labelled rows by cosine, and the graph of all rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from harness.errors import DataError
from harness.plugin.block import Block, Floats, Indices, Rows, fuse
from harness.plugin.precomputed import PrecomputedNeighbors, fingerprint
from harness.plugin.rule import BlockScaler
from harness.plugin.task import On, Task
from harness.search import deduplicate
from harness.search.engine import current_engine, record_search
from harness.search.exact import search

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SMALL_NORM = 1e-15  # norms below are computed again from scaled values: their squares leave float32
MIN_EXACT_SEARCH_COST = 1e11  # multiplications: below, brute force is faster
QUERY_ROWS = 16_384  # rows that an index is searched for at a time
NEW_ROW = -1  # the number of a row that is none of those in an index


def neighbors(task: Task, on: On, k: int) -> tuple[Floats, Indices]:
    """Find the `k` nearest labelled rows of each row to label, by cosine.

    The cosine is that of the blocks `on` side by side. Returns similarity (m, k) float32 and index (m, k) int32 into
    ``task.y``, nearest first, ties to the lower row number. A row is never its own neighbour. `k` is cut to the number
    of labelled rows; where a row has fewer candidates than that, the last entries are similarity -inf and index 0.
    """
    blocks, k = task.chosen(on), min(k, len(task.labelled))
    precomputed = task.precomputed.get((on,) if isinstance(on, str) else on)
    # A wrapper may have changed the rows or the blocks: then the precomputed neighbours are of another search.
    if precomputed is not None and precomputed.serves(k, fingerprint(blocks, task.labelled, task.to_label)):
        return _read_precomputed(precomputed, k)
    rows = np.concatenate([task.labelled, task.to_label])
    (X,) = fuse(blocks, task.labelled, rows)
    similarity, index = nearest(normalize(X, rows), rows, len(task.labelled), len(task.labelled), k)
    return similarity, index.astype(np.int32)


@dataclass(frozen=True, eq=False)
class NeighborIndex:
    """The labelled rows of a task, among which new rows find neighbours."""

    scaler: BlockScaler
    vectors: Floats  # (n, d) of length 1
    rows: Rows  # (n,) row numbers: of equally near rows the lower comes first

    @classmethod
    def fit(cls, task: Task, on: On) -> Self:
        """Return the index of the labelled rows by the blocks `on`."""
        scaler = BlockScaler.fit(task, on)
        return cls(scaler, normalize(scaler.matrix(task.blocks, task.labelled), task.labelled), task.labelled)

    def search(self, blocks: Mapping[str, Block], rows: Rows, k: int) -> Iterator[tuple[slice, Floats, Indices]]:
        """Yield (slice of `rows`, similarity, index), both (rows, k), in parts.

        As by `neighbors`, but that no row is taken for a labelled one. The answer does not depend on the parts.
        """
        k, n = min(k, len(self.rows)), len(self.rows)
        for part, X in self.scaler.parts(blocks, rows, QUERY_ROWS):
            numbers = np.concatenate([self.rows, np.full(len(X), NEW_ROW)])
            both = np.concatenate([self.vectors, normalize(X, rows[part])])
            similarity, index = nearest(both, numbers, n, n, k)
            yield part, similarity, index.astype(np.int32)


def graph(task: Task, on: On, k: int) -> "csr_matrix":
    """Return the (N', N') cosines of each row to its `k` nearest others.

    The matrix is sparse. Its rows are the labelled ones, then those to label, then the spare ones, each in the task's
    order. It is not symmetric: row i holds the neighbours of i.
    """
    from scipy.sparse import csr_matrix

    blocks, rows = task.chosen(on), np.concatenate([task.labelled, task.to_label, task.spare])
    precomputed = task.precomputed_graphs.get((on,) if isinstance(on, str) else on)
    order = np.argsort(rows, kind="stable")
    if precomputed is not None and precomputed.serves(k, fingerprint(blocks, *graph_rows(blocks, task.labelled, rows))):
        sorted_similarity, sorted_index = _read_precomputed(precomputed, k)  # in the order of the row numbers
        rank = np.empty_like(order)
        rank[order] = np.arange(len(rows))
        similarity, index = sorted_similarity[rank], order[sorted_index[rank]]
    else:
        (X,) = fuse(blocks, task.labelled, rows)
        similarity, index = nearest(normalize(X, rows), rows, len(rows), 0, k)
    real = np.isfinite(similarity)
    starts = np.concatenate([[0], np.cumsum(real.sum(axis=1))])
    return csr_matrix((similarity[real], index[real], starts), shape=(len(rows), len(rows)))


def graph_rows(blocks: list[Block], labelled: Rows, rows: Rows) -> tuple[Rows, Rows]:
    """Return the rows that scale the features, if any, and all `rows`.

    Both are sorted. A graph depends on these rows and no others.
    """
    scaled = any(block.kind == "feature" for block in blocks)
    return np.sort(labelled) if scaled else np.empty(0, np.int64), np.sort(rows)


def _read_precomputed(precomputed: PrecomputedNeighbors, k: int) -> tuple[Floats, Indices]:
    record_search({**precomputed.read_record(), "shared": True})
    return precomputed.top(k)


def normalize(X: Floats, rows: Rows | None = None) -> Floats:
    """Scale each row of X (len, d) to norm 1 in place; zero rows stay zero.

    Raises DataError where a value is not finite; `rows` (len,) are the row numbers for its message.
    """
    norm = _norms(X)
    extreme = np.flatnonzero(~((norm > SMALL_NORM) & (norm < np.inf)))  # their squares leave float32, or are 0
    if len(extreme):
        largest = np.abs(X[extreme]).max(axis=1, initial=0)
        if not np.isfinite(largest).all():
            index = extreme[~np.isfinite(largest)][0]
            row = index if rows is None else rows[index]
            raise DataError(f"neighbours need finite values, row {row} has others")
        X[extreme] /= np.where(largest > 0, largest, 1)[:, None]
        norm[extreme] = _norms(X[extreme])
    np.divide(X, norm[:, None], out=X, where=norm[:, None] > 0)
    return X


def _norms(X: Floats) -> Floats:
    with np.errstate(over="ignore"):
        norm: Floats = np.sqrt(np.einsum("nd,nd->n", X, X))
    return norm


def nearest(
    X: Floats, rows: Rows, size: int, start: int, k: int, progress: Callable[[int], None] = lambda done: None
) -> tuple[Floats, Rows]:
    """Find the `k` nearest of the first `size` rows of X for each query.

    The queries are the rows from `start` on. X (N, d) are unit vectors, `rows` (N,) row numbers. Returns similarity and
    index (N - start, k), sorted as by `neighbors`. `progress` gets the number of rows done. The engine is that of the
    process, see `harness.search.engine`.
    """
    import faiss

    k, n_queries, threads = min(k, size), len(X) - start, faiss.omp_get_max_threads()

    def run_engine(Z: Floats, Z_rows: Rows, own: Rows, size: int, start: int, k: int) -> tuple[Floats, Rows]:
        engine, n_distinct = current_engine(), max(1, len(Z) - start)
        if engine == "auto" and size * n_distinct * Z.shape[1] <= MIN_EXACT_SEARCH_COST:
            engine = "faiss"

        def report(done: int) -> None:
            progress(done * n_queries // n_distinct)

        (level,), record = search(Z, Z_rows, [size], start, k, engine, threads, report, own)
        record_search({"shared": False, "k": k, **record})
        return level.similarity, level.index.astype(np.int64)

    first, group = deduplicate.unique_rows(X)
    if deduplicate.has_large_groups(group, size, k):
        return deduplicate.search_unique(X, rows, size, start, k, first, group, run_engine)
    return run_engine(X, rows, rows, size, start, k)
