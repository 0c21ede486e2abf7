"""Convert JSON, CSV and Arrow files to parquet, once by content."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from harness.data.formats import Format, open_text
from harness.data.json_columns import Fault, Shape, has_empty_object
from harness.data.json_records import Record, read_records
from harness.errors import DataError, first_few, printable
from harness.utils.files import DISK_ERRORS, replace_text, replacing
from harness.utils.locks import hold_lock

DELIMITERS = {"csv": ",", "tsv": "\t"}
RECORDS_PER_PIECE = 4_096  # JSON records converted at a time
Faults = dict[str, tuple[Fault, ...]]
"""The places of columns that no type fits, by column."""


def convert(file: Path, kind: Format, sha256: str, cache: Path) -> tuple[Path, Faults]:
    """Return the parquet file of a data file, and the faults of its columns.

    A column with a fault is kept as JSON text, all or in part. The result is found again by the content, `sha256`.
    """
    target = cache / kind / f"{sha256}.parquet"
    note = target.with_suffix(".json")
    with hold_lock(target.with_suffix(".lock")):
        if not target.exists():
            with replacing(target) as scratch:
                if kind == "json":
                    faults = _convert_json(file, scratch, target.with_suffix(".pieces"))
                    if faults:
                        replace_text(note, json.dumps(faults))
                elif kind == "arrow":
                    _convert_arrow(file, scratch)
                else:
                    _convert_csv(file, scratch, DELIMITERS[kind])
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


def _convert_csv(file: Path, target: Path, delimiter: str) -> None:
    """Convert a table with a header line to parquet; empty numbers are null."""
    parse = pc.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    try:
        with open_text(file) as source:  # one thread: it names the row of a fault
            table = pc.read_csv(source, pc.ReadOptions(use_threads=False), parse)
        repeated = {name for name in table.column_names if table.column_names.count(name) > 1}
        if repeated:
            raise DataError(f"{file}:1: the header names a column twice: {first_few(sorted(repeated))}")
        pq.write_table(table, target)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        marks = "tabs" if delimiter == "\t" else "commas"
        raise DataError(
            f"{file}: cannot be read as a table with {marks} between its columns: {_reason(error)}"
        ) from None


def _convert_arrow(file: Path, target: Path) -> None:
    """Convert an Arrow file or stream, such as Feather, to parquet."""
    try:
        with pa.memory_map(str(file)) as source:
            is_file = source.read(6) == b"ARROW1"
            source.seek(0)
            reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
            batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader
            with pq.ParquetWriter(target, reader.schema) as out:
                for batch in batches:
                    out.write_batch(batch)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        raise DataError(f"{file}: is not a readable Arrow file or stream: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    return printable((str(error).strip() or type(error).__name__).splitlines()[0])
