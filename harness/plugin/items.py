"""The rows of a population as embedders and feature sets see them: texts and columns, never a label."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.errors import DataError, did_you_mean
from harness.plugin.block import Rows

Conversation = list[tuple[str, str]]
"""(role, content) of each turn."""

DECODED_ROWS = 1_024  # rows decoded at a time: 4 MB of 1,024 float32 values, which a core's cache holds
READ_BYTES = 2**20  # bytes read at a time; else Arrow holds a whole row group, and many files are a single one


@dataclass(frozen=True, eq=False)
class Items:
    """N rows of a parquet file, streamed on demand. The columns that the target is made of are not among `columns`."""

    path: str
    rows: Rows  # (N,) row numbers in the file, never decreasing
    ids: NDArray[Any]  # (N,) identity of each row
    columns: tuple[str, ...]  # what may be read
    hidden: tuple[str, ...] = ()  # what may not: the target is made of these
    text: str | None = None  # the column with the conversations
    identity: str = ""  # hash of the file's content, of the rows taken and of what may be read
    loaded: tuple[Conversation, ...] | None = None  # the texts of these rows, where they are in memory already

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, column: str, start: int = 0) -> Iterator[pa.Array]:
        """Stream `column` in row order, from row number `start` on, a few thousand rows at a time."""
        if column in self.hidden:
            raise DataError(f"{self.path}: column {column!r} may not be used as an input: the target is made of it")
        if column not in self.columns:
            raise DataError(f"{self.path}: column {column!r} cannot be read here{did_you_mean(column, self.columns)}")
        wanted = self.rows[start:]
        for first, array in self._decode(column, wanted):
            here = _rows_between(wanted, first, first + len(array)) - first
            if len(here):
                everything = len(here) == len(array) and (np.diff(here) == 1).all()
                yield array if everything else array.take(pa.array(here))

    def _decode(self, column: str, wanted: Rows) -> Iterator[tuple[int, pa.Array]]:
        """Yield (row number in the file, values) of the row groups that hold wanted rows, up to the last of these."""
        with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=READ_BYTES) as file:
            first = 0
            for group in range(file.num_row_groups):
                after = first + file.metadata.row_group(group).num_rows
                if len(_rows_between(wanted, first, after)):
                    for batch in file.iter_batches(DECODED_ROWS, row_groups=[group], columns=[column]):
                        yield first, batch.column(0)
                        first += len(batch)
                        if first > wanted[-1]:
                            return
                first = after

    def values(self, column: str) -> pa.Array:
        """Return (N,) values of a small column at once."""
        parts = list(self.batches(column))
        return pa.concat_arrays(parts) if parts else pa.array([])

    def conversations(self, start: int = 0) -> Iterator[Conversation]:
        """Yield each row's turns from row number `start` on. A text column is one assistant turn; null is no turn."""
        if self.loaded is not None:
            yield from self.loaded[start:]
            return
        where = f"{self.path}: column {self.text!r}"
        for batch in self.batches(self._text_column(), start):
            try:
                conversations = _conversations(batch, where)
            except UnicodeDecodeError as error:
                raise DataError(f"{where} holds text that is not UTF-8: {error.object!r:.60}; mend it") from None
            yield from conversations

    def texts(self, start: int = 0) -> Iterator[str]:
        """Yield each row's conversation as one text: a line ``###role: content`` per turn."""
        for conversation in self.conversations(start):
            yield "\n".join(f"###{role}: {content}" for role, content in conversation)

    def parts(self, size: int, start: int = 0) -> Iterator["Items"]:
        """Yield these items from row number `start` on in pieces of `size` rows, their texts in memory."""
        texts = self.conversations(start) if self.text is not None else None
        for low in range(start, len(self), size):
            rows, ids = self.rows[low : low + size], self.ids[low : low + size]
            loaded = None if texts is None else tuple(islice(texts, len(rows)))
            yield replace(self, rows=rows, ids=ids, loaded=loaded)

    def _text_column(self) -> str:
        if self.text is None:
            raise DataError(f"{self.path}: this needs the texts; name their column under data, as 'text: messages'")
        return self.text


def _rows_between(rows: Rows, first: int, after: int) -> Rows:
    low, high = np.searchsorted(rows, (first, after))
    return rows[low:high]


def _conversations(batch: pa.Array, where: str) -> list[Conversation]:
    if pa.types.is_dictionary(batch.type):
        batch = batch.dictionary_decode()
    kind = batch.type
    if _is_text(kind):
        return [[] if text is None else [("assistant", text)] for text in batch.to_pylist()]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        turn = kind.value_type
        parts = {field.name: field.type for field in turn} if pa.types.is_struct(turn) else {}
        if all(name in parts and _is_text(parts[name]) for name in ("role", "content")):
            turns = batch.flatten()
            roles = pc.fill_null(pc.struct_field(turns, "role"), "").to_pylist()
            contents = pc.fill_null(pc.struct_field(turns, "content"), "").to_pylist()
            pairs = iter(zip(roles, contents, strict=True))
            lengths = pc.fill_null(batch.value_lengths(), 0).to_pylist()
            return [list(islice(pairs, length)) for length in lengths]
    raise DataError(f"{where} must hold lists of {{role, content}} or strings, holds {kind}")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
