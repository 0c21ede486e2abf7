"""Run a suite to its board, and write its report: what a command does."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.report import html_report, index, leaderboard_folder
from harness.run import runner
from harness.run.block_checks import block_remarks
from harness.run.runner import Run
from harness.run.store import Store
from harness.scoring import score_run
from harness.scoring.leaderboard import CellResult, Leaderboard
from harness.scoring.profiles import profile_run
from harness.statistics.costs import Prices
from harness.utils.locks import hold_lock

TARGET_ACCURACY = 0.6  # of a report: the rows, labels and costs that reach it


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """A run with the results of its cells and its leaderboards."""

    run: Run
    cell_results: list[CellResult]
    leaderboards: list[Leaderboard]

    @property
    def is_complete(self) -> bool:
        """Whether every cell has a result or does not apply."""
        return all(result.status not in ("failed", "not run") for result in self.cell_results)


@dataclass(frozen=True, eq=False)
class FinishedRun(ScoredRun):
    """A scored run whose board is written."""

    page: Path
    seconds: float


def run_suite(
    run: Run, earlier: Iterable[Store], execute_cells: Callable[[Run], object], notice: Callable[[str], None]
) -> FinishedRun:
    """Run the unfinished cells of a suite, and write its leaderboard.

    Cells that are in one of the `earlier` stores are copied from there. `execute_cells` executes the run and shows its
    progress; `notice` is called with each line on what is not as it seems.
    """
    started = time.monotonic()
    with hold_lock(run.store.folder / "lock", wait=False):
        runner.reuse_cells(run, earlier)
        if changes := runner.changed_kernels(run):
            notice(
                f"cells of the last run are not reused: {'; '.join(changes)} "
                f"(harness why {run.suite.file} explains each)"
            )
        for line in run.remark_lines:
            notice(line)
        execute_cells(run)
        # A labeler that is not confined may have written to other cells: their files are looked at again.
        scored = score(replace(run, store=Store(run.store.folder)))
        for line in block_remarks(scored.run):
            notice(line)
        page = leaderboard_folder.write_leaderboard(scored.run, scored.cell_results, scored.leaderboards)
        index.write_index(run.options.output / "leaderboards")
    return FinishedRun(scored.run, scored.cell_results, scored.leaderboards, page, time.monotonic() - started)


def score(run: Run) -> ScoredRun:
    """Score the finished cells of a run and rank its labelers."""
    cell_results = list(score_run.score_cells(run))
    return ScoredRun(run, cell_results, score_run.leaderboards_of(run, cell_results))


def write_report(scored: ScoredRun, target: float = TARGET_ACCURACY, prices: Prices | None = None) -> Path:
    """Write the HTML report of a scored run; return the page.

    Raises HarnessError where no cell has run.
    """
    run, cell_results, leaderboards = scored.run, scored.cell_results, scored.leaderboards
    if (missing := leaderboard_folder.missing_cells_message(run, cell_results)) is not None:
        raise HarnessError(missing)
    profile = profile_run(run, cell_results, leaderboards, target)
    return html_report.write_report(run, cell_results, leaderboards, profile, prices or Prices())
