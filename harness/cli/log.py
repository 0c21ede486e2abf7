"""`harness log`: hand the numbers of a run to an experiment tracker."""

from typing import Annotated

import typer

from harness.cli.options import SUITE_OPTIONS, SharedOptions, SuiteFile, make_reporter, open_runs, with_options
from harness.errors import HarnessError, did_you_mean


@with_options(*SUITE_OPTIONS)
def log(
    suite: SuiteFile,
    to: Annotated[str, typer.Option("--to", metavar="TRACKER", help="mlflow or wandb.", show_default=False)],
    experiment: Annotated[str | None, typer.Option(help="Its experiment or project; else the suite's name.")] = None,
    *,
    options: SharedOptions,
) -> None:
    """Log the finished cells to MLflow or Weights & Biases. Runs nothing.

    A run for every labeler and comparison: its spec as parameters, its scores as metrics with seeds as steps, key,
    version and data as tags; the board as artifact. Given twice it adds nothing. Where to, and as whom, is the
    tracker's own setting: MLFLOW_TRACKING_URI, or wandb login and WANDB_MODE.
    """
    from harness.report.leaderboard_folder import missing_cells_message, write_leaderboard
    from harness.report.mlflow_runs import log_to_mlflow
    from harness.report.suite_run import score
    from harness.report.wandb_runs import log_to_wandb

    trackers = {"mlflow": log_to_mlflow, "wandb": log_to_wandb}
    if to not in trackers:
        raise HarnessError(f"--to {to}: unknown{did_you_mean(to, trackers)}")
    reporter = make_reporter(options.as_json)
    _, runs = open_runs(reporter, suite, options)
    for scored in map(score, runs):
        if (missing := missing_cells_message(scored.run, scored.cell_results)) is not None:
            raise HarnessError(missing)
        page = write_leaderboard(scored.run, scored.cell_results, scored.leaderboards)
        tracked = trackers[to](scored, experiment or scored.run.suite.name, page.parent)
        if reporter.as_json:
            values = {"added": tracked.added, "present": tracked.present, "place": tracked.place}
            reporter.event("done", suite=scored.run.suite.name, **values)
        reporter.line(f"{tracked.added} runs added, {tracked.present} there before: {tracked.place}")
