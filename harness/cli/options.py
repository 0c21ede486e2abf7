"""Options, exit codes and ways to open a suite that commands share."""

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import HarnessError

if TYPE_CHECKING:  # commands import what they use when they are called: --help must not wait for it
    from harness.cli.console import Reporter
    from harness.run.runner import Options, Run
    from harness.scoring.leaderboard import CellResult
    from harness.suite.catalog import Catalog
    from harness.suite.collection import Collection
    from harness.suite.suite import Suite

Command = Callable[..., None]

EXIT_OK, EXIT_SOME_FAILED, EXIT_BAD_INPUT, EXIT_GATE, EXIT_IN_USE, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130
SuiteFile = Annotated[
    Path,
    typer.Argument(metavar="SUITE", help="A suite file, such as suites/quickstart.yaml, or a run: runs/quickstart."),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Cells at a time.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads a cell; part of its identity. 0: all cores, at most 8.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds a cell may take.")]
Memory = Annotated[float, typer.Option(min=0, help="GiB a cell may use. 0: four fifths of the machine's.")]
Device = Annotated[str, typer.Option(help="auto (which is cpu), cpu or cuda; part of a cell's identity.")]
Engine = Annotated[
    str, typer.Option(help="Finds neighbours: auto, int8, float32, cuda, faiss (the plain way). All find the same.")
]
RequireReal = Annotated[bool, typer.Option("--require-real", help="Refuse to run on simulated data (exit code 2).")]
TwinRows = Annotated[int | None, typer.Option(min=100, help="Size of the simulated twin, where it is used.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Where runs/ and leaderboards/ are written.")]
Plugin = Annotated[list[Path] | None, typer.Option("--plugin", help="A one-off plugin, a .py file. Repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Events as JSON lines on stdout, nothing else.")]

SUITE_OPTIONS = ("threads", "device", "twin_rows", "output", "plugin", "as_json")
"""The shared options of a command that plans the cells of a suite."""
RUN_OPTIONS = (*SUITE_OPTIONS, "jobs", "timeout", "memory", "require_real")
"""The shared options of a command that runs labelers."""


@dataclass(frozen=True)
class SharedOptions:
    """The options that several commands have, in the order of their help.

    A command whose help differs in a few of them overrides these fields in a subclass.
    """

    jobs: Jobs = 1
    threads: Threads = 0
    timeout: Timeout = 6 * 3600
    memory: Memory = 0
    device: Device = "auto"
    engine: Engine = "auto"
    require_real: RequireReal = False
    twin_rows: TwinRows = None
    output: Output = Path()
    plugin: Plugin = None
    as_json: Json = False

    def to_run_options(self) -> "Options":
        """Return the options of a run. Raises HarnessError for an unknown engine."""
        from harness.run.runner import Options
        from harness.search.engine import parse_engine

        return Options(
            self.output or Path(),
            self.jobs,
            self.threads,
            self.timeout,
            self.memory,
            self.device,
            self.require_real,
            self.twin_rows,
            parse_engine(self.engine),
        )


def with_options(*shared: str) -> Callable[[Command], Command]:
    """Decorate a command: each field of its dataclass parameters is an option.

    Typer reads the options of a command from its signature. The decorated command has a signature in which the fields
    of a dataclass stand in the place of the dataclass, and builds it when it is called. Of SharedOptions, only the
    fields that `shared` names are options; the others keep their defaults.
    """

    def decorate(command: Command) -> Command:
        own_parameters = inspect.signature(command).parameters
        parameters: list[inspect.Parameter] = []
        option_names: dict[str, list[str]] = {}  # of each dataclass parameter
        for parameter in own_parameters.values():
            annotation = parameter.annotation
            if not (isinstance(annotation, type) and is_dataclass(annotation)):
                parameters.append(parameter)
                continue
            by_name = {field.name: field for field in fields(annotation)}
            names = list(by_name)
            if issubclass(annotation, SharedOptions):
                names = sorted(shared, key=names.index)
            option_names[parameter.name] = names
            for name in names:
                field = by_name[name]
                default = inspect.Parameter.empty if field.default is MISSING else field.default
                parameters.append(parameter.replace(name=name, default=default, annotation=field.type))

        @functools.wraps(command)
        def run_command(**arguments: object) -> None:
            for parameter_name, names in option_names.items():
                values = {name: arguments.pop(name) for name in names if name in arguments}
                arguments[parameter_name] = own_parameters[parameter_name].annotation(**values)
            command(**arguments)

        run_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run_command

    return decorate


def run_command_line(context: typer.Context, *words: object) -> None:
    """Run another command of the program; raises typer.Exit if it fails."""
    code = context.find_root().command.main(list(map(str, words)), "harness", standalone_mode=False)
    if code:
        raise typer.Exit(code)


def make_reporter(as_json: bool) -> "Reporter":
    """Return the reporter of a command; imports all that it prints."""
    from harness.cli.console import Reporter

    return Reporter(as_json)


def target_file(to: Path | None, output: Path | None, suffix: str) -> Path:
    """Return the file that a command writes by itself, the value of --to.

    Raises HarnessError without one, and for a file after -o, which is a folder in every command.
    """
    if output is not None and output.suffix == suffix:
        raise HarnessError(f"-o {output}: is the folder of runs/ and leaderboards/; the file to write is --to {output}")
    if to is None:
        raise HarnessError(f"--to is missing: the {suffix} file to write, such as --to out{suffix}")
    return to


def load_suites(suite: Path, plugin: list[Path] | None) -> "tuple[Collection, Catalog]":
    """Read a suite, a list of suites or a run, and the catalog of plugins."""
    from harness.run import opening

    return opening.load_suites(suite, plugin or ())


def open_run(
    reporter: "Reporter", suite: "Suite", plugins: "Catalog", options: "Options", use_recorded: bool = True
) -> "Run":
    """Open the data of one suite and plan its cells; note if simulated."""
    from harness.run import opening

    run = opening.open_run(suite, plugins, options, reporter.notice, use_recorded)
    reporter.simulated = run.simulated
    return run


def open_runs(
    reporter: "Reporter", file: Path, options: SharedOptions, use_recorded: bool = True
) -> "tuple[Collection, list[Run]]":
    """Open every suite of a file; raise the mistakes before any runs."""
    run_options = options.to_run_options()
    collection, plugins = load_suites(file, options.plugin)
    return collection, [open_run(reporter, suite, plugins, run_options, use_recorded) for suite in collection.suites]


def format_tally(counts: Mapping[str, int]) -> str:
    """Format counts of nouns in the plural: "6 labelers, 1 block".

    >>> format_tally({"labelers": 6, "blocks": 1})
    '6 labelers, 1 block'
    """
    return ", ".join(f"{n} {noun.removesuffix('s') if n == 1 else noun}" for noun, n in counts.items())


def count_by_status(cell_results: "Iterable[CellResult]") -> Counter[str]:
    return Counter(cell_result.status for cell_result in cell_results)
