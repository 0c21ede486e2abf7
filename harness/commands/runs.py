"""What is done with a suite: run it, plan it, check it, ask how far it is, write its leaderboard again.

A file that lists suites is all of them in turn, each with its own folders, and one page over all.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from harness.commands.options import (
    GATE,
    SOME_FAILED,
    Device,
    Engine,
    Jobs,
    Json,
    Memory,
    Output,
    Plugin,
    RequireReal,
    SuiteFile,
    Threads,
    Timeout,
    TwinRows,
    load,
    make_ready,
    talk_to,
)
from harness.errors import HarnessError


def run(
    suite: SuiteFile,
    jobs: Jobs = 1,
    threads: Threads = 0,
    timeout: Timeout = 6 * 3600,
    memory: Memory = 0,
    device: Device = "auto",
    engine: Engine = "auto",
    require_real: RequireReal = False,
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Run every cell of a suite that is not finished yet, and write its leaderboard.

    Interrupt it at any time and give the same command again: finished cells are reused.
    """
    from harness import run as runs
    from harness.engine import known
    from harness.pages import overview

    talk = talk_to(as_json)
    options = runs.Options(output, jobs, threads, timeout, memory, device, require_real, twin_rows, known(engine))
    loaded, readies = _readies(talk, suite, plugin, options, anew=True)
    scored: list[tuple[Any, Any]] = []
    for ready in readies:
        scored.append((ready, _run_one(talk, ready, [earlier.store for earlier, _ in scored])))
    if loaded.name:
        talk.line(f"all of them: {overview.write(loaded, scored, options)}")
    if any(ending.status in ("failed", "not run") for _, ended in scored for ending in ended):
        raise typer.Exit(SOME_FAILED)


def _run_one(talk: Any, ready: Any, others: list[Any]) -> Any:
    from harness import run as runs
    from harness.lock import locked
    from harness.pages import board, index

    with locked(ready.store.folder / "lock", wait=False):
        runs.adopt(ready, others)
        finished = ready.store.finished(cell.key for cell in ready.cells)
        done = sum(cell.key in finished for cell in ready.cells)
        if changes := runs.changed_kernels(ready):
            talk.notice(f"cells of the last run are not reused: {'; '.join(changes)} (harness why explains each cell)")
        talk.start(ready, done)
        with talk.progress(len(ready.cells), done) as reporter:
            try:
                runs.execute(ready, reporter.block, reporter.cell, reporter.list)
            except KeyboardInterrupt:
                talk.notice(f"interrupted: {reporter.done} cells are finished; the same command goes on from there")
                raise
        ended = list(runs.endings(ready))
        comparisons = runs.rank(ready, ended)
        page = board.write(ready, ended, comparisons)
        index.write(ready.options.output / "leaderboards")
    talk.board(ready, comparisons, page, _counted(ended), reporter.seconds)
    return ended


