"""Which plugins there are, and whether one keeps its contract."""

import dataclasses
import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from harness.cli.options import EXIT_SOME_FAILED, Json, Plugin
from harness.errors import PluginError, did_you_mean
from harness.suite import catalog


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
            catalog.singular(entry.kind),
            f"{entry.distribution} {entry.version}".strip(),
            entry.help,
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    for who, why in sorted(found.broken.items()):
        print(f"broken: {who}: {why}")


def check(
    name: Annotated[
        str,
        typer.Argument(help="A plugin of any kind: its name, or a spec such as 'knn: {on: embedding, k: 5}'."),
    ],
    plugin: Plugin = None,
) -> None:
    """Run the conformance kit on a labeler, embedder, feature set or splitter and say what it breaks."""
    from harness.suite.spec import display_name
    from harness.testing import check_plugin

    findings = []
    for kind, built in _build_plugins(name, catalog.discover(tuple(plugin or ()))):
        print(f"checking {catalog.singular(kind)} {display_name(built)}")
        first: dict[str | None, str] = {None: ""}  # message -> the check that said it first
        for finding in check_plugin(kind, built):
            before = first.setdefault(finding.message, finding.check)
            said = finding.message if before == finding.check else before and f"as {before}"
            print(f"{finding.outcome:<14} {finding.check}" + (f": {said}" if said else ""))
            findings.append(finding)
    if any(finding.outcome == "failed" for finding in findings):
        raise typer.Exit(EXIT_SOME_FAILED)


def _build_plugins(text: str, found: catalog.Catalog) -> list[tuple[str, Any]]:
    """Build the plugins that `check` speaks of, with their kinds: a name may be that of several kinds.

    A field `on` that is not given is the kit's own block.
    """
    from harness.suite.spec import Reader
    from harness.utils import yaml_file

    written = yaml_file.parse(text, "check")
    name, parameters = _read(written.value)
    kinds = [kind for kind in catalog.KINDS if any((e.kind, e.name) == (kind, name) for e in found.entries)]
    if not kinds:
        near = did_you_mean(name, {entry.name for entry in found.entries})
        broken = "".join(f"; broken plugin {who}: {why}" for who, why in sorted(found.broken.items()))
        raise PluginError(f"no plugin is called {name!r}{near}{broken}")
    plugins = []
    for kind in kinds:
        reader = Reader(written, found.find)
        wanted = {field.name for field in dataclasses.fields(found.find(kind, name)) if _is_needed(field)}
        given = {"on": "embedding"} if "on" in wanted - set(parameters or ()) else {}
        plugins.append((kind, reader.build_plugin(kind, name, given | (parameters or {}), (name,))))
        lacking = sorted(wanted - set(given) - set(parameters or ()))
        if lacking:
            example = f"{name}: {{{', '.join(f'{field}: ...' for field in lacking)}}}"
            reader.problems.append(f"give it what has no default: harness check {example!r}")
        reader.finish()
    return plugins


def _read(value: Any) -> tuple[str, dict[str, Any] | None]:
    """Return the name and the parameters of ``name`` or ``{name: parameters}``."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, parameters),) = value.items()
        if isinstance(name, str) and isinstance(parameters, dict | None):
            return name, parameters
    if not isinstance(value, str):
        raise PluginError(f"must be a name, or one name with its parameters, as 'knn: {{k: 5}}', got {value!r}")
    return value, None


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING
