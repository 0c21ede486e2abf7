"""Read what people answered: CSV, or an export of Label Studio or Argilla."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.formats import open_text
from harness.data.json_records import read_records
from harness.errors import DataError, did_you_mean, printable
from harness.label.task_file import ID, LABEL
from harness.utils.files import describe_special
from harness.utils.yaml_file import suggest_sibling

TABLES, RECORDS = (".csv",), (".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Answer:
    """The label that one row was given."""

    place: str  # file:line
    id: str
    label: str


class RecordError(Exception):
    """What is wrong with one record."""


def read_answers(file: Path) -> tuple[list[Answer], list[str]]:
    """Return the answers of a file in order, and a line for each mistake.

    Rows without an answer are left out. Raises DataError where the file is none of the three forms.
    """
    if not file.exists():
        raise DataError(f"--gold {file}: no such file{suggest_sibling(file)}")
    if (fault := describe_special(file)) is not None:
        raise DataError(f"--gold {file}: {fault}")
    if file.suffix not in (*TABLES, *RECORDS):
        raise DataError(
            f"--gold {file}: must be {', '.join(TABLES)}, or {', '.join(RECORDS)} of Label Studio or Argilla"
        )
    answers, faults = [], []
    for place, record in _read_table(file) if file.suffix in TABLES else _read_export(file):
        try:
            label = _label(record)
            if label is not None:
                answers.append(Answer(place, _id(record), label))
        except RecordError as error:
            faults.append(f"{place}: {error}")
    return answers, faults


def _read_export(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for line, record in read_records(file):
        yield f"{file}:{line}", record


def _read_table(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (place, record) of the lines of a CSV file, as if of Argilla."""
    with open_text(file) as source:
        try:
            text = source.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{file}: is not UTF-8 at byte {error.start:,}; save it as CSV UTF-8") from None
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    try:
        header = next(reader, [])
        for name in (ID, LABEL):
            if header.count(name) != 1:
                fault = "two columns" if name in header else "no column"
                raise DataError(f"{file}:1: {fault} {name!r}{did_you_mean(name, header) if name not in header else ''}")
        line = reader.line_num + 1
        for row in reader:
            if row:
                values = dict(zip(header, row, strict=False))
                if len(row) != len(header):
                    raise DataError(f"{file}:{line}: has {len(row)} values, the header {len(header)}")
                answer = values[LABEL].strip()
                yield f"{file}:{line}", {"id": values[ID].strip(), "responses": {LABEL: [{"value": answer or None}]}}
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}:{reader.line_num}: is not CSV: {error}") from None


def _id(record: Mapping[str, Any]) -> str:
    """Return the id that the harness gave to a task."""
    holder = record["data"] if "annotations" in record else record
    value = holder.get(ID) if isinstance(holder, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise RecordError(f"has no {'data.' if 'annotations' in record else ''}{ID} that is text or a whole number")
    return str(value)


def _label(record: Mapping[str, Any]) -> str | None:
    """Return the answer of a task; None where it has none.

    Several people may have given it, but the same.
    """
    if "annotations" in record:
        labels = _annotated(record)
    elif "responses" in record:
        labels = _responses(record)
    else:
        raise RecordError(
            "is neither a task of Label Studio ('annotations'; export as JSON, not JSON-MIN) nor a record of Argilla "
            "('responses')"
        )
    distinct = list(dict.fromkeys(map(_text, labels)))
    if len(distinct) > 1:
        given = ", ".join(printable(label) for label in distinct)
        raise RecordError(f"id {_id(record)!r} has several answers: {given}; keep one")
    return distinct[0] if distinct else None


def _annotated(record: Mapping[str, Any]) -> Iterator[object]:
    """Yield the answers of a task of Label Studio; skipped tasks have none."""
    if not isinstance(record["annotations"], list) or "data" not in record:
        raise RecordError("is no task of Label Studio: needs 'data' and a list of 'annotations'")
    for annotation in record["annotations"]:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
            raise RecordError("an annotation has no list 'result'")
        if annotation.get("was_cancelled"):
            continue
        for result in annotation["result"]:
            if isinstance(result, dict) and result.get("from_name") == LABEL:
                value = result.get("value")
                choices = value.get("choices") if isinstance(value, dict) else None
                if not isinstance(choices, list) or len(choices) != 1:
                    raise RecordError(f"id {_id(record)!r}: {LABEL!r} must be one choice")
                yield choices[0]


def _responses(record: Mapping[str, Any]) -> Iterator[object]:
    """Yield the answers of a record of Argilla; drafts are none."""
    responses = record["responses"] or {}
    if not isinstance(responses, dict) or not isinstance(responses.get(LABEL, []), list):
        raise RecordError(f"'responses' must have a list {LABEL!r}")
    if record.get("status") == "pending":
        return
    for response in responses.get(LABEL, []):
        value = response.get("value") if isinstance(response, dict) else None
        if value is not None:
            yield value


def _text(label: object) -> str:
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, int | float | str):
        return str(label)
    raise RecordError(f"the answer must be text or a number, is {type(label).__name__}")
