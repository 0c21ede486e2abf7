"""Convert rules to arrays and JSON, and back, without pickle.

A rule is written by the fields of its dataclass. It is read back with the classes that the return type of a labeler's
``learn`` names, and those of their fields: a file names one of these, and never what is to be imported.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, PluginError, describe_error
from harness.plugin.protocols import iter_plugins
from harness.suite import spec

ARRAY_KINDS = "biuf"  # NumPy's kinds of numbers
PLAIN = (str, int, float, bool, type(None))
Arrays = dict[str, NDArray[Any]]


def find_learn_error(labeler: Any) -> str | None:
    """Return why no rule of a labeler can be saved, or None."""
    for plugin in iter_plugins(labeler):
        if getattr(plugin, "transductive", False):
            return f"labeler {plugin.name!r} is transductive: the rows to label are part of what it learns from"
        if not hasattr(plugin, "learn"):
            return f"labeler {plugin.name!r} has no learn()"
    return None


def rule_classes(labeler: Any) -> dict[str, type]:
    """Return the classes of a labeler's rule by name, nested ones included.

    Raises PluginError where a ``learn`` does not name what it returns.
    """
    classes: dict[str, type] = {}
    for plugin in iter_plugins(labeler):
        try:
            returned = get_type_hints(type(plugin).learn).get("return")
            classes |= dataclass_names(*_dataclasses_in(returned))
        except (NameError, TypeError, AttributeError) as error:
            form = "must name the class that it returns: def learn(self, task: Task) -> MyRule"
            raise PluginError(f"labeler {plugin.name!r}: learn() {form}: {describe_error(error)}") from error
    return classes


def dataclass_names(*roots: type) -> dict[str, type]:
    """Return dataclasses, and those in the types of their fields, by name."""
    classes: dict[str, type] = {}
    pending = list(roots)
    while pending:
        cls = pending.pop()
        if _name(cls) not in classes:
            classes[_name(cls)] = cls
            pending += [part for hint in get_type_hints(cls).values() for part in _dataclasses_in(hint)]
    return classes


def _dataclasses_in(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield hint
    for part in get_args(hint):
        yield from _dataclasses_in(part)


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def to_arrays(value: Any, classes: Mapping[str, type]) -> tuple[Arrays, Any]:
    """Return a dataclass as arrays by name, and JSON that names them.

    `classes` are those that may be in it. Raises PluginError for a value that cannot be stored, with its place.
    """
    arrays = Arrays()

    def write(value: Any, place: str) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not np.isfinite(value):
            return {"float": str(value)}
        if isinstance(value, PLAIN):
            return value
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in ARRAY_KINDS:
                raise PluginError(f"{place} is an array of {value.dtype}; a rule holds arrays of numbers")
            arrays[place] = value
            return {"array": place}
        if isinstance(value, tuple):
            return {"tuple": [write(item, f"{place}.{i}") for i, item in enumerate(value)]}
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {"dict": [[key, write(item, f"{place}.{i}")] for i, (key, item) in enumerate(value.items())]}
        if hasattr(value, "name") and hasattr(value, "label") and dataclasses.is_dataclass(value):
            return {"labeler": spec.to_spec(value)}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            name = _name(type(value))
            if name not in classes:
                raise PluginError(f"{place} is a {name}, which no return type of learn() and no field's type names")
            parts = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
            return {"class": name, "fields": {key: write(item, f"{place}.{key}") for key, item in parts}}
        raise PluginError(f"{place} is a {type(value).__name__}, which a rule cannot hold")

    return arrays, write(value, "rule")


def from_arrays(
    arrays: Mapping[str, NDArray[Any]], form: Any, classes: Mapping[str, type], find: Callable[[str, str], Any]
) -> Any:
    """Return the dataclass that `to_arrays` wrote; `find` is the catalog's.

    Raises DataError where the JSON is of another form, or of another version of the classes.
    """

    def read(value: Any) -> Any:
        if isinstance(value, PLAIN):
            return value
        match value:
            case {"float": str(number)}:
                return float(number)
            case {"array": str(place)}:
                return arrays[place]
            case {"tuple": list(items)}:
                return tuple(map(read, items))
            case {"dict": list(pairs)}:
                return {key: read(item) for key, item in pairs}
            case {"labeler": dict(plugin)}:
                return spec.from_spec(plugin, find)
            case {"class": str(name), "fields": dict(parts)}:
                return classes[name](**{key: read(item) for key, item in parts.items()})
        raise TypeError(f"{value!r:.80} is no part of a rule")

    try:
        return read(form)
    except (KeyError, TypeError, ValueError) as error:
        fault = f"is no {error} here" if isinstance(error, KeyError) else describe_error(error)
        raise DataError(f"of another version of the plugins than is installed: {fault}") from None
