"""Equal rows: where they come in crowds, each vector is searched once and its copies share the answer."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.plugin.block import Floats, Rows

MIN_DUPLICATE_SHARE = (
    0.02  # share of the base that stands in crowds larger than k from which on copies are worth a look
)
COMPARED_ROWS = 2_048  # rows looked at a time

Search = Callable[[Floats, Rows, Rows, int, int, int], tuple[Floats, Rows]]
"""(X, rows, own, size, start, k) -> similarity and place, both (queries, k)."""


def unique_rows(X: Floats) -> tuple[Rows, Rows]:
    """Return where each different row of X (N, d) stands first (u,), and for every row which of these it is (N,).

    Rows are told apart by a hash of their bytes, and compared with the first of their kind: a clash of two hashes is
    a kind of its own for every row.
    """
    weight = np.random.default_rng(0).integers(0, 2**63, X.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    code = np.empty(len(X), np.uint64)
    for start in range(0, len(X), COMPARED_ROWS):
        bits = np.ascontiguousarray(X[start : start + COMPARED_ROWS]).view(np.uint32)
        code[start : start + COMPARED_ROWS] = bits.astype(np.uint64) @ weight  # modulo 2 ** 64
    _, first, kind = np.unique(code, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[kind] != np.arange(len(X)))
    for start in range(0, len(again), COMPARED_ROWS):
        here = again[start : start + COMPARED_ROWS]
        if (X[here] != X[first[kind[here]]]).any():
            return np.arange(len(X)), np.arange(len(X))
    return first, kind.reshape(-1)


def has_large_groups(group: Rows, size: int, k: int) -> bool:
    """Say whether so many of the first `size` rows have more than `k` copies that the search would drown in ties."""
    count = np.bincount(group[:size])
    return bool(count[count > k].sum() > MIN_DUPLICATE_SHARE * size)


@dataclass(frozen=True, eq=False)
class DuplicateGroups:
    """The base rows of every kind of vector, lower row numbers first."""

    rows: Rows  # (b,) row numbers of the base
    member: Rows  # (b,) places in the base, kind by kind
    start: Rows  # (u,) where a kind begins in `member`
    count: Rows  # (u,)

    @classmethod
    def of(cls, rows: Rows, group: Rows, n_groups: int) -> "DuplicateGroups":
        count = np.bincount(group, minlength=n_groups)
        return cls(rows, np.lexsort((rows, group)), np.cumsum(count) - count, count)

    def expand(self, similarity: Floats, group: Rows) -> tuple[Floats, Rows]:
        """Turn the nearest kinds (q, r) of some queries into their nearest rows (q, r): similarity and place.

        Nearest first, ties to the lower row number; -inf and 0 where there are no more.
        """
        q, r = similarity.shape
        count = np.where(np.isfinite(similarity), np.minimum(self.count[group], r), 0)  # (q, r)
        run = np.zeros((q, r), np.int64)  # where the kinds begin that are as near as this one
        run[:, 1:] = np.where(similarity[:, 1:] < similarity[:, :-1], np.arange(1, r), 0)
        nearer = np.take_along_axis(np.cumsum(count, axis=1) - count, np.maximum.accumulate(run, axis=1), 1)
        count[nearer >= r] = 0
        flat = count.ravel()
        query = np.repeat(np.arange(q), count.sum(axis=1))
        offset = np.arange(len(query)) - np.repeat(np.cumsum(flat) - flat, flat)
        place = self.member[np.repeat(self.start[group].ravel(), flat) + offset]
        near = np.repeat(similarity.ravel(), flat)
        order = np.lexsort((place, self.rows[place], -near, query))
        rank = np.arange(len(query)) - np.repeat(np.cumsum(count.sum(axis=1)) - count.sum(axis=1), count.sum(axis=1))
        order, rank = order[rank < r], rank[rank < r]
        found, places = np.full((q, r), -np.inf, np.float32), np.zeros((q, r), np.int64)
        found[query[order], rank], places[query[order], rank] = near[order], place[order]
        return found, places


def search_unique(
    X: Floats, rows: Rows, size: int, start: int, k: int, first: Rows, group: Rows, search: Search
) -> tuple[Floats, Rows]:
    """Search each different vector once with `search`; the answer is that of `harness.search.neighbors.nearest`.

    `first` and `group` are those of `unique_rows`. A kind stands for the lowest of its rows in the base: at most r - 1
    kinds come before the r-th nearest row, so the r nearest kinds hold the r nearest rows.
    """
    base, base_kind = np.unique(group[:size], return_inverse=True)
    asked, asked_kind = np.unique(group[start:], return_inverse=True)
    groups = DuplicateGroups.of(rows[:size], base_kind.reshape(-1), len(base))
    lowest = rows[groups.member[groups.start]]  # (u,)
    # A row that is asked about may meet itself, once for every copy of its number.
    ordered = np.sort(rows[:size])
    copies = np.searchsorted(ordered, rows[start:], side="right") - np.searchsorted(ordered, rows[start:])
    reach = min(k + int(copies.max(initial=0)), size)
    whole = start == 0 and size == len(X)
    Z = X[first[base]] if whole else X[np.concatenate([first[base], first[asked]])]
    names = np.concatenate([lowest, np.full(len(Z) - len(base), -1)])
    similarity, place = search(Z, names, np.full(len(Z), -1), len(base), len(Z) - len(asked), min(reach, len(base)))
    spare = ((0, 0), (0, reach - similarity.shape[1]))
    similarity, place = np.pad(similarity, spare, constant_values=-np.inf), np.pad(place, spare)
    for low in range(0, len(asked), COMPARED_ROWS):
        here = slice(low, low + COMPARED_ROWS)
        similarity[here], place[here] = groups.expand(similarity[here], place[here])
    return _exclude_self(similarity, place, asked_kind.reshape(-1), rows[:size], rows[start:], k)


def _exclude_self(
    similarity: Floats, place: Rows, group: Rows, rows: Rows, own: Rows, k: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Give every query the list of its kind (u, r) without itself, `k` long."""
    found, places = np.empty((len(own), k), np.float32), np.empty((len(own), k), np.int64)
    for low in range(0, len(own), COMPARED_ROWS):
        here = slice(low, low + COMPARED_ROWS)
        near, where = similarity[group[here]], place[group[here]]
        out = (rows[where] == own[here, None]) | ~np.isfinite(near)
        order = np.argsort(out, axis=1, kind="stable")[:, :k]
        gone = np.take_along_axis(out, order, 1)
        found[here] = np.where(gone, -np.inf, np.take_along_axis(near, order, 1))
        places[here] = np.where(gone, 0, np.take_along_axis(where, order, 1))
    return found, places
