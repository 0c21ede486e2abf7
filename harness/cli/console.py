"""Print the results, notices and JSON events of a command."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from harness.errors import clean_lines
from harness.report.leaderboard_page import SIMULATED_NOTE
from harness.report.leaderboard_terminal import print_leaderboards
from harness.report.tables import Table, columns
from harness.report.terminal import Layout, is_terminal, print_elsewhere, print_lines, print_table
from harness.run.estimates import CostEstimate
from harness.run.forecast import Forecast, format_gib
from harness.run.runner import Run
from harness.scoring.leaderboard import Leaderboard

ARTIFACT_LABELS = {"list": "neighbours on"}
STARTING = "starting workers"


class DescriptionColumn(TextColumn):
    """The description of a task, which begins when its field `begun` is true.

    Until then its bar moves to and fro, and it says that workers are started.
    """

    def render(self, task: Task) -> Text:
        """Return the description of a task; note when it has begun."""
        if not task.started and task.fields["begun"]():
            task.start_time = task.get_time()
        return super().render(task) if task.started else Text(STARTING)


class Reporter:
    """The output of a command: JSON events for programs, or text for people.

    Results go to stdout, notices and progress to stderr.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.simulated = False
        self.notices: set[str] = set()
        self.console = Console(width=None if sys.stdout.isatty() else 400)
        self.stderr = Console(stderr=True, soft_wrap=True, highlight=False)

    def event(self, name: str, **values: object) -> None:
        """Print one event as a line of JSON, with the field `simulated`."""
        print(json.dumps({"event": name, "simulated": self.simulated, **values}), flush=True)

    def line(self, text: str) -> None:
        """Print one unwrapped line for people."""
        if not self.as_json:
            print(clean_lines(text), flush=True)

    def notice(self, text: str) -> None:
        """Print a notice on stderr, once: several suites may give the same."""
        if text not in self.notices:
            self.notices.add(text)
            self.stderr.print(clean_lines(text), style="bold yellow", markup=False)

    def show_simulated_note(self) -> None:
        """Print the note on simulated data, if they are."""
        if self.simulated:
            self.console.print(SIMULATED_NOTE, style="bold yellow", markup=False)

    def tables(self, tables: Iterable[Table], layout: Layout, elsewhere: str) -> None:
        """Print tables for people, and where their other columns are.

        They are as wide as the terminal; where stdout is none they are Markdown, between blank lines.
        """
        space, fits = "" if is_terminal(self.console) else "\n", []
        for table in tables:
            if table.title:
                print_lines(self.console, table.title, "bold")
            print_lines(self.console, "", end=space)
            fits.append(print_table(self.console, table, layout))
            print_lines(self.console, "", end=space)
        print_elsewhere(self.console, fits, elsewhere)

    def start(self, run: Run, finished: int) -> None:
        """Print how many cells a run has, and how many are finished."""
        if self.as_json:
            self.event("start", suite=run.suite.name, cells=len(run.cells), reused=finished)
        else:
            self.stderr.print(f"{run.suite.name}: {len(run.cells)} cells, {finished} of them finished before")

    def bar(self) -> Progress:
        """Return a progress bar; disabled under --json or without a terminal."""
        columns = (DescriptionColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self.stderr, disable=self.as_json or not self.stderr.is_terminal)

    def show_forecast(self, run: Run, forecast: Forecast) -> None:
        """Print the costs of everything that a run still has to make."""
        if self.as_json:
            self._forecast_events(run, forecast)
            return
        rows: list[tuple[str, ...]] = []
        for artifact in forecast.artifacts:
            label = ARTIFACT_LABELS.get(artifact.kind, artifact.kind)
            rows.append((f"{label} {artifact.name}", "", "", *_format_costs([artifact.estimate])))
        for (comparison, labeler), estimates in forecast.by_labeler(run.cells).items():
            rows.append((labeler, comparison, str(len(estimates)), *_format_costs(estimates)))
        table = Table("", "", columns(("To do", "Split", "Cells", "Each", "Memory", "By")), tuple(rows))
        self.tables([table], Layout(("To do", "Split"), optional=("By",), words=("By",)), "--json")
        space = f"{format_gib(forecast.memory)} of memory at once, {format_gib(forecast.disk)} of disk"
        self.line(f"with -j {run.options.jobs}: {_format_duration(forecast)}; {space}")
        for misfit in forecast.misfits:
            self.line(f"will not fit: {misfit}")

    def _forecast_events(self, run: Run, forecast: Forecast) -> None:
        for artifact in forecast.artifacts:
            self.event(artifact.kind, on=artifact.name, disk=artifact.disk, **asdict(artifact.estimate))
        for cell in run.cells:
            estimate = forecast.cells.get(cell.key)
            cost = {} if estimate is None else asdict(estimate)
            split = str(cell.evaluation)
            title = cell.candidate.title
            self.event("cell", cell=cell.key, labeler=title, split=split, finished=estimate is None, **cost)
        total = {name: getattr(forecast, name) for name in ("seconds", "unknown", "memory", "disk", "misfits")}
        self.event("ahead", cells=len(forecast.cells), jobs=run.options.jobs, **total)

    def show_leaderboards(
        self, run: Run, leaderboards: list[Leaderboard], page: Path, counts: Mapping[str, int], seconds: float | None
    ) -> None:
        """Print the leaderboards of a run, its failures and its page's path."""
        if self.as_json:
            self._leaderboard_events(leaderboards)
            self.event("done", leaderboard=str(page), **counts)
            return
        print_leaderboards(run, leaderboards, self.console, page)
        for leaderboard in leaderboards:
            for row in leaderboard.rows:
                for reason in row.failures:
                    line = f"failed: {row.title} ({leaderboard.title}): {reason}"
                    self.stderr.print(clean_lines(line), markup=False)
        duration = "" if seconds is None else f" in {seconds:.1f} s"
        self.line(f"{format_counts(counts)}{duration}; leaderboard: {page}")

    def _leaderboard_events(self, leaderboards: list[Leaderboard]) -> None:
        for leaderboard in leaderboards:
            for row in leaderboard.rows:
                metrics = {name: mean_std.mean for name, mean_std in row.values.items()}
                title = {"comparison": leaderboard.title, "rank": row.rank, "labeler": row.title}
                self.event("line", **title, metrics=metrics, ok=row.ok, total=row.total)


def format_counts(counts: Mapping[str, int]) -> str:
    """Format counts by status: "1 failed, 17 ok"."""
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def _format_duration(forecast: Forecast) -> str:
    """Format the expected seconds of a run, as far as they can be estimated."""
    if forecast.unknown == len(forecast.cells) + len(forecast.artifacts):
        return "time unknown, nothing like it has run here"
    duration = f"about {timedelta(seconds=round(forecast.seconds))}"
    return duration + (f" and {forecast.unknown} more that take unknown time" if forecast.unknown else "")


def _format_costs(estimates: list[CostEstimate]) -> tuple[str, str, str]:
    """Format estimates as ranges: seconds, memory and where they are from."""
    seconds = [estimate.seconds for estimate in estimates if estimate.seconds is not None]
    memory = [estimate.memory for estimate in estimates if estimate.memory is not None]
    return (
        _format_range([f"{bound:,.1f} s" for bound in (min(seconds), max(seconds))] if seconds else []),
        _format_range([format_gib(bound) for bound in (min(memory), max(memory))] if memory else []),
        ", ".join(dict.fromkeys(estimate.how for estimate in estimates)),
    )


def _format_range(bounds: list[str]) -> str:
    return " to ".join(dict.fromkeys(bounds)) or "unknown"
