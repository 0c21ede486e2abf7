"""Open data as one parquet file.

Accepted are parquet files; JSON, CSV and Arrow files, which are converted once; folders and patterns of any one of
these, whose rows are joined once; data sets of the hub; the simulated twin.
"""

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.data import hub, twin
from harness.data.conversion import convert
from harness.data.formats import ACCEPTED, describe_format, format_of
from harness.data.json_columns import Fault
from harness.data.origin import Origin, locate
from harness.data.shards import find_files, join_files, origins_of
from harness.errors import DataError, printable
from harness.utils.files import describe_special, replacing
from harness.utils.hashing import digest, hash_file
from harness.utils.locks import hold_lock
from harness.utils.yaml_file import suggest_sibling

NOT_PARQUET = "is not a readable parquet file"
PATH = ("data", "path")  # the place in a suite
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
    origins: tuple[Origin, ...] = field(default=(), compare=False)  # the files that its rows are from; (): itself
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)  # of columns that no type fits
    raters: "DataTable | None" = None  # the file of the raters' labels, where the suite names one

    @property
    def columns(self) -> list[str]:
        return list(pq.read_schema(self.path).names)

    def locate(self, rows: Iterable[int]) -> tuple[str, str, int]:
        """Return (file, "row 0, 2, ...", count) of rows, by the given files."""
        return locate(self.origins or (Origin(self.display_name),), rows)

    def check_column(self, name: str, paths: Container[str] | None = None) -> None:
        """Raise DataError if a JSON column has values of several types.

        Of a column of objects only the places `paths` count; None: all.
        """
        for fault in self.faults.get(name, ()):
            if paths is None or fault.path in paths:
                place = f"{fault.file or self.display_name}:{fault.line}"
                where = f"column {name!r}" + (f" ({fault.path.lstrip('.')})" if fault.path else "")
                raise DataError(f"{place}: {where}: {fault.words}; a column that the suite reads must be of one type")


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
        accepted = f"files ({ACCEPTED}), folders and patterns of them, hub:OWNER/NAME and {TWIN_PATH}, {TWIN_PATH}:ROWS"
        raise DataError(f"{path}: cannot be read; known are {accepted}", PATH)
    files = find_files(path, folders)
    if not files and when_missing == "twin":
        return _open_twin(cache, twin_rows or twin.POOL, skywork)
    if not files:
        places = " and ".join(str(folder.absolute()) for folder in dict.fromkeys(folders))
        suggestion = next(filter(None, (suggest_sibling(folder / path) for folder in folders)), "")
        raise DataError(f"{path}: no such file (looked in {places}){suggestion}", PATH)
    if len(files) == 1:
        return _open_file(files[0], path, cache)
    root = Path(os.path.commonpath([file.parent for file in files]))
    opened = [_open_file(file, file.relative_to(root).as_posix(), cache) for file in files]
    return _join(opened, files, path, cache)


def _open_file(file: Path, name: str, cache: Path) -> DataTable:
    """Open one file; `name` is that of the user."""
    if (fault := describe_special(file)) is not None:
        raise DataError(f"{name}: {NOT_PARQUET}: {fault}", PATH)
    sha256 = hash_file(file, cache / "digests")
    kind = format_of(file)
    if kind is not None and kind != "parquet":
        converted, faults = convert(file, kind, sha256, cache)
        records = file if kind == "json" else None
        return DataTable(converted, name, sha256, False, (Origin(name, records=records),), faults)
    _check_readable(file)
    return DataTable(file.absolute(), name, sha256, simulated=False)


def _join(tables: Sequence[DataTable], files: Sequence[Path], path: str, cache: Path) -> DataTable:
    """Join the rows of several files into one table."""
    faults: dict[str, tuple[Fault, ...]] = {}
    for table in tables:
        for column, of_column in table.faults.items():
            named = (fault._replace(file=table.display_name) for fault in of_column)
            faults[column] = (*faults.get(column, ()), *named)
    names = [table.display_name for table in tables]
    parts = [table.path for table in tables]
    sha256 = digest([[table.display_name, table.sha256] for table in tables])
    target = cache / "joined" / f"{sha256}.parquet"
    join_files(parts, names, target)
    records = [file if format_of(file) == "json" else None for file in files]
    return DataTable(target.absolute(), path, sha256, False, origins_of(parts, names, records), faults)


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
        reason = describe_format(file) or f"{NOT_PARQUET}: {_first_line(error)}"
        raise DataError(f"{file}: {reason}") from None
    if len(schema.names) != len(set(schema.names)):
        raise DataError(f"{file}: two columns have the same name")


def _open_twin(cache: Path, rows: int, skywork: bool) -> DataTable:
    # Hashed is how it is made. The second embedding is no part of it: without it the other columns are the same.
    sha256 = digest(TWIN_PATH, rows, twin.VERSION, hash_file(twin.SHARES), version("numpy"))
    file = cache / "twin" / f"tulu_300k-{rows}{'-skywork' * skywork}-{sha256[:12]}.parquet"
    with hold_lock(file.with_suffix(".lock")):
        if not file.exists():
            with replacing(file) as scratch:
                twin.write(scratch, rows, skywork=skywork)
    return DataTable(file.absolute(), f"{TWIN_PATH} ({rows:,} rows)", sha256, simulated=True)


def _first_line(error: BaseException) -> str:
    return printable((str(error).strip() or type(error).__name__).splitlines()[0])


def batches(file: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows in order, all columns or those named.

    They are read one row group after another: of all of them at once Arrow reads ahead without a bound.
    """
    with pq.ParquetFile(file, buffer_size=READ_BYTES, pre_buffer=False, page_checksum_verification=True) as opened:
        for group in range(opened.num_row_groups):
            yield from opened.iter_batches(STREAMED_ROWS, row_groups=[group], columns=columns)
