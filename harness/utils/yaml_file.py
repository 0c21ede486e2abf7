"""Read untrusted YAML 1.2 files as plain values with line numbers."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from harness.errors import SuiteError, printable
from harness.utils.files import describe_special

Place = tuple[str | int, ...]
"""The keys that lead to a value: ("labelers", 3, "knn", "tau")."""

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_EVENTS = 5_000  # one per value, two per list or mapping: a quarter of a second of parsing
DATA_SUFFIXES = (".parquet", ".jsonl", ".ndjson")  # data files that are given by mistake
NOT_IN_YAML = re.compile("[\\x7f-\\uffff]")  # what may not stand in YAML as it is, and more: written by its number
YAML_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Document:
    """The values of a YAML file and their lines."""

    file: str
    value: Any
    lines: dict[Place, int] | None  # None: of a mapping in memory, which has no lines

    def at(self, place: Place) -> str:
        """Return 'file:line: labelers[3].knn.tau' for a place.

        The line of a place that the file lacks is that of the nearest one around it.
        """
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".")
        if self.lines is None:
            return f"{self.file}: {text}" if text else self.file
        nearest = place
        while nearest not in self.lines and nearest:
            nearest = nearest[:-1]
        return f"{self.file}:{self.lines.get(nearest, 1)}: {text or 'file'}"


def load(path: Path) -> Document:
    """Read a YAML file.

    Raises SuiteError, with file and line, where it is not valid.
    """
    if path.suffix in DATA_SUFFIXES:
        raise SuiteError(f"{path}: is a file of data; what is asked for is a suite, a YAML file that names it")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise SuiteError(f"{path}: {describe_special(path)}; a suite is a YAML file")  # to open it could take for ever
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise SuiteError(f"{path}: no such file{suggest_sibling(path)}") from None
    except OSError as error:
        raise SuiteError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise SuiteError(f"{path}: {len(raw):,} bytes; a suite file has at most {MAX_BYTES:,}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SuiteError(f"{path}:{line}: is not UTF-8 (byte {error.start} is {raw[error.start]:#04x})") from None
    return parse(text, str(path))


def from_mapping(mapping: Mapping[str, Any], name: str) -> tuple[Document, str]:
    """Read a mapping as YAML is read; return its document, and it as YAML.

    Tuples, paths and NumPy's numbers are taken for what YAML has. Raises SuiteError, as `load` does, with the place and
    no line.
    """
    text = json.dumps(_plain(mapping, (), name), indent=1, ensure_ascii=False)
    text = NOT_IN_YAML.sub(lambda character: f"\\u{ord(character[0]):04x}", text)
    return Document(name, parse(text, name).value, None), f"{text}\n"


def _plain(value: Any, place: Place, name: str) -> Any:
    """Return a value as JSON has it."""
    at = Document(name, None, None).at(place)
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if len(place) > MAX_DEPTH:
        raise SuiteError(f"{name}: nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise SuiteError(f"{at}: a key must be a plain name, got {printable(repr(wrong[0]))}")
        return {key: _plain(item, (*place, key), name) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*place, i), name) for i, item in enumerate(value)]
    if isinstance(value, float) and value - value != 0:
        raise SuiteError(f"{at}: {value} is not a finite number")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, PurePath):
        return str(value)
    raise SuiteError(f"{at}: has the type {type(value).__name__}, which a suite cannot give")


def suggest_sibling(path: Path) -> str:
    """Return "; did you mean 'x.yaml'?" for a missing file, or "".

    The suggestion is a file of a similar name in the same folder.
    """
    try:
        siblings = {file.name: file for file in path.parent.iterdir() if file.is_file()}
    except OSError:
        return ""
    close = get_close_matches(path.name, siblings, n=1, cutoff=0.75)
    return f"; did you mean '{siblings[close[0]]}'?" if close else ""


def parse(text: str, file: str) -> Document:
    """Read YAML from a string; `file` is the name in error messages."""
    try:
        _check_size(text, file)
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SuiteError(f"{file}:{line}: not valid YAML: {error.problem or error.context}") from None
    except YAMLError as error:
        reason = str(error).strip().splitlines()[0]
        line = text[: getattr(error, "position", 0)].count("\n") + 1
        raise SuiteError(f"{file}:{line}: not valid YAML: {reason}") from None
    if node is None:
        raise SuiteError(f"{file}: is empty")
    lines: dict[Place, int] = {}
    return Document(file, _value(node, (), lines, file), lines)


def _check_size(text: str, file: str) -> None:
    depth = 0
    events: Iterator[Any] = YAML(typ="safe", pure=True).parse(text)
    for count, event in enumerate(events):
        where = f"{file}:{event.start_mark.line + 1}"
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise SuiteError(f"{where}: anchors and aliases are not supported; write the value out again")
        if isinstance(event, CollectionStartEvent | ScalarEvent) and event.tag is not None:
            raise SuiteError(f"{where}: tags such as {event.tag!r} are not supported; write a plain value")
        if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
            raise SuiteError(f"{where}: only YAML 1.2 is supported; leave the %YAML line out")
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise SuiteError(f"{where}: nested more than {MAX_DEPTH} deep")
        if count > MAX_EVENTS:
            raise SuiteError(f"{where}: holds too many values; a suite file has at most some {MAX_EVENTS:,}")


def _value(node: Node, place: Place, lines: dict[Place, int], file: str) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(place, line)
    if isinstance(node, MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(key_node, file)
            key_line = key_node.start_mark.line + 1
            if key in mapping:
                raise SuiteError(f"{file}:{key_line}: {key!r} is given twice, first in line {lines[(*place, key)]}")
            lines[(*place, key)] = key_line
            mapping[key] = _value(value_node, (*place, key), lines, file)
        return mapping
    if isinstance(node, SequenceNode):
        return [_value(child, (*place, i), lines, file) for i, child in enumerate(node.value)]
    return _scalar(node, f"{file}:{line}")


def _key(node: Node, file: str) -> str:
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        return str(node.value)
    raise SuiteError(f"{file}:{node.start_mark.line + 1}: a key must be a plain name")


def _scalar(node: Node, where: str) -> Any:
    text, tag = str(node.value), str(node.tag)
    match tag.removeprefix(YAML_TAG):
        case "str":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            digits = text.replace("_", "")
            if len(digits) > 20:
                raise SuiteError(f"{where}: the number {text[:20]}... is too long")
            try:
                return int(digits, 0 if digits.lstrip("+-").lower().startswith(("0x", "0o", "0b")) else 10)
            except ValueError:
                raise SuiteError(f"{where}: {text} is not a whole number") from None
        case "float":
            number = float(text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
            if number - number != 0:
                raise SuiteError(f"{where}: {text} is not a finite number")
            return number
    raise SuiteError(f"{where}: {tag} is not supported here; write a plain value" + (" in quotes" if text else ""))
