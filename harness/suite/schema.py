"""The JSON schema of suite files, from the types that `spec` reads.

Every installed plugin is in it with its fields. Ranges and names of columns are not: `harness validate` checks those.
"""

import dataclasses
import inspect
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from harness.data.population import Population
from harness.data.section import Data
from harness.plugin.protocols import Labeler
from harness.suite.candidates import DISPLAY
from harness.suite.catalog import KINDS, Catalog, Entry
from harness.suite.field_comments import field_comments
from harness.suite.reference import Reference
from harness.suite.spec import to_json
from harness.suite.suite import BLOCK_NAME, MAX_SEED, SUITE_NAME, Metrics

Schema = dict[str, Any]

TITLE = "A suite of labelharness, or a list of suites"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SINGLE_TYPES: Mapping[Any, str] = {
    **{int: "integer", float: "number", str: "string", bool: "boolean"},
    **{Path: "string", type(None): "null"},
}
VERSION = {"const": 1, "description": "The version of the format."}
NAME = {
    "type": "string",
    "pattern": f"^(?:{SUITE_NAME.pattern})$",
    "description": "The name of the folders runs/NAME and leaderboards/NAME.",
}
PROTOCOL = {"enum": ["honest", "record"], "default": "honest", "description": "record: the best checkpoint on the test"}
SEEDS = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": MAX_SEED},
    "minItems": 1,
    "uniqueItems": True,
    "default": [0],
    "description": "Each is a split of its own; ranks are tested with three or more.",
}
TITLES = {
    "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
    "description": "The labelers that run on these splits, by their titles; all of them by default.",
}
DISPLAY_NAME = {
    "type": "string",
    "pattern": f"^(?:{DISPLAY.pattern})$",
    "description": "The name on the leaderboard.",
}


def suite_schema(catalog: Catalog) -> Schema:
    """Return the JSON schema of suites and of lists of suites."""
    entries = {(entry.kind, entry.name): entry for entry in reversed(catalog.entries)}
    plugins = [(entry, _plugin(entry)) for entry in reversed(entries.values())]
    labelers = [(entry, schema) for entry, schema in plugins if entry.kind == "labelers"]
    sections: dict[str, Schema] = {
        "version": VERSION,
        "name": NAME,
        "data": {"$ref": "#/$defs/data"},
        "population": {"$ref": "#/$defs/population"},
        "blocks": {
            "type": ["object", "null"],
            "propertyNames": {"pattern": f"^(?:{BLOCK_NAME.pattern})$"},
            "additionalProperties": {"$ref": "#/$defs/block"},
            "description": "The groups of columns that labelers work on, each made by an embedder or a feature set.",
        },
        "splits": {
            "type": "array",
            "items": {"$ref": "#/$defs/split"},
            "minItems": 1,
            "description": "How labelled rows are cut into train and test.",
        },
        "labelers": {
            "type": "array",
            "items": {"$ref": "#/$defs/candidate"},
            "minItems": 1,
            "description": "Who competes.",
        },
        "metrics": {"$ref": "#/$defs/metrics"},
        "protocol": PROTOCOL,
        "reference": {"$ref": "#/$defs/reference"},
    }
    return {
        "$schema": DIALECT,
        "title": TITLE,
        "type": "object",
        "if": {"required": ["suites"]},
        "then": {"$ref": "#/$defs/collection"},
        "else": {"$ref": "#/$defs/suite"},
        "$defs": {
            "suite": _mapping(sections, ["version", "name", "data", "splits", "labelers"], "A suite."),
            "collection": _mapping(
                {
                    "version": VERSION,
                    "name": NAME,
                    "suites": {
                        "type": "array",
                        "items": {"type": "string"},
                        "minItems": 1,
                        "description": "Suite files, relative to this file.",
                    },
                },
                ["version", "name", "suites"],
                "Several suites as one.",
            ),
            **{cls.__name__.lower(): _record(cls) for cls in (Data, Population, Metrics, Reference)},
            "block": _chosen(plugins, {"embedder": "embedders", "features": "features"}),
            "split": _chosen(plugins, {"splitter": "splitters"}),
            "candidate": _labeler(labelers, "candidates", {"as": DISPLAY_NAME}),
            "labeler": _labeler(labelers, "labelers", {}),
            "candidates": {entry.name: _with_grid(entry, schema) for entry, schema in labelers},
            **{kind: {entry.name: schema for entry, schema in plugins if entry.kind == kind} for kind in KINDS},
        },
    }


