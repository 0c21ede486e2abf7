"""Tables for people: columns on a terminal, Markdown where stdout is none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from harness.errors import clean_lines
from harness.report.names import shorten
from harness.report.tables import Column, Table

GAP = 2  # cells between two columns
MAX_NAME, MIN_NAME = 40, 12  # cells of a name that is shortened
PROSE = 32  # cells that prose needs at least, over several lines
NAME_SHARE = 0.3  # of a terminal's width, while there are columns to show beside it
# What marks a text up in a cell of a Markdown table; brackets alone are no link.
MARKUP = re.compile(r"[*<>|~]|&(?=#?\w+;)|\\(?=[!-/:-@\[-`{-~])|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")


@dataclass(frozen=True)
class Layout:
    """Which columns a narrow terminal shows, by their names.

    Columns of `names` are shortened. Those of `optional` go where they have no room, the last of them first; all others
    stay. `prose` is broken into lines.
    """

    names: Sequence[str] = ()
    optional: Sequence[str] = ()
    words: Sequence[str] = ()  # aligned left, as names and prose are
    prose: Sequence[str] = ()

    @property
    def left(self) -> set[str]:
        """The columns that are aligned left."""
        return {*self.names, *self.words, *self.prose}


@dataclass(frozen=True)
class Fit:
    """A table as a terminal has room for it."""

    table: Table
    hidden: tuple[Column, ...] = ()
    shortened: bool = False  # whether a name was


def is_terminal(console: Console) -> bool:
    """Return True if a console writes to a terminal, whatever its colours."""
    return bool(console.file.isatty())


def print_table(console: Console, table: Table, layout: Layout) -> Fit:
    """Print a table as wide as the terminal, else as Markdown."""
    if not is_terminal(console):
        print_lines(console, to_text(table, layout.left))
        return Fit(table)
    fitted = fit(table, layout, console.width)
    console.print(to_rich(fitted.table, layout))
    return fitted


def print_elsewhere(console: Console, fits: Sequence[Fit], place: str, *more: str) -> None:
    """Print one line on what tables lack, and the place that has it.

    It counts the columns, and names them if the line stays as wide as the terminal.
    """
    hidden = max((fitted.hidden for fitted in fits), key=len, default=())
    classes = sum(bool(column.shade) for column in hidden)
    names = [column.name for column in hidden if not column.shade]
    names += [f"{classes} class{'es' if classes > 1 else ''}"] if classes else []
    parts = [f"{len(hidden)} more column{'s' if len(hidden) > 1 else ''}"] if hidden else []
    parts += ["full names"] if any(fitted.shortened for fitted in fits) else []
    parts += more
    if parts:
        line = f"{', '.join(parts)}: {place}"
        with_names = f"{line} ({', '.join(names)})"
        print_lines(console, with_names if names and len(with_names) <= console.width else line)


def print_lines(console: Console, text: str, style: str = "", end: str = "\n") -> None:
    """Print text as it is; a terminal breaks its lines between words."""
    console.print(Text(text, style), soft_wrap=not is_terminal(console), end=end)


def to_rich(table: Table, layout: Layout) -> RichTable:
    """Draw a table for the terminal, its columns of words aligned left."""
    drawn = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for name in table.names:
        justify: Any = "left" if name in layout.left else "right"
        drawn.add_column(Text(name), justify=justify, no_wrap=name not in layout.prose)
    for row in _texts(table):
        drawn.add_row(*map(Text, row))
    return drawn


def to_text(table: Table, left_columns: set[str]) -> str:
    """Draw a table as Markdown whose columns stand below each other."""
    rows = [[_escape(text) for text in row] for row in [list(table.names), *_texts(table)]]
    widths = [max(3, *map(cell_len, column)) for column in zip(*rows, strict=True)]
    is_left = [name in left_columns for name in table.names]
    rules = ["-" * w if left else "-" * (w - 1) + ":" for w, left in zip(widths, is_left, strict=True)]
    lines = []
    for row in (rows[0], rules, *rows[1:]):
        cells = []
        for text, width, left in zip(row, widths, is_left, strict=True):
            space = " " * (width - cell_len(text))
            cells.append(text + space if left else space + text)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def fit(table: Table, layout: Layout, width: int) -> Fit:
    """Shorten names and leave out columns until a table fits."""
    cells = [list(column) for column in zip(*_texts(table), strict=True)] or [[] for _ in table.columns]
    full = [max(map(cell_len, (name, *column))) for name, column in zip(table.names, cells, strict=True)]
    names = [i for i, name in enumerate(table.names) if name in layout.names]
    optional = [i for name in layout.optional for i, other in enumerate(table.names) if other == name]
    limit = max(MIN_NAME, min(MAX_NAME, int(NAME_SHARE * width)))
    limits = [PROSE if name in layout.prose else limit if name in layout.names else 10**9 for name in table.names]
    widths = [min(sizes) for sizes in zip(full, limits, strict=True)]
    shown = [i for i in range(len(full)) if i not in optional]

    def room() -> int:
        return width - sum(widths[i] + GAP for i in shown) + GAP

    while room() < 0 and (wide := [i for i in names if widths[i] > MIN_NAME]):
        widths[max(wide, key=widths.__getitem__)] -= 1
    for i in optional:
        if widths[i] + GAP <= room():
            shown.append(i)
    while room() > 0 and (cut := [i for i in names if widths[i] < min(full[i], MAX_NAME)]):
        widths[min(cut, key=widths.__getitem__)] += 1
    shortened = [i for i in names if widths[i] < full[i]]
    rows = [list(row) for row in table.rows]
    for i in shortened:
        short = shorten(cells[i], widths[i])
        for row, title in zip(rows, cells[i], strict=True):
            row[i] = short[title]
    places = sorted(shown)
    columns = tuple(table.columns[i] for i in places)
    hidden = tuple(table.columns[i] for i in optional if i not in shown)
    fitted = replace(table, columns=columns, rows=tuple(tuple(row[i] for i in places) for row in rows))
    return Fit(fitted, hidden, bool(shortened))


def _texts(table: Table) -> list[list[str]]:
    """Return the rows as texts of one line each."""
    return [[" ".join(clean_lines(text).splitlines()) for text in row] for row in table.texts()]


def _escape(text: str) -> str:
    return MARKUP.sub(lambda mark: f"&#{ord(mark[0])};", text)
