"""`harness site`: write all boards as a static site."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Json, make_reporter
from harness.errors import HarnessError


def site(
    leaderboards: Annotated[Path, typer.Argument(metavar="FOLDER", help="The boards: leaderboards, or one of them.")],
    to: Annotated[Path, typer.Option("--to", help="The folder to write to.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Write a static site of all boards in a folder: an index with search,
    a page a board, the data. Runs nothing, needs no network.

    The pages are made from the files of the boards. A board whose finished cells have been made a report by harness
    report has that too. See docs/site.md for GitHub Pages and Hugging Face Spaces.
    """
    from harness.report.site import write_site

    reporter = make_reporter(as_json)
    if not leaderboards.is_dir():
        raise HarnessError(f"{leaderboards}: no such folder; give the one that harness run writes, leaderboards")
    written = write_site(leaderboards, to)
    reporter.simulated = written.is_simulated
    if as_json:
        reporter.event("done", index=str(written.index), boards=written.boards, reports=list(written.reports))
    boards = f"{written.boards} board{'s' * (written.boards > 1)}"
    reporter.line(f"site of {boards}, {len(written.reports)} with a full report: {written.index}")
