"""The compiled loops of the neighbour search: what NumPy would need several passes over memory for."""

from typing import Any

import numpy as np
from numba import njit

STEP = 64  # products compared with a threshold at a time: most steps hold none above it
UNKNOWN = np.float32(-9.0)  # an exact product that has not been made yet; no cosine is that low


@njit(nogil=True, cache=True)
def _part(value: Any, place: Any, exact: Any, n: int, k: int) -> None:
    """Reorder the first n entries of three arrays so that the k largest values come first (quickselect)."""
    low, high = 0, n - 1
    while low < high:
        pivot = value[(low + high) >> 1]
        i, j = low, high
        while i <= j:
            while value[i] > pivot:
                i += 1
            while value[j] < pivot:
                j -= 1
            if i <= j:
                value[i], value[j] = value[j], value[i]
                place[i], place[j] = place[j], place[i]
                exact[i], exact[j] = exact[j], exact[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            return


@njit(nogil=True, cache=True)
def _least(value: Any, n: int) -> Any:
    least = value[0]
    for i in range(1, n):
        least = min(least, value[i])
    return least


@njit(nogil=True, cache=True, fastmath=True)
def dot(a: Any, b: Any) -> Any:
    """Sum a product in one fixed order: equal rows give equal sums wherever they stand."""
    total = np.float32(0)
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@njit(nogil=True, cache=True, fastmath=True)
def scan(
    products: Any, scale: Any, first: int, threshold: Any, rough: Any, place: Any, exact: Any, count: Any, keep: int
) -> None:
    """Collect from a block of products (q, width) those above each query's threshold.

    Column j is the base row at place first + j, and its product counts scale[j] times. The candidates of each query
    are rough, place and exact (q, room), `count` of them in use. Where the room is used up, the `keep` largest stay
    and the threshold rises to the least of them.
    """
    room, width = rough.shape[1], products.shape[1]
    for q in range(products.shape[0]):
        bar, n, row = threshold[q], count[q], products[q]
        for start in range(0, width, STEP):
            stop = min(width, start + STEP)
            block, factor = row[start:stop], scale[start:stop]
            above = np.int32(0)
            for j in range(block.size):
                above += np.int32(np.float32(block[j]) * factor[j] > bar)
            if above == 0:
                continue
            if n + above > room:
                _part(rough[q], place[q], exact[q], n, keep)
                n, bar = keep, _least(rough[q], keep)
            for j in range(start, stop):
                value = np.float32(row[j]) * scale[j]
                if value > bar:
                    rough[q, n], place[q, n], exact[q, n] = value, first + j, UNKNOWN
                    n += 1
        threshold[q], count[q] = bar, n


@njit(nogil=True, cache=True)
def settle(
    queries: Any,
    base: Any,
    rows: Any,
    own: Any,
    scale: Any,
    threshold: Any,
    rough: Any,
    place: Any,
    exact: Any,
    count: Any,
    keep: int,
    slack: float,
    similarity: Any,
    found: Any,
    settled: Any,
) -> None:
    """Give each query its nearest base rows so far: `similarity` and `found` (q, k), nearest first, ties to lower rows.

    `rows` are the row numbers of the base, `own` those of the queries, which are no neighbours of themselves; `scale`
    turns a query's rough products into cosines. A query is settled if no row that was dropped can belong among its k:
    their rough products lie below the threshold, and rough and exact differ by at most `slack` root mean squares.
    """
    k = similarity.shape[1]
    value, where = np.empty(keep, np.float32), np.empty(keep, np.int32)
    idle = np.empty(keep, np.float32)
    for q in range(queries.shape[0]):
        n = count[q]
        if n > keep:
            _part(rough[q], place[q], exact[q], n, keep)
            n = keep
            threshold[q], count[q] = _least(rough[q], keep), keep
        squares = 0.0
        for i in range(n):
            if exact[q, i] == UNKNOWN:
                exact[q, i] = dot(queries[q], base[place[q, i]])
            squares += (rough[q, i] * scale[q] - exact[q, i]) ** 2
            where[i] = place[q, i]
            value[i] = -np.inf if rows[where[i]] == own[q] else exact[q, i]
        taken = min(k, n)
        if taken < n:
            _part(value, where, idle, n, taken)
            _break_ties(value, where, rows, n, taken)
        _sort(value, where, rows, taken)
        for i in range(k):  # loops: slices take seconds to compile
            similarity[q, i] = value[i] if i < taken else -np.inf
            found[q, i] = where[i] if i < taken else 0
        error = slack * np.sqrt(squares / max(n, 1)) + 1e-6
        bar = threshold[q] * scale[q]
        settled[q] = not np.isfinite(threshold[q]) or (taken == k and similarity[q, k - 1] > bar + error)


@njit(nogil=True, cache=True)
def _before(rows: Any, one: int, other: int) -> bool:
    return rows[one] < rows[other] or (rows[one] == rows[other] and one < other)


@njit(nogil=True, cache=True)
def _break_ties(value: Any, where: Any, rows: Any, n: int, k: int) -> None:
    """Among values equal to the least of the first k, keep those of the lowest rows there."""
    least = _least(value, k)
    for i in range(k, n):
        if value[i] == least:
            last = -1
            for j in range(k):
                if value[j] == least and (last < 0 or _before(rows, where[last], where[j])):
                    last = j
            if _before(rows, where[i], where[last]):
                where[i], where[last] = where[last], where[i]


@njit(nogil=True, cache=True)
def _sort(value: Any, where: Any, rows: Any, n: int) -> None:
    """Sort the first n entries by falling value, equal ones by rising row (Shell 1959).

    The sort that numba has takes longer to compile than everything else here together.
    """
    gap = n // 2
    while gap > 0:
        for i in range(gap, n):
            one, here, j = value[i], where[i], i
            while j >= gap and (
                value[j - gap] < one or (value[j - gap] == one and _before(rows, here, where[j - gap]))
            ):
                value[j], where[j] = value[j - gap], where[j - gap]
                j -= gap
            value[j], where[j] = one, here
        gap //= 2
