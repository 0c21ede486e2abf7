"""Read JSON lines, or a JSON array of objects, one object at a time."""

import json
import re
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO

from harness.data.formats import COMPRESSIONS, open_text
from harness.errors import DataError

READ_CHARACTERS = 2**20  # of an array at a time
BLANKS = re.compile(r"[ \t\r\n]*")

Record = tuple[int, dict[str, Any]]
"""The line on which an object begins, from 1, and the object."""


def read_records(file: Path) -> Iterator[Record]:
    """Yield (line, object) of every record of a file, in order.

    A file called .json that begins with a bracket is an array, any other has an object a line. Raises DataError with
    the line of what is no object.
    """
    with open_text(file) as source:
        is_array = is_json(file) and _begins_with(source, b"[")
    if is_array:
        yield from _read_array(file)
        return
    with open_text(file) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    value = json.loads(line, object_pairs_hook=_object)
                except (ValueError, RecursionError) as error:
                    reason = "is a single object over several lines, not an array of objects or an object a line"
                    is_one = is_json(file) and line.strip() == b"{"
                    raise DataError(f"{file}:{number}: {reason if is_one else _fault(error)}") from None
                yield number, _check_object(value, f"{file}:{number}")


def _read_array(file: Path) -> Iterator[Record]:
    """Yield (line, object) of the elements of an array.

    Only those that are being read are in memory.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_object)
    with open_text(file) as stream, TextIOWrapper(stream, encoding="utf-8-sig") as source:
        try:
            buffer, at, line, opening = source.read(READ_CHARACTERS), 0, 1, "["
            while True:
                try:
                    start, value, end = _next_element(buffer, at, opening, decoder)
                except json.JSONDecodeError as error:
                    more = source.read(max(READ_CHARACTERS, len(buffer) - at))
                    if not more:
                        place = f"{file}:{line + buffer.count(chr(10), at, error.pos)}"
                        raise DataError(f"{place}: is not JSON: {error.msg}") from None
                    buffer, at = buffer[at:] + more, 0
                    continue
                if start == end:
                    if (buffer[end:] + source.read(READ_CHARACTERS)).strip():
                        raise DataError(f"{file}:{line}: is not JSON: Extra data after the array")
                    return
                line += buffer.count("\n", at, start)
                yield line, _check_object(value, f"{file}:{line}")
                line += buffer.count("\n", start, end)
                at, opening = end, ","
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file}: {_fault(error)}") from None


def _next_element(text: str, at: int, opening: str, decoder: json.JSONDecoder) -> tuple[int, Any, int]:
    """Return (start, value, end) of the element behind `opening`.

    At the end of the array, start and end are equal. Raises JSONDecodeError where the text ends too early, or is wrong.
    """
    at = BLANKS.match(text, at).end()  # type: ignore[union-attr]
    if opening == "," and text[at : at + 1] == "]":
        return at + 1, None, at + 1
    if text[at : at + 1] != opening:
        raise json.JSONDecodeError(f"Expecting {opening!r}", text, at)
    start = BLANKS.match(text, at + 1).end()  # type: ignore[union-attr]
    if opening == "[" and text[start : start + 1] == "]":
        return start + 1, None, start + 1
    value, end = decoder.raw_decode(text, start)
    if end == len(text):
        raise json.JSONDecodeError("Expecting ',' or ']'", text, end)
    return start, value, end


def is_json(file: Path) -> bool:
    """Return True for a file that may hold one array: data.json(.gz)."""
    return Path(file.name.removesuffix(file.suffix if file.suffix in COMPRESSIONS else "")).suffix == ".json"


def _begins_with(source: BinaryIO, mark: bytes) -> bool:
    return source.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(mark)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} is given twice")
    return values


def _check_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: must be an object {{...}}, is {type(value).__name__}")
    return value


def _fault(error: BaseException) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if "is given twice" in text else f"is not JSON: {text}"
