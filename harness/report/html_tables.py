"""Tables as the HTML report shows them: texts, sort keys, shades, bars."""

from dataclasses import dataclass, replace
from typing import Any

from harness.errors import printable
from harness.report.tables import Column, Estimate, IntervalCell, Table, format_value
from harness.scoring.leaderboard import MeanStd

LABELER_COLUMNS = ("Labeler", "First", "Second")  # columns that name labelers

Scale = tuple[float, float] | None
"""The ends of the intervals in a column with bars."""


@dataclass(frozen=True)
class HtmlCell:
    """A cell as the page shows it."""

    text: str
    numeric: bool = False
    sort: str | None = None  # the number that it is sorted by
    shade: str | None = None  # from 0 to 1
    header: bool = False
    title: str = ""  # beside the pointer
    bar: tuple[float, float, float] | None = None  # low, value, high on a scale from 0 to 100
    link: str = ""


@dataclass(frozen=True)
class HtmlRow:
    """A row, and the labelers in it, one a line."""

    cells: tuple[HtmlCell, ...]
    labelers: str


@dataclass(frozen=True)
class HtmlHead:
    """The header of a column."""

    name: str
    numeric: bool


@dataclass(frozen=True)
class HtmlTable:
    """A table as the template draws it."""

    caption: str
    heads: tuple[HtmlHead, ...]
    rows: tuple[HtmlRow, ...]
    notes: tuple[str, ...]
    csv_file: str  # "" where another button of the page saves it
    sortable: bool = True
    ranks: bool = False  # has every labeler once
    labeler: str = ""  # of a table about one


def to_html(table: Table) -> HtmlTable:
    """Draw a table for the page.

    A leaderboard and the fits lose their empty columns. A confusion matrix is not sorted, and one button saves all.
    """
    if table.file == "leaderboard":
        table = _with_missing_cells(table)
    if table.file in ("leaderboard", "fits"):
        table = table.without(table.empty)
    numeric = [_is_numeric(table, i) for i in range(len(table.columns))]
    scale = _bar_scale(table)
    is_matrix = table.file == "confusion"
    return HtmlTable(
        printable(table.title),
        tuple(HtmlHead(printable(name), number) for name, number in zip(table.names, numeric, strict=True)),
        tuple(_html_row(table.columns, row, numeric, scale) for row in table.rows),
        tuple(map(printable, table.notes)),
        "" if is_matrix else f"{table.file}.csv",
        sortable=not is_matrix,
        ranks=table.file == "leaderboard",
        labeler=printable(table.title) if is_matrix else "",
    )


def _with_missing_cells(board: Table) -> Table:
    """Merge the last two columns of a leaderboard, cells finished and all.

    Their one column, "2/3", is empty where all are finished.
    """
    counts = [None if row[-2] == row[-1] else f"{row[-2]}/{row[-1]}" for row in board.rows]
    rows = tuple((*row[:-2], count) for row, count in zip(board.rows, counts, strict=True))
    return replace(board, columns=(*board.columns[:-2], board.columns[-1]), rows=rows)


def _is_numeric(table: Table, column: int) -> bool:
    values = [row[column] for row in table.rows]
    return not any(isinstance(value, str) for value in values) and any(value is not None for value in values)


def _bar_scale(table: Table) -> Scale:
    """Return the ends of the intervals in a leaderboard's column of them."""
    if table.file != "leaderboard":
        return None
    intervals = [value for row in table.rows for value in row[:4] if isinstance(value, IntervalCell)]
    ends = [end for interval in intervals for end in (interval.low, interval.high)]
    return (min(ends), max(ends)) if ends and max(ends) > min(ends) else None


def _html_row(columns: tuple[Column, ...], row: tuple[Any, ...], numeric: list[bool], scale: Scale) -> HtmlRow:
    total = sum(value for column, value in zip(columns, row, strict=True) if column.shade == "row")
    cells = [_html_cell(*cell, total, scale) for cell in zip(columns, row, numeric, strict=True)]
    labelers = [i for i, column in enumerate(columns) if column.name in LABELER_COLUMNS]
    header = labelers[0] if labelers else 0
    cells[header] = replace(cells[header], header=True)
    return HtmlRow(tuple(cells), "\n".join(printable(str(row[i])) for i in labelers))


def _html_cell(column: Column, value: Any, numeric: bool, row_total: float, scale: Scale) -> HtmlCell:
    if value is None:
        return HtmlCell("", numeric)
    if isinstance(value, str):
        return HtmlCell(printable(value))
    text = format_value(column, value)
    if isinstance(value, IntervalCell):
        return HtmlCell(text, numeric, repr(value.low), bar=_bar(value, scale))
    if isinstance(value, Estimate):
        return HtmlCell(text, numeric, repr(float(value.value)))
    mean = value.mean if isinstance(value, MeanStd) else value
    if column.shade == "row":
        share = value / row_total if row_total else 0.0
        return HtmlCell(f"{share:.2f}", numeric, repr(share), f"{share:.3f}", title=f"{value:,} of {row_total:,} rows")
    shade = f"{min(max(mean, 0.0), 1.0):.3f}" if column.shade else None
    return HtmlCell(text, numeric, repr(float(mean)), shade)


def _bar(value: IntervalCell, scale: Scale) -> tuple[float, float, float] | None:
    if scale is None:
        return None
    low, high = ((end - scale[0]) / (scale[1] - scale[0]) * 96 + 2 for end in (value.low, value.high))
    return round(low, 2), round((low + high) / 2, 2), round(high, 2)
