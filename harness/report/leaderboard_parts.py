"""The board of a page in three parts: ranks, classes, all the rest."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.report.leaderboard_tables import INTERVAL, metric_header
from harness.report.markdown import escape
from harness.report.names import shorten
from harness.report.page_width import PAGE_WIDTH, column_width, shorten_names
from harness.report.tables import Column, Table, to_markdown
from harness.statistics.metrics import DISPLAY_NAMES

METRIC_HEADERS = frozenset(map(metric_header, DISPLAY_NAMES))
OTHER_METRICS = 2  # of the first table, beside the primary one
CHOICE = "Best of settings"
WITH_INTERVAL = " (95 % CI)"  # in the header of the primary metric
GAIN, AGAINST = "Gain", "vs "  # the difference from the baseline without its interval, and with it
SPREAD = " ± "
MORE_COLUMNS = "More columns: "
CLASSES_LINE = "Accuracy by class, the share of its test rows that are labelled right:"
TEST_ROWS = "test rows"  # the first line of the classes
MAX_CLASS = 18  # characters of a header
MIN_NAME_ROOM = 160  # pixels of the column of names
CLASS_HEADER = re.compile(r"(?P<name>.*) \(n=(?P<low>[\d,]+)(?P<high>-[\d,]+)?(, few)?\)", re.DOTALL)

Texts = Mapping[str, Sequence[str]]
"""{column: cells}."""
NamedCells = tuple[str, Sequence[str]]
"""(column, cells)."""


@dataclass(frozen=True)
class LeaderboardParts:
    """The board of one comparison as its page has it.

    `ranks` has six columns at most. `rest` has full names and every other column, line by line as `ranks`.
    """

    ranks: Table
    classes: tuple[Table, ...]
    rest: Table

    def markdown(self) -> Iterator[str]:
        """Yield the parts of a page, the rest folded away."""
        yield to_markdown(self.ranks)
        baseline = next((name.removeprefix(AGAINST) for name in self.rest.names if _is_gain(name)), None)
        about = [f"{GAIN}: the difference from {escape(baseline)} on the same test rows."] if baseline else []
        about += [CLASSES_LINE] if self.classes else []
        if about:
            yield " ".join(about)
        yield from map(to_markdown, self.classes)
        shown, full = ([row[i] for row in table.rows] for i, table in ((1, self.ranks), (0, self.rest)))
        more = [*(["full names"] if shown != full else []), *self.rest.names[1:]]
        if more:
            yield f"<details>\n<summary>{MORE_COLUMNS}{', '.join(map(escape, more))}</summary>"
            yield to_markdown(self.rest, ("Labeler", CHOICE))
            yield "</details>"


def split_leaderboard(table: Table) -> LeaderboardParts:
    """Split a board into tables that fit a page.

    Its shaded columns are those of classes. Cells may be values or texts.
    """
    cells = zip(*table.texts(), strict=True)
    texts: dict[str, Sequence[str]] = dict(zip(table.names, cells, strict=True))
    classes = {column.name: texts.pop(column.name) for column in table.columns if column.shade}
    names = texts.pop("Labeler")
    ranks = _ranks(texts)
    room = PAGE_WIDTH - _width(ranks.items())
    chunks = list(_chunks(_class_columns(classes), min(room, column_width("Labeler", names))))
    short = shorten_names(names, min([room, *(PAGE_WIDTH - _width(chunk) for chunk in chunks)]))
    rank, *others = ranks.items()
    return LeaderboardParts(
        _table([rank, ("Labeler", short), *others]),
        tuple(_table([("Labeler", (TEST_ROWS, *short)), *chunk]) for chunk in chunks),
        _table([("Labeler", names), *_rest(texts, ranks).items()]),
    )


def _ranks(texts: Texts) -> dict[str, Sequence[str]]:
    """Return the columns of the first table, without names."""
    primary, *others = (name for name in texts if name in METRIC_HEADERS)
    intervals = texts.get(INTERVAL, [""] * len(texts["Rank"]))
    columns = {"Rank": texts["Rank"]}
    columns[primary + WITH_INTERVAL * any(intervals)] = [
        f"{_without_spread(value)} ({ends})" if ends else value
        for value, ends in zip(texts[primary], intervals, strict=True)
    ]
    for name in filter(_is_gain, texts):
        columns[GAIN] = [text.partition(" (")[0] for text in texts[name]]
    for name in others[:OTHER_METRICS]:
        columns[name] = [*map(_without_spread, texts[name])]
    return columns


def _rest(texts: Texts, ranks: Texts) -> dict[str, Sequence[str]]:
    """Return the columns of which the first table lacks something."""
    primary = next(name for name in texts if name in METRIC_HEADERS)
    columns = {}
    for name, cells in texts.items():
        if name == primary and primary not in ranks:
            is_new = any(SPREAD in text for text in cells)
        elif _is_gain(name):
            is_new = True  # the name of the baseline is in its header
        else:
            is_new = name != INTERVAL and [*cells] != [*ranks.get(name, [""] * len(cells))]
        if is_new:
            columns[name] = cells
    return columns


def _is_gain(name: str) -> bool:
    return name.startswith(AGAINST)


def _without_spread(text: str) -> str:
    return text.partition(SPREAD)[0]


def _class_columns(classes: Texts) -> list[NamedCells]:
    """Return the columns of the classes, each with its test rows on top.

    Of several test sets it is the number of the one with the fewest.
    """
    titles, counts = [], []
    for header in classes:
        match = CLASS_HEADER.fullmatch(header)
        titles.append(match["name"] if match else header)
        counts.append("" if match is None else ("≥" if match["high"] else "") + match["low"])
    short = shorten(titles, MAX_CLASS)
    return [
        (short[title], (count, *cells)) for title, count, cells in zip(titles, counts, classes.values(), strict=True)
    ]


def _chunks(columns: Sequence[NamedCells], names: float) -> Iterator[list[NamedCells]]:
    """Yield columns together that fit a page beside `names` pixels of names.

    Names get less room where one table then holds all columns.
    """
    if _width(columns) <= PAGE_WIDTH - MIN_NAME_ROOM:
        names = MIN_NAME_ROOM
    chunk: list[NamedCells] = []
    for column in columns:
        if chunk and _width([*chunk, column]) > PAGE_WIDTH - names:
            yield chunk
            chunk = []
        chunk.append(column)
    if chunk:
        yield chunk


def _width(columns: Iterable[NamedCells]) -> float:
    return sum(column_width(name, cells) for name, cells in columns)


def _table(columns: Iterable[NamedCells]) -> Table:
    names, cells = zip(*columns, strict=True)
    return Table("", "", tuple(map(Column, names)), tuple(zip(*cells, strict=True)))
