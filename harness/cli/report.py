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
    from harness.report.suite_run import score, write_report
    from harness.statistics.costs import Prices

    reporter = make_reporter(options.as_json)
    run_options = options.to_run_options()
    collection, plugins = load_suites(suite, options.plugin)
    for loaded in collection.suites:
        run = open_run(reporter, loaded, plugins, run_options)
        page = write_report(score(run), target, Prices(price_per_label, price_per_hour))
        if reporter.as_json:
            reporter.event("done", suite=loaded.name, report=str(page))
        reporter.line(f"report: {page}")
