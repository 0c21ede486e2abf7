"""Example lines of a suite: a plugin with the parameters it must have."""

import dataclasses
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from harness.plugin.protocols import Labeler
from harness.suite.catalog import Entry
from harness.suite.spec import Find, Reader
from harness.utils.yaml_file import parse

BY_NAME = {  # of a field: what stands for it in an example, where its type takes text
    **{"on": "embedding", "column": "embeddings", "columns": "[source]", "path": "vectors.npy", "ids": "ids.npy"},
    **{"ratios": "[0.1, 0.5]", "base": "{linear: {on: embedding}}", "model": "sklearn.naive_bayes.GaussianNB"},
    "members": "[{knn: {on: embedding}}, {linear: {on: embedding}}]",
}
BY_TYPE: dict[Any, str] = {
    **{int: "1", float: "0.5", str: "text", bool: "true"},
    **{Path: "file.npy", type(None): "null", Labeler: "majority"},
}
HUB_NAME = "OWNER/NAME"
SEEDS = "seeds: [1, 2, 3]"


def example_line(entry: Entry, find: Find) -> str:
    """Return the line of a suite that uses a plugin.

    Fields with a default are left out, but for the first without which the plugin refuses the others.
    """
    hints = get_type_hints(entry.cls)
    fields = dataclasses.fields(entry.cls)
    values = {field.name: _value(field.name, hints[field.name]) for field in fields}
    required = [field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING]
    optional = [field.name for field in fields if field.default is None]
    for names in ([*required, *more] for more in ([], *([name] for name in optional))):
        given = ", ".join(f"{name}: {values[name]}" for name in names)
        reader = Reader(parse(f"{{{given}}}", "example"), find)
        reader.build_plugin(entry.kind, entry.name, reader.document.value, ())
        if not reader.problems:
            return _line(entry, given)
    return _line(entry, ", ".join(f"{name}: {values[name]}" for name in required))


def _line(entry: Entry, given: str) -> str:
    if entry.kind == "labelers":
        return f"- {entry.name}: {{{given}}}" if given else f"- {entry.name}"
    if entry.kind == "splitters":
        return f"- {{splitter: {entry.name}, {given and f'{given}, '}{SEEDS}}}"
    key, block = ("embedder", "embedding") if entry.kind == "embedders" else ("features", entry.name)
    return f"{block}: {{{key}: {entry.name}{given and f', {given}'}}}"


def _value(name: str, hint: Any) -> str:
    """Return a value of a field, by its name or else by its type."""
    parts = get_args(hint)
    if Path in parts and str in parts:
        return HUB_NAME
    if name in BY_NAME and {hint, *parts} & {str, float, Path, Labeler} and hint is not float:
        return BY_NAME[name]
    if get_origin(hint) is tuple:
        return f"[{_value('', parts[0])}]"
    if get_origin(hint) is Literal:
        return str(parts[0])
    return _value("", parts[0]) if parts else BY_TYPE.get(hint, "...")
