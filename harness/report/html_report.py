"""The report: one HTML file that needs nothing else, and its tables as CSV beside it.

Every text is escaped by the template; the CSV twins stand in the page as JSON that no text can end. The page's policy
allows its own script and style and no request at all.
"""

import base64
import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.errors import printable
from harness.report import learning_curves, plots, svg
from harness.report import tables as report_tables
from harness.report.leaderboard_folder import write_files
from harness.report.leaderboard_page import about, circumstances, claims, command, made_with, warnings
from harness.report.svg import Figure
from harness.report.tables import Column, IntervalCell, Table, format_value
from harness.report.tuning import tuning_table
from harness.run.runner import Run
from harness.scoring.leaderboard import DECIMALS, CellResult, Leaderboard, LeaderboardRow, MeanStd
from harness.scoring.profiles import MAX_DRAWN_LABELERS, RunProfile
from harness.statistics.costs import Prices

MAX_NAMED_LEADERS = 3  # of those ahead; the others are counted
LABELER_COLUMNS = ("Labeler", "First", "Second")  # columns that name labelers


@dataclass(frozen=True)
class HtmlCell:
    """One cell as the page shows it."""

    text: str
    numeric: bool = False
    sort: str | None = None  # the number that it is sorted by
    shade: str | None = None  # from 0 to 1
    header: bool = False
    title: str = ""  # beside the pointer
    bar: tuple[float, float, float] | None = None  # low, value, high on a scale from 0 to 100


@dataclass(frozen=True)
class HtmlRow:
    """One row, and the labelers that it is about, one a line."""

    cells: tuple[HtmlCell, ...]
    labelers: str


@dataclass(frozen=True)
class HtmlHead:
    """The header of a column."""

    name: str
    numeric: bool


@dataclass(frozen=True)
class HtmlTable:
    """One table as the page shows it."""

    caption: str
    heads: tuple[HtmlHead, ...]
    rows: tuple[HtmlRow, ...]
    notes: tuple[str, ...]
    csv_file: str  # the CSV file; "" where another button of the page saves it
    sortable: bool = True
    ranks: bool = False  # has every labeler once
    labeler: str = ""  # whom all of it is about


def write_report(
    run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard], run_profile: RunProfile, prices: Prices
) -> Path:
    """Write leaderboards/<suite>/report.html and, in report/, the CSV twins of its tables; returns the page."""
    folder = run.options.output / "leaderboards" / run.suite.name
    audit = audit_table(folder / "audit.csv")
    made = [*_report_tables(run, cell_results, leaderboards, run_profile, prices), *([audit] if audit else [])]
    twins = report_tables.to_csv_files(made)
    page = {"report.html": html(run, leaderboards, run_profile, made, twins)}
    write_files(folder, {f"report/{name}": text for name, text in twins.items()} | page)
    return folder / "report.html"


def _report_tables(
    run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard], run_profile: RunProfile, prices: Prices
) -> Iterator[Table]:
    for leaderboard in leaderboards:
        yield report_tables.leaderboard_table(run, leaderboard)
        yield report_tables.class_table(leaderboard)
        if (settings := tuning_table(run, leaderboard)) is not None:
            yield settings
        profiles = run_profile.of(leaderboard.title)
        if profiles:
            yield report_tables.confidence_table(profiles, run_profile.target)
            yield report_tables.coverage_table(profiles)
            yield report_tables.reliability_table(profiles)
            yield report_tables.cost_table(profiles, run_profile.target, prices)
            yield from map(report_tables.confusion_table, profiles)
        for overlap in run_profile.overlaps:
            if overlap.comparison == leaderboard.title:
                yield report_tables.shared_error_table(overlap)
                yield report_tables.ensemble_table(overlap)
    if run_profile.curves:
        yield learning_curves.fits_table(run_profile)
        yield learning_curves.points_table(run_profile.curves)
    yield report_tables.failure_table(cell_results)


def audit_table(file: Path) -> Table | None:
    """Return what an audit of this suite has found, if there was one."""
    if not file.is_file():
        return None
    with file.open(encoding="utf-8", newline="") as lines:
        read = [row for row in csv.DictReader(lines) if row.get("check") in ("remark", "verdict")]
    rows = [(row["what"], row["labeler"] or "the data", row["value"]) for row in read]
    return Table("audit", "Audit", tuple(map(Column, ("Finding", "Labeler", "Why"))), tuple(rows))


