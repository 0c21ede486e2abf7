"""The compiled loops of the neighbour search: what NumPy would need several passes over memory for."""

from typing import Any

import numpy as np
from numba import njit, types
from numba.cpython.unsafe.numbers import trailing_zeros

SCANNED_PRODUCTS = 256  # products compared with a threshold at a time
LOWEST_BIT: Any = trailing_zeros  # of an integer's bits: the place of the lowest that is set
NOT_COMPUTED = np.float32(-9.0)  # an exact product that has not been made yet; no cosine is that low
CACHED_BASE_ROWS = 64  # rows of the base that stay in the processor's cache while all queries are multiplied with them
MIN_EXACT_CANDIDATES = 32  # candidates made exact, at least, before it is asked which of the others may matter
ROUNDING_ERROR = 1e-6  # how far two orders of summing a product of unit vectors may differ


@njit(nogil=True, cache=True)
def _swap(value: Any, place: Any, exact: Any, i: int, j: int) -> None:
    value[i], value[j] = value[j], value[i]
    place[i], place[j] = place[j], place[i]
    exact[i], exact[j] = exact[j], exact[i]


@njit(nogil=True, cache=True)
def _part(value: Any, place: Any, exact: Any, n: int, k: int) -> Any:
    """Reorder the first n entries of three arrays so that the largest values come first, and return how many.

    They are k, or up to a quarter more where quickselect comes upon such a place early.
    """
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
                _swap(value, place, exact, i, j)
                i += 1
                j -= 1
        if k <= i <= k + k // 4:
            return i
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return k


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
    products: Any,
    scale: Any,
    shift: Any,
    unit: Any,
    first: int,
    threshold: Any,
    rough: Any,
    place: Any,
    exact: Any,
    count: Any,
    keep: int,
) -> None:
    """Collect from a block of products (q, width) the rough cosines above each query's threshold.

    Column j is the base row at place first + j; its rough cosine with query q, in units of unit[q], is products[q, j] *
    scale[j] + shift[j] / unit[q] and a constant of the query. The candidates of each query are rough, place and exact
    (q, room), `count` of them in use. Where less than SCANNED_PRODUCTS is free, the largest stay, `keep` of them or a
    quarter more, and the threshold rises to the least of them.
    """
    room, width = rough.shape[1], products.shape[1]
    above = np.zeros(SCANNED_PRODUCTS, np.bool_)
    eights = above.view(np.uint64)  # hardly any is above: eight are passed over at a time
    for q in range(products.shape[0]):
        bar, n, row, share = threshold[q], count[q], products[q], np.float32(1) / unit[q]
        for start in range(0, width, SCANNED_PRODUCTS):
            stop = min(width, start + SCANNED_PRODUCTS)
            block, factor, offset = row[start:stop], scale[start:stop], shift[start:stop]
            if n + SCANNED_PRODUCTS > room:
                n = _part(rough[q], place[q], exact[q], n, keep)
                bar = _least(rough[q], n)
            for j in range(block.size):
                above[j] = np.float32(block[j]) * factor[j] + offset[j] * share > bar
            above[block.size :] = False
            for i in range(eights.size):
                left = eights[i]
                while left:
                    j = start + 8 * i + (LOWEST_BIT(left) >> 3)
                    rough[q, n] = np.float32(row[j]) * scale[j] + shift[j] * share
                    place[q, n], exact[q, n] = first + j, NOT_COMPUTED
                    n += 1
                    left &= left - np.uint64(1)
        threshold[q], count[q] = bar, n


@njit(nogil=True, cache=True)
def verify(
    queries: Any,
    base: Any,
    rows: Any,
    own: Any,
    unit: Any,
    shift: Any,
    threshold: Any,
    rough: Any,
    place: Any,
    exact: Any,
    count: Any,
    keep: int,
    error_bound: float,
    similarity: Any,
    found: Any,
    verified: Any,
) -> None:
    """Bring the answers up to date: `similarity` and `found` (q, k) come as they were before the rows of the last scans
    (-inf and 0 where there was none), and leave with the nearest base rows so far, nearest first, ties to lower rows.

    `rows` are the row numbers of the base, `own` those of the queries, which are no neighbours of themselves; rough
    values times `unit` plus `shift` are a query's rough cosines. Rough and exact differ by at most `error_bound` root
    mean
    squares: so the roughly nearest are made exact first, then only those that may still be nearer than the k-th of
    them. A query is settled if no row that was dropped can belong among its k: their rough values lie below the
    threshold.
    """
    k = similarity.shape[1]
    upto = np.empty(queries.shape[0], np.int64)
    for q in range(queries.shape[0]):
        n = count[q]
        if n > keep:
            n = count[q] = _part(rough[q], place[q], exact[q], n, keep)
            threshold[q] = _least(rough[q], n)
        upto[q] = min(n, max(k, MIN_EXACT_CANDIDATES))
        if upto[q] < n:
            upto[q] = _part(rough[q], place[q], exact[q], n, upto[q])
    _make_exact(queries, base, rows, own, place, exact, upto, similarity, found)
    for q in range(queries.shape[0]):
        error = _error(rough[q], exact[q], count[q], unit[q], shift[q], error_bound)
        for i in range(upto[q], count[q]):
            if exact[q, i] == NOT_COMPUTED and rough[q, i] * unit[q] + shift[q] + error >= similarity[q, k - 1]:
                _swap(rough[q], place[q], exact[q], i, upto[q])
                upto[q] += 1
    _make_exact(queries, base, rows, own, place, exact, upto, similarity, found)
    for q in range(queries.shape[0]):
        error = _error(rough[q], exact[q], count[q], unit[q], shift[q], error_bound)
        bar = threshold[q] * unit[q] + shift[q]
        verified[q] = not np.isfinite(threshold[q]) or similarity[q, k - 1] > bar + error


