"""The rows of a parquet file of any size, streamed: a few thousand in memory, however its row groups are cut."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 4_096  # rows at a time
BUFFER = 2**20  # bytes of a column read at a time


def batches(file: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows in order, all columns or those named.

    One row group after another: asked for all of them at once, Arrow reads ahead without a bound.
    """
    with pq.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False) as opened:
        for group in range(opened.num_row_groups):
            yield from opened.iter_batches(BATCH, row_groups=[group], columns=columns)
