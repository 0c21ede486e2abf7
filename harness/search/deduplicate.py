"""Search groups of equal rows once; the copies share the answer."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.plugin.block import Floats, Rows

MIN_DUPLICATE_SHARE = 0.02  # share of the base in groups of more than k copies from which on deduplication pays
COMPARED_ROWS = 2_048  # rows at a time

Search = Callable[[Floats, Rows, Rows, int, int, int], tuple[Floats, Rows]]
"""(X, rows, own, size, start, k) -> similarity and index (queries, k)."""


def unique_rows(X: Floats) -> tuple[Rows, Rows]:
    """Group equal rows of X (N, d): first index (u,) and group (N,).

    The group of a row is a number 0..u-1; `first` is the index of the first row of each group. Rows are
    grouped by a hash of their bytes and compared with the first of their group; where two hashes collide, every row
    becomes a group of its own.
    """
    weight = np.random.default_rng(0).integers(0, 2**63, X.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    code = np.empty(len(X), np.uint64)
    for start in range(0, len(X), COMPARED_ROWS):
        bits = np.ascontiguousarray(X[start : start + COMPARED_ROWS]).view(np.uint32)
        code[start : start + COMPARED_ROWS] = bits.astype(np.uint64) @ weight  # modulo 2 ** 64
    _, first, group = np.unique(code, return_index=True, return_inverse=True)
    copies = np.flatnonzero(first[group] != np.arange(len(X)))
    for start in range(0, len(copies), COMPARED_ROWS):
        part = copies[start : start + COMPARED_ROWS]
        if (X[part] != X[first[group[part]]]).any():
            return np.arange(len(X)), np.arange(len(X))
    return first, group.reshape(-1)


def has_large_groups(group: Rows, size: int, k: int) -> bool:
    """Return True if large groups of equal rows would slow the search down.

    A group is large if more than `k` of the first `size` rows are equal: they tie, and no margin of candidates is wide
    enough.
    """
    count = np.bincount(group[:size])
    return bool(count[count > k].sum() > MIN_DUPLICATE_SHARE * size)


@dataclass(frozen=True, eq=False)
class DuplicateGroups:
    """The base rows of each group of equal vectors, lower row numbers first."""

    rows: Rows  # (b,) row numbers of the base
    member: Rows  # (b,) indices into the base, group by group
    start: Rows  # (u,) where a group begins in `member`
    count: Rows  # (u,)

    @classmethod
    def of(cls, rows: Rows, group: Rows, n_groups: int) -> "DuplicateGroups":
        """Collect the groups of base rows with numbers `rows` (b,)."""
        count = np.bincount(group, minlength=n_groups)
        return cls(rows, np.lexsort((rows, group)), np.cumsum(count) - count, count)

    def expand(self, similarity: Floats, group: Rows) -> tuple[Floats, Rows]:
        """Expand the nearest groups (q, r) of queries to the nearest rows (q, r).

        Returns similarity and index into the base, nearest first, ties to the lower row number; -inf and 0 where there
        are no more.
        """
        q, r = similarity.shape
        count = np.where(np.isfinite(similarity), np.minimum(self.count[group], r), 0)  # (q, r)
        run = np.zeros((q, r), np.int64)  # where the groups of the same similarity begin
        run[:, 1:] = np.where(similarity[:, 1:] < similarity[:, :-1], np.arange(1, r), 0)
        nearer = np.take_along_axis(np.cumsum(count, axis=1) - count, np.maximum.accumulate(run, axis=1), 1)
        count[nearer >= r] = 0
        flat = count.ravel()
        query = np.repeat(np.arange(q), count.sum(axis=1))
        offset = np.arange(len(query)) - np.repeat(np.cumsum(flat) - flat, flat)
        index = self.member[np.repeat(self.start[group].ravel(), flat) + offset]
        near = np.repeat(similarity.ravel(), flat)
        order = np.lexsort((index, self.rows[index], -near, query))
        rank = np.arange(len(query)) - np.repeat(np.cumsum(count.sum(axis=1)) - count.sum(axis=1), count.sum(axis=1))
        order, rank = order[rank < r], rank[rank < r]
        row_similarity, row_index = np.full((q, r), -np.inf, np.float32), np.zeros((q, r), np.int64)
        row_similarity[query[order], rank], row_index[query[order], rank] = near[order], index[order]
        return row_similarity, row_index


def search_unique(
    X: Floats, rows: Rows, size: int, start: int, k: int, first: Rows, group: Rows, search: Search
) -> tuple[Floats, Rows]:
    """Search each distinct vector once with `search`.

    Returns similarity and index as `harness.search.neighbors.nearest` does. `first` and `group` are those of
    `unique_rows`. A group stands for the lowest of its rows in the base: at most r - 1 groups come before the r-th
    nearest row, so the r nearest groups hold the r nearest rows.
    """
    base, base_group = np.unique(group[:size], return_inverse=True)
    queries, query_group = np.unique(group[start:], return_inverse=True)
    groups = DuplicateGroups.of(rows[:size], base_group.reshape(-1), len(base))
    lowest = rows[groups.member[groups.start]]  # (u,)
    # A query may find itself, once for each copy of its row number.
    ordered = np.sort(rows[:size])
    copies = np.searchsorted(ordered, rows[start:], side="right") - np.searchsorted(ordered, rows[start:])
    n_found = min(k + int(copies.max(initial=0)), size)
    all_among_all = start == 0 and size == len(X)
    Z = X[first[base]] if all_among_all else X[np.concatenate([first[base], first[queries]])]
    Z_rows = np.concatenate([lowest, np.full(len(Z) - len(base), -1)])
    n_groups = min(n_found, len(base))
    similarity, index = search(Z, Z_rows, np.full(len(Z), -1), len(base), len(Z) - len(queries), n_groups)
    padding = ((0, 0), (0, n_found - similarity.shape[1]))
    similarity, index = np.pad(similarity, padding, constant_values=-np.inf), np.pad(index, padding)
    for low in range(0, len(queries), COMPARED_ROWS):
        part = slice(low, low + COMPARED_ROWS)
        similarity[part], index[part] = groups.expand(similarity[part], index[part])
    return _exclude_self(similarity, index, query_group.reshape(-1), rows[:size], rows[start:], k)


def _exclude_self(
    group_similarity: Floats, group_index: Rows, group: Rows, rows: Rows, own: Rows, k: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Return each query's neighbours (q, k): those of its group but itself."""
    similarity, index = np.empty((len(own), k), np.float32), np.empty((len(own), k), np.int64)
    for low in range(0, len(own), COMPARED_ROWS):
        part = slice(low, low + COMPARED_ROWS)
        near, candidates = group_similarity[group[part]], group_index[group[part]]
        excluded = (rows[candidates] == own[part, None]) | ~np.isfinite(near)
        order = np.argsort(excluded, axis=1, kind="stable")[:, :k]
        empty = np.take_along_axis(excluded, order, 1)
        similarity[part] = np.where(empty, -np.inf, np.take_along_axis(near, order, 1))
        index[part] = np.where(empty, 0, np.take_along_axis(candidates, order, 1))
    return similarity, index
