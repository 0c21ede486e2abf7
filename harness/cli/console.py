"""What the user sees of a run: JSON events for programs, or lines, progress and tables for people."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from harness.report import leaderboard_page
from harness.run.blocks import Recipe
from harness.run.estimates import CostEstimate
from harness.run.executor import Outcome
from harness.run.forecast import Forecast, format_gib
from harness.run.runner import Run
from harness.scoring.leaderboard import Leaderboard

ARTIFACT_LABELS = {"list": "neighbours on"}
EVENT_SECONDS = 15.0  # seconds between lines on a block's rows where no terminal is


class Talk:
    """What the user sees: JSON events, or lines and progress for people. Results on stdout, the rest on stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.simulated = False
        self.said: set[str] = set()
        self.console = Console(width=None if sys.stdout.isatty() else 400)
        self.aside = Console(stderr=True, soft_wrap=True, highlight=False)

    def event(self, name: str, **values: Any) -> None:
        """Print one JSON line; each says whether the data are simulated."""
        print(json.dumps({"event": name, "simulated": self.simulated, **values}), flush=True)

    def line(self, text: str) -> None:
        """Print one unwrapped line for people."""
        if not self.as_json:
            print(text, flush=True)

    def notice(self, text: str) -> None:
        """Say something before anything starts, once: the suites of a list may all have it to say."""
        if text not in self.said:
            self.said.add(text)
            self.aside.print(text, style="bold yellow", markup=False)

    def start(self, ready: Run, done: int) -> None:
        """Say what is about to happen."""
        if self.as_json:
            self.event("start", suite=ready.suite.name, cells=len(ready.cells), reused=done)
        else:
            self.aside.print(f"{ready.suite.name}: {len(ready.cells)} cells, {done} of them finished before")

    @contextmanager
    def progress(self, total: int, done: int) -> Iterator["CellReporter"]:
        """Follow a run: a live bar on a terminal, a line a cell elsewhere, events under --json."""
        with self._bar() as bar:
            yield CellReporter(self, bar, total, done)

    @contextmanager
    def making(self) -> Iterator["BlockReporter"]:
        """Follow blocks alone, in the same ways."""
        with self._bar() as bar:
            yield BlockReporter(self, bar)

    def _bar(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self.aside, disable=self.as_json or not self.aside.is_terminal)

    def show_forecast(self, ready: Run, ahead: Forecast) -> None:
        """Show what a run has before it."""
        if self.as_json:
            self._ahead_as_events(ready, ahead)
            return
        table = Table("To do", "Split", "Cells", "Each", "Memory", "By", box=None)
        for part in ahead.artifacts:
            table.add_row(f"{ARTIFACT_LABELS.get(part.kind, part.kind)} {part.name}", "", "", *_costs([part.estimate]))
        for (comparison, labeler), estimates in ahead.by_labeler(ready.cells).items():
            table.add_row(labeler, comparison, str(len(estimates)), *_costs(estimates))
        self.console.print(table, markup=False)
        space = f"{format_gib(ahead.memory)} of memory at once, {format_gib(ahead.disk)} of disk"
        self.line(f"with -j {ready.options.jobs}: {_format_duration(ahead)}; {space}")
        for misfit in ahead.misfits:
            self.line(f"will not fit: {misfit}")

    def _ahead_as_events(self, ready: Run, ahead: Forecast) -> None:
        for part in ahead.artifacts:
            self.event(part.kind, on=part.name, disk=part.disk, **asdict(part.estimate))
        for cell in ready.cells:
            estimate = ahead.cells.get(cell.key)
            cost = {} if estimate is None else asdict(estimate)
            about = {"cell": cell.key, "labeler": cell.candidate.title, "split": str(cell.evaluation)}
            self.event("cell", **about, finished=estimate is None, **cost)
        total = {name: getattr(ahead, name) for name in ("seconds", "unknown", "memory", "disk", "misfits")}
        self.event("ahead", cells=len(ahead.cells), jobs=ready.options.jobs, **total)

    def board(
        self, ready: Run, leaderboards: list[Leaderboard], board: Path, counts: Counter[str], seconds: float | None
    ) -> None:
        """Show the outcome."""
        if self.as_json:
            for leaderboard in leaderboards:
                for row in leaderboard.rows:
                    metrics = {name: spread.mean for name, spread in row.values.items()}
                    self.event(
                        "line",
                        comparison=leaderboard.title,
                        rank=row.rank,
                        labeler=row.title,
                        metrics=metrics,
                        ok=row.ok,
                        total=row.total,
                    )
            self.event("done", leaderboard=str(board), **counts)
            return
        leaderboard_page.print_leaderboards(ready, leaderboards, self.console)
        for leaderboard in leaderboards:
            for row in leaderboard.rows:
                for reason in row.failures:
                    self.aside.print(f"failed: {row.title} ({leaderboard.title}): {reason}", markup=False)
        tally = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        took = "" if seconds is None else f" in {seconds:.1f} s"
        self.line(f"{tally}{took}; leaderboard: {board}")


def _format_duration(ahead: Forecast) -> str:
    """Say how long it will take, as far as earlier runs tell."""
    if ahead.unknown == len(ahead.cells) + len(ahead.artifacts):
        return "time unknown, nothing like it has run here"
    about = f"about {timedelta(seconds=round(ahead.seconds))}"
    return about + (f" and {ahead.unknown} more that take unknown time" if ahead.unknown else "")


