"""The file of labels: the input's rows and columns, and the new columns.

Rows keep their order, and nothing of the input is changed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.classes import Classes
from harness.data.row_copy import RowCopy
from harness.errors import DataError
from harness.label.postprocess import LabelledRows
from harness.plugin.block import Rows
from harness.statistics.intervals import Numbers
from harness.utils.files import naming_file, sync

METADATA_KEY = b"labelharness"  # key of the file's metadata
STALE_METADATA_KEY = b"huggingface"  # lists the columns of the input alone
ORDERED_COLUMNS = ("proxy_score", "label_low", "label_high")  # of classes in an order
COLUMN_NAMES = (
    *("proxy_label", "proxy_score", "proxy_probs", "confidence", "label_low", "label_high", "label_set"),
    *("accepted", "is_gold", "outside_support", "proxy_labeler", "run_id"),
)
GOLD_COLUMNS = ("gold_label", "is_chosen")  # where labels of chosen rows were given beside those of the data


def column_names(classes: Classes) -> tuple[str, ...]:
    """Return the names of the new columns: for an order ranges, else sets."""
    absent = ("label_set",) if classes.ordered else ORDERED_COLUMNS
    return tuple(name for name in COLUMN_NAMES if name not in absent)


def make_columns(
    rows: int,
    classes: Classes,
    parts: list[tuple[Rows, LabelledRows]],
    gold: Rows,
    outside: Rows,
    labeler: str,
    run_id: str,
) -> pa.Table:
    """Return the new columns of a file with `rows` rows.

    Labels are the values of the classes, as the target has them. `parts` are row numbers of the file with the labels
    of these rows; `gold` and `outside` are row numbers, too. A row in no part, because it is in no population, has
    nulls.
    """
    at = np.concatenate([numbers for numbers, _ in parts])
    order, present = np.argsort(at), np.zeros(rows, np.bool_)
    present[at] = True

    def spread(values: list[Numbers], kind: pa.DataType) -> pa.Array:
        full = np.zeros(rows, kind.to_pandas_dtype())
        full[at[order]] = np.concatenate(values)[order]
        return pa.array(full, kind, mask=~present)

    def spread_labels(values: list[Numbers]) -> pa.Array:
        values_of_rows = classes.decode(np.concatenate(values)[order])
        place = np.zeros(rows, np.int64)
        place[at[order]] = np.arange(len(order))
        return values_of_rows.take(pa.array(place, mask=~present))

    labels = [part for _, part in parts]
    n_classes = len(classes)
    proba = np.zeros((rows, n_classes), np.float32)
    proba[at] = np.concatenate([part.proba for part in labels])
    flat = pa.array(proba.reshape(-1))
    words = pa.array(np.where(present, 0, -1), mask=~present, type=pa.int32())
    columns = {
        "proxy_label": spread_labels([part.label for part in labels]),
        "proxy_score": spread([classes.expect(part.proba) for part in labels], pa.float32()),
        "proxy_probs": pa.FixedSizeListArray.from_arrays(flat, n_classes, mask=pa.array(~present)),
        "confidence": spread([part.confidence for part in labels], pa.float32()),
        "label_low": spread_labels([part.low for part in labels]),
        "label_high": spread_labels([part.high for part in labels]),
        "label_set": _sets(np.concatenate([part.inside for part in labels]), at, present, classes),
        "accepted": spread([part.accepted for part in labels], pa.bool_()),
        "is_gold": np.isin(np.arange(rows), gold),
        "outside_support": np.isin(np.arange(rows), outside),
        "proxy_labeler": pa.DictionaryArray.from_arrays(words, [labeler]).dictionary_decode(),
        "run_id": pa.DictionaryArray.from_arrays(words, [run_id]).dictionary_decode(),
    }
    return pa.table({name: columns[name] for name in column_names(classes)})


def add_gold_columns(columns: pa.Table, classes: Classes, gold: Rows, y: Numbers, chosen: Rows) -> pa.Table:
    """Add GOLD_COLUMNS: the labels y (r,) of the rows `gold` (r,).

    Other rows have null. The rows `chosen` (g,) were chosen to be labelled.
    """
    place, present = np.zeros(len(columns), np.int64), np.isin(np.arange(len(columns)), gold)
    place[gold] = np.arange(len(gold))
    labels = classes.decode(y).take(pa.array(place, mask=~present))
    for name, values in zip(GOLD_COLUMNS, (labels, np.isin(np.arange(len(columns)), chosen)), strict=True):
        columns = columns.append_column(name, pa.array(values))
    return columns


def _sets(inside: Numbers, at: Rows, present: Numbers, classes: Classes) -> pa.Array:
    """Return the list of the classes in each row's set (rows,)."""
    if classes.ordered:
        return pa.nulls(len(present))
    of_rows = np.zeros((len(present), len(classes)), np.bool_)
    of_rows[at] = inside
    ends = np.concatenate([[0], np.cumsum(of_rows.sum(axis=1))]).astype(np.int32)
    values = classes.decode(np.nonzero(of_rows)[1])
    return pa.ListArray.from_arrays(pa.array(ends), values, mask=pa.array(~present))


