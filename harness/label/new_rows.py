"""Join new rows to the labelled rows of a suite's data, as one table.

So one embedder and one labeler read both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.data.dataset import TEXT_PATHS, labelled_rows
from harness.data.origin import Origin
from harness.data.shards import cast_batch
from harness.data.table import DataTable, batches
from harness.errors import DataError, did_you_mean, first_few
from harness.plugin.block import Rows
from harness.suite.suite import Suite
from harness.utils.files import replacing
from harness.utils.hashing import digest
from harness.utils.locks import hold_lock

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class JoinedTable:
    """A table of labelled rows, then new ones."""

    table: DataTable
    before: int  # labelled rows, which stand before the new ones


def join_rows(suite: Suite, old: DataTable, new: DataTable, cache: Path) -> JoinedTable:
    """Join the labelled rows of `old` and every row of `new`.

    The table has the columns that the suite reads. Labels that new rows have are left out: they are not of the suite's
    data. So are those of raters, unless a block is made of them. Raises DataError where the new file lacks a column,
    has another type or other dimensions, or shares an id.
    """
    data = suite.data
    needed = {*data.hidden, *data.rater_columns, data.id, *data.text_columns, data.source, data.group}
    of_blocks = suite.block_columns(old.columns)
    names = [name for name in old.columns if name in needed | of_blocks]
    unread = () if data.raters_on_all else (name for name in data.rater_columns if name not in of_blocks)
    labels = (*data.hidden, *unread)  # not those of new rows
    for table in (old, new):
        for column in names if table is old else set(names).difference(labels):
            table.check_column(column, TEXT_PATHS if column in data.text_columns else None)
    schema = pa.schema([pq.read_schema(old.path).field(name) for name in names])
    _check_types(schema, old, new, labels)
    labelled = labelled_rows(data, old)
    if data.id is not None:
        _check_ids_apart(old, new, data.id, labelled)
    sha256 = digest("joined, new rows without labels", old.sha256, new.sha256, names, labels)
    file = cache / "joined" / f"{sha256}.parquet"
    with hold_lock(file.with_suffix(".lock")):
        if not file.exists():
            with replacing(file) as scratch:
                _write(scratch, schema, old, new, labelled, labels)
    name = f"{new.display_name} with the labelled rows of {old.display_name}"
    before = np.flatnonzero(labelled)
    origins = (_origin(old, before), _origin(new, None))
    table = DataTable(file.absolute(), name, sha256, old.simulated or new.simulated, origins, raters=old.raters)
    return JoinedTable(table, len(before))


def _origin(table: DataTable, rows: Rows | None) -> Origin:
    records = table.origins[0].records if table.origins else None
    return Origin(table.display_name, rows, records)


def _check_types(schema: pa.Schema, old: DataTable, new: DataTable, labels: Sequence[str]) -> None:
    new_schema = pq.read_schema(new.path)
    for field in schema:
        if field.name in labels:
            continue  # those of new rows are not read
        if field.name not in new_schema.names:
            raise DataError(
                f"{new.display_name}: no column {field.name!r}, which the suite reads"
                f"{did_you_mean(field.name, new_schema.names)}"
            )
        new_type, old_type = (storage_type(kind) for kind in (new_schema.field(field.name).type, field.type))
        if pa.types.is_null(new_type):
            continue
        if type_family(new_type) != type_family(old_type):
            raise DataError(
                f"{new.display_name}: column {field.name!r} is {new_type}, in {old.display_name} it is {old_type}"
            )
        new_width, old_width = vector_width(new, field.name, new_type), vector_width(old, field.name, old_type)
        if new_width is not None and old_width is not None and new_width != old_width:
            raise DataError(
                f"{new.display_name}: column {field.name!r} holds vectors of {new_width} numbers, in "
                f"{old.display_name} they have {old_width}"
            )


def storage_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def type_family(kind: pa.DataType) -> str:
    """Return the family of a type, within which types can be cast."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"list of {type_family(kind.value_type)}"
    return str(kind) if not pa.types.is_struct(kind) else "struct"


def vector_width(table: DataTable, name: str, kind: pa.DataType) -> int | None:
    """Return the length of a column's first vector; None without vectors."""
    if type_family(kind) != "list of number":
        return None
    with pq.ParquetFile(table.path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(64, columns=[name]):
            vectors = batch.column(0).drop_null()
            if len(vectors):
                return len(vectors[0])
    return None


def _check_ids_apart(old: DataTable, new: DataTable, name: str, labelled: Mask) -> None:
    """Raise DataError if an id is repeated or that of a labelled row."""
    old_ids, new_ids = (
        pq.read_table(table.path, columns=[name], page_checksum_verification=True).column(0) for table in (old, new)
    )
    new_ids = new_ids.cast(storage_type(old_ids.type))
    counts = pc.value_counts(new_ids)
    repeated = pc.filter(counts.field(0), pc.greater(counts.field(1), 1))
    if len(repeated):
        raise DataError(
            f"{new.display_name}: column {name!r}: {len(repeated)} ids come more than once "
            f"({first_few(repeated.to_pylist())})"
        )
    shared = new_ids.filter(pc.is_in(new_ids, old_ids.filter(pa.array(labelled)).combine_chunks()))
    if len(shared):
        raise DataError(
            f"{new.display_name}: column {name!r}: {len(shared)} ids are those of labelled rows of {old.display_name} "
            f"({first_few(shared.to_pylist())}); leave these rows out, or give them other ids"
        )


def _write(
    target: Path, schema: pa.Schema, old: DataTable, new: DataTable, labelled: Mask, labels: Sequence[str]
) -> None:
    plain = pa.schema([pa.field(field.name, storage_type(field.type)) for field in schema])
    with pq.ParquetWriter(target, plain) as out:
        first = 0
        for batch in batches(old.path, plain.names):
            labelled_rows = batch.filter(pa.array(labelled[first : first + len(batch)]))
            out.write_batch(cast_batch(labelled_rows, plain, new.display_name))
            first += len(batch)
        new_names = set(pq.read_schema(new.path).names).difference(labels)
        for batch in batches(new.path, [name for name in plain.names if name in new_names]):
            out.write_batch(cast_batch(batch, plain, new.display_name))
