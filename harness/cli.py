"""The command line: every mistake of a person is one clear line, every run says how it ended by its exit code."""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from harness import __version__, catalog
from harness.errors import HarnessError, InUse

OK, SOME_FAILED, BAD_INPUT, IN_USE = 0, 1, 2, 4

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
Device = Annotated[str, typer.Option(help="auto (which is cpu), cpu or cuda; part of a cell's identity.")]
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

    talk = _talk(as_json)
    ready = _ready(
        talk, suite, plugin, runs.Options(output, jobs, threads, timeout, memory, device, require_real, twin_rows)
    )
    with locked(ready.store.folder / "lock", wait=False):
        done = sum(ready.store.has(cell.key) for cell in ready.cells)
        talk.start(ready, done)
        with talk.progress(len(ready.cells), done) as reporter:
            try:
                runs.execute(ready, reporter.block, reporter.cell)
            except KeyboardInterrupt:
                talk.notice(f"interrupted: {reporter.done} cells are finished; the same command goes on from there")
                raise
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

    talk = _talk(as_json)
    options = runs.Options(output, 1, threads, device=device, require_real=require_real, twin_rows=twin_rows)
    ready = _ready(talk, suite, plugin, options)
    finished = {cell.key for cell in ready.cells if ready.store.has(cell.key)}
    if as_json:
        for cell in ready.cells:
            talk.event(
                "cell",
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

    talk = _talk(as_json)
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
        talk.event("status", total=len(ready.cells), **counts)
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

    talk = _talk(as_json)
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


def _talk(as_json: bool) -> Any:
    from harness.console import Talk

    return Talk(as_json)


def _ready(talk: Any, suite: Path, plugin: list[Path] | None, options: Any) -> Any:
    from harness import run as runs
    from harness.suite import load_suite

    found = catalog.discover(tuple(plugin or ()))
    loaded = load_suite(suite, found)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"--output {options.output}: {error.strerror}") from None
    ready = runs.make_ready(loaded, found, options, talk.notice)
    talk.simulated = ready.simulated
    return ready


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
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"error: {error.filename or 'cannot go on'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