def hint_schema(hint: Any) -> Schema:
    """Return the schema of the values that `spec.Reader` reads as a type."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Labeler:
        return {"$ref": "#/$defs/labeler"}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _record(hint)
    if origin in (Union, types.UnionType):
        return _any_of([hint_schema(part) for part in parts])
    if origin is Literal:
        return {"enum": list(parts)}
    if origin is tuple:
        return {"type": "array", "items": hint_schema(parts[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": hint_schema(parts[1])}
    if hint in SINGLE_TYPES:
        return {"type": SINGLE_TYPES[hint]}
    return {"not": {}, "description": f"Has the type {hint}, which a suite cannot give."}


def _any_of(options: list[Schema]) -> Schema:
    """Return the schema of a value of any of the options, without repeats.

    >>> _any_of([{"type": "string"}, {"type": "null"}, {"type": "string"}])
    {'type': ['string', 'null']}
    """
    distinct = [option for i, option in enumerate(options) if option not in options[:i]]
    if all(option.keys() == {"type"} for option in distinct):
        names = [option["type"] for option in distinct]
        return {"type": names[0] if len(names) == 1 else names}
    return {"anyOf": distinct}


def _mapping(properties: Mapping[str, Schema], required: Iterable[str], description: str) -> Schema:
    required = list(required)
    return {
        "type": "object" if required else ["object", "null"],
        "description": description,
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def _record(cls: type[Any]) -> Schema:
    """Return the schema of a dataclass, a property per field."""
    fields = dataclasses.fields(cls)
    try:
        hints = get_type_hints(cls)
    except Exception:  # `validate` has the reason; nothing can be completed
        return {"description": f"A field of {cls.__name__} has a type that cannot be read."}
    comments = field_comments(cls)
    properties = {}
    for field in fields:
        properties[field.name] = hint_schema(hints[field.name]) | _default(field)
        if field.name in comments:
            properties[field.name].setdefault("description", comments[field.name])
    return _mapping(properties, [field.name for field in fields if is_required(field)], inspect.getdoc(cls) or "")


def is_required(field: "dataclasses.Field[Any]") -> bool:
    """Return True for a field without a default value."""
    return field.default is field.default_factory is dataclasses.MISSING


def _default(field: "dataclasses.Field[Any]") -> Schema:
    if is_required(field):
        return {}
    made = field.default_factory
    return {"default": to_json(field.default if made is dataclasses.MISSING else made(), str)}


def _plugin(entry: Entry) -> Schema:
    """Return the schema of a plugin's parameters."""
    return _record(entry.cls) | {"title": f"{entry.name} ({entry.distribution} {entry.version})"}


def _chosen(plugins: Iterable[tuple[Entry, Schema]], kinds: Mapping[str, str]) -> Schema:
    """Return the schema of a mapping with a plugin's name among its keys.

    `kinds` has the key of each kind: {embedder: column, column: vectors}.
    """
    choices: list[Schema] = []
    names: dict[str, Schema] = {}
    for key, kind in kinds.items():
        own = [(entry, schema) for entry, schema in plugins if entry.kind == kind]
        names[key] = {"enum": [entry.name for entry, _ in own], "description": f"Which of the {kind}."}
        for entry, then in own:
            if "properties" in then:
                given = {name: _reference(entry, name) for name in then["properties"]}
                more: dict[str, Schema] = {"seeds": SEEDS, "labelers": TITLES} if kind == "splitters" else {}
                title = {"const": entry.name, "description": then["description"]}
                then = _mapping({key: title, **given, **more}, [key, *then["required"]], then["description"])
            choices.append({"if": {"required": [key], "properties": {key: {"const": entry.name}}}, "then": then})
    one = [{"required": [key]} for key in kinds]
    return {"type": "object", "oneOf": one, "properties": names, "allOf": choices}


def _reference(entry: Entry, field: str) -> Schema:
    return {"$ref": f"#/$defs/{entry.kind}/{entry.name}/properties/{field}"}


def _labeler(plugins: Iterable[tuple[Entry, Schema]], definitions: str, extra: Mapping[str, Schema]) -> Schema:
    """Return the schema of ``name`` or ``{name: parameters}``.

    Keys of `extra` may stand beside the name.
    """
    entries = [entry for entry, _ in plugins]
    properties = {entry.name: {"$ref": f"#/$defs/{definitions}/{entry.name}"} for entry in entries}
    size = 1 + len(extra)
    mapping: Schema = {
        "type": "object",
        "properties": {**properties, **extra},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": size,
        "if": {"required": list(extra)},
        "then": {"minProperties": size},
        "else": {"maxProperties": 1},
    }
    alone = [entry.name for entry in entries if not any(map(is_required, dataclasses.fields(entry.cls)))]
    return {"anyOf": [{"enum": alone}, mapping]}


def _with_grid(entry: Entry, parameters: Schema) -> Schema:
    """Return the schema of a labeler's parameters, some in a grid.

    A field without a default may be in either.
    """
    if "properties" not in parameters:
        return parameters
    given = {name: _reference(entry, name) for name in parameters["properties"]}
    grid = {
        "type": "object",
        "properties": {name: {"type": "array", "items": value, "minItems": 1} for name, value in given.items()},
        "additionalProperties": False,
        "minProperties": 1,
        "description": "Values of parameters: every combination is a labeler of its own.",
    }
    in_either = [
        {"anyOf": [{"required": [name]}, {"required": ["grid"], "properties": {"grid": {"required": [name]}}}]}
        for name in parameters["required"]
    ]
    schema = parameters | {"properties": {**given, "grid": grid}, "required": []}
    return schema | ({"allOf": in_either} if in_either else {})
