"""Refuse tables of more rows than the memory holds, before they are read."""

import resource

from harness.errors import DataError
from harness.utils.memory import machine_memory

ROW_BYTES = 256  # of row numbers, ids and their copies: 226 were measured on 20 million rows
COLUMN_BYTES = 32  # of a number in a column that is read at once
TEXT_BYTES = 160  # of a short text there
MAX_SHARE = 0.5  # of the memory
MANY_ROWS, MAX_DENSITY = 1_000_000, 10  # rows, and rows in a byte of a file that has more


def check_memory(rows: int, row_bytes: int, subject: str, place: tuple[str | int, ...] | None = None) -> None:
    """Raise DataError if `rows` of `row_bytes` each take half of the memory."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    memory = machine_memory() if limit == resource.RLIM_INFINITY else min(limit, machine_memory())
    if rows * row_bytes > MAX_SHARE * memory:
        need, have = (size / 2**30 for size in (rows * row_bytes, memory))
        raise DataError(
            f"{subject}: {rows:,} rows take some {need:.1f} GiB of memory, which is too much for {have:.1f} GiB", place
        )


def check_density(rows: int, size: int, subject: str, place: tuple[str | int, ...]) -> None:
    """Raise DataError if `size` bytes of a file hold far too many rows."""
    if rows > MANY_ROWS and rows > MAX_DENSITY * size:
        raise DataError(
            f"{subject}: {rows:,} rows in {size:,} bytes: nearly all must be equal, or it is damaged", place
        )
