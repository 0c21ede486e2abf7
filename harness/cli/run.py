"""`harness run`, `plan`, `status` and `validate`."""

from collections import Counter
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from harness.cli.options import (
    EXIT_SOME_FAILED,
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
    count_by_status,
    load_suites,
    make_reporter,
    open_run,
    prepare_suites,
)


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
    from harness.report import collection_page
    from harness.run import runner
    from harness.search.engine import parse_engine

    talk = make_reporter(as_json)
    options = runner.Options(
        output, jobs, threads, timeout, memory, device, require_real, twin_rows, parse_engine(engine)
    )
    loaded, catalog = load_suites(suite, plugin)
    runner.warm_up(loaded.suites, options)
    readies = [open_run(talk, each, catalog, options, anew=True) for each in loaded.suites]
    scored: list[tuple[Any, Any]] = []
    for ready in readies:
        scored.append((ready, _run_one(talk, ready, [earlier.store for earlier, _ in scored])))
    if loaded.name:
        talk.line(f"all of them: {collection_page.write_collection(loaded, scored, options)}")
    if any(ending.status in ("failed", "not run") for _, ended in scored for ending in ended):
        raise typer.Exit(EXIT_SOME_FAILED)


def _run_one(talk: Any, ready: Any, others: list[Any]) -> Any:
    from harness.report import index, leaderboard_folder
    from harness.run import runner
    from harness.scoring import score_run
    from harness.utils.locks import hold_lock

    with hold_lock(ready.store.folder / "lock", wait=False):
        runner.reuse_cells(ready, others)
        finished = ready.store.finished_keys(cell.key for cell in ready.cells)
        done = sum(cell.key in finished for cell in ready.cells)
        if changes := runner.changed_kernels(ready):
            talk.notice(f"cells of the last run are not reused: {'; '.join(changes)} (harness why explains each cell)")
        talk.start(ready, done)
        with talk.progress(len(ready.cells), done) as reporter:
            try:
                runner.execute(ready, reporter.block, reporter.cell, reporter.list)
            except KeyboardInterrupt:
                talk.notice(f"interrupted: {reporter.done} cells are finished; the same command goes on from there")
                raise
        cell_results = list(score_run.score_cells(ready))
        leaderboards = score_run.leaderboards_of(ready, cell_results)
        page = leaderboard_folder.write_leaderboard(ready, cell_results, leaderboards)
        index.write_index(ready.options.output / "leaderboards")
    talk.board(ready, leaderboards, page, count_by_status(cell_results), reporter.seconds)
    return cell_results


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
    from harness.run import runner

    talk = make_reporter(as_json)
    options = runner.Options(output, jobs, threads, timeout, memory, device, require_real, twin_rows)
    loaded, readies = prepare_suites(talk, suite, plugin, options, anew=True)
    for ready in readies:
        if loaded.name and not as_json:
            talk.line(f"{ready.suite.name} ({ready.suite.file})")
        _show_plan(talk, ready)


def _show_plan(talk: Any, ready: Any) -> None:
    from harness.run.forecast import forecast
    from harness.run.plan import count_cells

    finished = ready.store.finished_keys(cell.key for cell in ready.cells)
    ahead = forecast(ready, finished)
    if talk.as_json:
        talk.show_forecast(ready, ahead)
        return
    for name, recipe in ready.recipes.items():
        talk.line(f"block {name}: {recipe.maker.name}, {'on disk' if ready.is_made(name) else 'to be made'}")
    reused = Counter(cell.cut for cell in ready.cells if cell.key in finished)
    table = Table("Split", "Train", "Test", "Cells", "Finished", box=None)
    for evaluation, count in count_cells(ready.cells):
        table.add_row(
            str(evaluation),
            f"{len(evaluation.split.train):,}",
            f"{len(evaluation.split.test):,}",
            str(count),
            str(reused[evaluation]),
        )
    talk.console.print(table)
    done = reused.total()
    talk.line(f"{len(ready.cells)} cells, {done} finished, {len(ready.cells) - done} to run")
    if ahead.cells:
        talk.show_forecast(ready, ahead)


def validate(suite: SuiteFile, plugin: Plugin = None) -> None:
    """Check a suite file without touching its data. Every mistake is shown at once."""
    loaded, _ = load_suites(suite, plugin)
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
    from harness.run import runner

    talk = make_reporter(as_json)
    options = runner.Options(output, 1, threads, device=device, twin_rows=twin_rows)
    counts: Counter[str] = Counter()
    for ready in prepare_suites(talk, suite, plugin, options)[1]:
        finished = ready.store.finished_keys(cell.key for cell in ready.cells)
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
