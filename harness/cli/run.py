"""`harness run`, `plan`, `status` and `validate`."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    EXIT_BAD_INPUT,
    EXIT_SOME_FAILED,
    RUN_OPTIONS,
    SUITE_OPTIONS,
    Plugin,
    SharedOptions,
    SuiteFile,
    count_by_status,
    format_tally,
    load_suites,
    make_reporter,
    open_run,
    open_runs,
    with_options,
)
from harness.errors import HarnessError, clean_lines

if TYPE_CHECKING:
    from harness.cli.console import Reporter
    from harness.run.runner import Run
    from harness.suite.catalog import Catalog
    from harness.suite.suite import Suite


@with_options(*RUN_OPTIONS, "engine")
def run(suite: SuiteFile, options: SharedOptions) -> None:
    """Run every cell of a suite that is not finished yet, and write its
    leaderboard.

    Interrupt it at any time and give the same command again: finished cells are reused.
    """
    from harness.cli.progress import run_with_progress
    from harness.report import collection_page
    from harness.report.suite_run import FinishedRun, run_suite
    from harness.run.executor import warm_up

    reporter = make_reporter(options.as_json)
    collection, plugins = load_suites(suite, options.plugin)
    run_options = options.to_run_options()
    warm_up(collection.suites, run_options)
    runs = [open_run(reporter, each, plugins, run_options, use_recorded=False) for each in collection.suites]
    finished: list[FinishedRun] = []
    for planned in runs:
        earlier = [before.run.store for before in finished]
        done = run_suite(planned, earlier, lambda each: run_with_progress(reporter, each), reporter.notice)
        counts = count_by_status(done.cell_results)
        reporter.show_leaderboards(done.run, done.leaderboards, done.page, counts, done.seconds)
        finished.append(done)
    if collection.name:
        scored = [(done.run, done.cell_results) for done in finished]
        page = collection_page.write_collection(collection, scored, run_options)
        reporter.line(f"all of them: {page}")
    if not all(done.is_complete for done in finished):
        raise typer.Exit(EXIT_SOME_FAILED)


@with_options(*RUN_OPTIONS)
def plan(suite: SuiteFile, options: SharedOptions) -> None:
    """Show the cells of a suite, which are finished, and what the others
    will cost. Runs nothing.

    Estimates come from what earlier runs under the same --output have cost.
    """
    reporter = make_reporter(options.as_json)
    collection, runs = open_runs(reporter, suite, options, use_recorded=False)
    for planned in runs:
        if collection.name:
            reporter.line(f"{planned.suite.name} ({planned.suite.file})")
        _show_plan(reporter, planned)


def _show_plan(reporter: "Reporter", run: "Run") -> None:
    from harness.report.tables import Table, columns
    from harness.report.terminal import Layout
    from harness.run.block_checks import block_remarks
    from harness.run.forecast import forecast
    from harness.run.plan import count_cells

    finished = run.store.finished_keys(cell.key for cell in run.cells)
    pending = forecast(run, finished)
    if reporter.as_json:
        reporter.show_forecast(run, pending)
        return
    for line in run.remark_lines:
        reporter.line(line)
    for name, recipe in run.recipes.items():
        reporter.line(f"block {name}: {recipe.maker.name}, {'on disk' if run.is_made(name) else 'to be made'}")
    for line in block_remarks(run):
        reporter.line(line)
    reused = Counter(cell.evaluation for cell in run.cells if cell.key in finished)
    rows = tuple(
        (str(evaluation), len(evaluation.split.train), len(evaluation.split.test), count, reused[evaluation])
        for evaluation, count in count_cells(run.cells)
    )
    table = Table("", "", columns(("Split", "Train", "Test", "Cells", "Finished")), rows)
    reporter.tables([table], Layout(("Split",)), "--json")
    total = reused.total()
    reporter.line(f"{len(run.cells)} cells, {total} finished, {len(run.cells) - total} to run")
    if pending.cells:
        reporter.show_forecast(run, pending)


def validate(
    suites: Annotated[list[Path], typer.Argument(metavar="SUITE", help="Suite files, or runs: runs/quickstart.")],
    plugin: Plugin = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a suite, nothing else.")] = False,
) -> None:
    """Check suite files, and their data where they are there. Every mistake
    of a file is shown at once.

    Nothing is fetched, simulated or kept. The columns of data that are not there cannot be checked, and a line says so.
    """
    refused = False
    for file in suites:
        for checked, counts, unchecked, error in _validate(file, plugin):
            refused |= error is not None
            if as_json:
                problems = [] if error is None else _problems(str(error))
                content = {"file": str(checked), "ok": error is None, **counts, "unchecked": unchecked}
                print(json.dumps(content | {"problems": problems}), flush=True)
            elif error is not None:
                print(f"error: {clean_lines(str(error))}", file=sys.stderr)
            else:
                tally = format_tally(counts)
                print(clean_lines(f"{checked}: ok ({tally}){unchecked and f'; {unchecked}'}"), flush=True)
    if refused:
        raise typer.Exit(EXIT_BAD_INPUT)


def _validate(file: Path, plugin: list[Path] | None) -> Iterator[tuple[Path, dict[str, int], str, HarnessError | None]]:
    """Yield (file, counts, what was not checked, mistakes) of each suite."""
    try:
        collection, plugins = load_suites(file, plugin)
    except HarnessError as error:
        yield file, {}, "", error
        return
    for suite in collection.suites:
        counts = {"labelers": len(suite.labelers), "blocks": len(suite.blocks)}
        try:
            yield suite.file, counts, _validate_data(suite, plugins), None
        except HarnessError as error:
            yield suite.file, counts, "", error


def _problems(text: str) -> list[dict[str, str | int | None]]:
    """Return the file, line and message of each line of a message."""
    problems: list[dict[str, str | int | None]] = []
    for line in text.splitlines():
        if place := re.match(r"(?P<file>.+?):(?P<line>\d+): (?P<message>.*)", line):
            problems.append({"file": place["file"], "line": int(place["line"]), "message": place["message"]})
        else:
            problems.append({"file": None, "line": None, "message": line})
    return problems


def _validate_data(suite: "Suite", plugins: "Catalog") -> str:
    """Check the data of a suite; return the words on what was not checked."""
    from tempfile import TemporaryDirectory

    from harness.errors import DataError
    from harness.run.runner import Options, load_data, with_line

    path = suite.data.path
    if path.startswith(("hub:", "twin:")):
        return "" if path.startswith("twin:") else f"{path} was not fetched, so its columns were not checked"
    if not any((folder / path).exists() for folder in suite.folders):
        return f"{path} is not there, so its columns were not checked"
    with TemporaryDirectory() as folder:
        try:
            load_data(suite, plugins, Path(folder), Options(Path(folder)), lambda line: None)
        except DataError as error:
            raise with_line(error, suite) from error
    return ""


@with_options(*SUITE_OPTIONS)
def status(suite: SuiteFile, options: SharedOptions) -> None:
    """Count the finished, missing and failed cells of a run; list failures."""
    from harness.cli.console import format_counts

    reporter = make_reporter(options.as_json)
    counts: Counter[str] = Counter()
    for planned in open_runs(reporter, suite, options)[1]:
        finished = planned.store.finished_keys(cell.key for cell in planned.cells)
        for cell in planned.cells:
            failure = None if cell.key in finished else planned.store.failure(cell.key)
            state = "finished" if cell.key in finished else failure["status"] if failure else "missing"
            counts[state] += 1
            if failure:
                reporter.line(f"{state}: {cell}: {failure['reason']}")
    if reporter.as_json:
        reporter.event("status", total=counts.total(), **counts)
    else:
        reporter.line(format_counts(counts))
