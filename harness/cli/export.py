"""`harness export`: write splits and answers for a check elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import SUITE_OPTIONS, SharedOptions, SuiteFile, make_reporter, open_runs, with_options
from harness.errors import HarnessError


@with_options(*SUITE_OPTIONS)
def export(
    suite: SuiteFile,
    to: Annotated[Path, typer.Option("--to", help="The folder to write to.", show_default=False)],
    *,
    options: SharedOptions,
) -> None:
    """Write the splits, and every labeler's answers beside the truth, as
    parquet. Runs nothing.

    splits.parquet: comparison, seed, ratio, fold, id, side (train, validation, test or spare). answers.parquet:
    comparison, seed, ratio, fold, labeler, id, truth, label, probabilities. Several suites get a folder each.
    """
    from harness.report.export import export as write_export

    reporter = make_reporter(options.as_json)
    if to.exists() and not to.is_dir():
        raise HarnessError(f"--to {to}: is a file; name a folder")
    collection, runs = open_runs(reporter, suite, options)
    for run in runs:
        folder = to / run.suite.name if collection.name else to
        if not any(run.store.has(cell.key) for cell in run.cells):
            raise HarnessError(f"{run.suite.name}: no cell is finished: give 'harness run {run.suite.file}' first")
        splits, answers, cells = write_export(run, folder)
        if reporter.as_json:
            reporter.event("done", suite=run.suite.name, splits=str(splits), answers=str(answers), cells=cells)
        reporter.line(f"splits: {splits}; answers of {cells} of {len(run.cells)} cells: {answers}")