def check_target(
    source: Path, display_name: str, target: Path, identity: str, names: tuple[str, ...] = COLUMN_NAMES
) -> None:
    """Raise DataError if columns called `names` of `source` cannot be added.

    So it is where the source has one of that name, or where `target` is a file of other data than `identity`.
    """
    if target.suffix != ".parquet":
        raise DataError(f"--to {target}: must end in .parquet")
    if not target.parent.is_dir():
        raise DataError(f"--to {target}: no such folder: {target.parent}")
    existing = [name for name in names if name in pq.read_schema(source).names]
    if existing:
        raise DataError(f"{display_name}: has a column {existing[0]!r} already, and nothing is overwritten; rename it")
    if not target.exists():
        return
    metadata = _read_metadata(target)
    if metadata is None:
        raise DataError(f"--to {target}: is there already and was not written by this command; name another file")
    if metadata.get("data") != identity:
        raise DataError(
            f"--to {target}: holds labels of other data than {display_name} is now; name another file, or remove it"
        )


def file_state(source: Path) -> list[int]:
    """Return numbers that change when a file does.

    The change time, unlike the modification time, cannot be set by a program.
    """
    stat = source.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


class Columns(Protocol):
    """New columns: an Arrow table, or one that is made slice by slice."""

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns."""
        ...

    def slice(self, offset: int, length: int) -> pa.Table:
        """Return the columns of `length` rows from row `offset` on."""
        ...


def write_with_columns(
    rows: RowCopy, target: Path, columns: Columns, metadata: Mapping[str, Any], state: list[int]
) -> None:
    """Write the rows of a file with new `columns` to `target`, at once.

    A few thousand rows are in memory at a time. `state` is the `file_state` of the source when it was read; raises
    DataError if it is another now.
    """
    scratch = _scratch(target)
    old = rows.schema
    schema = pa.schema([*old, *columns.schema], _file_metadata(old.metadata, metadata))
    with naming_file(target), pq.ParquetWriter(scratch, schema, write_page_checksum=True, **_encoding(schema)) as out:
        first = 0
        for batch in rows.batches():
            piece = columns.slice(first, len(batch)).combine_chunks()
            arrays = [column.chunk(0) for column in piece.columns]
            out.write_batch(pa.record_batch([*batch.columns, *arrays], schema=schema))
            first += len(batch)
    if file_state(rows.path) != state:
        scratch.unlink()
        raise DataError(f"{rows.path}: has changed while it was labelled; give the command again")
    _replace_durably(scratch, target)


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """Return writer options: vectors plain, all else compressed.

    Other columns have a dictionary, statistics and zstd. A vector's numbers hardly repeat: a dictionary is tried in
    vain, zstd saves a few per cent, and the two take half of the time that the whole file does.
    """
    empty = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), empty)
    leaves = pq.ParquetFile(pa.BufferReader(empty.getvalue())).schema  # with the names of columns within columns
    columns = [leaves.column(i) for i in range(len(leaves))]
    vectors = {c.path for c in columns if c.max_repetition_level and c.physical_type in ("FLOAT", "DOUBLE")}
    others = [c.path for c in columns if c.path not in vectors]
    codecs = {c.path: "none" if c.path in vectors else "zstd" for c in columns}
    return {"compression": codecs, "use_dictionary": others, "write_statistics": others}


def write_table(table: pa.Table, target: Path, metadata: Mapping[str, Any]) -> None:
    """Write a small table to `target`, at once."""
    scratch = _scratch(target)
    table = table.replace_schema_metadata(_file_metadata(table.schema.metadata, metadata))
    with naming_file(target):
        pq.write_table(table, scratch, compression="zstd", write_page_checksum=True)
        _replace_durably(scratch, target)


def write_text(text: str, target: Path) -> None:
    """Write a text to `target`, at once."""
    scratch = _scratch(target)
    content = text.encode()
    with naming_file(target, len(content)):
        scratch.write_bytes(content)
        _replace_durably(scratch, target)


def _scratch(target: Path) -> Path:
    """Return the hidden file beside `target` that the next run replaces."""
    return target.with_name(f".{target.name}.partial")


def _replace_durably(scratch: Path, target: Path) -> None:
    """Rename a finished file over `target`, so that a power cut loses neither.

    Stronger than `harness.utils.files`: the file is on disk before the rename, and the rename before the end.
    """
    sync(scratch)
    scratch.replace(target)
    sync(target.parent)


def _file_metadata(old: Mapping[bytes, bytes] | None, new: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Return the input's metadata without what is stale, and our own."""
    metadata = {key: value for key, value in (old or {}).items() if key != STALE_METADATA_KEY}
    return metadata | {METADATA_KEY: json.dumps(dict(new), sort_keys=True).encode()}


def _read_metadata(file: Path) -> dict[str, Any] | None:
    """Return our own metadata of a file; None if it has none."""
    try:
        metadata = json.loads((pq.read_schema(file).metadata or {})[METADATA_KEY])
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None
    return metadata if isinstance(metadata, dict) else None