def _costs(estimates: list[CostEstimate]) -> tuple[str, str, str]:
    """Return seconds, memory and origin of cells of one kind: as a range where they differ."""
    seconds = [each.seconds for each in estimates if each.seconds is not None]
    memory = [each.memory for each in estimates if each.memory is not None]
    time = _range([f"{each:,.1f} s" for each in (min(seconds), max(seconds))]) if seconds else "unknown"
    space = _range([format_gib(each) for each in (min(memory), max(memory))]) if memory else "unknown"
    return time, space, ", ".join(dict.fromkeys(each.how for each in estimates))


def _range(ends: list[str]) -> str:
    return " to ".join(dict.fromkeys(ends))


@dataclass
class Pace:
    """How fast rows of a block or a neighbour list come, from the first seen on: loading a model does not count."""

    what: str
    task: Any
    total: int
    rows: int = 0
    since: float = 0.0  # when the first rows were seen
    at_first: int = 0  # how many
    reported: float = 0.0  # when the last line about it was written
    reported_rows: int = 0

    def update(self, rows: int, now: float) -> None:
        """Note how many rows are there."""
        if rows and not self.since:
            self.since, self.at_first = now, rows
        self.rows = rows

    def speed(self, now: float) -> float:
        """Return rows a second; 0 while there is nothing to tell it from."""
        return (self.rows - self.at_first) / (now - self.since) if self.rows > self.at_first else 0.0

    def __str__(self) -> str:
        now = time.monotonic()
        speed = self.speed(now)
        if not speed:
            return ""
        return f"{speed:,.3g} rows/s" if speed < 100 else f"{speed:,.0f} rows/s"


class BlockReporter:
    """Turns the rows of blocks and neighbour lists into progress: rows, rows a second, time left."""

    def __init__(self, talk: Talk, bar: Progress) -> None:
        self.talk, self.bar = talk, bar
        self.paces: dict[str, Pace] = {}

    def block(self, recipe: Recipe, rows: int, total: int) -> None:
        """Some rows of a block are there."""
        if recipe.name not in self.paces and self.talk.as_json:
            self.talk.event("block", block=recipe.name, maker=recipe.maker.name)
        elif recipe.name not in self.paces and self.bar.disable:
            self.talk.aside.print(f"making block {recipe.name} ({recipe.maker.name})")
        self._follow("block", recipe.name, rows, total)

    def list(self, name: str, rows: int, total: int) -> None:
        """The neighbours of some rows are found, on the blocks called `name`."""
        self._follow("neighbours on", name, rows, total)

    def _follow(self, what: str, name: str, rows: int, total: int) -> None:
        now = time.monotonic()
        if name not in self.paces or self.paces[name].what != what:
            task = self.bar.add_task(f"rows of {what} {name}", total=total)
            self.paces[name] = Pace(what, task, total, reported=now)
        pace = self.paces[name]
        pace.update(rows, now)
        shown = " ".join(part for part in (f"rows of {what} {name}", str(pace)) if part)
        self.bar.update(pace.task, completed=rows, description=shown)
        if self.bar.disable and now - pace.reported >= EVENT_SECONDS and rows > pace.reported_rows:
            pace.reported, pace.reported_rows = now, rows
            self._tell(name, pace, pace.speed(now))

    def _tell(self, name: str, pace: Pace, speed: float) -> None:
        left = (pace.total - pace.rows) / speed if speed else None
        if self.talk.as_json:
            kind = "block" if pace.what == "block" else "on"
            told = {kind: name, "rows": pace.rows, "total": pace.total, "per_second": speed, "seconds_left": left}
            self.talk.event("rows", **told)
            return
        rest = "" if left is None else f", {pace}, {timedelta(seconds=round(left))} left"
        self.talk.aside.print(f"{pace.what} {name}: {pace.rows:,} of {pace.total:,} rows{rest}", markup=False)


class CellReporter:
    """Turns what happens in a run into progress."""

    def __init__(self, talk: Talk, bar: Progress, total: int, done: int) -> None:
        self.talk, self.bar, self.total = talk, bar, total
        self.done, self.failed, self.reused = done, 0, done
        self.started = time.monotonic()
        self.cells = bar.add_task(self._tally(), total=total, completed=done)
        making = BlockReporter(talk, bar)
        self.block, self.list = making.block, making.list

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    def cell(self, outcome: Outcome) -> None:
        """A cell has ended."""
        self.done += 1
        self.failed += outcome.status == "failed"
        self.bar.update(self.cells, completed=self.done, description=self._tally())
        if self.talk.as_json:
            self.talk.event(
                "cell",
                cell=outcome.cell.key,
                labeler=outcome.cell.candidate.title,
                split=str(outcome.cell.evaluation),
                status=outcome.status,
                reason=outcome.reason,
                seconds=round(outcome.seconds, 3),
            )
        elif self.bar.disable:
            why = f": {outcome.reason}" if outcome.reason else ""
            state = f"[{self.done}/{self.total}] {outcome.status:<6} {outcome.seconds:8.2f} s"
            self.talk.aside.print(f"{state}  {outcome.cell}{why}", markup=False)

    def _tally(self) -> str:
        return f"cells ({self.failed} failed, {self.reused} reused)"
