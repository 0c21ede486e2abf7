"""What the user sees of a run: JSON events for programs, or lines, progress and tables for people."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness import render
from harness.prepare import Recipe
from harness.rank import Comparison
from harness.run import Run
from harness.work import Outcome


class Talk:
    """What the user sees: JSON events, or lines and progress for people. Results on stdout, the rest on stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.simulated = False
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
        """Say something before anything starts."""
        self.aside.print(text, style="bold yellow", markup=False)

    def start(self, ready: Run, done: int) -> None:
        """Say what is about to happen."""
        if self.as_json:
            self.event("start", suite=ready.suite.name, cells=len(ready.cells), reused=done)
        else:
            self.aside.print(f"{ready.suite.name}: {len(ready.cells)} cells, {done} of them finished before")

    @contextmanager
    def progress(self, total: int, done: int) -> Iterator["Reporter"]:
        """Follow a run: a live bar on a terminal, a line a cell elsewhere, events under --json."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        bar = Progress(*columns, console=self.aside, disable=self.as_json or not self.aside.is_terminal)
        with bar:
            yield Reporter(self, bar, total, done)

    def board(
        self, ready: Run, comparisons: list[Comparison], board: Path, counts: Counter[str], seconds: float | None
    ) -> None:
        """Show the outcome."""
        if self.as_json:
            for comparison in comparisons:
                for line in comparison.lines:
                    metrics = {name: spread.mean for name, spread in line.values.items()}
                    self.event(
                        "line",
                        comparison=comparison.title,
                        rank=line.rank,
                        labeler=line.title,
                        metrics=metrics,
                        ok=line.ok,
                        total=line.total,
                    )
            self.event("done", leaderboard=str(board), **counts)
            return
        render.terminal(ready, comparisons, self.console)
        for comparison in comparisons:
            for line in comparison.lines:
                for reason in line.failures:
                    self.aside.print(f"failed: {line.title} ({comparison.title}): {reason}", markup=False)
        tally = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        took = "" if seconds is None else f" in {seconds:.1f} s"
        self.line(f"{tally}{took}; leaderboard: {board}")


class Reporter:
    """Turns what happens in a run into progress."""

    def __init__(self, talk: Talk, bar: Progress, total: int, done: int) -> None:
        self.talk, self.bar, self.total = talk, bar, total
        self.done, self.failed, self.reused = done, 0, done
        self.started = time.monotonic()
        self.cells = bar.add_task(self._tally(), total=total, completed=done)
        self.blocks: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    def block(self, recipe: Recipe, rows: int, total: int) -> None:
        """Some rows of a block are there."""
        if recipe.name not in self.blocks:
            self.blocks[recipe.name] = self.bar.add_task(f"rows of block {recipe.name}", total=total)
            if self.talk.as_json:
                self.talk.event("block", block=recipe.name, maker=recipe.maker.name)
            elif self.bar.disable:
                self.talk.aside.print(f"making block {recipe.name} ({recipe.maker.name})")
        self.bar.update(self.blocks[recipe.name], completed=rows)

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
                split=str(outcome.cell.cut),
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
