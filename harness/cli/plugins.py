"""`harness plugins` and `check`: list the plugins, test one of them."""

import dataclasses
import inspect
import json
import re
from collections.abc import Mapping
from typing import Annotated

import typer

from harness.cli.options import EXIT_SOME_FAILED, Json, Plugin, make_reporter
from harness.errors import PluginError, clean_lines, did_you_mean
from harness.suite import catalog

DECLARATIONS = (
    "reads",
    "writes",
    "network",
    "transductive",
    "requires",
    "extra",
)  # what `NAME` shows beside parameters
SECTIONS = {"embedders": "blocks", "features": "blocks", "splitters": "splits", "labelers": "labelers"}
ENTRY_FIELDS = ("name", "kind", "distribution", "version", "help")  # under --json

Parameters = Mapping[str, object]


def plugins(
    name: Annotated[str | None, typer.Argument(help="Show this plugin: its parameters and what it declares.")] = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """List the plugins: name, kind, distribution, version and what each
    is; broken ones with the reason. Or show one of them.
    """
    discovered = catalog.discover(tuple(plugin or ()))
    if name is not None:
        _show_plugin(name, discovered, as_json)
        return
    if as_json:
        for entry in discovered.entries:
            print(json.dumps({name: getattr(entry, name) for name in ENTRY_FIELDS}))
        for name, reason in sorted(discovered.broken.items()):
            print(json.dumps({"broken": name, "reason": reason}))
        return
    from harness.report.tables import Table, columns
    from harness.report.terminal import Layout

    rows = tuple(
        (entry.name, catalog.singular(entry.kind), f"{entry.distribution} {entry.version}".strip(), entry.help)
        for entry in discovered.entries
    )
    layout = Layout(words=("Name", "Kind", "Distribution"), prose=("What it is",))
    table = Table("", "", columns(("Name", "Kind", "Distribution", "What it is")), rows)
    make_reporter(as_json).tables([table], layout, "--json")
    for name, reason in sorted(discovered.broken.items()):
        print(clean_lines(f"broken: {name}: {reason}"))


def _show_plugin(name: str, discovered: catalog.Catalog, as_json: bool) -> None:
    """Print a plugin's docstring, fields, declarations and example line."""
    from harness.suite.example import example_line
    from harness.suite.field_comments import field_comments

    entries = [entry for entry in discovered.entries if entry.name == name]
    if not entries:
        raise PluginError(f"no plugin is called {name!r}{did_you_mean(name, {e.name for e in discovered.entries})}")
    for entry in entries:
        comments = field_comments(entry.cls)
        parameters = [_describe_field(field, comments.get(field.name)) for field in dataclasses.fields(entry.cls)]
        declared = {
            key: value
            for key in DECLARATIONS
            if (value := getattr(entry.cls, key, None)) and not callable(value) and not isinstance(value, property)
        }
        example = example_line(entry, discovered.find)
        if as_json:
            facts = {key: getattr(entry, key) for key in ENTRY_FIELDS} | {"parameters": parameters, **declared}
            print(json.dumps(facts | {"example": example}, default=str))
            continue
        print(f"{entry.name} ({catalog.singular(entry.kind)} of {f'{entry.distribution} {entry.version}'.strip()})")
        print(f"\n{inspect.cleandoc(entry.cls.__doc__ or '')}\n")
        for parameter in parameters:
            default = "required" if parameter["default"] is None else f"default {parameter['default']}"
            comment = f"   # {parameter['comment']}" if parameter["comment"] else ""
            print(f"  {parameter['name']}: {parameter['type']}, {default}{comment}")
        for key, value in declared.items():
            print(f"  declares {key} = {value!r}")
        print(f"\nin a suite, under {SECTIONS[entry.kind]}:\n  {example}")


def _describe_field(field: "dataclasses.Field[object]", comment: str | None) -> dict[str, str | None]:
    """Return name, type, default and comment; None for what there is not."""
    missing = dataclasses.MISSING
    default = field.default if field.default is not missing else None
    if field.default_factory is not missing:
        default = field.default_factory()
    is_required = field.default is missing and field.default_factory is missing
    annotation = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
    if not isinstance(field.type, type):
        annotation = re.sub(r"\b(?:[a-z_]+\.)+", "", str(field.type))
    value = None if is_required else repr(default)
    return {"name": field.name, "type": annotation, "default": value, "comment": comment}


def check(
    name: Annotated[
        str,
        typer.Argument(help="A plugin of any kind: its name, or a spec such as 'knn: {on: embedding, k: 5}'."),
    ],
    plugin: Plugin = None,
) -> None:
    """Run the conformance kit on a labeler, embedder, feature set or splitter
    and say what it breaks.
    """
    from harness.suite.spec import display_name
    from harness.testing import check_plugin

    findings = []
    for kind, built in _build_plugins(name, catalog.discover(tuple(plugin or ()))):
        print(f"checking {catalog.singular(kind)} {display_name(built)}")
        first_checks: dict[str | None, str] = {None: ""}  # message -> the first check that gave it
        for finding in check_plugin(kind, built):
            first = first_checks.setdefault(finding.message, finding.check)
            message = finding.message if first == finding.check else first and f"as {first}"
            print(f"{finding.outcome:<14} {finding.check}" + (f": {message}" if message else ""))
            findings.append(finding)
    if any(finding.outcome == "failed" for finding in findings):
        raise typer.Exit(EXIT_SOME_FAILED)


def _build_plugins(text: str, discovered: catalog.Catalog) -> list[tuple[str, object]]:
    """Build the plugins of a name or spec; return (kind, plugin) pairs.

    Plugins of several kinds may have one name. A field `on` that is not given is the conformance kit's own block.
    """
    from harness.suite.spec import Reader
    from harness.utils import yaml_file

    document = yaml_file.parse(text, "check")
    name, given = _read_spec(document.value)
    kinds = [
        kind for kind in catalog.KINDS if any((entry.kind, entry.name) == (kind, name) for entry in discovered.entries)
    ]
    if not kinds:
        near = did_you_mean(name, {entry.name for entry in discovered.entries})
        broken = "".join(f"; broken plugin {who}: {why}" for who, why in sorted(discovered.broken.items()))
        raise PluginError(f"no plugin is called {name!r}{near}{broken}")
    plugins: list[tuple[str, object]] = []
    for kind in kinds:
        reader = Reader(document, discovered.find)
        required = {
            field.name
            for field in dataclasses.fields(discovered.find(kind, name))
            if field.default is field.default_factory is dataclasses.MISSING
        }
        parameters = ({"on": "embedding"} if "on" in required - given.keys() else {}) | dict(given)
        plugins.append((kind, reader.build_plugin(kind, name, parameters, (name,))))
        missing = sorted(required - parameters.keys())
        if missing:
            example = f"{name}: {{{', '.join(f'{field}: ...' for field in missing)}}}"
            reader.problems.append(f"give it what has no default: harness check {example!r}")
        reader.finish()
    return plugins


def _read_spec(value: object) -> tuple[str, Parameters]:
    """Return (name, parameters) of ``name`` or ``{name: parameters}``."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, parameters),) = value.items()
        if isinstance(name, str) and isinstance(parameters, dict | None):
            return name, parameters or {}
    if not isinstance(value, str):
        raise PluginError(f"must be a name, or one name with its parameters, as 'knn: {{k: 5}}', got {value!r}")
    return value, {}
