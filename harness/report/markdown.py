"""Markdown that says what it is given and nothing else: cells that cannot break a table, tables, and numbers."""

import re
from collections.abc import Iterable

from harness.scoring.leaderboard import DECIMALS, LeaderboardRow, MeanStd

LEADER_MARK = "•"


def escape(text: str) -> str:
    """Make a name or a message harmless inside a Markdown table: no markup, no HTML, no new cell, one line."""
    flat = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    cut = flat if len(flat) <= 160 else flat[:157] + "..."
    # One underscore or hash between letters or digits marks nothing up; all else that may is written as its code.
    return re.sub(r"[\\`*{}\[\]<>|~!&]|(?<![^\W_])[_#]|[_#](?![^\W_])", lambda found: f"&#{ord(found[0])};", cut)


def sentence(text: str) -> str:
    """Escape a sentence, which may be longer than a table's cell."""
    return " ".join(escape(word) for word in text.split())


def format_table(header: list[str], rows: list[list[str]], left: Iterable[str] = ("Labeler",)) -> str:
    """Lay out a table of cells that are Markdown already; the columns named in `left` are aligned there."""
    align = ["---" if name in left else "--:" for name in header]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, align, *rows))


def mean_std(value: MeanStd | None) -> str:
    """Write a mean, with its standard deviation if there is one; nothing for None."""
    if value is None:
        return ""
    return f"{value.mean:.{DECIMALS}f}" + ("" if value.sd is None else f" ± {value.sd:.{DECIMALS}f}")


def number(value: float | None, decimals: int = DECIMALS, signed: bool = False) -> str:
    """Write one number; nothing for None.

    >>> number(-1e-17, signed=True)
    '+0.0000'
    """
    return "" if value is None else f"{round(value, decimals) + 0.0:{'+' if signed else ''}.{decimals}f}"


def interval(ends: tuple[float, float] | None, signed: bool = False) -> str:
    """Write both ends; nothing for None.

    >>> interval((-0.5, 1.0), signed=True)
    '-0.5000 to +1.0000'
    """
    return "" if ends is None else " to ".join(number(end, signed=signed) for end in ends)


def span(counts: Iterable[int]) -> str:
    """Write one count, or from the least to the largest.

    >>> span([27_000, 27_001])
    '27,000-27,001'
    """
    low, high = min(counts := tuple(counts)), max(counts)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def place(row: LeaderboardRow) -> str:
    """Return the rank, marked in the leading group."""
    return f"{row.rank or '–'}{f' {LEADER_MARK}' if row.standing and row.standing.leading else ''}"
