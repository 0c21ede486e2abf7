"""Report the progress of blocks, neighbour lists and cells."""

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.progress import Progress, TaskID

from harness.cli.console import Reporter
from harness.errors import clean_lines
from harness.run.blocks import Recipe
from harness.run.executor import Outcome, execute
from harness.run.locations import naming_user_files
from harness.run.runner import Run
from harness.utils.processes import LOG_FILE

REPORT_SECONDS = 15.0  # seconds between lines on a block's rows where there is no terminal


def run_with_progress(
    reporter: Reporter, run: Run, noun: str = "cells", blocks: Collection[str] = ()
) -> "CellProgress":
    """Run the unfinished cells of a run; return their progress.

    The caller holds the run's lock. `noun` names the cells where the run is interrupted. The `blocks` of these names
    are on disk afterwards.
    """
    finished = run.store.finished_keys(cell.key for cell in run.cells)
    reused = sum(cell.key in finished for cell in run.cells)
    reporter.start(run, reused)
    with reporter.bar() as bar:
        progress = CellProgress(reporter, bar, len(run.cells), reused, run.store.scratch)
        try:
            with naming_user_files(run.dataset.table, run.dataset.items):
                execute(run, progress.blocks.block, progress.cell, progress.blocks.neighbors, blocks)
        except KeyboardInterrupt:
            reporter.notice(
                f"interrupted: {progress.finished} {noun} are finished; the same command goes on from there"
            )
            raise
    return progress


@dataclass
class Throughput:
    """The finished rows of a block or a neighbour list, and their rate.

    The clock starts with the first rows, so loading a model does not count.
    """

    noun: str  # "block" or "neighbours on"
    task: TaskID
    total: int
    rows: int = 0
    first_time: float = 0.0  # of the first rows
    first_rows: int = 0
    reported_time: float = 0.0  # of the last line that was printed
    reported_rows: int = 0

    def update(self, rows: int, now: float) -> None:
        """Record the number of finished rows."""
        if rows and not self.first_time:
            self.first_time, self.first_rows = now, rows
        self.rows = rows

    def rate(self, now: float) -> float:
        """Return rows a second; 0 before there are two measurements."""
        return (self.rows - self.first_rows) / (now - self.first_time) if self.rows > self.first_rows else 0.0

    def __str__(self) -> str:
        rate = self.rate(time.monotonic())
        if not rate:
            return ""
        return f"{rate:,.3g} rows/s" if rate < 100 else f"{rate:,.0f} rows/s"


class BlockProgress:
    """The progress of blocks and neighbour lists: rows, rate and time left.

    A live bar on a terminal, a line every 15 seconds elsewhere, events under --json.
    """

    def __init__(self, reporter: Reporter, bar: Progress) -> None:
        self.reporter, self.bar = reporter, bar
        self.throughputs: dict[str, Throughput] = {}

    def block(self, recipe: Recipe, rows: int, total: int) -> None:
        """Report the finished rows of a block."""
        if recipe.name not in self.throughputs and self.reporter.as_json:
            self.reporter.event("block", block=recipe.name, maker=recipe.maker.name)
        elif recipe.name not in self.throughputs and self.bar.disable:
            self.reporter.stderr.print(f"making block {recipe.name} ({recipe.maker.name})")
        self._update("block", recipe.name, rows, total)

    def neighbors(self, name: str, rows: int, total: int) -> None:
        """Report the rows whose neighbours are found, on the blocks called `name`."""
        self._update("neighbours on", name, rows, total)

    def _update(self, noun: str, name: str, rows: int, total: int) -> None:
        now = time.monotonic()
        if name not in self.throughputs or self.throughputs[name].noun != noun:
            task = self.bar.add_task(f"rows of {noun} {name}", total=total)
            self.throughputs[name] = Throughput(noun, task, total, reported_time=now)
        throughput = self.throughputs[name]
        throughput.update(rows, now)
        description = f"rows of {noun} {name} {throughput}".rstrip()
        self.bar.update(throughput.task, completed=rows, description=description)
        is_due = now - throughput.reported_time >= REPORT_SECONDS and rows > throughput.reported_rows
        if self.bar.disable and is_due:
            throughput.reported_time, throughput.reported_rows = now, rows
            self._print_rows(name, throughput, throughput.rate(now))

    def _print_rows(self, name: str, throughput: Throughput, rate: float) -> None:
        rows, total = throughput.rows, throughput.total
        seconds_left = (total - rows) / rate if rate else None
        if self.reporter.as_json:
            subject = {"block" if throughput.noun == "block" else "on": name}
            self.reporter.event("rows", **subject, rows=rows, total=total, per_second=rate, seconds_left=seconds_left)
            return
        rest = "" if seconds_left is None else f", {throughput}, {timedelta(seconds=round(seconds_left))} left"
        self.reporter.stderr.print(f"{throughput.noun} {name}: {rows:,} of {total:,} rows{rest}", markup=False)


class CellProgress:
    """The progress of a run: a live bar, a line a cell, or JSON events."""

    def __init__(self, reporter: Reporter, bar: Progress, total: int, reused: int, scratch: Path) -> None:
        self.reporter, self.bar, self.total = reporter, bar, total
        self.finished, self.failed, self.reused = reused, 0, reused
        self.scratch = scratch
        self.started, self._start_time = time.monotonic(), time.time()
        self.blocks = BlockProgress(reporter, bar)
        self.task = bar.add_task(
            self._description(), start=reused == total, total=total, completed=reused, begun=self._has_begun
        )

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    def _has_begun(self) -> bool:
        """Return True once a worker works on a cell, a block or a list.

        A worker begins with a log in a folder of its own.
        """
        if self.blocks.throughputs or self.finished > self.reused:
            return True
        with suppress(OSError):  # a folder that the parent has just removed
            return any(log.stat().st_mtime >= self._start_time - 1 for log in self.scratch.glob(f"*/{LOG_FILE}"))
        return False

    def cell(self, outcome: Outcome) -> None:
        """Report a cell that has ended."""
        self.finished += 1
        self.failed += outcome.status == "failed"
        self.bar.update(self.task, completed=self.finished, description=self._description())
        if self.reporter.as_json:
            self.reporter.event(
                "cell",
                cell=outcome.cell.key,
                labeler=outcome.cell.candidate.title,
                split=str(outcome.cell.evaluation),
                status=outcome.status,
                reason=outcome.reason,
                seconds=round(outcome.seconds, 3),
            )
        elif self.bar.disable:
            reason = f": {outcome.reason}" if outcome.reason else ""
            state = f"[{self.finished}/{self.total}] {outcome.status:<6} {outcome.seconds:8.2f} s"
            self.reporter.stderr.print(clean_lines(f"{state}  {outcome.cell}{reason}"), markup=False)

    def _description(self) -> str:
        return f"cells ({self.failed} failed, {self.reused} reused)"