@njit(nogil=True, cache=True)
def _error(rough: Any, exact: Any, n: int, unit: Any, shift: Any, error_bound: float) -> float:
    """Return how far a query's rough cosines may lie from the exact ones, by those of its candidates that are both."""
    known, squares = 0, 0.0
    for i in range(n):
        if exact[i] != NOT_COMPUTED:
            known += 1
            squares += (rough[i] * unit + shift - exact[i]) ** 2
    return error_bound * float(np.sqrt(squares / max(known, 1))) + ROUNDING_ERROR


@njit(nogil=True, cache=True)
def _make_exact(
    queries: Any, base: Any, rows: Any, own: Any, place: Any, exact: Any, upto: Any, similarity: Any, found: Any
) -> None:
    """Multiply what is NOT_COMPUTED among the first `upto` candidates of each query, and put it into the answers.

    In the order of the base, so that a row which several queries ask for comes from memory once.
    """
    room = place.shape[1]
    starts = np.zeros(base.shape[0] // CACHED_BASE_ROWS + 2, np.int64)
    for q in range(queries.shape[0]):
        for i in range(upto[q]):
            if exact[q, i] == NOT_COMPUTED:
                starts[place[q, i] // CACHED_BASE_ROWS + 1] += 1
    for group in range(1, starts.size):
        starts[group] += starts[group - 1]
    asked = np.empty(starts[-1], np.int64)
    for q in range(queries.shape[0]):
        for i in range(upto[q]):
            if exact[q, i] == NOT_COMPUTED:
                group = place[q, i] // CACHED_BASE_ROWS
                asked[starts[group]] = q * room + i
                starts[group] += 1
    for one in asked:
        q, i = one // room, one % room
        row = place[q, i]
        exact[q, i] = dot(queries[q], base[row])
        if rows[row] != own[q]:
            _insert(similarity[q], found[q], rows, exact[q, i], row)


@njit(nogil=True, cache=True)
def _comes_first(rows: Any, one: int, other: int) -> bool:
    return rows[one] < rows[other] or (rows[one] == rows[other] and one < other)


@njit(nogil=True, cache=True)
def _insert(value: Any, where: Any, rows: Any, one: Any, here: Any) -> None:
    """Put one more candidate where it belongs among those sorted by falling value, equal ones by rising row.

    The last of them falls out.
    """
    j = value.size
    while j > 0 and (one > value[j - 1] or (one == value[j - 1] and _comes_first(rows, here, where[j - 1]))):
        j -= 1
        if j + 1 < value.size:
            value[j + 1], where[j + 1] = value[j], where[j]
    if j < value.size:
        value[j], where[j] = one, here


def _table(kind: Any, dimensions: int, readonly: bool = False) -> Any:
    return types.Array(kind, dimensions, "C", readonly=readonly)


_FLOATS, _ROWS, _GIVEN = _table(types.float32, 2, True), _table(types.int64, 1, True), _table(types.int64, 2, True)
_ANSWER = _table(types.float32, 2), _table(types.int64, 2)


# Its types are spelled out, so that who imports this early has it ready: a small search takes less than loading it.
@njit(types.void(_FLOATS, _FLOATS, _ROWS, _ROWS, _GIVEN, *_ANSWER), nogil=True, cache=True)
def rank(queries: Any, base: Any, rows: Any, own: Any, candidates: Any, similarity: Any, found: Any) -> None:
    """Give each query the nearest of its candidates (q, r), places in the base: `similarity` and `found` (q, k).

    Nearest first, ties to lower row numbers `rows` (b,); the row that bears the query's own number `own` (q,) is left
    out. Where there are no more, -inf and 0.
    """
    for q in range(queries.shape[0]):
        for i in range(similarity.shape[1]):
            similarity[q, i], found[q, i] = -np.inf, 0
        for i in range(candidates.shape[1]):
            place = candidates[q, i]
            if rows[place] != own[q]:
                _insert(similarity[q], found[q], rows, dot(queries[q], base[place]), place)
