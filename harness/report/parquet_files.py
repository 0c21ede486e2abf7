"""The long tables of a board as parquet: a tenth of the bytes of a CSV."""

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.report.csv_files import Row, to_csv
from harness.report.score_parts import CELL_COLUMNS, SCORE_COLUMNS, pooled_parts, score_parts, to_tables
from harness.scoring.leaderboard import CellResult

PAIR_COLUMNS = {
    **dict.fromkeys(("comparison", "labeler_a", "labeler_b"), pa.string()),
    **dict.fromkeys(("difference", "se", "low", "high", "p", "p_holm"), pa.float64()),
    "separated": pa.bool_(),
}
POINT_COLUMNS = {"comparison": pa.string(), "labeler": pa.string()}
COVERAGE_COLUMNS = POINT_COLUMNS | {"coverage": pa.float64(), "accuracy": pa.float64()}
RELIABILITY_COLUMNS = POINT_COLUMNS | {
    "from": pa.float64(),
    "to": pa.float64(),
    "rows": pa.int64(),
    "confidence": pa.float64(),
    "accuracy": pa.float64(),
}
CURVE_COLUMNS = {
    "splits": pa.string(),
    "labeler": pa.string(),
    "metric": pa.string(),
    "class": pa.int32(),
    "labels": pa.int64(),
    "value": pa.float64(),
    "value sd": pa.float64(),
    "cells": pa.int32(),
}
SCORES, PAIRS = "scores.parquet", "pairs.parquet"
COVERAGE, RELIABILITY, CURVES = (f"plots/{name}.parquet" for name in ("coverage", "reliability", "curves"))
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    SCORES: {name: kind for name, kind in CELL_COLUMNS.items() if name != "cell"} | SCORE_COLUMNS,
    PAIRS: PAIR_COLUMNS,
    COVERAGE: COVERAGE_COLUMNS,
    RELIABILITY: RELIABILITY_COLUMNS,
    CURVES: CURVE_COLUMNS,
}
ROWS_PER_BATCH = 8_192  # rows as Python values at a time
ROW_GROUP_ROWS = 8 * ROWS_PER_BATCH
ZSTD_LEVEL = 12  # of zstd; 19 saves one byte in a hundred and takes four times as long


def to_parquet(name: str, rows: Iterable[Row]) -> bytes:
    """Return the bytes of a long table: the same for the same rows."""
    schema, rest = _schema(name), iter(rows)
    parts = iter(lambda: list(islice(rest, ROWS_PER_BATCH)), [])
    return tables_to_parquet(name, (pa.Table.from_pylist(part, schema) for part in parts))


def tables_to_parquet(name: str, tables: Iterable[pa.Table]) -> bytes:
    """Return the bytes of a long table, whose rows are those of `tables`."""
    schema, out = _schema(name), io.BytesIO()
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    named = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_integer(field.type)]
    writer = pq.ParquetWriter(
        out,
        schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=named,
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        write_statistics=False,
        store_schema=False,  # pyarrow's own copy of the schema, which its versions write differently
        write_page_checksum=True,
    )
    with writer:
        for group in _row_groups(tables):
            writer.write_table(group, ROW_GROUP_ROWS)
    return out.getvalue()


def _schema(name: str) -> pa.Schema:
    return pa.schema(list(COLUMNS[name].items()))


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of tables in groups of ROW_GROUP_ROWS, the last smaller."""
    rest: list[pa.Table] = []
    for table in tables:
        rest.append(table)
        while sum(part.num_rows for part in rest) >= ROW_GROUP_ROWS:
            together = pa.concat_tables(rest)
            yield together.slice(0, ROW_GROUP_ROWS).combine_chunks()
            rest = [together.slice(ROW_GROUP_ROWS)]
    if any(part.num_rows for part in rest):
        yield pa.concat_tables(rest).combine_chunks()


def scores_to_parquet(cell_results: Sequence[CellResult]) -> bytes:
    """Return the bytes of the table of every number of every cell."""
    parts = chain(score_parts(cell_results), pooled_parts(cell_results))
    return tables_to_parquet(SCORES, to_tables(parts, _schema(SCORES)))


def read_parquet(name: str, source: Path | bytes) -> pa.Table:
    """Read a long table; ValueError if torn or of other columns."""
    file = pa.BufferReader(source) if isinstance(source, bytes) else source
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            table = opened.read()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"cannot be read: {' '.join(str(error).split())[:160]}") from None
    if not table.schema.equals(expected := _schema(name)):
        columns = "; ".join(f"{field.name}: {field.type}" for field in table.schema)
        raise ValueError(f"has the columns {columns}, and not {'; '.join(f'{e.name}: {e.type}' for e in expected)}")
    return table


def has_same_rows(name: str, one: bytes, other: bytes) -> bool:
    """Compare the rows of two files of a long table.

    Versions of pyarrow write the same rows as different bytes.
    """
    try:
        return one == other or read_parquet(name, one).equals(read_parquet(name, other))
    except ValueError:
        return False


def csv_name(name: str) -> str:
    """Return the name of the CSV copy of a long table."""
    return str(Path(name).with_suffix(".csv"))


def csv_copy(table: pa.Table) -> str:
    """Return a long table as CSV, numbers in full precision."""
    batches = table.to_batches(ROWS_PER_BATCH)
    return to_csv((row for batch in batches for row in batch.to_pylist()), table.column_names)
