"""`harness ranking`: rank labelers over several data sets."""

from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import SharedOptions, load_suites, make_reporter, with_options
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.cli.console import Reporter
    from harness.report.data_set_ranking import DataSetRanking


@with_options("output", "plugin", "as_json")
def ranking(
    boards: Annotated[
        list[Path],
        typer.Argument(
            metavar="BOARD...", help="Boards of different data: leaderboards/NAME, a suite, a list of suites."
        ),
    ],
    ratio: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The comparison of this labelled share; default: the most labels."),
    ] = None,
    labeler: Annotated[
        list[str] | None, typer.Option(help="Only this labeler and the others named so. Repeatable; all by default.")
    ] = None,
    name: Annotated[str, typer.Option(help="The page's folder in leaderboards/.")] = "ranking",
    *,
    options: SharedOptions,
) -> None:
    """Rank the labelers of several boards over their data sets: mean rank,
    win rate, who can be told apart. Trains nothing.

    Only labelers that all boards rank are ranked; the others are listed with what they lack. A suite has its board in
    -o's leaderboards/. See docs/statistics.md.
    """
    from harness.report.data_set_ranking import rank_boards
    from harness.report.finished_board import read_board
    from harness.report.leaderboard_folder import BOARD_FILE
    from harness.report.ranking_page import write_ranking

    reporter = make_reporter(options.as_json)
    leaderboards = (options.output or Path()) / "leaderboards"
    folder = leaderboards / name
    if Path(name).name != name or not name:
        raise HarnessError(f"--name {name}: is the name of a folder in leaderboards/, without a slash")
    if (folder / BOARD_FILE).exists():
        raise HarnessError(f"--name {name}: {folder} is the board of a suite; choose another name")
    folders = [found for path in boards for found in _board_folders(path, leaderboards, options.plugin)]
    ranked = rank_boards([read_board(found) for found in folders], ratio, labeler or ())
    reporter.simulated = ranked.is_simulated
    page = write_ranking(ranked, folder, _command(boards, ratio, labeler, name))
    _show(reporter, ranked, page)


def _board_folders(path: Path, leaderboards: Path, plugin: list[Path] | None) -> list[Path]:
    """Return the board in a folder, or those of the suites of a file."""
    from harness.report.leaderboard_folder import BOARD_FILE

    if (path / BOARD_FILE).is_file():
        return [path]
    if not path.exists():
        raise HarnessError(f"{path}: no such board, suite or list of suites")
    collection, _ = load_suites(path, plugin)
    folders = [leaderboards / suite.name for suite in collection.suites]
    for folder, suite in zip(folders, collection.suites, strict=True):
        if not (folder / BOARD_FILE).is_file():
            raise HarnessError(f"{suite.file}: no board in {folder}; give 'harness run {suite.file}' first")
    return folders


def _command(boards: list[Path], ratio: float | None, labelers: list[str] | None, name: str) -> str:
    words = ["harness", "ranking", *map(str, boards), *(() if ratio is None else ("--ratio", f"{ratio:g}"))]
    words += [word for labeler in labelers or () for word in ("--labeler", labeler)]
    return join([*words, *(() if name == "ranking" else ("--name", name))])


def _show(reporter: "Reporter", ranked: "DataSetRanking", page: Path) -> None:
    from harness.report.ranking_page import incomplete_table, ranking_table, verdict
    from harness.report.terminal import Layout

    table, text = ranking_table(ranked), verdict(ranked)
    if reporter.as_json:
        for record in table.records():
            keys = {key.removesuffix(" ↓").removesuffix(" ↑").replace(" ", "_"): value for key, value in record.items()}
            reporter.event("line", **keys)
        for labeler, missing in ranked.incomplete.items():
            reporter.event("incomplete", labeler=labeler, lacks=missing)
        reporter.event("done", page=str(page), data_sets=len(ranked.boards), verdict=text)
        return
    reporter.show_simulated_note()
    tables = [table, incomplete_table(ranked)] if ranked.incomplete else [table]
    layout = Layout(("Labeler",), ("Worst rank", "Best on"), words=("Rank", "Lacks"))
    reporter.tables(tables, layout, str(page))
    reporter.line(text)
    reporter.line(f"ranking: {page}")
