"""A sample of every column of a table, and what kind of values it has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.data.table import DataTable, batches
from harness.plugin.items import turn_fields

Kind = Literal["vectors", "conversation", "text", "name", "whole", "number", "flag", "other"]

SAMPLED_ROWS = 10_000
CHUNKS = 20  # equal parts of the sample, spread over the file: many files are sorted by their label
HEAD_ROWS = 500  # in which long columns are looked at
LONG_TEXT = 200  # mean characters of a text that is not read to the end of the file
MIN_WIDTH = 2  # numbers in a vector
WORDS_OF_TEXT = 4  # mean words of a text; fewer are a name
LETTERS_OF_TEXT = 100  # mean characters of a text though many rows share it
LETTERS_WITHOUT_BLANKS = 8  # mean characters of a text in a script without blanks


@dataclass(frozen=True)
class ColumnSample:
    """The values of some rows of a column, in file order."""

    name: str
    values: pa.Array  # null where the row has none
    is_mixed: bool = False  # the file has values of several types

    @cached_property
    def kind(self) -> Kind:
        return "other" if self.is_mixed else _kind_of(self.values.drop_null())

    @cached_property
    def distinct(self) -> int:
        """The number of different values, null left out."""
        return pc.count_distinct(self.values.drop_null()).as_py() if self.is_plain else 0

    @property
    def is_plain(self) -> bool:
        """True for single values: text, numbers, true and false."""
        return self.kind in ("text", "name", "whole", "number", "flag")

    @property
    def repeats(self) -> bool:
        return bool(self.distinct < len(self.values) - self.values.null_count)

    @property
    def counts_rows(self) -> bool:
        """True for whole numbers that grow by one from row to row."""
        if self.kind != "whole" or self.values.null_count:
            return False
        steps = np.diff(np.array(self.values.to_pylist()))
        jumps = CHUNKS if len(steps) >= SAMPLED_ROWS // 2 else 0  # from one part of the sample to the next
        return len(steps) > 0 and bool((steps > 0).all()) and int((steps != 1).sum()) <= jumps

    @cached_property
    def has_blanks(self) -> bool:
        """True if most texts have more than one word."""
        texts = self.values.drop_null()
        blanks = pc.match_substring(pc.utf8_trim_whitespace(texts), " ") if _is_text(texts.type) else None
        return blanks is not None and bool(len(texts)) and bool(pc.mean(blanks).as_py() > 0.5)

    @cached_property
    def letters(self) -> float:
        """The mean number of characters of text; 0 for other values."""
        texts = self.values.drop_null()
        return float(pc.mean(pc.utf8_length(texts)).as_py() or 0) if _is_text(texts.type) else 0.0


def sample_columns(table: DataTable) -> list[ColumnSample]:
    """Return a sample of every column, of at most 10,000 rows.

    Columns of vectors, conversations and long texts are looked at in the first rows only; the rows of all others are
    spread over the file, and the same for each of them.
    """
    mixed = {name for name, faults in table.faults.items() if any(fault.path == "" for fault in faults)}
    first = _read(table.path, None, range(HEAD_ROWS))
    head = [ColumnSample(name, values, name in mixed) for name, values in first.items()]
    spread = [column.name for column in head if column.is_plain and column.letters < LONG_TEXT]
    size = pq.read_metadata(table.path).num_rows
    if size <= HEAD_ROWS or not spread:
        return head
    width = -(-min(SAMPLED_ROWS, size) // CHUNKS)
    starts = np.linspace(0, size - width, CHUNKS).astype(int) if size > SAMPLED_ROWS else range(0, size, width)
    rows = [row for start in starts for row in range(start, min(start + width, size))]
    values = _read(table.path, spread, rows)
    return [replace(column, values=values.get(column.name, column.values)) for column in head]


def _read(file: Path, columns: Sequence[str] | None, rows: Sequence[int]) -> dict[str, pa.Array]:
    """Return the values of increasing `rows`; no batch is read after them."""
    parts: list[pa.RecordBatch] = []
    numbers, first = np.asarray(rows), 0
    for batch in batches(file, columns):
        low, high = np.searchsorted(numbers, (first, first + len(batch)))
        if low < high:
            parts.append(batch.take(pa.array(numbers[low:high] - first)))
        first += len(batch)
        if first > numbers[-1]:
            break
    table = pa.Table.from_batches(parts).combine_chunks()
    return {name: _decode(table[name]) for name in table.column_names}


def _decode(column: pa.ChunkedArray) -> pa.Array:
    array = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _kind_of(values: pa.Array) -> Kind:
    kind = values.type
    if pa.types.is_boolean(kind):
        return "flag"
    if pa.types.is_integer(kind):
        return "whole"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "whole" if _are_whole(values) else "number"
    if _is_text(kind):
        return "text" if _is_prose(values) else "name"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        if turn_fields(kind.value_type) is not None:
            return "conversation"
        if pa.types.is_floating(kind.value_type) and len(values):
            widths = pc.unique(pc.list_value_length(values)).to_pylist()
            return "vectors" if len(widths) == 1 and widths[0] >= MIN_WIDTH else "other"
    return "other"


def _are_whole(values: pa.Array) -> bool:
    """Return True for floats without fractions, as a null makes of integers."""
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return bool(len(numbers)) and bool((np.isfinite(numbers) & (numbers == np.floor(numbers))).all())


def _is_prose(texts: pa.Array) -> bool:
    """Return True for texts to read, False for names and codes."""
    if not len(texts):
        return False
    words = pc.add(pc.count_substring_regex(pc.utf8_trim_whitespace(texts), r"\s+"), 1)
    letters = pc.utf8_length(texts)
    beyond = pc.divide(
        pc.subtract(pc.binary_length(texts), letters).cast(pa.float64()), pc.max_element_wise(letters, 1)
    )
    varied = pc.count_distinct(texts).as_py() > 0.3 * len(texts)
    mean_words, mean_letters = pc.mean(words).as_py(), pc.mean(letters).as_py()
    if mean_words >= WORDS_OF_TEXT:
        return bool(varied or mean_letters >= LETTERS_OF_TEXT)
    without_blanks = pc.mean(beyond).as_py() > 1  # two bytes or more a character beyond the first, as in Chinese
    return bool(varied and without_blanks and mean_letters >= LETTERS_WITHOUT_BLANKS)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def same_partition(one: ColumnSample, other: ColumnSample) -> bool:
    """Return True if two columns cut the sampled rows into the same sets.

    Each is then the other by another name, as a class and its number.
    """
    if len(one.values) != len(other.values) or one.distinct != other.distinct:
        return False
    pairs: Any = pa.table({"one": one.values, "other": other.values}).group_by(["one", "other"]).aggregate([])
    return len(pairs) == len(pc.unique(one.values)) == len(pc.unique(other.values))
