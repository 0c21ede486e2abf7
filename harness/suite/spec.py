"""Convert YAML values to typed objects and back.

A frozen dataclass is its own schema: unknown keys, wrong types and bad ranges are problems with a place. All of them
are reported at once.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from harness.errors import PluginError, SuiteError, describe_error, did_you_mean, first_line, printable
from harness.plugin.protocols import Labeler, block_names
from harness.utils.hashing import canonical_json, hash_file
from harness.utils.yaml_file import Document, Place

T = TypeVar("T")
Find = Callable[[str, str], type[Any]]
"""(kind, name) -> plugin class; raises PluginError where there is none."""

TYPE_NAMES: dict[Any, str] = {
    **{int: "a whole number", float: "a number", str: "a string", bool: "true or false"},
    **{Path: "a path", type(None): "null"},
}
"""The types of single values, and their names in messages."""

INVALID: Any = object()  # in place of a value that has a problem


class Reader:
    """A reader of one document that collects every problem."""

    def __init__(self, document: Document, find: Find, folders: tuple[Path, ...] = (Path(),)) -> None:
        self.document = document
        self.find = find
        self.folders = folders  # in which relative paths are searched
        self.problems: list[str] = []

    def add_problem(self, place: Place, message: str) -> Any:
        """Add a problem, as one line fit for a terminal; return INVALID."""
        self.problems.append(printable(f"{self.document.at(place)}: {message}"))
        return INVALID

    def finish(self) -> None:
        """Raise one SuiteError with all problems, if there are any."""
        if self.problems:
            raise SuiteError("\n".join(dict.fromkeys(self.problems)))

    def read(self, hint: Any, value: Any, place: Place) -> Any:
        """Return `value` as the type `hint`, or INVALID.

        Strictly: no number is read as text, no 1.5 as 1.
        """
        origin = get_origin(hint)
        if hint is Labeler:
            return self.read_plugin("labelers", value, place)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return self.read_record(hint, value, place)
        if origin in (Union, types.UnionType):
            return self._read_union(get_args(hint), value, place)
        if origin is Literal:
            if value in get_args(hint) and not isinstance(value, bool):
                return value
            nearest = did_you_mean(value, map(str, get_args(hint))) if isinstance(value, str) else ""
            suggestion = nearest if "mean" in nearest else ""
            return self.add_problem(place, f"must be {_describe(hint)}, got {value!r}{suggestion}")
        if origin is tuple:
            if not isinstance(value, list):
                return self.add_problem(place, f"must be {_describe(hint)}, got {value!r}")
            items = [self.read(get_args(hint)[0], item, (*place, i)) for i, item in enumerate(value)]
            return INVALID if any(item is INVALID for item in items) else tuple(items)
        if origin is dict:
            if not isinstance(value, dict):
                return self.add_problem(place, f"must be {_describe(hint)}, got {value!r}")
            given = {key: self.read(get_args(hint)[1], item, (*place, key)) for key, item in value.items()}
            return INVALID if any(item is INVALID for item in given.values()) else given
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if hint is Path and isinstance(value, str):
            return self.resolve_path(value)
        if hint not in TYPE_NAMES:
            return self.add_problem(place, f"has the type {hint}, which a suite cannot give; see docs/plugins.md")
        if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
            return value
        return self.add_problem(place, f"must be {_describe(hint)}, got {value!r}")

    def read_record(self, cls: type[T], value: Any, place: Place, without: tuple[str, ...] = ()) -> T:
        """Build the dataclass `cls` from a mapping; skip the keys in `without`."""
        if value is None:
            value = {}
        if not isinstance(value, dict):
            return self.add_problem(place, f"must be a mapping, got {value!r}")  # type: ignore[no-any-return]
        try:
            hints = get_type_hints(cls)
        except Exception as error:
            return self.add_problem(place, f"a field of {cls.__name__} has a type that cannot be read: {error}")  # type: ignore[no-any-return]
        fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        given: dict[str, Any] = {}
        for key, item in value.items():
            if key in fields:
                given[key] = self.read(hints[key], item, (*place, key))
            elif key not in without:
                self.add_problem((*place, key), f"unknown key {key!r}{did_you_mean(key, (*fields, *without))}")
        for name, field in fields.items():
            missing = field.default is field.default_factory is dataclasses.MISSING
            if missing and name not in given:
                given[name] = self.add_problem(place, f"{name!r} is missing: {_describe(hints[name])}")
        if any(item is INVALID for item in given.values()):
            return INVALID  # type: ignore[no-any-return]
        try:
            return cls(**given)
        except ValueError as error:
            return self.add_problem(place, first_line(str(error)) or describe_error(error))  # type: ignore[no-any-return]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin checks its parameters by whatever it likes
            return self.add_problem(place, describe_error(error))  # type: ignore[no-any-return]

    def read_plugin(self, kind: str, value: Any, place: Place, without: tuple[str, ...] = ()) -> Any:
        """Build a plugin from ``name`` or ``{name: parameters}``."""
        if isinstance(value, str):
            value = {value: None}
        named = [key for key in value if key not in without] if isinstance(value, dict) else []
        if len(named) != 1:
            return self.add_problem(place, f"must be one name with its parameters, as 'majority: {{}}', got {value!r}")
        name = named[0]
        return self.build_plugin(kind, name, value[name], (*place, name))

    def build_plugin(self, kind: str, name: Any, parameters: Any, place: Place, without: tuple[str, ...] = ()) -> Any:
        """Build the plugin `name` of a kind from its parameters."""
        if not isinstance(name, str):
            return self.add_problem(place, f"must be the name of one of the {kind}, got {name!r}")
        try:
            plugin = self.read_record(self.find(kind, name), parameters, place, without)
        except PluginError as error:
            return self.add_problem(place, str(error))
        plugin_error = None if plugin is INVALID else find_plugin_error(plugin)
        return plugin if plugin_error is None else self.add_problem(place, plugin_error)

    def resolve_path(self, value: str) -> Path:
        """Return the absolute path in the first folder that has it.

        Where none has it, the path in the first folder.
        """
        candidates = [folder / value for folder in self.folders]
        return next((c for c in candidates if c.exists()), candidates[0]).absolute()

    def _read_union(self, hints: tuple[Any, ...], value: Any, place: Place) -> Any:
        first: list[str] = []
        for hint in hints:
            trial = Reader(self.document, self.find, self.folders)
            result = trial.read(type(None) if hint is None else hint, value, place)
            if not trial.problems and not (isinstance(result, Path) and str in hints and _is_text(value, result)):
                return result
            if _has_shape(hint, value):  # the mistake is inside: these are the problems to show
                first = first or trial.problems
        self.problems += first
        accepted = " or ".join(_describe(hint) for hint in hints)
        return INVALID if first else self.add_problem(place, f"must be {accepted}, got {value!r}")


def find_plugin_error(plugin: Any) -> str | None:
    """Return why a plugin cannot be named or given its blocks, or None.

    Its default values, `__eq__` and `__repr__` are its own.
    """
    try:
        canonical_json(to_spec(plugin))
        display_name(plugin)
        names = block_names(plugin)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"its parameters cannot be written in a suite: {describe_error(error)}"
    return (
        None if all(isinstance(name, str) for name in names) else f"its field `on` must name blocks, has {names!r:.80}"
    )


def _is_text(value: str, path: Path) -> bool:
    """Return True if a `Path | str` is neither on disk nor written as a path."""
    return not value.startswith(("/", "./", "../")) and not path.exists()


def _has_shape(hint: Any, value: Any) -> bool:
    """Return True if a list or a mapping is given where the type needs one."""
    if get_origin(hint) is tuple:
        return isinstance(value, list)
    mapping = hint is Labeler or dataclasses.is_dataclass(hint) or get_origin(hint) is dict
    return mapping and isinstance(value, dict)


def _describe(hint: Any) -> str:
    if hint in TYPE_NAMES:
        return TYPE_NAMES[hint]
    if hint is Labeler:
        return "a labeler"
    if get_origin(hint) is Literal:
        return " or ".join(repr(choice) for choice in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list (each {_describe(get_args(hint)[0])})"
    if get_origin(hint) in (Union, types.UnionType):
        if set(get_args(hint)) == {bool, int, float, str}:
            return "a number or text"
        return " or ".join(_describe(part) for part in get_args(hint))
    return "a mapping"


def to_spec(plugin: Any, paths: Callable[[Path], Any] = str) -> dict[str, Any]:
    """Return the JSON spec of a plugin, {name: {field: value}}.

    Every field is in it; `paths` converts the paths among the values.
    """
    fields = {f.name: to_json(getattr(plugin, f.name), paths) for f in dataclasses.fields(plugin)}
    return {plugin.name: fields}


def identity(plugin: Any, memo: Path | None = None) -> dict[str, Any]:
    """Return the spec with every path replaced by the hash of its content."""
    return to_spec(plugin, lambda path: {"sha256": hash_file(path, memo)})


def to_json(value: Any, paths: Callable[[Path], Any]) -> Any:
    """Return a field's value as JSON; `paths` converts the paths in it."""
    if isinstance(value, Path):
        return paths(value)
    if dataclasses.is_dataclass(value):
        return to_spec(value, paths)
    if isinstance(value, tuple):
        return [to_json(item, paths) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item, paths) for key, item in value.items()}
    return value


def display_name(plugin: Any, without: tuple[str, ...] = ()) -> str:
    """Return the spec without its defaults, as leaderboards show it.

    For example ``self_training(base=knn(on=bge, k=3))``.
    """
    parameters = []
    for field in dataclasses.fields(plugin):
        value = getattr(plugin, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        if value != default and field.name not in without:
            parameters.append(f"{field.name}={_short(value, field.name)}")
    return f"{plugin.name}({', '.join(parameters)})" if parameters else str(plugin.name)


def _short(value: Any, name: str) -> str:
    if dataclasses.is_dataclass(value):
        return display_name(value)
    if isinstance(value, tuple):
        joined = ("+" if name == "on" else ", ").join(_short(item, name) for item in value)
        return joined if name == "on" else f"[{joined}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_short(item, name)}' for key, item in value.items())}}}"
    return value.name if isinstance(value, Path) else str(value).lower() if isinstance(value, bool) else str(value)


def from_spec(spec: Mapping[str, Any], find: Find) -> Any:
    """Build a plugin from its JSON spec: ``from_spec(to_spec(x)) == x``."""
    reader = Reader(Document("spec", spec, {}), find)
    plugin = reader.read_plugin("labelers", dict(spec), ())
    reader.finish()
    return plugin
