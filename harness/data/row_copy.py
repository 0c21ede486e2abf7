"""Read rows with all of their columns, those too that no suite has named.

pyarrow before 26 cannot read lists of fixed size among which there are nulls: these columns are read as lists of any
length.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.table import READ_BYTES, STREAMED_ROWS
from harness.errors import DataError, printable

MAGIC = b"PAR1"


@dataclass(frozen=True)
class RowCopy:
    """The rows of a parquet file, all of whose columns can be read."""

    path: Path
    as_lists: tuple[str, ...] = ()  # columns of fixed-size lists that are read as lists of any length

    @property
    def schema(self) -> pa.Schema:
        """The columns of the batches."""
        schema = pq.read_schema(self.path)
        plain = _without_arrow_types(self.path).schema.to_arrow_schema() if self.as_lists else schema
        return pa.schema(
            [plain.field(each.name) if each.name in self.as_lists else each for each in schema], schema.metadata
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, with all columns."""
        schema = self.schema
        for group in range(pq.read_metadata(self.path).num_row_groups):
            columns = [name for name in schema.names if name not in self.as_lists]
            tables = _read(self.path, group, columns, None)
            if not self.as_lists:
                yield from tables
                continue
            lists = pa.Table.from_batches(_read(self.path, group, list(self.as_lists), _without_arrow_types(self.path)))
            first = 0
            for batch in tables if columns else lists.to_batches(STREAMED_ROWS):
                piece = lists.slice(first, len(batch)).combine_chunks()
                first += len(batch)
                arrays = [
                    piece[name].chunk(0) if name in self.as_lists else batch.column(name) for name in schema.names
                ]
                yield pa.record_batch(arrays, schema=schema)


def check_rows(path: Path, display_name: str) -> RowCopy:
    """Read a file through once; raise DataError for a column that cannot be.

    So nothing is found unreadable after the work for which the rows are copied.
    """
    try:
        for _ in RowCopy(path).batches():
            pass
        return RowCopy(path)
    except (pa.ArrowException, OSError):
        pass  # one of the columns
    as_lists = []
    groups = range(pq.read_metadata(path).num_row_groups)
    for field in pq.read_schema(path):
        fault = _fault(path, groups, field.name, None)
        if fault is not None and _has_fixed_lists(field.type):
            fault = _fault(path, groups, field.name, _without_arrow_types(path))
            as_lists.append(field.name)
        if fault is not None:
            advice = "write the file again without it, or from its source"
            raise DataError(
                f"{display_name}: column {field.name!r} cannot be read, and so not be copied: {fault}; {advice}"
            )
    return RowCopy(path, tuple(as_lists))


def _read(path: Path, group: int, columns: list[str], metadata: pq.FileMetaData | None) -> Iterator[pa.RecordBatch]:
    options = {"buffer_size": READ_BYTES, "pre_buffer": False, "page_checksum_verification": True}
    with pq.ParquetFile(path, metadata=metadata, **options) as file:
        yield from file.iter_batches(STREAMED_ROWS, row_groups=[group], columns=columns)


def _fault(path: Path, groups: range, name: str, metadata: pq.FileMetaData | None) -> str | None:
    try:
        for group in groups:
            for _ in _read(path, group, [name], metadata):
                pass
    except (pa.ArrowException, OSError) as error:
        return printable((str(error).strip() or type(error).__name__).splitlines()[0])
    return None


def _has_fixed_lists(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    nested = (kind.field(i).type for i in range(kind.num_fields))
    return bool(pa.types.is_fixed_size_list(kind)) or any(map(_has_fixed_lists, nested))


def _without_arrow_types(path: Path) -> pq.FileMetaData:
    """Return the metadata of a file by parquet's own types alone.

    pyarrow ignores Arrow's types where the key that has them is another.
    """
    with path.open("rb") as file:
        file.seek(-8, 2)
        length = file.read(4)
        file.seek(-8 - int.from_bytes(length, "little"), 2)
        footer = file.read(int.from_bytes(length, "little")).replace(b"ARROW:schema", b"ARROW-schema")
    return pq.read_metadata(pa.BufferReader(MAGIC + footer + length + MAGIC))
