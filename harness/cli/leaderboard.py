"""`harness leaderboard`: write a leaderboard again, or check it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import (
    EXIT_GATE,
    Device,
    Json,
    Output,
    Plugin,
    SuiteFile,
    Threads,
    TwinRows,
    count_by_status,
    make_reporter,
    prepare_suites,
)
from harness.errors import HarnessError


def leaderboard(
    suite: SuiteFile,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 3 if a board is stale.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write the parquet tables of a board as CSV too.")] = False,
    threads: Threads = 0,
    device: Device = "auto",
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Write and print the leaderboard again from the finished cells, or check the one that is there. Runs nothing.

    --check of a folder, such as leaderboards or leaderboards/NAME, needs no cells: do its files agree with each other?
    Nor does --csv of a folder, which writes CSV copies beside the parquet tables of its boards.
    """
    from harness.report import collection_page, consistency, index, leaderboard_folder
    from harness.run import runner
    from harness.scoring import score_run

    talk = make_reporter(as_json)
    if check and csv:
        raise HarnessError("--csv writes files and --check writes nothing: give one of them")
    if csv and suite.is_dir() and (folders := consistency.find_boards(suite)):
        for folder in folders:
            leaderboard_folder.copy(folder)
        talk.line(f"{len(folders)} board{'s' if len(folders) > 1 else ''}: the parquet tables have CSV copies now")
        return
    if check and suite.is_dir() and (found := consistency.find_boards(suite)):
        wrong = [line for each in found for line in consistency.find_contradictions(each)]
        wrong += index.outdated_files(suite) if found != [suite] else []
        _report_outdated(talk, wrong, len(found), "agree with each other")
        return
    options = runner.Options(output, 1, threads, device=device, twin_rows=twin_rows)
    loaded, readies = prepare_suites(talk, suite, plugin, options)
    scored, stale = [], []
    for ready in readies:
        cell_results = list(score_run.score_cells(ready))
        leaderboards = score_run.leaderboards_of(ready, cell_results)
        scored.append((ready, cell_results))
        if check:
            stale += leaderboard_folder.outdated_files(ready, cell_results, leaderboards)
        elif (missing := leaderboard_folder.missing_cells_message(ready, cell_results)) is not None:
            if not loaded.name:
                raise HarnessError(missing)
            talk.line(f"{missing} (its board stays as it is)")
        else:
            page = leaderboard_folder.write_leaderboard(ready, cell_results, leaderboards, csv)
            talk.board(ready, leaderboards, page, count_by_status(cell_results), None)
    boards = output / "leaderboards"
    if check:
        stale += [
            *(collection_page.outdated_files(loaded, scored, options) if loaded.name else ()),
            *index.outdated_files(boards),
        ]
        _report_outdated(talk, stale, len(readies), "as the finished cells say")
        return
    if loaded.name:
        talk.line(f"all of them: {collection_page.write_collection(loaded, scored, options)}")
    index.write_index(boards)


def _report_outdated(talk: Any, stale: list[str], boards: int, right: str) -> None:
    """Say which files are wrong, and fail if any is; else that they are all right."""
    for each in stale:
        talk.line(each)
    if talk.as_json:
        talk.event("checked", boards=boards, stale=stale)
    if stale:
        raise typer.Exit(EXIT_GATE)
    talk.line(f"{boards} board{'s' if boards > 1 else ''} and the index: {right}")
