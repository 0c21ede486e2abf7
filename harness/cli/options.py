"""What several commands share: their options, exit codes, and how a suite is made ready."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.errors import HarnessError
from harness.suite import catalog

EXIT_OK, EXIT_SOME_FAILED, EXIT_BAD_INPUT, EXIT_GATE, EXIT_IN_USE = 0, 1, 2, 3, 4
SuiteFile = Annotated[
    Path,
    typer.Argument(metavar="SUITE", help="A suite file, such as suites/quickstart.yaml, or a run: runs/quickstart."),
]
Plugin = Annotated[list[Path] | None, typer.Option("--plugin", help="A one-off plugin, a .py file. Repeatable.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where runs/ and leaderboards/ are written.")]
Json = Annotated[bool, typer.Option("--json", help="Events as JSON lines on stdout, nothing else.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Cells at a time.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds a cell may take.")]
Memory = Annotated[float, typer.Option(min=0, help="GiB a cell may use. 0: four fifths of the machine's.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads a cell; part of its identity. 0: all cores, at most 8.")]
Device = Annotated[str, typer.Option(help="auto (which is cpu), cpu or cuda; part of a cell's identity.")]
Engine = Annotated[
    str, typer.Option(help="Finds neighbours: auto, int8, float32, cuda, faiss (the plain way). All find the same.")
]
TwinRows = Annotated[int | None, typer.Option(min=100, help="Size of the simulated twin, where it is used.")]
RequireReal = Annotated[bool, typer.Option("--require-real", help="Refuse to run on simulated data (exit code 2).")]


def make_reporter(as_json: bool) -> Any:
    from harness.cli.console import Talk

    return Talk(as_json)


def load_suites(suite: Path, plugin: list[Path] | None) -> tuple[Any, Any]:
    """Read a suite, or a list of suites; returns the Collection and the catalog it was read with.

    Of the folder of a run, runs/NAME, it is the suite that was run.
    """
    from harness.suite.collection import load_collection

    file = _of_run(suite) if suite.is_dir() else suite
    found = catalog.discover(tuple(plugin or ()))
    return load_collection(file, found), found


def _of_run(folder: Path) -> Path:
    from harness.run.store import SUITE_FILE, last_run

    file = last_run(folder).get("file")
    if not isinstance(file, str):
        raise HarnessError(
            f"{folder}: is a folder without the {SUITE_FILE} that a run notes there; give the suite's file"
        )
    path = Path(file)
    if not path.is_file():
        raise HarnessError(f"{folder}: its suite {path} is not there any more; give the suite's file")
    here = Path.cwd()  # a card and a board name the file as a person here would
    return path.relative_to(here) if path.is_relative_to(here) else path


def open_run(talk: Any, suite: Any, found: Any, options: Any, anew: bool = False) -> Any:
    """Open the data of one suite and plan its cells.

    They are those of its last run, so that whoever ran it with --threads 1 need not say so of every command after it;
    with `anew` they are what the command line says alone.
    """
    from harness.run import runner
    from harness.run.store import last_run

    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"--output {options.output}: {error.strerror}") from None
    if not anew:
        options = options.with_defaults_from(last_run(options.output / "runs" / suite.name))
    ready = runner.prepare_run(suite, found, options, talk.notice)
    talk.simulated = ready.simulated
    return ready


def prepare_suites(
    talk: Any, file: Path, plugin: list[Path] | None, options: Any, anew: bool = False
) -> tuple[Any, list[Any]]:
    """Make every suite of a file ready before any of them runs: what is wrong is said at the start."""
    loaded, found = load_suites(file, plugin)
    return loaded, [open_run(talk, suite, found, options, anew) for suite in loaded.suites]


def count_by_status(ended: Any) -> Counter[str]:
    return Counter(ending.status for ending in ended)
