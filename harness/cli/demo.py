"""`harness demo`: run the quickstart suite that comes with the package."""

from pathlib import Path

import typer

from harness.cli.options import Json, Output, run_command_line

SUITE = "quickstart.yaml"


def demo(context: typer.Context, output: Output = Path(), as_json: Json = False) -> None:
    """Run the quickstart suite, eight labelers on simulated data. It takes
    some minutes, and nothing is downloaded.

    It is `harness run` on a suite that comes with the package. Give the command again: finished cells are reused.
    """
    suite = quickstart()
    place = ["-o", output] if output and output != Path() else []
    run_command_line(context, "run", suite, *place, *["--json"] * as_json)
    if not as_json:
        print(f"the suite: {suite}; next:")
        print(" ".join(map(str, ["  harness report", (output or Path()) / "runs" / "quickstart", *place])))
        print("  harness init FILE   # a suite for your own data")


def quickstart() -> Path:
    """Return the suite's file.

    A wheel has it beside this module (see pyproject.toml), the repository among its suites.
    """
    packaged = Path(__file__).with_name(SUITE)
    return packaged if packaged.exists() else Path(__file__).parents[2] / "suites" / SUITE
