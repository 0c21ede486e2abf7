"""`harness doctor`: what of this machine and installation is broken."""

import json
from pathlib import Path

import typer

from harness.cli.options import EXIT_SOME_FAILED, Json, Output, Plugin
from harness.suite import catalog

STATE_PREFIXES = {"ok": "", "absent": "", "note": "NOTE: ", "broken": "BROKEN: "}


def doctor(output: Output = Path(), plugin: Plugin = None, as_json: Json = False) -> None:
    """Look at Python, libraries, cores, memory, GPUs, disk, plugins and
    extras, and say what to do where one is broken.

    Exit code 1 where something that every run needs is broken.
    """
    from harness.cli.environment import examine
    from harness.run.runner import Options

    broken, section = 0, ""
    threads = Options().hardware.threads
    for finding in examine(output or Path(), threads, catalog.discover(tuple(plugin or ()))):
        broken += finding.state == "broken"
        if as_json:
            print(json.dumps({"event": "finding", **vars(finding)}), flush=True)
            continue
        if finding.section != section:
            section = finding.section
            print(section)
        advice = f"; {finding.advice}" if finding.advice else ""
        print(f"  {finding.name:<20} {STATE_PREFIXES[finding.state]}{finding.value}{advice}", flush=True)
    if as_json:
        print(json.dumps({"event": "done", "broken": broken}))
    else:
        print(f"{broken} broken" if broken else "nothing that a run needs is broken")
    if broken:
        raise typer.Exit(EXIT_SOME_FAILED)
