"""`harness apply`: label new rows by a saved rule, without a training."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import EXIT_GATE, SharedOptions, make_reporter, target_file, with_options
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.cli.console import Reporter
    from harness.label.applied import Applied

APPLY_OPTIONS = ("jobs", "threads", "timeout", "memory", "device", "output", "plugin", "as_json")


@with_options(*APPLY_OPTIONS)
def apply(
    rule: Annotated[Path, typer.Argument(metavar="RULE", help="The folder that harness label --save wrote.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="New rows: parquet, CSV, JSON, a folder or pattern.")],
    out: Annotated[Path | None, typer.Option("--to", help="The parquet file to write, its card beside it.")] = None,
    fail_if: Annotated[str | None, typer.Option("--fail-if", metavar="shift", help="Exit code 3 where it is seen.")] = (
        None
    ),
    *,
    options: SharedOptions,
) -> None:
    """Label the rows of a new file by a saved rule, without a training.

    The labels are those that harness label --data would give them. The card has what was measured when the rule was
    saved, and how far the new rows are from those it was measured on.
    """
    from harness.cli.progress import BlockProgress
    from harness.label.apply import apply_rule, environment_changes, open_job
    from harness.suite.catalog import discover

    out = target_file(out, options.output, ".parquet")
    if fail_if not in (None, "shift"):
        raise HarnessError(f"--fail-if {fail_if}: must be shift")
    started, reporter = time.monotonic(), make_reporter(options.as_json)
    job = open_job(rule, data, out, discover(tuple(options.plugin or ())), options.to_run_options())
    reporter.simulated = job.simulated
    if job.simulated:
        reporter.notice("SIMULATED DATA: the rule, or these rows, are of the simulated twin")
    for line in environment_changes(job):
        reporter.notice(line)
    with reporter.bar() as bar:
        applied = apply_rule(job, BlockProgress(reporter, bar).block)
    _show(reporter, applied, out, time.monotonic() - started)
    if applied.shifted and fail_if is not None:
        raise typer.Exit(EXIT_GATE)


def _show(reporter: "Reporter", applied: "Applied", out: Path, seconds: float) -> None:
    """Print how many rows are labelled, and how far they are."""
    from dataclasses import asdict

    if reporter.as_json:
        values = {key: value for key, value in asdict(applied).items() if key not in ("file", "simulated")}
        reporter.event("applied", file=str(out), **values)
        return
    for line in applied.warnings:
        reporter.line(line.replace("**", ""))
    counts = f"{applied.rows:,} rows labelled by {applied.labeler} in {seconds:.1f} s; {applied.accepted:,} accepted"
    outside = f"; {applied.far:,} are far from the labelled ones" if applied.measured else ""
    reporter.line(counts + outside)
    reporter.line(f"labels: {out}; card: {out.with_suffix('.md')}")