def html(
    run: Run,
    leaderboards: list[Leaderboard],
    run_profile: RunProfile,
    all_tables: list[Table],
    csv_files: dict[str, str],
) -> str:
    """Return the whole page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder = files("harness.report") / "html"
    environment = Environment(
        loader=FileSystemLoader(str(folder)), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    script = (folder / "report.js").read_text(encoding="utf-8")
    most = max(leaderboards, key=lambda each: max(each.n_train))  # what is folded of the others is open of this one
    sections = [
        _comparison(run, leaderboard, place, run_profile, all_tables, leaderboard is most)
        for place, leaderboard in enumerate(leaderboards, 1)
    ]
    curves = [
        {"title": printable(family), "figures": [_figure(run, figure) for figure in drawn]}
        for family, drawn in plots.learning_figures(run_profile).items()
    ]
    named = [(each["id"], each["title"]) for each in sections]
    named += [("curves", "Learning curves")] if curves else []
    named += [("audit", "Audit"), ("failures", "Failures"), ("again", "Run it again")]
    return environment.get_template("report.html").render(
        name=printable(run.suite.name),
        simulated=run.simulated,
        warnings=warnings(run),
        about=[(term, printable(text)) for term, text in about(run)],
        ahead=printable(_leaders(most)),
        parts=[{"id": place, "title": title} for place, title in named],
        comparisons=sections,
        curves=curves,
        fits=_only_table(all_tables, "fits"),
        refused=next((learning_curves.refusal_reason(table) for table in all_tables if table.file == "fits"), ""),
        points=_only_table(all_tables, "curves"),
        audit=_only_table(all_tables, "audit"),
        failures=_only_table(all_tables, "failures"),
        command=printable(command(run)),
        file=printable(command(run)).split()[2],
        made_with=made_with(run),
        twins=Markup(as_json(csv_files)),
        style=Markup((folder / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _leaders(leaderboard: Leaderboard) -> str:
    """Say who is ahead, as far as that can be said, with how many labels."""
    first = leaderboard.leaders
    if not first:
        return f"{leaderboard.title}: nobody is told from another." if leaderboard.standings else ""
    named = ", ".join(f"{row.title} ({_value(row)})" for row in first[:MAX_NAMED_LEADERS])
    more = f" and {len(first) - MAX_NAMED_LEADERS} more" if len(first) > MAX_NAMED_LEADERS else ""
    if not any(row.standing and row.standing.leading for row in first):
        return f"{leaderboard.title}: first by number {named}{more}; nothing is claimed."
    if len(first) == 1:
        return f"{leaderboard.title}: {named} is ahead of all others."
    return f"{leaderboard.title}: {named}{more} are ahead, and none of them is told from the best."


def _value(row: LeaderboardRow) -> str:
    return "" if row.standing is None else f"{row.standing.value:.{DECIMALS}f}"


def as_json(value: Any) -> str:
    """Return JSON that may stand in a script element: nothing in it ends the element or a line of JavaScript."""
    text = json.dumps(value, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _comparison(
    run: Run, leaderboard: Leaderboard, place: int, run_profile: RunProfile, all_tables: list[Table], unfolded: bool
) -> dict[str, Any]:
    mine = [table for table in all_tables if ("comparison", leaderboard.title) in table.about]
    tables = {table.file: to_html(table) for table in mine if table.file != "confusion"}
    drawn = {profile.title for profile in run_profile.of(leaderboard.title)[:MAX_DRAWN_LABELERS]}
    matrices = [table for table in mine if table.file == "confusion" and table.title in drawn]
    return {
        "id": f"comparison-{place}",
        "title": printable(leaderboard.title),
        "circumstances": circumstances(leaderboard),
        "claims": [claim.replace("`", "") for claim in claims(leaderboard)],
        "open": unfolded,
        "leaderboard": replace(tables["leaderboard"], ranks=True),
        "classes": tables["classes"] if tables["classes"].rows else None,
        "figures": [_figure(run, figure) for figure in plots.confidence_figures(run_profile, leaderboard.title, place)],
        **{name: tables.get(name) for name in ("confidence", "coverage", "reliability")},
        "confusions": [
            replace(to_html(table), sortable=False, csv_file="", labeler=printable(table.title)) for table in matrices
        ],
        "more": [tables[name] for name in ("settings", "shared_errors", "ensemble", "costs") if name in tables],
    }


def _figure(run: Run, figure: Figure) -> dict[str, Any]:
    from markupsafe import Markup

    drawn = svg.draw_svg(figure, run.simulated, standalone=False)
    caption = ("SIMULATED DATA: " if run.simulated else "") + printable(figure.title)
    return {"svg": Markup(drawn), "caption": caption}


def _only_table(all_tables: list[Table], file: str) -> HtmlTable | None:
    found = [table for table in all_tables if table.file == file and table.rows]
    return to_html(found[0]) if found else None


def to_html(table: Table) -> HtmlTable:
    """Return a sheet as the page shows it: without columns that tell nothing, such as the cells where all are done."""
    if table.file == "leaderboard":
        table = _with_missing_cells(table)
    if table.file in ("leaderboard", "fits"):
        table = table.without(table.empty)
    numeric = [
        all(not isinstance(row[i], str) for row in table.rows) and any(row[i] is not None for row in table.rows)
        for i in range(len(table.columns))
    ]
    heads = [HtmlHead(printable(column.name), number) for column, number in zip(table.columns, numeric, strict=True)]
    scale = _scale(table)
    rows = []
    for values in table.rows:
        whole = sum(value for value, column in zip(values, table.columns, strict=True) if column.shade == "row")
        cells = [_cell(*pair, whole, scale) for pair in zip(table.columns, values, numeric, strict=True)]
        first = next((i for i, column in enumerate(table.columns) if column.name in LABELER_COLUMNS), 0)
        cells[first] = replace(cells[first], header=True)
        who = [
            str(value) for value, column in zip(values, table.columns, strict=True) if column.name in LABELER_COLUMNS
        ]
        rows.append(HtmlRow(tuple(cells), "\n".join(map(printable, who))))
    notes = tuple(map(printable, table.notes))
    return HtmlTable(printable(table.title), tuple(heads), tuple(rows), notes, f"{table.file}.csv")


def _with_missing_cells(board: Table) -> Table:
    """Make one column, "2/3", of a leaderboard's last two, the cells that are finished and all; empty where all are."""
    counts = [None if row[-2] == row[-1] else f"{row[-2]}/{row[-1]}" for row in board.rows]
    rows = tuple((*row[:-2], count) for row, count in zip(board.rows, counts, strict=True))
    return replace(board, columns=(*board.columns[:-2], board.columns[-1]), rows=rows)


