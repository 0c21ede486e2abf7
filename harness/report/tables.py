"""Tables as values, drawn as Markdown, CSV, HTML and on the terminal."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isinf
from typing import Any, Literal

from harness.report.csv_files import Row, to_csv
from harness.report.markdown import escape, format_table
from harness.scoring.leaderboard import DECIMALS, MeanStd


@dataclass(frozen=True)
class IntervalCell:
    """An interval; an infinite end is open."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A value with its interval."""

    value: float
    interval: IntervalCell


@dataclass(frozen=True)
class PartialMean:
    """A mean over `n` cells of `total`; the others have no value."""

    mean: float
    n: int
    total: int


@dataclass(frozen=True)
class Column:
    """A column: how its numbers are written, and whether a page shades them."""

    name: str
    decimals: int = DECIMALS
    signed: bool = False
    shade: Literal["", "value", "row"] = ""  # by the value, from 0 to 1, or by its share of the shaded part of its row


@dataclass(frozen=True)
class Table:
    """A table of values.

    A cell is a string, a whole number, a float, a `MeanStd`, an `Estimate`, an `IntervalCell`, a `PartialMean` or None.
    """

    file: str  # the CSV file that it is written to, without ending; "" where there is none
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    context: tuple[tuple[str, str], ...] = ()  # (name, value) that all its rows share: the first columns of the CSV
    notes: tuple[str, ...] = ()

    def records(self) -> Iterator[Row]:
        """Yield the rows as the CSV has them, each value in its own column."""
        for row in self.rows:
            record: Row = dict(self.context)
            for column, cell in zip(self.columns, row, strict=True):
                record |= _fields(column.name.lower(), cell)
            yield record

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(column.name for column in self.columns)

    @property
    def empty(self) -> tuple[Column, ...]:
        """The columns that have no value in any row."""
        return tuple(column for i, column in enumerate(self.columns) if all(row[i] is None for row in self.rows))

    def without(self, columns: Container[Column]) -> "Table":
        """Return the table without some of its columns."""
        places = [i for i, column in enumerate(self.columns) if column not in columns]
        rows = tuple(tuple(row[i] for i in places) for row in self.rows)
        return replace(self, columns=tuple(self.columns[i] for i in places), rows=rows)

    def with_values(self, values: Mapping[str, Mapping[str, Any]]) -> "Table":
        """Put in values by {column: {row: value}}.

        A row goes by its first cell; columns that are new are added at the right end.
        """
        names = tuple(dict.fromkeys((*self.names, *values)))
        rows = []
        for name, *cells in self.rows:
            cells += [None] * (len(names) - 1 - len(cells))
            rows.append((name, *(values.get(c, {}).get(name, cell) for c, cell in zip(names[1:], cells, strict=True))))
        return replace(self, columns=self.columns + columns(names[len(self.columns) :]), rows=tuple(rows))

    def texts(self) -> list[list[str]]:
        """Return every row as texts."""
        return [[format_value(*pair) for pair in zip(self.columns, row, strict=True)] for row in self.rows]


def columns(names: Iterable[str]) -> tuple[Column, ...]:
    """Return columns that are all written alike."""
    return tuple(Column(name) for name in names)


def comparison_context(comparison: str) -> tuple[tuple[str, str], ...]:
    """Return the context of a table about one comparison."""
    return (("comparison", comparison),)


def _fields(name: str, cell: Any) -> Row:
    if isinstance(cell, MeanStd):
        return {name: cell.mean, f"{name} sd": cell.sd}
    if isinstance(cell, IntervalCell):
        return {f"{name} low": cell.low, f"{name} high": cell.high}
    if isinstance(cell, Estimate):
        return {name: cell.value} | _fields(name, cell.interval)
    if isinstance(cell, PartialMean):
        return {name: cell.mean, f"{name} cells": cell.n}
    return {name: cell}


def format_value(column: Column, value: Any) -> str:
    """Write one value as its column has it; "" for None.

    >>> format_value(Column("Difference", signed=True), -1e-17)
    '+0.0000'
    """
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, IntervalCell):
        ends = (value.low, value.high)
        return " to ".join("out of reach" if isinf(end) else format_value(column, end) for end in ends)
    if isinstance(value, Estimate):
        return f"{format_value(column, value.value)} ({format_value(column, value.interval)})"
    if isinstance(value, MeanStd):
        sd = "" if value.sd is None else f" ± {value.sd:.{column.decimals}f}"
        return format_value(column, value.mean) + sd
    if isinstance(value, PartialMean):
        return f"{format_value(column, value.mean)} ({value.n}/{value.total})"
    if isinstance(value, int):
        return f"{value:,}"
    # + 0.0: never -0.0000
    return f"{round(value, column.decimals) + 0.0:{'+' if column.signed else ''},.{column.decimals}f}"


def to_markdown(table: Table, left_columns: Iterable[str] = ("Labeler",)) -> str:
    """Draw a table as Markdown, its columns of words aligned left."""
    header = [escape(name) for name in table.names]
    rows = [[*map(escape, row)] for row in table.texts()]
    return format_table(header, rows, [*map(escape, left_columns)])


def to_csv_files(tables: Iterable[Table]) -> dict[str, str]:
    """Return {file name: CSV}; tables of one file follow each other in it."""
    files: dict[str, list[Row]] = {}
    for table in tables:
        header: Row = dict.fromkeys([*(name for name, _ in table.context), *(name.lower() for name in table.names)])
        files.setdefault(f"{table.file}.csv", []).extend(table.records() if table.rows else [header])
    return {name: to_csv(iter(rows)) for name, rows in files.items()}
