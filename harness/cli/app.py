"""The command `harness`: its subcommands and its exit codes.

A mistake of a person is one clear line on stderr.
"""

import inspect
import os
import sys
from typing import Annotated

import typer

from harness import __version__
from harness.cli import (
    apply,
    audit,
    compare,
    demo,
    diagnose,
    doctor,
    embed,
    export,
    init,
    label,
    leaderboard,
    log,
    new,
    plugins,
    ranking,
    report,
    run,
    schema,
    site,
    why,
)
from harness.cli.options import EXIT_BAD_INPUT, EXIT_IN_USE, EXIT_INTERRUPTED, EXIT_OK
from harness.cli.streams import catch_interrupts, prepare_streams, release_interrupts, was_interrupted
from harness.errors import HarnessError, InUse, clean_lines
from harness.utils.files import describe_disk_error

COMMANDS = (
    demo.demo,
    init.init,
    *(run.run, run.plan, run.validate, run.status, leaderboard.leaderboard),
    *(label.label, apply.apply),
    compare.compare,
    ranking.ranking,
    report.report,
    site.site,
    export.export,
    log.log,
    audit.audit,
    diagnose.diagnose,
    *(plugins.plugins, plugins.check, new.new, schema.schema, doctor.doctor),
    embed.embed,
    why.why,
)

USAGE_ERROR = typer.BadParameter.__mro__[1]  # click's, which typer brings along under no name of its own

app = typer.Typer(
    name="harness",
    help="Which method labels the rest of your rows best? Run a suite of labelers and rank them on honest scores.",
    epilog="Exit codes: 0 all cells ok, 1 some failed, 2 bad suite, data, plugin or disk, 3 gate or audit failed, "
    "4 directory in use, 130 interrupted. Tables are as wide as the terminal; where stdout is none they are Markdown.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:  # listed with the first paragraph of their help as one line
    summary, *_ = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    app.command(short_help=summary.replace("\n", " "))(command)


def _print_version(is_given: bool) -> None:
    if is_given:
        print(f"labelharness {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Show the help of a command with `harness COMMAND --help`."""


def main() -> None:
    """Run the command line and exit with its code."""
    prepare_streams()
    try:
        catch_interrupts()
        _run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    finally:
        release_interrupts()


def _run() -> None:
    try:
        code = app(prog_name="harness", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else EXIT_OK)
    except HarnessError as error:
        print(f"error: {clean_lines(str(error))}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except InUse as error:
        print(f"error: {clean_lines(str(error))}", file=sys.stderr)
        sys.exit(EXIT_IN_USE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_OK)
    except MemoryError:
        print("error: out of memory; take fewer rows or columns, or a machine with more", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"error: {clean_lines(describe_disk_error(error))}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except Exception as error:
        if was_interrupted():  # while C code was importing, say, which made another error of it
            sys.exit(EXIT_INTERRUPTED)
        if not isinstance(error, USAGE_ERROR):
            raise
        _print_usage_error(error)
        sys.exit(EXIT_BAD_INPUT)


def _print_usage_error(error: Exception) -> None:
    """Print an unknown or missing option or argument as one line.

    Without any argument the help has been printed.
    """
    if type(error).__name__ == "NoArgsIsHelpError":
        return
    message = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    place = "" if context is None else f"; see {context.command_path} --help"
    print(f"error: {clean_lines(message).rstrip('.')}{place}", file=sys.stderr)