def plan(
    suite: SuiteFile,
    jobs: Jobs = 1,
    threads: Threads = 0,
    timeout: Timeout = 6 * 3600,
    memory: Memory = 0,
    device: Device = "auto",
    require_real: RequireReal = False,
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Show the cells of a suite, which are finished, and what the others will cost. Runs nothing.

    Estimates come from what earlier runs under the same --output have cost.
    """
    from harness import run as runs

    talk = talk_to(as_json)
    options = runs.Options(output, jobs, threads, timeout, memory, device, require_real, twin_rows)
    loaded, readies = _readies(talk, suite, plugin, options, anew=True)
    for ready in readies:
        if loaded.name and not as_json:
            talk.line(f"{ready.suite.name} ({ready.suite.file})")
        _show_plan(talk, ready)


def _show_plan(talk: Any, ready: Any) -> None:
    from harness.forecast import forecast
    from harness.plan import sizes

    finished = ready.store.finished(cell.key for cell in ready.cells)
    ahead = forecast(ready, finished)
    if talk.as_json:
        talk.ahead(ready, ahead)
        return
    for name, recipe in ready.recipes.items():
        talk.line(f"block {name}: {recipe.maker.name}, {'on disk' if ready.is_made(name) else 'to be made'}")
    reused = Counter(cell.cut for cell in ready.cells if cell.key in finished)
    table = Table("Split", "Train", "Test", "Cells", "Finished", box=None)
    for cut, count in sizes(ready.cells):
        table.add_row(str(cut), f"{len(cut.split.train):,}", f"{len(cut.split.test):,}", str(count), str(reused[cut]))
    talk.console.print(table)
    done = reused.total()
    talk.line(f"{len(ready.cells)} cells, {done} finished, {len(ready.cells) - done} to run")
    if ahead.cells:
        talk.ahead(ready, ahead)


def validate(suite: SuiteFile, plugin: Plugin = None) -> None:
    """Check a suite file without touching its data. Every mistake is shown at once."""
    loaded, _ = load(suite, plugin)
    for each in loaded.suites:
        print(f"{each.file}: ok ({len(each.labelers)} labelers, {len(each.blocks)} blocks)")


def status(
    suite: SuiteFile,
    threads: Threads = 0,
    device: Device = "auto",
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Say how far a run is: finished, failed (with the reason) and missing cells."""
    from harness import run as runs

    talk = talk_to(as_json)
    options = runs.Options(output, 1, threads, device=device, twin_rows=twin_rows)
    counts: Counter[str] = Counter()
    for ready in _readies(talk, suite, plugin, options)[1]:
        finished = ready.store.finished(cell.key for cell in ready.cells)
        for cell in ready.cells:
            failure = None if cell.key in finished else ready.store.failure(cell.key)
            state = "finished" if cell.key in finished else failure["status"] if failure else "missing"
            counts[state] += 1
            if failure:
                talk.line(f"{state}: {cell}: {failure['reason']}")
    if as_json:
        talk.event("status", total=counts.total(), **counts)
    else:
        talk.line(", ".join(f"{count} {state}" for state, count in sorted(counts.items())))


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
    from harness import run as runs
    from harness.pages import agreement, board, index, overview

    talk = talk_to(as_json)
    if check and csv:
        raise HarnessError("--csv writes files and --check writes nothing: give one of them")
    if csv and suite.is_dir() and (found := agreement.boards(suite)):
        for each in found:
            board.copy(each)
        talk.line(f"{len(found)} board{'s' if len(found) > 1 else ''}: the parquet tables are beside them as CSV")
        return
    if check and suite.is_dir() and (found := agreement.boards(suite)):
        wrong = [line for each in found for line in agreement.contradictions(each)]
        wrong += index.stale(suite) if found != [suite] else []
        _refuse(talk, wrong, len(found), "agree with each other")
        return
    options = runs.Options(output, 1, threads, device=device, twin_rows=twin_rows)
    loaded, readies = _readies(talk, suite, plugin, options)
    scored, stale = [], []
    for ready in readies:
        ended = list(runs.endings(ready))
        comparisons = runs.rank(ready, ended)
        scored.append((ready, ended))
        if check:
            stale += board.stale(ready, ended, comparisons)
        elif (missing := board.unbegun(ready, ended)) is not None:
            if not loaded.name:
                raise HarnessError(missing)
            talk.line(f"{missing} (its board stays as it is)")
        else:
            page = board.write(ready, ended, comparisons, csv)
            talk.board(ready, comparisons, page, _counted(ended), None)
    boards = output / "leaderboards"
    if check:
        stale += [*(overview.stale(loaded, scored, options) if loaded.name else ()), *index.stale(boards)]
        _refuse(talk, stale, len(readies), "as the finished cells say")
        return
    if loaded.name:
        talk.line(f"all of them: {overview.write(loaded, scored, options)}")
    index.write(boards)


def _refuse(talk: Any, stale: list[str], boards: int, right: str) -> None:
    """Say which files are wrong, and fail if any is; else that they are all right."""
    for each in stale:
        talk.line(each)
    if talk.as_json:
        talk.event("checked", boards=boards, stale=stale)
    if stale:
        raise typer.Exit(GATE)
    talk.line(f"{boards} board{'s' if boards > 1 else ''} and the index: {right}")


def _readies(
    talk: Any, file: Path, plugin: list[Path] | None, options: Any, anew: bool = False
) -> tuple[Any, list[Any]]:
    """Make every suite of a file ready before any of them runs: what is wrong is said at the start."""
    loaded, found = load(file, plugin)
    return loaded, [make_ready(talk, suite, found, options, anew) for suite in loaded.suites]


def _counted(ended: Any) -> Counter[str]:
    return Counter(ending.status for ending in ended)
