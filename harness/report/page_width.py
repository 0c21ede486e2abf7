"""How wide a table is on a Markdown page as GitHub draws it."""

from collections.abc import Iterable, Sequence

from harness.report.names import shorten

PAGE_WIDTH = 838  # pixels of a page's text
CELL_PADDING, BORDER = 26, 1  # pixels beside the text of a cell, and between two cells
MAX_NAME, MIN_NAME = 40, 12  # characters of a name that is shortened
BOLD = 1.1  # of the width of plain letters
WIDE = 17.0  # pixels of a letter that is not listed
# Pixels at 16 px of Noto Sans, the widest of the fonts that GitHub's pages name.
ADVANCES = {
    letter: width
    for letters, width in {
        "ijlIJ!',.:;` \N{NO-BREAK SPACE}": 4.3,
        "()-[]f": 5.4,
        't"/\\{}•r?_': 6.8,
        "cksvxyzFL–": 8.4,
        "0123456789aegESTXYZ$*+<=>^|~±≥": 9.3,
        "bdhnopquABCKPRV#↑↓": 10.2,
        "wDGHNOQU&…%": 12.8,
        "mMW@": 15.2,
    }.items()
    for letter in letters
}


def text_width(text: str) -> float:
    """Return the pixels of a text of one line, rather more than fewer."""
    return sum(ADVANCES.get(letter, WIDE) for letter in text)


def column_width(header: str, cells: Iterable[str]) -> float:
    """Return the pixels of a column that breaks no cell."""
    texts = max(map(text_width, cells), default=0.0)
    return max(text_width(header) * BOLD, texts) + CELL_PADDING + BORDER


def shorten_names(names: Sequence[str], room: float) -> list[str]:
    """Shorten names that have `room` pixels as a column; all stay distinct."""
    room -= CELL_PADDING + BORDER
    for width in range(MAX_NAME, MIN_NAME, -1):
        short = shorten(names, width)
        if max(map(text_width, short.values()), default=0.0) <= room:
            return [short[name] for name in names]
    short = shorten(names, MIN_NAME)
    return [short[name] for name in names]
