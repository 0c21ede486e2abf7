"""Which plugins there are, and whether one keeps its contract."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from harness import catalog
from harness.commands.options import SOME_FAILED, Json, Plugin


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
