"""The page of a ranking over data sets on the site, from its files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from harness.errors import HarnessError, printable
from harness.report.board_tables import number_or_text
from harness.report.finished_board import head_lines, read_csv
from harness.report.html_report import as_json
from harness.report.html_tables import to_html
from harness.report.leaderboard_folder import BOARD_FILE
from harness.report.leaderboard_page import SIMULATED_NOTE
from harness.report.ranking_page import PLOT
from harness.report.site_page import render
from harness.report.svg import embed_svg
from harness.report.tables import Column, Estimate, IntervalCell, Table, to_csv_files

TABLES = {"ranking": "Ranking", "values": "Values on each data set", "pairs": "Every pair"}
DECIMALS = {"ranking": 2}


@dataclass(frozen=True)
class FinishedRanking:
    """The files that harness ranking wrote into a folder."""

    folder: Path
    verdict: str
    is_simulated: bool

    @property
    def name(self) -> str:
        return self.folder.name


def find_rankings(leaderboards: Path) -> Iterator[FinishedRanking]:
    """Yield the rankings in a folder of leaderboards, by name."""
    for file in sorted(leaderboards.glob("*/ranking.csv")):
        names = [*(f"{name}.csv" for name in TABLES), PLOT, "README.md"]
        if not (file.parent / BOARD_FILE).exists() and all((file.parent / name).is_file() for name in names):
            page = (file.parent / "README.md").read_text(encoding="utf-8", errors="replace")
            lines = head_lines(page)
            verdict = next((line for line in lines if line != SIMULATED_NOTE), "")
            yield FinishedRanking(file.parent, verdict, SIMULATED_NOTE in lines)


def ranking_files(ranking: FinishedRanking) -> dict[str, str | bytes]:
    """Return {name: content} of a ranking's folder on the site."""
    from markupsafe import Markup

    tables = [_table(ranking.folder, name) for name in TABLES]
    drawing = (ranking.folder / PLOT).read_text(encoding="utf-8", errors="replace")
    try:
        figure = embed_svg(drawing, ranking.name)
    except ElementTree.ParseError as error:
        raise HarnessError(f"{ranking.folder / PLOT}: is no SVG: {error}; give harness ranking again") from None
    copies = {f"{name}.csv": (ranking.folder / f"{name}.csv").read_bytes() for name in TABLES}
    page = render(
        "site_ranking.html",
        ranking.name,
        root="../",
        simulated=ranking.is_simulated,
        warnings=[SIMULATED_NOTE] if ranking.is_simulated else [],
        verdict=printable(ranking.verdict),
        tables=[replace(to_html(table), ranks=table.file == "ranking") for table in tables],
        figure=Markup(figure),
        csv_files=Markup(as_json(to_csv_files(tables))),
    )
    return copies | {"index.html": page}


def _table(folder: Path, name: str) -> Table:
    """Read a table; a column and its ends become one of intervals."""
    rows = list(read_csv(folder / f"{name}.csv"))
    names = [column for column in rows[0] if not _is_end(column, rows[0])] if rows else []
    columns = tuple(Column(column[:1].upper() + column[1:], DECIMALS.get(name, 4)) for column in names)
    return Table(name, TABLES[name], columns, tuple(tuple(_cell(row, column) for column in names) for row in rows))


def _is_end(column: str, row: dict[str, str]) -> bool:
    return any(column.endswith(end) and column.removesuffix(end) in row for end in (" low", " high"))


def _cell(row: dict[str, str], column: str) -> Any:
    value, *ends = (number_or_text(row.get(name, "")) for name in (column, f"{column} low", f"{column} high"))
    if all(isinstance(number, int | float) for number in (value, *ends)):
        return Estimate(value, IntervalCell(*ends))
    return value if column != "rank" or value is None else str(value)
