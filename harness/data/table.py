"""Open data as one parquet file.

Accepted are parquet files, JSON lines, which are converted once, data sets of the hub and the simulated twin.
"""

import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.data import hub, twin
from harness.errors import DataError
from harness.utils.hashing import digest, hash_file
from harness.utils.locks import hold_lock
from harness.utils.yaml_file import suggest_sibling

LINES_PER_PIECE = 4_096  # JSON lines converted at a time
TWIN_PATH = "twin:tulu_300k"
STREAMED_ROWS = 4_096  # rows at a time
READ_BYTES = 2**20  # bytes of a column read at a time


@dataclass(frozen=True)
class DataTable:
    """A parquet file and its display name."""

    path: Path
    display_name: str  # as the user named it
    sha256: str
    simulated: bool

    @property
    def columns(self) -> list[str]:
        return list(pq.read_schema(self.path).names)


def open_table(
    path: str,
    folders: tuple[Path, ...],
    cache: Path,
    when_missing: str,
    twin_rows: int | None,
    columns: Container[str] = (),
) -> DataTable:
    """Open the data that a suite names; `when_missing` is "error" or "twin".

    A twin has its second embedding, most of its size, only if that is among `columns`; other data have all their
    columns anyway. Raises DataError with advice.
    """
    skywork = twin.SKYWORK in columns
    if is_twin(path):
        return _open_twin(cache, twin_rows or twin_size(path), skywork)
    if hub.is_hub(path):
        fetched = hub.fetch(path, cache)
        _check_readable(fetched.file)
        return DataTable(fetched.file, fetched.display_name, fetched.sha256, simulated=False)
    if path.startswith("twin:"):
        accepted = f"files (parquet, jsonl), hub:OWNER/NAME and {TWIN_PATH}, {TWIN_PATH}:ROWS"
        raise DataError(f"{path}: cannot be read; known are {accepted}")
    candidates = [folder / path for folder in folders]
    file = next((c for c in candidates if c.exists()), None)
    if file is None and when_missing == "twin":
        return _open_twin(cache, twin_rows or twin.POOL, skywork)
    if file is None:
        places = " and ".join(str(folder.absolute()) for folder in dict.fromkeys(folders))
        suggestion = next(filter(None, map(suggest_sibling, candidates)), "")
        raise DataError(f"{path}: no such file (looked in {places}){suggestion}")
    sha256 = hash_file(file, cache / "digests")
    if file.suffix in (".jsonl", ".ndjson", ".json"):
        return DataTable(_cached_conversion(file, sha256, cache), path, sha256, simulated=False)
    _check_readable(file)
    return DataTable(file.absolute(), path, sha256, simulated=False)


def is_twin(path: str) -> bool:
    """Return True if a path is twin:tulu_300k or twin:tulu_300k:ROWS."""
    return path == TWIN_PATH or path.startswith(f"{TWIN_PATH}:")


def twin_size(path: str) -> int:
    """Return the number of rows of the twin that a path names."""
    if path == TWIN_PATH:
        return twin.POOL
    rows = path.removeprefix(f"{TWIN_PATH}:")
    if not rows.isdecimal():
        raise DataError(f"{path}: must be {TWIN_PATH} or {TWIN_PATH}:ROWS, got {rows!r} for the rows")
    return int(rows)


def _check_readable(file: Path) -> None:
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: is not a readable parquet or .jsonl file: {_first_line(error)}") from None
    if b"pandas" not in (schema.metadata or {}) and len(schema.names) != len(set(schema.names)):
        raise DataError(f"{file}: two columns have the same name")


def _open_twin(cache: Path, rows: int, skywork: bool) -> DataTable:
    # Hashed is how it is made. The second embedding is no part of it: without it the other columns are the same.
    sha256 = digest(TWIN_PATH, rows, twin.VERSION, hash_file(twin.SHARES), version("numpy"))
    file = cache / "twin" / f"tulu_300k-{rows}{'-skywork' * skywork}-{sha256[:12]}.parquet"
    with hold_lock(file.with_suffix(".lock")):
        if not file.exists():
            scratch = file.with_suffix(".partial")
            twin.write(scratch, rows, skywork=skywork)
            scratch.replace(file)
    return DataTable(file.absolute(), f"{TWIN_PATH} ({rows:,} rows)", sha256, simulated=True)


def _cached_conversion(file: Path, sha256: str, cache: Path) -> Path:
    target = cache / "jsonl" / f"{sha256}.parquet"
    with hold_lock(target.with_suffix(".lock")):
        if not target.exists():
            scratch = target.with_suffix(".partial")
            try:
                _convert(file, scratch, target.with_suffix(".pieces"))
            except pa.ArrowException as error:
                raise DataError(
                    f"{file}: its lines do not have the same columns and types: {_first_line(error)}"
                ) from None
            scratch.replace(target)
    return target.absolute()


def _convert(file: Path, target: Path, pieces: Path) -> None:
    """Convert JSON lines to parquet, piece by piece.

    First each piece by itself, to the file `pieces`; then all under one schema.
    """
    schemas, offsets = [], []
    with pa.OSFile(str(pieces), "wb") as sink:
        for piece in _read_pieces(file):
            offsets.append(sink.tell())
            schemas.append(piece.schema)
            with pa.ipc.new_stream(sink, piece.schema) as writer:
                writer.write_table(piece)
    if not schemas:
        raise DataError(f"{file}: has no rows")
    schema = pa.unify_schemas(schemas, promote_options="permissive")
    with pa.memory_map(str(pieces)) as source, pq.ParquetWriter(target, schema) as out:
        for offset in offsets:
            source.seek(offset)
            out.write_table(_cast(pa.ipc.open_stream(source).read_all(), schema))
    pieces.unlink()


def _read_pieces(file: Path) -> Iterator[pa.Table]:
    with file.open("rb") as lines:
        numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
        while batch := list(islice(numbered, LINES_PER_PIECE)):
            records = [_record(line, f"{file}:{number}") for number, line in batch]
            yield _table_of(records, f"{file}:{batch[0][0]}-{batch[-1][0]}")


def _record(line: bytes, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: is not JSON: {_first_line(error)}") from None
    if not isinstance(record, dict):
        raise DataError(f"{place}: must be an object {{...}}, is {type(record).__name__}")
    return record


def _table_of(records: list[dict[str, Any]], place: str) -> pa.Table:
    """Make columns of the names in all records, not in the first alone."""
    columns = {}
    for name in dict.fromkeys(name for record in records for name in record):
        try:
            columns[name] = pa.array([record.get(name) for record in records])
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise DataError(f"{place}: column {name!r} cannot be of one type: {_first_line(error)}") from None
    return pa.table(columns)


def _cast(piece: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        piece[field.name].cast(field.type) if field.name in piece.column_names else pa.nulls(len(piece), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def batches(file: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows in order, all columns or those named.

    They are read one row group after another: of all of them at once Arrow reads ahead without a bound.
    """
    with pq.ParquetFile(file, buffer_size=READ_BYTES, pre_buffer=False) as opened:
        for group in range(opened.num_row_groups):
            yield from opened.iter_batches(STREAMED_ROWS, row_groups=[group], columns=columns)
