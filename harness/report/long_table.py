"""A table of tens of thousands of rows, as a page of the site has it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from harness.errors import printable
from harness.scoring.leaderboard import DECIMALS

ROWS_IN_SIGHT = 100
STORED_DECIMALS = 8  # of numbers in a page; the file beside it has all digits
SHOWN_DECIMALS = {"ratio": None, "p": 6, "p_holm": 6}  # None: as they are
NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class LongColumn:
    """A column of numbers, or of places in a list of words."""

    name: str
    values: tuple[Any, ...]
    words: tuple[str, ...] | None = None  # in their order
    decimals: int | None = None

    @property
    def number(self) -> bool:
        return self.words is None

    def text(self, row: int) -> str:
        """Return a cell as the page shows it; "" where it is empty."""
        value = self.values[row]
        if value is None or (self.words is not None and value < 0):
            return ""
        if self.words is not None:
            return str(self.words[value])
        return str(value) if self.decimals is None else f"{value:.{self.decimals}f}"


def long_columns(table: pa.Table) -> list[LongColumn]:
    """Return the columns of a table that hold any value."""
    names = [name for name in table.column_names if table[name].null_count < table.num_rows]
    return [_long_column(name, table[name]) for name in names]


def as_data(columns: Sequence[LongColumn], rows: int) -> dict[str, Any]:
    """Return what the script of the page reads."""
    fields = ("name", "values", "words", "decimals")
    return {
        "columns": [{field: getattr(column, field) for field in fields} for column in columns],
        "total": rows,
        "size": ROWS_IN_SIGHT,
    }


def _long_column(name: str, column: pa.ChunkedArray) -> LongColumn:
    if pa.types.is_floating(column.type):
        values = tuple(None if value is None else round(value, STORED_DECIMALS) for value in column.to_pylist())
        return LongColumn(name, values, None, SHOWN_DECIMALS.get(name, DECIMALS))
    if pa.types.is_integer(column.type):
        return LongColumn(name, tuple(column.to_pylist()))
    if pa.types.is_boolean(column.type):
        texts = [None if value is None else "yes" if value else "no" for value in column.to_pylist()]
    else:
        texts = [None if value is None else printable(value) for value in column.to_pylist()]
    words = tuple(sorted({text for text in texts if text is not None}, key=_natural))
    place = {word: i for i, word in enumerate(words)}
    return LongColumn(name, tuple(-1 if text is None else place[text] for text in texts), words)


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Return a key by which "k=5" comes before "k=20"."""
    parts = NUMBERS.split(text)
    return [(bool(i % 2), int(part) if i % 2 else 0, part.casefold()) for i, part in enumerate(parts)]
