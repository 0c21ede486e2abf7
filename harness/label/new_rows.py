"""New rows behind the labelled rows of a suite's data, as one table: so one embedder and one labeler see both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.data.dataset import Data
from harness.data.table import DataTable, batches
from harness.errors import DataError, did_you_mean, first_few
from harness.suite.suite import Suite
from harness.utils.hashing import digest
from harness.utils.locks import hold_lock


@dataclass(frozen=True)
class JoinedTable:
    """The table of both, and how many of its first rows are not of the new file."""

    table: DataTable
    before: int


def join_rows(suite: Suite, old: DataTable, new: DataTable, cache: Path) -> JoinedTable:
    """Write the labelled rows of `old`, then every row of `new`, with the columns that the suite reads.

    Raises DataError where the new file lacks a column, has another type or other dimensions, or shares an id.
    """
    data = suite.data
    names = _needed_columns(suite, old)
    schema = pa.schema([pq.read_schema(old.path).field(name) for name in names])
    _check_types(schema, old, new, data)
    labelled = _is_labelled(old, data)
    if data.id is not None:
        _check_ids_apart(old, new, data.id, labelled)
    sha256 = digest("joined", old.sha256, new.sha256, names)
    file = cache / "joined" / f"{sha256}.parquet"
    with hold_lock(file.with_suffix(".lock")):
        if not file.exists():
            scratch = file.with_suffix(".partial")
            _write(scratch, schema, old, new, labelled)
            scratch.replace(file)
    shown = f"{new.display_name} with the labelled rows of {old.display_name}"
    return JoinedTable(DataTable(file.absolute(), shown, sha256, old.simulated or new.simulated), int(labelled.sum()))


def _needed_columns(suite: Suite, old: DataTable) -> list[str]:
    data = suite.data
    named = {*data.hidden, *data.raters, data.id, data.text, data.source, data.group, *suite.block_parameters}
    return [name for name in old.columns if name in named]


def _check_types(schema: pa.Schema, old: DataTable, new: DataTable, data: Data) -> None:
    here = pq.read_schema(new.path)
    for field in schema:
        if field.name not in here.names:
            if field.name in (*data.hidden, *data.raters):
                continue  # new rows have no labels
            raise DataError(
                f"{new.display_name}: no column {field.name!r}, which the suite "
                f"reads{did_you_mean(field.name, here.names)}"
            )
        theirs, ours = (_storage_type(kind) for kind in (here.field(field.name).type, field.type))
        if pa.types.is_null(theirs):
            continue
        if _type_family(theirs) != _type_family(ours):
            raise DataError(
                f"{new.display_name}: column {field.name!r} is {theirs}, in {old.display_name} it is {ours}"
            )
        mine, other = _width(new, field.name, theirs), _width(old, field.name, ours)
        if mine is not None and other is not None and mine != other:
            raise DataError(
                f"{new.display_name}: column {field.name!r} holds vectors of {mine} numbers, in "
                f"{old.display_name} they have {other}"
            )


def _storage_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _type_family(kind: pa.DataType) -> str:
    """Return what a type is good for: types of one family can be cast to each other."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"list of {_type_family(kind.value_type)}"
    return str(kind) if not pa.types.is_struct(kind) else "struct"


def _width(table: DataTable, name: str, kind: pa.DataType) -> int | None:
    """Return how many numbers the first vector of a column has; None where it holds no vectors."""
    if _type_family(kind) != "list of number":
        return None
    with pq.ParquetFile(table.path) as file:
        for batch in file.iter_batches(64, columns=[name]):
            there = batch.column(0).drop_null()
            if len(there):
                return len(there[0])
    return None


def _is_labelled(old: DataTable, data: Data) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return (N,) True for the rows of the suite's data that have a label."""
    columns = pq.read_table(old.path, columns=list(data.hidden))
    there = [column.is_valid().to_numpy() for column in columns.columns]
    return np.asarray(np.logical_and.reduce(there))


def _check_ids_apart(old: DataTable, new: DataTable, name: str, labelled: Any) -> None:
    ids = [pq.read_table(table.path, columns=[name]).column(0) for table in (old, new)]
    theirs = ids[1].cast(_storage_type(ids[0].type))
    twice = pc.filter(pc.value_counts(theirs).field(0), pc.greater(pc.value_counts(theirs).field(1), 1))
    if len(twice):
        raise DataError(
            f"{new.display_name}: column {name!r}: {len(twice)} ids come more than once "
            f"({first_few(twice.to_pylist())})"
        )
    both = theirs.filter(pc.is_in(theirs, ids[0].filter(pa.array(labelled)).combine_chunks()))
    if len(both):
        raise DataError(
            f"{new.display_name}: column {name!r}: {len(both)} ids are those of labelled rows of {old.display_name} "
            f"({first_few(both.to_pylist())}); leave these rows out, or give them other ids"
        )


def _write(target: Path, schema: pa.Schema, old: DataTable, new: DataTable, labelled: Any) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    plain = pa.schema([pa.field(field.name, _storage_type(field.type)) for field in schema])
    with pq.ParquetWriter(target, plain) as out:
        first = 0
        for batch in batches(old.path, plain.names):
            out.write_batch(
                _cast(batch.filter(pa.array(labelled[first : first + len(batch)])), plain, new.display_name)
            )
            first += len(batch)
        here = pq.read_schema(new.path).names
        for batch in batches(new.path, [name for name in plain.names if name in here]):
            out.write_batch(_cast(batch, plain, new.display_name))


def _cast(batch: pa.RecordBatch, schema: pa.Schema, shown: str) -> pa.RecordBatch:
    columns = []
    for field in schema:
        there = batch.schema.get_field_index(field.name) >= 0
        try:
            columns.append(batch.column(field.name).cast(field.type) if there else pa.nulls(len(batch), field.type))
        except pa.ArrowException as error:
            reason = str(error).strip().partition("\n")[0]
            raise DataError(f"{shown}: column {field.name!r} cannot be read as {field.type}: {reason}") from None
    return pa.record_batch(columns, schema=schema)
