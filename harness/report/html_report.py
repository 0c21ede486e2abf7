"""The report of a run: one HTML file, and its tables as CSV.

The HTML file needs nothing else. Every text is escaped by the template; the CSV of every table stands in the page as
JSON that no text can end, and in files beside it. The page's policy allows its own script and style and no request at
all.
"""

import base64
import csv
import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.errors import printable
from harness.report import leaderboard_tables, learning_curves, plots, profile_tables
from harness.report.claims import leader_sentence, rank_claims
from harness.report.headings import headings
from harness.report.html_tables import HtmlTable, to_html
from harness.report.leaderboard_folder import PLOTS_FOLDER, board_folder, write_files
from harness.report.leaderboard_page import (
    GLOSSARY,
    about,
    circumstances,
    command,
    glossary_link,
    made_with,
    warnings,
)
from harness.report.plot_files import svg_text
from harness.report.svg import Figure, embed_svg
from harness.report.tables import Table, columns, to_csv_files
from harness.report.tuning import tuning_table
from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult, Leaderboard
from harness.scoring.profiles import MAX_DRAWN_LABELERS, RunProfile
from harness.statistics.costs import Prices


def write_report(
    run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard], run_profile: RunProfile, prices: Prices
) -> Path:
    """Write report.html and its tables into a board's folder; return the page."""
    folder = board_folder(run)
    audit = audit_table(folder / "audit.csv")
    tables = [*_report_tables(run, cell_results, leaderboards, run_profile, prices), *([audit] if audit else [])]
    csv_files = to_csv_files(tables)
    page = html(run, leaderboards, run_profile, tables, csv_files)
    write_files(folder, {f"report/{name}": text for name, text in csv_files.items()} | {"report.html": page})
    return folder / "report.html"


def _report_tables(
    run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard], run_profile: RunProfile, prices: Prices
) -> Iterator[Table]:
    names = run.dataset.classes.names
    for leaderboard in leaderboards:
        yield leaderboard_tables.leaderboard_table(run, leaderboard)
        yield leaderboard_tables.class_table(leaderboard, names)
        if (settings := tuning_table(run, leaderboard)) is not None:
            yield settings
        profiles = run_profile.of(leaderboard.title)
        if profiles:
            yield profile_tables.confidence_table(profiles, run_profile.target)
            yield profile_tables.coverage_table(profiles)
            yield profile_tables.reliability_table(profiles)
            yield profile_tables.cost_table(profiles, run_profile.target, prices)
            yield from (profile_tables.confusion_table(profile, names) for profile in profiles)
        for overlap in run_profile.overlaps:
            if overlap.comparison == leaderboard.title:
                yield profile_tables.shared_error_table(overlap)
                yield profile_tables.ensemble_table(overlap)
    if run_profile.curves:
        yield learning_curves.fits_table(run_profile)
        yield learning_curves.points_table(run_profile.curves)
    yield leaderboard_tables.failure_table(cell_results)


def audit_table(file: Path) -> Table | None:
    """Return the findings of an audit of this suite, if there was one."""
    if not file.is_file():
        return None
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        findings = [row for row in csv.DictReader(lines) if row.get("check") in ("remark", "verdict")]
    rows = tuple((row["what"], row["labeler"] or "the data", row["value"]) for row in findings)
    return Table("audit", "Audit", columns(("Finding", "Labeler", "Why")), rows)


def html(
    run: Run,
    leaderboards: list[Leaderboard],
    run_profile: RunProfile,
    tables: list[Table],
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
    titles = headings(run)
    most = max(leaderboards, key=lambda leaderboard: max(leaderboard.n_train))  # unfolded; the others are folded
    comparisons = [
        _comparison(run, leaderboard, titles[leaderboard.title], i, run_profile, tables) | {"open": leaderboard is most}
        for i, leaderboard in enumerate(leaderboards, 1)
    ]
    curves = [
        {"title": printable(family), "figures": [_figure(run, figure) for figure in figures]}
        for family, figures in plots.learning_figures(run_profile, run.dataset.classes.names).items()
    ]
    parts = [(comparison["id"], comparison["title"]) for comparison in comparisons]
    parts += [("curves", "Learning curves")] if curves else []
    parts += [("audit", "Audit"), ("failures", "Failures"), ("again", "Run it again")]
    return environment.get_template("report.html").render(
        name=printable(run.suite.name),
        simulated=run.simulated,
        warnings=warnings(run),
        about=[(term, printable(text)) for term, text in about(run)],
        glossary=GLOSSARY,
        glossary_link=glossary_link(run),
        leaders=printable(leader_sentence(most, titles[most.title])),
        parts=[{"id": name, "title": title} for name, title in parts],
        comparisons=comparisons,
        curves=curves,
        fits=_only_table(tables, "fits"),
        refused=next((learning_curves.refusal_reason(table) for table in tables if table.file == "fits"), ""),
        points=_only_table(tables, "curves"),
        audit=_only_table(tables, "audit"),
        failures=_only_table(tables, "failures"),
        command=printable(command(run)),
        file=printable(command(run)).split()[2],
        made_with=made_with(run),
        csv_files=Markup(as_json(csv_files)),
        style=Markup((folder / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def as_json(value: Any) -> str:
    """Return JSON for a script element: no text in it ends the element.

    Nor does a text end a line of JavaScript.
    """
    text = json.dumps(value, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _comparison(
    run: Run, leaderboard: Leaderboard, heading: str, number: int, run_profile: RunProfile, all_tables: list[Table]
) -> dict[str, Any]:
    """Return what the template shows of one comparison."""
    names = run.dataset.classes.names
    tables = [table for table in all_tables if ("comparison", leaderboard.title) in table.context]
    drawn = {table.file: to_html(table) for table in tables if table.file != "confusion"}
    best = {profile.title for profile in run_profile.of(leaderboard.title)[:MAX_DRAWN_LABELERS]}
    figures = plots.confidence_figures(run_profile, leaderboard.title, number, heading)
    return {
        "id": f"comparison-{number}",
        "title": printable(heading),
        "splits": printable(leaderboard.title),
        "circumstances": circumstances(leaderboard),
        "claims": [claim.replace("`", "") for claim in rank_claims(leaderboard, names)],
        "leaderboard": drawn["leaderboard"],
        "classes": drawn["classes"] if drawn["classes"].rows else None,
        "figures": [_figure(run, figure) for figure in figures],
        **{name: drawn.get(name) for name in ("confidence", "coverage", "reliability")},
        "confusions": [to_html(table) for table in tables if table.file == "confusion" and table.title in best],
        "more": [drawn[name] for name in ("settings", "shared_errors", "ensemble", "costs") if name in drawn],
    }


def _figure(run: Run, figure: Figure) -> dict[str, Any]:
    from markupsafe import Markup

    drawing = svg_text(figure, run.simulated, board_folder(run) / PLOTS_FOLDER)
    caption = ("SIMULATED DATA: " if run.simulated else "") + printable(figure.title)
    return {"svg": Markup(embed_svg(drawing, figure.name)), "caption": caption}


def _only_table(tables: list[Table], file: str) -> HtmlTable | None:
    """Return the one table of a file; None where it has no rows."""
    return next((to_html(table) for table in tables if table.file == file and table.rows), None)