def _scale(table: Table) -> tuple[float, float] | None:
    """Return the least and the largest end of the intervals in the column that has bars."""
    ends = (
        [end for row in table.rows for value in row[:4] for end in _ends(value)] if table.file == "leaderboard" else []
    )
    return (min(ends), max(ends)) if ends and max(ends) > min(ends) else None


def _ends(value: Any) -> tuple[float, ...]:
    return (value.low, value.high) if isinstance(value, IntervalCell) else ()


def _cell(column: Column, value: Any, numeric: bool, whole: float, scale: tuple[float, float] | None) -> HtmlCell:
    if value is None:
        return HtmlCell("", numeric)
    if isinstance(value, str):
        return HtmlCell(printable(value))
    text = format_value(column, value)
    if isinstance(value, IntervalCell):
        return HtmlCell(text, numeric, repr(value.low), bar=_bar(value, scale))
    mean = value.mean if isinstance(value, MeanStd) else value
    if column.shade == "row":
        share = value / whole if whole else 0.0
        return HtmlCell(f"{share:.2f}", numeric, repr(share), f"{share:.3f}", title=f"{value:,} of {whole:,} rows")
    shade = f"{min(max(mean, 0.0), 1.0):.3f}" if column.shade else None
    return HtmlCell(text, numeric, repr(float(mean)), shade)


def _bar(value: IntervalCell, scale: tuple[float, float] | None) -> tuple[float, float, float] | None:
    if scale is None:
        return None
    low, high = ((end - scale[0]) / (scale[1] - scale[0]) * 96 + 2 for end in (value.low, value.high))
    return round(low, 2), round((low + high) / 2, 2), round(high, 2)
