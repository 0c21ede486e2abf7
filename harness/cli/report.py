"""`harness report`: write leaderboard, curves and tables as one HTML file."""

from typing import Annotated

import typer

from harness.cli.options import (
    SUITE_OPTIONS,
    SharedOptions,
    SuiteFile,
    load_suites,
    make_reporter,
    open_run,
    with_options,
)
from harness.errors import HarnessError

Price = typer.Option(min=0, help="In any one currency, for the table of costs.", show_default=False)


@with_options(*SUITE_OPTIONS)
def report(
    suite: SuiteFile,
    target: Annotated[float, typer.Option(min=0.01, max=0.99, help="Accuracy to reach: rows, labels, costs.")] = 0.6,
    price_per_label: Annotated[float | None, Price] = None,
    price_per_hour: Annotated[float | None, Price] = None,
    *,
    options: SharedOptions,
) -> None:
    """Write a page about the finished cells of a suite: one HTML file
    that needs no network. Runs nothing.
    """
    from harness.report import html_report
    from harness.report.leaderboard_folder import missing_cells_message
    from harness.scoring import score_run
    from harness.scoring.profiles import profile_run
    from harness.statistics.costs import Prices

    reporter = make_reporter(options.as_json)
    run_options = options.to_run_options()
    collection, plugins = load_suites(suite, options.plugin)
    for loaded in collection.suites:
        run = open_run(reporter, loaded, plugins, run_options)
        cell_results = list(score_run.score_cells(run))
        if (missing := missing_cells_message(run, cell_results)) is not None:
            raise HarnessError(missing)
        leaderboards = score_run.leaderboards_of(run, cell_results)
        profile = profile_run(run, cell_results, leaderboards, target)
        prices = Prices(price_per_label, price_per_hour)
        page = html_report.write_report(run, cell_results, leaderboards, profile, prices)
        if reporter.as_json:
            reporter.event("done", suite=loaded.name, report=str(page))
        reporter.line(f"report: {page}")
