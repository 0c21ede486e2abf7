"""Tables on the terminal."""

from collections.abc import Container
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from harness.errors import clean_lines
from harness.report.headings import headings
from harness.report.leaderboard_page import warnings
from harness.report.leaderboard_tables import board_table
from harness.report.tables import Table
from harness.run.runner import Run
from harness.scoring.leaderboard import Leaderboard

CELL_PADDING = 3  # characters beside the text of a cell


def print_leaderboards(run: Run, leaderboards: list[Leaderboard], console: Console) -> None:
    """Print one table for each comparison."""
    for warning in warnings(run):
        console.print(warning, style="bold yellow", markup=False)
    titles = headings(run)
    for leaderboard in leaderboards:
        table = _fit(board_table(run, leaderboard), console.width)
        why = leaderboard.standings.untested if leaderboard.standings else None
        untested = f"\n{why}: ranks are not tested" if why else ""
        title = f"{titles[leaderboard.title]}\nSplits: {leaderboard.title}{untested}"
        console.print(to_rich(table, title, ("Labeler",), no_wrap=True, header_style="bold"))


def to_rich(table: Table, title: str, left_columns: Container[str], no_wrap: bool = False, **look: Any) -> RichTable:
    """Draw a table for the terminal, its columns of words aligned left."""
    drawn = RichTable(title=Text(title), title_justify="left", **look)
    for name in table.names:
        drawn.add_column(Text(name), justify="left" if name in left_columns else "right", no_wrap=no_wrap)
    for row in table.texts():
        drawn.add_row(*(Text(clean_lines(text)) for text in row))
    return drawn


def _fit(table: Table, width: int) -> Table:
    """Leave out the columns that a terminal has no room for.

    The classes go first, then the columns furthest to the right.
    """
    texts = [table.names, *table.texts()]
    widths = [max(map(len, column)) + CELL_PADDING for column in zip(*texts, strict=True)]
    order = sorted(range(len(widths)), key=lambda i: (bool(table.columns[i].shade), i))
    room, fitting = width, set()
    for i in order:
        room -= widths[i]
        if room > 0:
            fitting.add(table.columns[i])
    return table.without([column for column in table.columns if column not in fitting])
