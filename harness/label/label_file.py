"""The file of labels: the input's rows in the input's order, its columns untouched, and what is said of each row."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.table import batches
from harness.errors import DataError
from harness.label.postprocess import LabelledRows
from harness.plugin.block import Rows
from harness.statistics.intervals import Numbers

METADATA_KEY = b"labelharness"  # key of the file's metadata
STALE_METADATA_KEY = b"huggingface"  # a list of the columns, which would not name the new ones
COLUMN_NAMES = (
    *("proxy_label", "proxy_score", "proxy_probs", "confidence", "label_low", "label_high"),
    *("accepted", "is_gold", "outside_support", "proxy_labeler", "run_id"),
)


def make_columns(
    rows: int, parts: list[tuple[Rows, LabelledRows]], gold: Rows, outside: Rows, labeler: str, run_id: str
) -> pa.Table:
    """Return the new columns of a file with `rows` rows, from the answers for some of them each.

    `gold` and `outside` are row numbers of the file. A row in no part (it is in no population) has nulls.
    """
    at = np.concatenate([where for where, _ in parts])
    order, there = np.argsort(at), np.zeros(rows, np.bool_)
    there[at] = True

    def spread(values: list[Numbers], kind: pa.DataType) -> pa.Array:
        full = np.zeros(rows, kind.to_pandas_dtype())
        full[at[order]] = np.concatenate(values)[order]
        return pa.array(full, kind, mask=~there)

    answers = [each for _, each in parts]
    n_classes = answers[0].proba.shape[1]
    proba = np.zeros((rows, n_classes), np.float32)
    proba[at] = np.concatenate([each.proba for each in answers])
    label = pa.int16() if n_classes > 127 else pa.int8()
    flat = pa.array(proba.reshape(-1))
    words = pa.array(np.where(there, 0, -1), mask=~there, type=pa.int32())
    return pa.table(
        {
            "proxy_label": spread([each.label for each in answers], label),
            "proxy_score": spread([each.score for each in answers], pa.float32()),
            "proxy_probs": pa.FixedSizeListArray.from_arrays(flat, n_classes, mask=pa.array(~there)),
            "confidence": spread([each.confidence for each in answers], pa.float32()),
            "label_low": spread([each.low for each in answers], label),
            "label_high": spread([each.high for each in answers], label),
            "accepted": spread([each.accepted for each in answers], pa.bool_()),
            "is_gold": np.isin(np.arange(rows), gold),
            "outside_support": np.isin(np.arange(rows), outside),
            "proxy_labeler": pa.DictionaryArray.from_arrays(words, [labeler]).dictionary_decode(),
            "run_id": pa.DictionaryArray.from_arrays(words, [run_id]).dictionary_decode(),
        }
    )


def check_target(source: Path, shown: str, target: Path, identity: str, names: tuple[str, ...] = COLUMN_NAMES) -> None:
    """Raise DataError where columns called `names` cannot stand beside those of `source`, or `target` is another's."""
    if target.suffix != ".parquet":
        raise DataError(f"-o {target}: must end in .parquet")
    if not target.parent.is_dir():
        raise DataError(f"-o {target}: no such folder: {target.parent}")
    taken = [name for name in names if name in pq.read_schema(source).names]
    if taken:
        raise DataError(f"{shown}: has a column {taken[0]!r} already, and nothing is overwritten; rename it")
    if not target.exists():
        return
    about = _about(target)
    if about is None:
        raise DataError(f"-o {target}: is there already and was not written by this command; name another file")
    if about.get("data") != identity:
        raise DataError(f"-o {target}: holds labels of other data than {shown} is now; name another file, or remove it")


def file_state(source: Path) -> list[int]:
    """Return what changes when a file does; the change time, unlike the modification time, no program can set."""
    stat = source.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def write_labels(source: Path, target: Path, new: pa.Table, about: Mapping[str, Any], state: list[int]) -> None:
    """Write the rows of `source` with the new columns to `target`, in one rename, a few thousand rows in memory.

    Raises DataError where the source is no longer as it was seen.
    """
    scratch = target.with_name(f".{target.name}.partial")
    old = pq.read_schema(source)
    metadata = {key: value for key, value in (old.metadata or {}).items() if key != STALE_METADATA_KEY}
    metadata[METADATA_KEY] = json.dumps(dict(about), sort_keys=True).encode()
    schema = pa.schema([*old, *new.schema], metadata)
    with pq.ParquetWriter(scratch, schema, write_page_checksum=True, **_encoding(schema)) as out:
        first = 0
        for batch in batches(source):
            piece = new.slice(first, len(batch)).combine_chunks()
            mine = [column.chunk(0) for column in piece.columns]
            out.write_batch(pa.record_batch([*batch.columns, *mine], schema=schema))
            first += len(batch)
    if file_state(source) != state:
        scratch.unlink()
        raise DataError(f"{source}: has changed while it was labelled; give the command again")
    replace_file(scratch, target)


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """Return how columns are written: vectors as they are, all others with a dictionary, statistics and zstd.

    A vector's numbers hardly repeat: a dictionary is tried in vain, zstd saves a few per cent, and the two take half of
    the time that the whole file does. Nobody looks a row up by the range of a vector's numbers.
    """
    sketch = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sketch)
    written = pq.ParquetFile(pa.BufferReader(sketch.getvalue())).schema  # who names the columns within columns
    columns = [written.column(i) for i in range(len(written))]
    vectors = {c.path for c in columns if c.max_repetition_level and c.physical_type in ("FLOAT", "DOUBLE")}
    others = [c.path for c in columns if c.path not in vectors]
    codecs = {c.path: "none" if c.path in vectors else "zstd" for c in columns}
    return {"compression": codecs, "use_dictionary": others, "write_statistics": others}


def write_table(table: pa.Table, target: Path, about: Mapping[str, Any]) -> None:
    """Write a small table in one rename."""
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != STALE_METADATA_KEY}
    metadata[METADATA_KEY] = json.dumps(dict(about), sort_keys=True).encode()
    scratch = target.with_name(f".{target.name}.partial")
    pq.write_table(table.replace_schema_metadata(metadata), scratch, compression="zstd", write_page_checksum=True)
    replace_file(scratch, target)


def write_text(text: str, target: Path) -> None:
    """Write a sidecar in one rename."""
    scratch = target.with_name(f".{target.name}.partial")
    scratch.write_text(text, encoding="utf-8")
    replace_file(scratch, target)


def replace_file(scratch: Path, target: Path) -> None:
    """Rename a whole file over `target`, on disk before and after."""
    for path, rename in ((scratch, False), (target.parent, True)):
        if rename:
            scratch.replace(target)
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _about(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((pq.read_schema(file).metadata or {})[METADATA_KEY])
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None
    return found if isinstance(found, dict) else None
