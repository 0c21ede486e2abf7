"""Find the given file, and its row or line, that a table row is from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.conversion import line_numbers
from harness.errors import first_few
from harness.plugin.block import Rows

NAMED_ROWS = 3


@dataclass(frozen=True, eq=False)
class Origin:
    """A file, and which of its rows a table has."""

    name: str  # as the user named it
    rows: Rows | None = None  # (n,) of the file, in the order of the table; None: all of them
    records: Path | None = None  # the JSON file, whose lines are named instead of its rows


def locate(origins: tuple[Origin, ...], rows: Iterable[int]) -> tuple[str, str, int]:
    """Return (file, "row 0, 2, ...", count) of rows of a table.

    Where they are from several files, those of the first alone.
    """
    numbers = np.fromiter(rows, np.int64)
    last = len(origins) - 1
    starts = np.cumsum([0, *(len(_all_rows(origin)) for origin in origins[:last])])
    owner = np.searchsorted(starts, numbers, side="right") - 1
    first = origins[int(owner.min(initial=last))]
    inside = numbers[owner == owner.min(initial=last)] - starts[int(owner.min(initial=last))]
    if first.rows is not None:
        inside = first.rows[inside]
    if first.records is None:
        return first.name, f"row {first_few(inside.tolist(), NAMED_ROWS)}", len(inside)
    lines: list[object] = list(line_numbers(first.records, inside[:NAMED_ROWS].tolist()))
    return first.name, f"line {first_few(lines + [0] * (len(inside) > NAMED_ROWS), NAMED_ROWS)}", len(inside)


def _all_rows(origin: Origin) -> NDArray[np.int64]:
    assert origin.rows is not None  # of all but the last
    return origin.rows
