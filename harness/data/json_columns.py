"""The Arrow type of a JSON column whose values are not all alike.

What has no type of its own, values of several types or empty objects, is kept as JSON text.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

SINGLE_TYPES = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string()}
MIXTURES = ({"int", "long"}, {"int", "float"}, {"list"}, {"object"}, *({name} for name in SINGLE_TYPES))
LARGEST_EXACT = 2**53  # of the integers that float64 can hold beside fractions


class Fault(NamedTuple):
    """A place of a column whose values have no common type."""

    path: str  # "" for the column, "[].content" for a field of its lists' objects
    line: int  # of the first value that does not fit
    words: str  # "text, after int"
    file: str = ""  # of several that a table is joined from


@dataclass
class Shape:
    """The kinds of values at one place of many records."""

    kinds: list[str] = field(default_factory=list)  # in the order of their first value
    item: "Shape | None" = None
    fields: dict[str, "Shape"] = field(default_factory=dict)
    fault: tuple[int, str] | None = None

    def add(self, value: Any, line: int) -> None:
        """Take a value of a line into account."""
        if value is None:
            return
        kind = _kind(value)
        if kind not in self.kinds:
            before = " and ".join(self.kinds)
            self.kinds.append(kind)
            if self.fault is None and not self.is_single:
                self.fault = line, f"{kind}, after {before}" if before else kind
        if isinstance(value, list):
            self.item = self.item or Shape()
            for element in value:
                self.item.add(element, line)
        elif isinstance(value, dict):
            for name, element in value.items():
                self.fields.setdefault(name, Shape()).add(element, line)

    @property
    def is_single(self) -> bool:
        """Return True if one Arrow type can hold all values."""
        return not self.kinds or any(set(self.kinds) <= kinds for kinds in MIXTURES)

    @property
    def is_text(self) -> bool:
        """Return True if the values are kept as JSON text."""
        return not self.is_single or (self.kinds == ["object"] and not self.fields)

    def type(self) -> pa.DataType:
        """Return the Arrow type of the values that `encode` returns."""
        if self.is_text:
            return pa.string()
        if self.item is not None:
            return pa.list_(self.item.type())
        if self.fields:
            return pa.struct([(name, shape.type()) for name, shape in self.fields.items()])
        kind = (
            "float" if "float" in self.kinds else "int" if "long" in self.kinds else self.kinds[0] if self.kinds else ""
        )
        return SINGLE_TYPES.get(kind, pa.null())

    def encode(self, value: Any) -> Any:
        """Return a value with JSON text where nothing else can hold it."""
        if value is None:
            return None
        if self.is_text:
            return json.dumps(value)
        if isinstance(value, list) and self.item is not None:
            return [self.item.encode(element) for element in value]
        if isinstance(value, dict):
            return {name: self.fields[name].encode(element) for name, element in value.items()}
        return float(value) if "float" in self.kinds else value

    def faults(self, path: str = "") -> Iterator[Fault]:
        """Yield the places whose values have no common type."""
        if self.fault is not None:
            yield Fault(path, *self.fault)
        elif self.item is not None:
            yield from self.item.faults(f"{path}[]")
        else:
            for name, shape in self.fields.items():
                yield from shape.faults(f"{path}.{name}")


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() if -(2**63) <= value < 2**63:
            return "int" if abs(value) <= LARGEST_EXACT else "long"
        case int():
            return "an integer beyond 64 bits"
        case float():
            return "float"
        case list():
            return "list"
        case dict():
            return "object"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "text that is not Unicode"
    return "text"


def has_empty_object(kind: pa.DataType) -> bool:
    """Return True if a type has a struct without a field.

    No parquet file holds one.
    """
    return (pa.types.is_struct(kind) and kind.num_fields == 0) or any(
        has_empty_object(kind.field(i).type) for i in range(kind.num_fields)
    )
