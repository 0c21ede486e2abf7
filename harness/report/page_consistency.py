"""Whether the tables of a page agree with the other files of its board."""

import re
from collections.abc import Iterator, Mapping
from html import unescape

from harness.report.csv_files import without_formula_quote
from harness.report.leaderboard_parts import AGAINST, GAIN, MORE_COLUMNS, WITH_INTERVAL
from harness.report.leaderboard_tables import LEADER_MARK, metric_header
from harness.report.markdown import MAX_LENGTH, breakable, escape, interval, mean_std, number, one_line
from harness.report.names import ELLIPSIS
from harness.scoring.leaderboard import MeanStd
from harness.statistics.metrics import DISPLAY_NAMES

Row = dict[str, str]
Cells = dict[tuple[str, str], dict[str, list[float]]]  # (comparison, labeler) -> metric -> a value a test set
METRICS = {metric_header(name): name for name in DISPLAY_NAMES}
COMPARISON_LINE = re.compile(r"^Splits: (.*)\. Train [\d,-]+ rows, test ", re.MULTILINE)  # below a heading


def check_page(page: str, standings: list[Row], cells: Cells, counts: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """Yield contradictions between a page and standings, values and counts."""
    lines = {(comparison, line["Labeler"]): (shown, line) for comparison, shown, line in read_leaderboards(page)}
    for row in standings:
        key = row["comparison"], row["labeler"]
        name = without_formula_quote(key[1])
        shown, line = lines.pop((escape(key[0]), escape(name)), ({}, None))
        if line is None:
            yield f"{key[0]}: no line of {key[1]!r}, which stands in standings.csv"
            continue
        values = cells.get(key, {})
        expected = [(shown, *pair) for pair in _expected_ranks(row, shown, values)]
        expected += [(line, *pair) for pair in _expected_rest(row, line, values, counts[key])]
        for place, column, text in expected:
            if place[column] != text:
                yield f"{key[0]}, {key[1]}: {column} is {place[column]!r}, by the other files it is {text!r}"
        if not _is_short_for(unescape(shown["Labeler"]), one_line(name)):
            yield f"{key[0]}, {key[1]}: Labeler is {shown['Labeler']!r}, which is not short for it"
    yield from (f"{comparison}: {labeler!r} does not stand in standings.csv" for comparison, labeler in lines)


def _expected_ranks(row: Row, line: Row, values: dict[str, list[float]]) -> Iterator[tuple[str, str]]:
    """Yield (column, text) of a line of the ranks, by the other files."""
    yield "Rank", (row["rank"] or "–") + (f" {LEADER_MARK}" if row["leading"] == "True" else "")
    for name in line:
        metric = METRICS.get(name.removesuffix(WITH_INTERVAL))
        mean = _mean(values, metric)
        text = number(mean.mean if mean else None)
        ends = interval(_ends(row, "low", "high")) if name.endswith(WITH_INTERVAL) else ""
        if metric is not None and ends:
            yield name, f"{text} ({ends})"
        elif metric is not None:
            is_primary = name == next(other for other in line if other.removesuffix(WITH_INTERVAL) in METRICS)
            yield name, mean_std(mean) if is_primary else text
        elif name == GAIN:
            yield name, _difference(row, "")


def _expected_rest(row: Row, line: Row, values: dict[str, list[float]], count: str) -> Iterator[tuple[str, str]]:
    """Yield (column, text) of a line of the other columns."""
    for name in line:
        if name in METRICS:
            yield name, mean_std(_mean(values, METRICS[name]))
        elif name.startswith(AGAINST):
            yield name, _difference(row, interval(_ends(row, "difference_low", "difference_high"), signed=True))
        elif name == "Cells" and values:
            yield name, count


def _mean(values: dict[str, list[float]], metric: str | None) -> MeanStd | None:
    cells = values.get(metric) if metric else None
    return MeanStd.of(cells) if cells else None


def _difference(row: Row, ends: str) -> str:
    difference = float(row["difference"]) if row["difference"] else None
    return number(difference, signed=True) + (f" ({ends})" if ends else "")


def _is_short_for(short: str, name: str) -> bool:
    """Return True if a name on a page is a full one, or without its middle."""
    pieces = [piece for piece in short.split(ELLIPSIS) if not re.fullmatch(r"#\d+", piece)]
    text = name if len(name) <= MAX_LENGTH or ELLIPSIS in short else short
    return re.fullmatch(".*".join(map(re.escape, pieces)) + ".*" * (ELLIPSIS in short), text) is not None


def read_leaderboards(page: str) -> Iterator[tuple[str, Row, Row]]:
    """Yield (comparison, line of the ranks, line of the rest) of a page.

    A line is {column: cell}. All are as they are written on the page; numbers have plain spaces. Without a table of the
    rest its line has the name alone. A page without the line below the heading has the comparison as heading.
    """
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        match = COMPARISON_LINE.search(text)
        comparison = match[1] if match else heading
        ranks, _, rest = text.partition(f"<summary>{MORE_COLUMNS}")
        shown = next((table for table in _tables(ranks) if table and [*table[0]][:2] == ["Rank", "Labeler"]), [])
        full = next(_tables(rest.partition("</details>")[0]), [])
        for i, line in enumerate(shown):
            yield comparison, line, full[i] if i < len(full) else {"Labeler": line["Labeler"]}


def _tables(text: str) -> Iterator[list[Row]]:
    """Yield the tables of a text, each a list of lines."""
    for block in text.split("\n\n"):
        if block.lstrip("\n").startswith("| "):
            header, _, *lines = (
                [breakable(cell.strip()) for cell in line[1:-1].split("|")] for line in block.strip("\n").splitlines()
            )
            yield [dict(zip(header, line, strict=True)) for line in lines]


def _ends(row: Row, low: str, high: str) -> tuple[float, float] | None:
    return (float(row[low]), float(row[high])) if row[low] else None
