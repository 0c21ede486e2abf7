"""Find the files that a path names, and join the rows of several."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.formats import ACCEPTED, Format, format_of
from harness.data.origin import Origin
from harness.errors import DataError, first_few
from harness.utils.files import replacing
from harness.utils.locks import hold_lock

READ_BYTES = 2**20  # bytes of a column read at a time
BATCH_ROWS = 4_096
GLOB_MARKS = "*?["
DATASET_FILES = {"dataset_info.json", "state.json", "dataset_dict.json"}  # that `datasets` writes beside its shards
MAX_FILES = 100_000


def find_files(path: str, folders: Sequence[Path]) -> list[Path]:
    """Return the files of a path in the first of the folders that has any.

    A path is a file, a folder with files of one format, or a pattern such as "data/*.csv"; the files are in the order
    of their names. Nothing is [].
    """
    home = Path(path).expanduser()
    for folder in folders:
        place = folder / home
        if place.is_dir():
            return _files_in(place, path)
        if place.exists():
            return [place]
        if any(mark in path for mark in GLOB_MARKS):
            start = Path(home.anchor) if home.is_absolute() else folder
            pattern = str(home.relative_to(home.anchor)) if home.is_absolute() else str(home)
            if files := _one_format(sorted(start.glob(pattern)), path):
                return files
    return []


def _files_in(folder: Path, path: str) -> list[Path]:
    splits = sorted(inside.name for inside in folder.iterdir() if (inside / "state.json").is_file())
    if (folder / "dataset_dict.json").is_file() and splits:
        named = first_few(splits)
        raise DataError(
            f"{path}: a saved DatasetDict with the splits {named}; name one, as {path.rstrip('/')}/{splits[0]}"
        )
    inside = (p for p in sorted(folder.rglob("*")) if not any(part[0] in "._" for part in p.relative_to(folder).parts))
    files = _one_format([p for p in inside if p.name not in DATASET_FILES], path)
    if not files:
        raise DataError(f"{path}: no data file in this folder; read are {ACCEPTED}")
    return files


def _one_format(files: Sequence[Path], path: str) -> list[Path]:
    """Return those of the files that are data; refuse several formats."""
    kinds: dict[Format, Path] = {}
    data = [file for file in files if file.is_file() and format_of(file)]
    for file in data:
        kind = format_of(file)
        if kind is not None:
            kinds.setdefault(kind, file)
    if len(kinds) > 1:
        names = " and ".join(file.name for file in kinds.values())
        raise DataError(f"{path}: files of several formats, such as {names}; name one, as '*{data[0].suffix}'")
    if len(data) > MAX_FILES:
        raise DataError(f"{path}: {len(data):,} files, at most {MAX_FILES:,} are read")
    return data


def join_files(parts: Sequence[Path], origins: Sequence[str], target: Path, schema: pa.Schema | None = None) -> None:
    """Write the rows of parquet files, one after the other, to `target`.

    `origins` are the files as the user names them; the columns are those of a `schema`, where one is given. Raises
    DataError with the first whose columns do not fit.
    """
    with hold_lock(target.with_suffix(".lock")):
        if target.exists():
            return
        schema = _common_schema(parts, origins) if schema is None else schema
        with replacing(target) as scratch, pq.ParquetWriter(scratch, schema) as out:
            for part, origin in zip(parts, origins, strict=True):
                with pq.ParquetFile(part, buffer_size=READ_BYTES, page_checksum_verification=True) as file:
                    for batch in file.iter_batches(BATCH_ROWS):
                        out.write_batch(cast_batch(batch, schema, origin))


def origins_of(parts: Sequence[Path], names: Sequence[str], records: Sequence[Path | None]) -> tuple[Origin, ...]:
    """Return the origin of the rows of every part."""
    sizes = [pq.read_metadata(part).num_rows for part in parts]
    return tuple(Origin(name, np.arange(size), file) for name, size, file in zip(names, sizes, records, strict=True))


def _common_schema(parts: Sequence[Path], origins: Sequence[str]) -> pa.Schema:
    """Return the columns of all parts; a whole number widens to a number."""
    first = common = pq.read_schema(parts[0])
    for part, origin in zip(parts[1:], origins[1:], strict=True):
        schema = pq.read_schema(part)
        odd = sorted(set(schema.names) ^ set(first.names))
        if odd:
            has = "no" if odd[0] in first.names else "a"
            other = "has one" if odd[0] in first.names else "has none"
            raise DataError(f"{origin}: {has} column {odd[0]!r}, {origins[0]} {other}; all files need the same columns")
        try:
            common = pa.unify_schemas([common, schema], promote_options="permissive")
        except pa.ArrowException:
            name = next(name for name in first.names if not _unify(common.field(name), schema.field(name)))
            kinds = f"is {schema.field(name).type}, in {origins[0]} {first.field(name).type}"
            raise DataError(f"{origin}: column {name!r} {kinds}; all files need the same types") from None
    return common


def _unify(one: pa.Field, other: pa.Field) -> bool:
    try:
        pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive")
    except pa.ArrowException:
        return False
    return True


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema, origin: str) -> pa.RecordBatch:
    """Return a batch with the columns of `schema`, null where it has none.

    Raises DataError that names `origin`, the file, and the column.
    """
    columns = []
    for field in schema:
        present = batch.schema.get_field_index(field.name) >= 0
        try:
            columns.append(batch.column(field.name).cast(field.type) if present else pa.nulls(len(batch), field.type))
        except pa.ArrowException as error:
            reason = str(error).strip().partition("\n")[0]
            raise DataError(f"{origin}: column {field.name!r} cannot be read as {field.type}: {reason}") from None
    return pa.record_batch(columns, schema=schema)
