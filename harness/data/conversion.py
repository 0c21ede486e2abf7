"""Convert JSON lines, JSON arrays and CSV to parquet, once by content."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from harness.data.json_columns import Fault, Shape, has_empty_object
from harness.data.json_records import Record, read_records
from harness.errors import DataError, first_few
from harness.utils.locks import hold_lock

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
RECORDS_PER_PIECE = 4_096  # JSON records converted at a time


def is_convertible(file: Path) -> bool:
    """Return True if a file is of a format that is converted to parquet."""
    return file.suffix in JSON_SUFFIXES or file.suffix in DELIMITERS


def convert(file: Path, sha256: str, cache: Path) -> tuple[Path, dict[str, tuple[Fault, ...]]]:
    """Return the parquet file of a data file, and the faults of its columns.

    A column with a fault is kept as JSON text, all or in part. The result is found again by the content, `sha256`.
    """
    folder = "jsonl" if file.suffix in JSON_SUFFIXES else file.suffix.removeprefix(".")
    target = cache / folder / f"{sha256}.parquet"
    note = target.with_suffix(".json")
    with hold_lock(target.with_suffix(".lock")):
        if not target.exists():
            scratch = target.with_suffix(".partial")
            if folder == "jsonl":
                faults = _convert_json(file, scratch, target.with_suffix(".pieces"))
                if faults:
                    note.write_text(json.dumps(faults))
            else:
                _convert_csv(file, scratch)
            scratch.replace(target)
    noted = json.loads(note.read_text()) if note.exists() else {}
    return target.absolute(), {name: tuple(Fault(*fault) for fault in faults) for name, faults in noted.items()}


def line_numbers(file: Path, rows: Iterable[int]) -> list[int]:
    """Return the lines of a JSON file on which the objects of `rows` begin."""
    rows = list(rows)
    awaited, lines = set(rows), {}
    for row, (line, _) in enumerate(read_records(file)):
        if row in awaited:
            lines[row] = line
            if len(lines) == len(awaited):
                break
    return [lines[row] for row in rows]


def _convert_json(file: Path, target: Path, pieces: Path) -> dict[str, list[Fault]]:
    """Convert JSON records to parquet, piece by piece; return the faults.

    First each piece by itself, to the file `pieces`. Columns that Arrow finds no type for, or several, are then read
    again, value by value.
    """
    types: dict[str, set[pa.DataType]] = {}
    odd, offsets = set[str](), []
    with pa.OSFile(str(pieces), "wb") as sink:
        for records in _read_pieces(file):
            columns = {}
            for name in dict.fromkeys(name for _, record in records for name in record):
                types.setdefault(name, set())
                if name in odd:
                    continue
                try:
                    columns[name] = pa.array([record.get(name) for _, record in records])
                except (pa.ArrowException, ValueError, OverflowError):
                    odd.add(name)
                else:
                    types[name].add(columns[name].type)
            piece = pa.table(columns) if columns else pa.table({"": pa.nulls(len(records))})
            offsets.append(sink.tell())
            with pa.ipc.new_stream(sink, piece.schema) as writer:
                writer.write_table(piece)
    if not offsets:
        raise DataError(f"{file}: has no rows")
    if not types:
        raise DataError(f"{file}: its objects have no keys")
    odd |= {name for name, kinds in types.items() if len(kinds - {pa.null()}) > 1 or any(map(has_empty_object, kinds))}
    shapes = _read_shapes(file, odd) if odd else {}
    fields = {name: next(iter(kinds - {pa.null()}), pa.null()) for name, kinds in types.items()}
    schema = pa.schema(fields | {name: shape.type() for name, shape in shapes.items()})
    again = _read_pieces(file) if odd else iter(())
    with pa.memory_map(str(pieces)) as source, pq.ParquetWriter(target, schema) as out:
        for offset in offsets:
            source.seek(offset)
            out.write_table(_complete(pa.ipc.open_stream(source).read_all(), schema, shapes, next(again, [])))
    pieces.unlink()
    return {name: faults for name, shape in shapes.items() if (faults := list(shape.faults()))}


def _read_pieces(file: Path) -> Iterator[list[Record]]:
    records = read_records(file)
    while piece := list(islice(records, RECORDS_PER_PIECE)):
        yield piece


def _read_shapes(file: Path, names: set[str]) -> dict[str, Shape]:
    shapes = {name: Shape() for name in names}
    for line, record in read_records(file):
        for name in names & record.keys():
            shapes[name].add(record[name], line)
    return shapes


def _complete(piece: pa.Table, schema: pa.Schema, shapes: dict[str, Shape], records: list[Record]) -> pa.Table:
    """Return a piece with all columns of the schema."""

    def column(name: str, kind: pa.DataType) -> Any:
        if name in shapes:
            return pa.array([shapes[name].encode(record.get(name)) for _, record in records], kind)
        return piece[name].cast(kind) if name in piece.column_names else pa.nulls(len(piece), kind)

    return pa.table([column(field.name, field.type) for field in schema], schema=schema)


def _convert_csv(file: Path, target: Path) -> None:
    """Convert a table with a header line to parquet; empty numbers are null."""
    parse = pc.ParseOptions(delimiter=DELIMITERS[file.suffix], newlines_in_values=True)
    try:
        table = pc.read_csv(file, pc.ReadOptions(use_threads=False), parse)  # one thread: it names the row of a fault
        repeated = {name for name in table.column_names if table.column_names.count(name) > 1}
        if repeated:
            raise DataError(f"{file}:1: the header names a column twice: {first_few(sorted(repeated))}")
        pq.write_table(table, target)
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{file}: cannot be read as a table with {_describe(file)}: {reason}") from None


def _describe(file: Path) -> str:
    return "tabs between its columns" if file.suffix == ".tsv" else "commas between its columns"
