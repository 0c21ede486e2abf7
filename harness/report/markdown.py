"""Text for Markdown pages: escaped names, tables, and numbers."""

import re
from collections.abc import Iterable

from harness.scoring.leaderboard import DECIMALS, MeanStd

MAX_LENGTH = 160  # characters of a name or a message in a table
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
NUMERIC = re.compile(r"(?:[-+\d\s.,/%()=•±–≥]|\bto\b|out of reach)*")  # numbers, intervals and ranks, no other words


def escape(text: str) -> str:
    """Escape a name or a message for a Markdown table.

    It becomes one line without markup, without HTML and without the end of a cell; what is too long is cut.
    """
    flat = one_line(text)
    short = flat if len(flat) <= MAX_LENGTH else f"{flat[: MAX_LENGTH - 3]}..."
    # One underscore or hash between letters or digits marks nothing up; all else that may is written as its code.
    return re.sub(r"[\\`*{}\[\]<>|~!&]|(?<![^\W_])[_#]|[_#](?![^\W_])", lambda mark: f"&#{ord(mark[0])};", short)


def one_line(text: str) -> str:
    """Return a text without line breaks and control characters."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()


def sentence(text: str) -> str:
    """Escape a sentence, which may be longer than a cell of a table."""
    return " ".join(escape(word) for word in text.split())


def format_table(header: list[str], rows: list[list[str]], left_columns: Iterable[str] = ("Labeler",)) -> str:
    """Lay out a table whose cells are Markdown already.

    The columns named in `left_columns` are aligned left, the others right, and no number of these is broken.
    """
    align = ["---" if name in left_columns else "--:" for name in header]
    body = [
        [cell if side == "---" else unbroken(cell) for side, cell in zip(align, cells, strict=True)] for cells in rows
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, align, *body))


def unbroken(text: str) -> str:
    """Keep a number, an interval or a rank on one line; leave words alone.

    >>> unbroken("0.5 (0.4 to 0.6)") == "0.5 (0.4 to 0.6)".replace(" ", NO_BREAK_SPACE)
    True
    """
    return text.replace(" ", NO_BREAK_SPACE) if NUMERIC.fullmatch(text) else text


def breakable(text: str) -> str:
    """Return a text with plain spaces, as it was before `unbroken`."""
    return text.replace(NO_BREAK_SPACE, " ")


def mean_std(value: MeanStd | None) -> str:
    """Write a mean and its standard deviation, if any; "" for None."""
    if value is None:
        return ""
    return f"{value.mean:.{DECIMALS}f}" + ("" if value.sd is None else f" ± {value.sd:.{DECIMALS}f}")


def number(value: float | None, decimals: int = DECIMALS, signed: bool = False) -> str:
    """Write one number; "" for None.

    >>> number(-1e-17, signed=True)
    '+0.0000'
    """
    return "" if value is None else f"{round(value, decimals) + 0.0:{'+' if signed else ''}.{decimals}f}"


def interval(ends: tuple[float, float] | None, signed: bool = False) -> str:
    """Write both ends of an interval; "" for None.

    >>> interval((-0.5, 1.0), signed=True)
    '-0.5000 to +1.0000'
    """
    return "" if ends is None else " to ".join(number(end, signed=signed) for end in ends)


def span(counts: Iterable[int]) -> str:
    """Write one count, or the smallest and the largest.

    >>> span([27_000, 27_001])
    '27,000-27,001'
    """
    low, high = min(counts := tuple(counts)), max(counts)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"
