"""Leaderboards on the terminal, and in what is piped from it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.report.headings import headings
from harness.report.leaderboard_page import warnings
from harness.report.leaderboard_tables import INTERVAL, board_metrics, board_table, metric_header
from harness.report.tables import Estimate, Table
from harness.report.terminal import Fit, Layout, fit, is_terminal, print_elsewhere, print_lines, print_table
from harness.run.runner import Run
from harness.scoring.leaderboard import Leaderboard, MeanStd

CHOICE = "Best of settings"
LAST_COLUMNS = ("Oracle gap", "Cells", CHOICE)  # that a terminal shows where all others are


def print_leaderboards(run: Run, leaderboards: list[Leaderboard], console: Console, page: Path) -> None:
    """Print one table for each comparison, and where the other columns are."""
    for warning in warnings(run):
        print_lines(console, warning, "bold yellow")
    titles, fits, is_brief = headings(run), list[Fit](), False
    for leaderboard in leaderboards:
        why = leaderboard.standings.untested if leaderboard.standings else None
        print_lines(console, titles[leaderboard.title], "bold")
        print_lines(console, f"Splits: {leaderboard.title}" + (f"\n{why}: ranks are not tested" if why else "") + "\n")
        table = board_table(run, leaderboard)
        layout = board_layout(run, table)
        if is_terminal(console) and not _has_room(table, layout, console.width):
            is_brief = True
            table = replace(table, rows=tuple(tuple(map(_without_spread, row)) for row in table.rows))
        fits.append(print_table(console, table, layout))
        print_lines(console, "")
    print_elsewhere(console, fits, str(page), *(["deviations"] if is_brief else []))


def board_layout(run: Run, table: Table) -> Layout:
    """Return the layout of a board: rank, labeler, primary metric first."""
    first, *others = (metric_header(metric) for metric in board_metrics(run))
    classes = [column.name for column in table.columns if column.shade]
    optional = (f"vs {run.suite.metrics.baseline}", "Audit", *others, *classes, *LAST_COLUMNS)
    essential = {"Rank", "Labeler", first, INTERVAL}
    return Layout(("Labeler",), [name for name in optional if name not in essential], ("Audit",))


def _has_room(table: Table, layout: Layout, width: int) -> bool:
    """Return True if all columns fit with deviations and inner intervals."""
    return {column.name for column in fit(table, layout, width).hidden} <= {CHOICE}


def _without_spread(cell: Any) -> Any:
    if isinstance(cell, MeanStd):
        return replace(cell, sd=None)
    return cell.value if isinstance(cell, Estimate) else cell
