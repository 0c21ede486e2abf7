"""The leaderboards of a run as HTML for notebooks, drawn as the report is."""

from dataclasses import replace
from importlib.resources import files

from harness.errors import printable
from harness.report.claims import rank_claims
from harness.report.headings import headings
from harness.report.html_tables import to_html
from harness.report.leaderboard_page import circumstances, warnings
from harness.report.leaderboard_tables import leaderboard_table
from harness.run.runner import Run
from harness.scoring.leaderboard import Leaderboard


def html_board(run: Run, leaderboards: list[Leaderboard]) -> str:
    """Return warnings, ranked tables and claims, without any script."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder = files("harness.report") / "html"
    environment = Environment(
        loader=FileSystemLoader(str(folder)), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    titles, names = headings(run), run.dataset.classes.names
    comparisons = [
        {
            "title": printable(titles[leaderboard.title]),
            "splits": printable(leaderboard.title),
            "circumstances": circumstances(leaderboard),
            # Neither sorted nor saved by buttons: a notebook shows no script of a page.
            "table": replace(to_html(leaderboard_table(run, leaderboard)), sortable=False, csv_file=""),
            "claims": [claim.replace("`", "") for claim in rank_claims(leaderboard, names)],
        }
        for leaderboard in leaderboards
    ]
    return environment.get_template("board.html").render(
        name=printable(run.suite.name),
        warnings=warnings(run),
        comparisons=comparisons,
        style=Markup((folder / "board.css").read_text(encoding="utf-8")),
    )
