"""Compiled loops of the neighbour search.

NumPy would need several passes over memory for each of them.
"""

from typing import Any

import numpy as np
from numba import types
from numba.cpython.unsafe.numbers import trailing_zeros

from harness.search.compilation import njit

SCANNED_PRODUCTS = 256  # products compared with a threshold at a time
LOWEST_BIT: Any = trailing_zeros  # position of the lowest bit that is set in an integer
NOT_COMPUTED = np.float32(-9.0)  # placeholder of an exact product; no cosine is that low
CACHED_BASE_ROWS = 64  # rows of the base that stay in the processor's cache while all queries are multiplied with them
MIN_EXACT_CANDIDATES = 32  # candidates with an exact product, at least, before the others are checked
ROUNDING_ERROR = 1e-6  # how far two orders of summing a product of unit vectors may differ


@njit(nogil=True, cache=True)
def _swap(value: Any, candidate: Any, exact: Any, i: int, j: int) -> None:
    value[i], value[j] = value[j], value[i]
    candidate[i], candidate[j] = candidate[j], candidate[i]
    exact[i], exact[j] = exact[j], exact[i]


@njit(nogil=True, cache=True)
def _partition(value: Any, candidate: Any, exact: Any, n: int, k: int) -> Any:
    """Move the largest of the first n values of three arrays to the front.

    Returns how many they are: k, or up to a quarter more where quickselect meets such a position early.
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
                _swap(value, candidate, exact, i, j)
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
    """Return the inner product, summed in one fixed order.

    So equal rows have equal products wherever they are.
    """
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
    candidate: Any,
    exact: Any,
    count: Any,
    keep: int,
) -> None:
    """Collect a block's (q, width) rough cosines above the thresholds (q,).

    Column j is the base row first + j; its rough cosine with query q, in units of unit[q], is products[q, j] *
    scale[j] + shift[j] / unit[q] and a constant of the query. The candidates of each query are in rough, candidate and
    exact (q, room), `count` of them in use. Where less than SCANNED_PRODUCTS is free, the largest are kept, `keep` of
    them or a quarter more, and the threshold rises to the smallest of them.
    """
    room, width = rough.shape[1], products.shape[1]
    above = np.zeros(SCANNED_PRODUCTS, np.bool_)
    eights = above.view(np.uint64)  # hardly any is above: eight are checked at a time
    for q in range(products.shape[0]):
        bar, n, row, share = threshold[q], count[q], products[q], np.float32(1) / unit[q]
        for start in range(0, width, SCANNED_PRODUCTS):
            stop = min(width, start + SCANNED_PRODUCTS)
            block, factor, offset = row[start:stop], scale[start:stop], shift[start:stop]
            if n + SCANNED_PRODUCTS > room:
                n = _partition(rough[q], candidate[q], exact[q], n, keep)
                bar = _least(rough[q], n)
            for j in range(block.size):
                above[j] = np.float32(block[j]) * factor[j] + offset[j] * share > bar
            above[block.size :] = False
            for i in range(eights.size):
                bits = eights[i]
                while bits:
                    j = start + 8 * i + (LOWEST_BIT(bits) >> 3)
                    rough[q, n] = np.float32(row[j]) * scale[j] + shift[j] * share
                    candidate[q, n], exact[q, n] = first + j, NOT_COMPUTED
                    n += 1
                    bits &= bits - np.uint64(1)
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
    candidate: Any,
    exact: Any,
    count: Any,
    keep: int,
    error_bound: float,
    similarity: Any,
    index: Any,
    verified: Any,
) -> None:
    """Update the k nearest by the last scans, and verify each query's answer.

    `similarity` and `index` (q, k) hold the answers before the last scans (-inf and 0 where there was none); afterwards
    the nearest base rows so far, nearest first, ties to lower rows. `rows` are the row numbers of the base, `own` those
    of the queries, which are no neighbours of themselves; rough values times `unit` plus `shift` are a query's rough
    cosines. Rough and exact cosines differ by at most `error_bound` root mean squares: so the roughly nearest are
    multiplied exactly first, then only those that may still be nearer than the k-th of them. A query is `verified` if
    no dropped row can belong among its k: their rough values lie below the threshold.
    """
    k = similarity.shape[1]
    n_exact = np.empty(queries.shape[0], np.int64)
    for q in range(queries.shape[0]):
        n = count[q]
        if n > keep:
            n = count[q] = _partition(rough[q], candidate[q], exact[q], n, keep)
            threshold[q] = _least(rough[q], n)
        n_exact[q] = min(n, max(k, MIN_EXACT_CANDIDATES))
        if n_exact[q] < n:
            n_exact[q] = _partition(rough[q], candidate[q], exact[q], n, n_exact[q])
    _compute_exact(queries, base, rows, own, candidate, exact, n_exact, similarity, index)
    for q in range(queries.shape[0]):
        error = _error(rough[q], exact[q], count[q], unit[q], shift[q], error_bound)
        for i in range(n_exact[q], count[q]):
            if exact[q, i] == NOT_COMPUTED and rough[q, i] * unit[q] + shift[q] + error >= similarity[q, k - 1]:
                _swap(rough[q], candidate[q], exact[q], i, n_exact[q])
                n_exact[q] += 1
    _compute_exact(queries, base, rows, own, candidate, exact, n_exact, similarity, index)
    for q in range(queries.shape[0]):
        error = _error(rough[q], exact[q], count[q], unit[q], shift[q], error_bound)
        bar = threshold[q] * unit[q] + shift[q]
        verified[q] = not np.isfinite(threshold[q]) or similarity[q, k - 1] > bar + error


@njit(nogil=True, cache=True)
def _error(rough: Any, exact: Any, n: int, unit: Any, shift: Any, error_bound: float) -> float:
    """Return the largest error of a query's rough cosines.

    It is estimated from the candidates with both a rough and an exact cosine.
    """
    n_both, squares = 0, 0.0
    for i in range(n):
        if exact[i] != NOT_COMPUTED:
            n_both += 1
            squares += (rough[i] * unit + shift - exact[i]) ** 2
    return error_bound * float(np.sqrt(squares / max(n_both, 1))) + ROUNDING_ERROR


@njit(nogil=True, cache=True)
def _compute_exact(
    queries: Any, base: Any, rows: Any, own: Any, candidate: Any, exact: Any, n_exact: Any, similarity: Any, index: Any
) -> None:
    """Compute missing exact products and insert them into the answers.

    Those among the first `n_exact` candidates of each query, in the order of the base: so a row that is a candidate of
    several queries is read from memory once.
    """
    room = candidate.shape[1]
    starts = np.zeros(base.shape[0] // CACHED_BASE_ROWS + 2, np.int64)
    for q in range(queries.shape[0]):
        for i in range(n_exact[q]):
            if exact[q, i] == NOT_COMPUTED:
                starts[candidate[q, i] // CACHED_BASE_ROWS + 1] += 1
    for group in range(1, starts.size):
        starts[group] += starts[group - 1]
    pending = np.empty(starts[-1], np.int64)
    for q in range(queries.shape[0]):
        for i in range(n_exact[q]):
            if exact[q, i] == NOT_COMPUTED:
                group = candidate[q, i] // CACHED_BASE_ROWS
                pending[starts[group]] = q * room + i
                starts[group] += 1
    for entry in pending:
        q, i = entry // room, entry % room
        row = candidate[q, i]
        exact[q, i] = dot(queries[q], base[row])
        if rows[row] != own[q]:
            _insert(similarity[q], index[q], rows, exact[q, i], row)


@njit(nogil=True, cache=True)
def _comes_first(rows: Any, i: int, j: int) -> bool:
    return rows[i] < rows[j] or (rows[i] == rows[j] and i < j)


@njit(nogil=True, cache=True)
def _insert(similarity: Any, index: Any, rows: Any, value: Any, candidate: Any) -> None:
    """Insert a candidate into the sorted k nearest; the last drops out.

    They are sorted by decreasing similarity, ties by increasing row number.
    """
    j = similarity.size
    while j > 0 and (
        value > similarity[j - 1] or (value == similarity[j - 1] and _comes_first(rows, candidate, index[j - 1]))
    ):
        j -= 1
        if j + 1 < similarity.size:
            similarity[j + 1], index[j + 1] = similarity[j], index[j]
    if j < similarity.size:
        similarity[j], index[j] = value, candidate


def _array_type(dtype: Any, dimensions: int, readonly: bool = False) -> Any:
    return types.Array(dtype, dimensions, "C", readonly=readonly)


_FLOATS, _ROWS = _array_type(types.float32, 2, True), _array_type(types.int64, 1, True)
_CANDIDATES = _array_type(types.int64, 2, True)
_ANSWER = _array_type(types.float32, 2), _array_type(types.int64, 2)


# Its types are declared, so that an early import loads the compiled code: a small search takes less time than that.
@njit(types.void(_FLOATS, _FLOATS, _ROWS, _ROWS, _CANDIDATES, *_ANSWER), nogil=True, cache=True)
def rank(queries: Any, base: Any, rows: Any, own: Any, candidates: Any, similarity: Any, index: Any) -> None:
    """Write the nearest of `candidates` (q, r) to similarity, index (q, k).

    Candidates and index are indices into the base. Nearest first, ties to lower row numbers `rows` (b,); rows with the
    query's own number `own` (q,) are left out. Where there are no more, -inf and 0.
    """
    for q in range(queries.shape[0]):
        for i in range(similarity.shape[1]):
            similarity[q, i], index[q, i] = -np.inf, 0
        for i in range(candidates.shape[1]):
            candidate = candidates[q, i]
            if rows[candidate] != own[q]:
                _insert(similarity[q], index[q], rows, dot(queries[q], base[candidate]), candidate)
