"""`harness leaderboard`: write a leaderboard again, or check it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    EXIT_GATE,
    SUITE_OPTIONS,
    SharedOptions,
    SuiteFile,
    count_by_status,
    make_reporter,
    open_runs,
    with_options,
)
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.cli.console import Reporter


@with_options(*SUITE_OPTIONS)
def leaderboard(
    suite: SuiteFile,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 3 if a board is stale.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write the parquet tables of a board as CSV too.")] = False,
    *,
    options: SharedOptions,
) -> None:
    """Write and print the leaderboard again from the finished cells, or
    check the one that is there. Runs nothing.

    --check of a folder, such as leaderboards or leaderboards/NAME, needs no cells: do its files agree with each other?
    Nor does --csv of a folder, which writes CSV copies beside the parquet tables of its boards.
    """
    from harness.report import consistency

    if check and csv:
        raise HarnessError("--csv writes files and --check writes nothing: give one of them")
    reporter = make_reporter(options.as_json)
    boards = consistency.find_boards(suite) if (check or csv) and suite.is_dir() else []
    if boards and csv:
        _write_csv_copies(reporter, boards)
    elif boards:
        _check_boards(reporter, suite, boards)
    elif check:
        _check_suites(reporter, suite, options)
    else:
        _write_suites(reporter, suite, options, csv)


def _write_csv_copies(reporter: "Reporter", boards: list[Path]) -> None:
    from harness.report import leaderboard_folder

    for board in boards:
        leaderboard_folder.copy(board)
    reporter.line(f"{len(boards)} board{'s' if len(boards) > 1 else ''}: the parquet tables have CSV copies now")


def _check_boards(reporter: "Reporter", folder: Path, boards: list[Path]) -> None:
    """Check the files of boards against each other, and their index."""
    from harness.report import consistency, index

    contradictions = [line for board in boards for line in consistency.find_contradictions(board)]
    if boards != [folder]:
        contradictions += index.outdated_files(folder)
    _report_outdated(reporter, contradictions, len(boards), "agree with each other")


def _check_suites(reporter: "Reporter", file: Path, options: SharedOptions) -> None:
    """Check the boards of a suite file against the finished cells."""
    from harness.report import collection_page, index, leaderboard_folder
    from harness.report.suite_run import score

    collection, runs = open_runs(reporter, file, options)
    boards = list(map(score, runs))
    outdated = [
        line
        for board in boards
        for line in leaderboard_folder.outdated_files(board.run, board.cell_results, board.leaderboards)
    ]
    run_options = options.to_run_options()
    if collection.name:
        pairs = [(board.run, board.cell_results) for board in boards]
        outdated += collection_page.outdated_files(collection, pairs, run_options)
    outdated += index.outdated_files(run_options.output / "leaderboards")
    _report_outdated(reporter, outdated, len(runs), "as the finished cells say")


def _write_suites(reporter: "Reporter", file: Path, options: SharedOptions, csv: bool) -> None:
    """Write the boards of a suite file again from the finished cells."""
    from harness.report import collection_page, index, leaderboard_folder
    from harness.report.suite_run import score

    collection, runs = open_runs(reporter, file, options)
    scored = []
    for board in map(score, runs):
        run, cell_results, leaderboards = board.run, board.cell_results, board.leaderboards
        scored.append((run, cell_results))
        if (missing := leaderboard_folder.missing_cells_message(run, cell_results)) is None:
            page = leaderboard_folder.write_leaderboard(run, cell_results, leaderboards, csv)
            reporter.show_leaderboards(run, leaderboards, page, count_by_status(cell_results), None)
        elif collection.name:
            reporter.line(f"{missing} (its board stays as it is)")
        else:
            raise HarnessError(missing)
    run_options = options.to_run_options()
    if collection.name:
        page = collection_page.write_collection(collection, scored, run_options)
        reporter.line(f"all of them: {page}")
    index.write_index(run_options.output / "leaderboards")


def _report_outdated(reporter: "Reporter", outdated: list[str], boards: int, verdict: str) -> None:
    """Print the lines on outdated files and fail, or print that all are right."""
    for line in outdated:
        reporter.line(line)
    if reporter.as_json:
        reporter.event("checked", boards=boards, stale=outdated)
    if outdated:
        raise typer.Exit(EXIT_GATE)
    reporter.line(f"{boards} board{'s' if boards > 1 else ''} and the index: {verdict}")
