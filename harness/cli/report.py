"""The report of a suite: its leaderboard, curves and tables as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    Device,
    Json,
    Output,
    Plugin,
    SuiteFile,
    Threads,
    TwinRows,
    load_suites,
    make_reporter,
    open_run,
)
from harness.errors import HarnessError

Price = typer.Option(min=0, help="In any one currency, for the table of costs.", show_default=False)


def report(
    suite: SuiteFile,
    target: Annotated[float, typer.Option(min=0.01, max=0.99, help="Accuracy to reach: rows, labels, costs.")] = 0.6,
    price_per_label: Annotated[float | None, Price] = None,
    price_per_hour: Annotated[float | None, Price] = None,
    threads: Threads = 0,
    device: Device = "auto",
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Write a page about the finished cells of a suite: one HTML file that needs no network. Runs nothing."""
    from harness.report import html_report
    from harness.report.leaderboard_folder import missing_cells_message
    from harness.run import runner
    from harness.scoring import score_run
    from harness.scoring.profiles import profile_run
    from harness.statistics.costs import Prices

    talk = make_reporter(as_json)
    options = runner.Options(output, 1, threads, device=device, twin_rows=twin_rows)
    loaded, found = load_suites(suite, plugin)
    for each in loaded.suites:
        ready = open_run(talk, each, found, options)
        cell_results = list(score_run.score_cells(ready))
        if (missing := missing_cells_message(ready, cell_results)) is not None:
            raise HarnessError(missing)
        leaderboards = score_run.leaderboards_of(ready, cell_results)
        run_profile = profile_run(ready, cell_results, leaderboards, target)
        page = html_report.write_report(
            ready, cell_results, leaderboards, run_profile, Prices(price_per_label, price_per_hour)
        )
        if as_json:
            talk.event("done", suite=each.name, report=str(page))
        else:
            talk.line(f"report: {page}")
