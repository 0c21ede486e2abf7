"""The command line: every mistake of a person is one clear line, every run says how it ended by its exit code."""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from harness import __version__, catalog
from harness.errors import HarnessError, InUse

OK, SOME_FAILED, BAD_INPUT, GATE_FAILED, IN_USE, INTERRUPTED = 0, 1, 2, 3, 4, 130

app = typer.Typer(
    name="harness",
    help="Which method labels the rest of your rows best? Run a suite of labelers and rank them on honest scores.",
    epilog="Exit codes: 0 all cells ok, 1 some failed, 2 bad suite, data or plugin, 3 gate failed, 4 directory in use, "
    "130 interrupted.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SuiteFile = Annotated[Path, typer.Argument(metavar="SUITE", help="A suite file, such as suites/quickstart.yaml.")]
Plugin = Annotated[list[Path] | None, typer.Option("--plugin", help="A one-off plugin, a .py file. Repeatable.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where runs/ and leaderboards/ are written.")]
Json = Annotated[bool, typer.Option("--json", help="Events as JSON lines on stdout, nothing else.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads a cell; part of its identity. 0: all cores, at most 8.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda; part of a cell's identity.")]
TwinRows = Annotated[int | None, typer.Option(min=100, help="Size of the simulated twin, where it is used.")]
RequireReal = Annotated[bool, typer.Option("--require-real", help="Refuse to run on simulated data (exit code 2).")]


@app.command()
def run(
    suite: SuiteFile,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Cells at a time.")] = 1,
    threads: Threads = 0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a cell may take.")] = 6 * 3600,
    memory: Annotated[float, typer.Option(min=0, help="GiB a cell may use. 0: four fifths of the machine's.")] = 0,
    device: Device = "auto",
    require_real: RequireReal = False,
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Run every cell of a suite that is not finished yet, and write its leaderboard.

    Interrupt it at any time and give the same command again: finished cells are reused.
    """
    from harness import render
    from harness import run as runs
    from harness.lock import locked

    talk = Talk(as_json)
    ready = _ready(
        talk, suite, plugin, runs.Options(output, jobs, threads, timeout, memory, device, require_real, twin_rows)
    )
    with locked(ready.store.folder / "lock", wait=False):
        done = sum(ready.store.has(cell.key) for cell in ready.cells)
        talk.start(ready, done)
        with talk.progress(len(ready.cells), done) as reporter:
            runs.execute(ready, reporter.block, reporter.cell)
        ended = list(runs.endings(ready))
        comparisons = runs.rank(ready, ended)
        board = render.write(ready, ended, comparisons)
    counts = Counter(ending.status for ending in ended)
    talk.board(ready, comparisons, board, counts, reporter.seconds)
    if counts["failed"] or counts["not run"]:
        raise typer.Exit(SOME_FAILED)


@app.command()
def plan(
    suite: SuiteFile,
    threads: Threads = 0,
    device: Device = "auto",
    require_real: RequireReal = False,
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Show the cells of a suite, their sizes and which are finished already. Runs nothing."""
    from harness import run as runs
    from harness.plan import sizes

    talk = Talk(as_json)
    options = runs.Options(output, 1, threads, device=device, require_real=require_real, twin_rows=twin_rows)
    ready = _ready(talk, suite, plugin, options)
    finished = {cell.key for cell in ready.cells if ready.store.has(cell.key)}
    if as_json:
        for cell in ready.cells:
            talk.event(
                "cell",
                ready.simulated,
                cell=cell.key,
                labeler=cell.candidate.title,
                split=str(cell.cut),
                finished=cell.key in finished,
            )
        return
    for name, recipe in ready.recipes.items():
        talk.line(f"block {name}: {recipe.maker.name}, {'on disk' if ready.is_made(name) else 'to be made'}")
    table = Table("Split", "Train", "Test", "Cells", "Finished", box=None)
    for cut, count in sizes(ready.cells):
        reused = sum(cell.key in finished for cell in ready.cells if cell.cut is cut)
        table.add_row(str(cut), f"{len(cut.split.train):,}", f"{len(cut.split.test):,}", str(count), str(reused))
    talk.console.print(table)
    talk.line(f"{len(ready.cells)} cells, {len(finished)} finished, {len(ready.cells) - len(finished)} to run")


@app.command()
def validate(suite: SuiteFile, plugin: Plugin = None) -> None:
    """Check a suite file without touching its data. Every mistake is shown at once."""
    from harness.suite import load_suite

    loaded = load_suite(suite, catalog.discover(tuple(plugin or ())))
    print(f"{suite}: ok ({len(loaded.labelers)} labelers, {len(loaded.blocks)} blocks)")


@app.command()
def status(
    suite: SuiteFile,
    threads: Threads = 0,
    device: Device = "auto",
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Say how far a run is: finished, failed (with the reason) and missing cells."""
    from harness import run as runs

    talk = Talk(as_json)
    options = runs.Options(output, 1, threads, device=device, twin_rows=twin_rows)
    ready = _ready(talk, suite, plugin, options)
    counts: Counter[str] = Counter()
    for cell in ready.cells:
        failure = ready.store.failure(cell.key)
        state = "finished" if ready.store.has(cell.key) else failure["status"] if failure else "missing"
        counts[state] += 1
        if failure and state != "finished":
            talk.line(f"{state}: {cell}: {failure['reason']}")
    if as_json:
        talk.event("status", ready.simulated, total=len(ready.cells), **counts)
    else:
        talk.line(", ".join(f"{count} {state}" for state, count in sorted(counts.items())))


@app.command()
def leaderboard(
    suite: SuiteFile,
    threads: Threads = 0,
    device: Device = "auto",
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Write and print the leaderboard again from the finished cells. Runs nothing."""
    from harness import render
    from harness import run as runs

    talk = Talk(as_json)
    ready = _ready(talk, suite, plugin, runs.Options(output, 1, threads, device=device, twin_rows=twin_rows))
    ended = list(runs.endings(ready))
    comparisons = runs.rank(ready, ended)
    board = render.write(ready, ended, comparisons)
    talk.board(ready, comparisons, board, Counter(ending.status for ending in ended), None)


@app.command()
def plugins(plugin: Plugin = None, as_json: Json = False) -> None:
    """List the plugins: name, kind, distribution, version and what each is; broken ones with the reason."""
    found = catalog.discover(tuple(plugin or ()))
    if as_json:
        for entry in found.entries:
            print(
                json.dumps(
                    {
                        "name": entry.name,
                        "kind": entry.kind,
                        "distribution": entry.distribution,
                        "version": entry.version,
                        "help": entry.help,
                    }
                )
            )
        for who, why in sorted(found.broken.items()):
            print(json.dumps({"broken": who, "reason": why}))
        return
    table = Table("Name", "Kind", "Distribution", "What it is", box=None)
    for entry in found.entries:
        table.add_row(
            entry.name,
            entry.kind[:-1] if entry.kind != "features" else "feature set",
            f"{entry.distribution} {entry.version}".strip(),
            entry.help,
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    for who, why in sorted(found.broken.items()):
        print(f"broken: {who}: {why}")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A labeler: its name, or a spec such as 'knn: {on: embedding, k: 5}'.")],
    plugin: Plugin = None,
) -> None:
    """Run the conformance kit on a labeler and say what it breaks."""
    from harness.spec import title
    from harness.testing import check_labeler

    labeler = _labeler(name, catalog.discover(tuple(plugin or ())))
    print(f"checking {title(labeler)}")
    findings = check_labeler(labeler)
    for finding in findings:
        print(f"{finding.outcome:<14} {finding.check}" + (f": {finding.message}" if finding.message else ""))
    if any(finding.outcome == "failed" for finding in findings):
        raise typer.Exit(SOME_FAILED)


def _labeler(text: str, found: catalog.Catalog) -> Any:
    """Build the labeler that `check` speaks of; required `on` fields are filled with the kit's own block."""
    from harness import document
    from harness.spec import Reader

    reader = Reader(document.parse(text, "check"), found.find)
    value = reader.document.value
    if isinstance(value, str):
        fields = getattr(found.find("labelers", value), "__dataclass_fields__", {})
        value = {value: {"on": "embedding"} if "on" in fields else {}}
    labeler = reader.plugin("labelers", value, ())
    reader.finish()
    return labeler


def _ready(talk: "Talk", suite: Path, plugin: list[Path] | None, options: Any) -> Any:
    from harness import run as runs
    from harness.suite import load_suite

    found = catalog.discover(tuple(plugin or ()))
    return runs.make_ready(load_suite(suite, found), found, options, talk.notice)


class Talk:
    """What the user sees: JSON events, or lines and progress for people. Results on stdout, the rest on stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(width=None if sys.stdout.isatty() else 200)
        self.aside = Console(stderr=True, soft_wrap=True, highlight=False)

    def event(self, name: str, simulated: bool, **values: Any) -> None:
        """Print one JSON line."""
        print(json.dumps({"event": name, "simulated": simulated, **values}), flush=True)

    def line(self, text: str) -> None:
        """Print one unwrapped line for people."""
        if not self.as_json:
            print(text, flush=True)

    def notice(self, text: str) -> None:
        """Say something before anything starts."""
        self.aside.print(text, style="bold yellow", markup=False)

    def start(self, ready: Any, done: int) -> None:
        """Say what is about to happen."""
        if self.as_json:
            self.event("start", ready.simulated, suite=ready.suite.name, cells=len(ready.cells), reused=done)
        else:
            self.aside.print(f"{ready.suite.name}: {len(ready.cells)} cells, {done} of them finished before")

    @contextmanager
    def progress(self, total: int, done: int) -> Iterator["Reporter"]:
        """Follow a run: a live bar on a terminal, a line a cell elsewhere, events under --json."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        bar = Progress(*columns, console=self.aside, disable=self.as_json or not self.aside.is_terminal)
        with bar:
            yield Reporter(self, bar, total, done)

    def board(self, ready: Any, comparisons: Any, board: Path, counts: Counter[str], seconds: float | None) -> None:
        """Show the outcome."""
        from harness import render

        if self.as_json:
            for comparison in comparisons:
                for line in comparison.lines:
                    metrics = {name: spread.mean for name, spread in line.values.items()}
                    self.event(
                        "line",
                        ready.simulated,
                        comparison=comparison.title,
                        rank=line.rank,
                        labeler=line.title,
                        metrics=metrics,
                        ok=line.ok,
                        total=line.total,
                    )
            self.event("done", ready.simulated, leaderboard=str(board), **counts)
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

    def __init__(self, talk: Talk, bar: Any, total: int, done: int) -> None:
        self.talk, self.bar, self.total = talk, bar, total
        self.done, self.failed, self.reused = done, 0, done
        self.started = time.monotonic()
        self.cells = bar.add_task(self._tally(), total=total, completed=done)
        self.blocks: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    def block(self, recipe: Any, rows: int) -> None:
        """Some rows of a block are there."""
        if recipe.name not in self.blocks:
            self.blocks[recipe.name] = self.bar.add_task(f"block {recipe.name}", total=None)
            if self.talk.as_json:
                self.talk.event("block", False, block=recipe.name, maker=recipe.maker.name)
            elif self.bar.disable:
                self.talk.aside.print(f"making block {recipe.name} ({recipe.maker.name})")
        self.bar.update(self.blocks[recipe.name], completed=rows)

    def cell(self, outcome: Any) -> None:
        """A cell has ended."""
        self.done += 1
        self.failed += outcome.status == "failed"
        self.bar.update(self.cells, completed=self.done, description=self._tally())
        if self.talk.as_json:
            self.talk.event(
                "cell",
                False,
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


def _version(shown: bool) -> None:
    if shown:
        print(f"labelharness {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Show the help of a command with `harness COMMAND --help`."""


def main() -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app()
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except InUse as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(IN_USE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OK)


if __name__ == "__main__":
    main()
