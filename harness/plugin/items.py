"""The rows of a population without labels: texts and columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from string import Formatter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.errors import DataError, did_you_mean
from harness.plugin.block import Rows
from harness.plugin.raters import RaterLabels

Conversation = list[tuple[str, str]]
"""(role, content) of each turn."""

ROLES = {
    "user": ("user", "human", "prompter"),
    "assistant": ("assistant", "gpt", "chatgpt", "model", "bot", "chatbot", "ai"),
    "system": ("system", "instruction", "instructions", "developer"),
    "tool": ("tool", "function", "function_response", "observation", "ipython"),
}
"""The roles that are read, and the names that mean them, in any case."""

_ROLE_OF = {name: role for role, names in ROLES.items() for name in names}

TURN_FIELDS = (("role", "content"), ("from", "value"))  # names of the fields of a turn, in any case


@dataclass(frozen=True)
class Template:
    """A text with the values of columns: "{title}: {body}"."""

    template: str

    def __post_init__(self) -> None:
        try:
            fields = [field for field in Formatter().parse(self.template) if field[1] is not None]
        except ValueError as error:
            raise ValueError(f"template {self.template!r}: {error}; braces that are text are written twice") from None
        if not fields or not all(name and name == name.strip() for _, name, _, _ in fields):
            raise ValueError(f"template {self.template!r}: must have the names of columns in braces, as '{{title}}'")
        for _, name, form, conversion in fields:
            if form or conversion:
                words = "takes no ':' and no '!': values are put in as they are"
                raise ValueError(f"template {self.template!r}: the field of column {name!r} {words}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are named, each once."""
        names = (name for _, name, _, _ in Formatter().parse(self.template) if name is not None)
        return tuple(dict.fromkeys(names))

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with values in place of the names."""
        parts = Formatter().parse(self.template)
        return "".join(literal + ("" if name is None else values[name]) for literal, name, _, _ in parts)


Text = str | tuple[str, ...] | Template
"""The column of the conversations; columns that are turns, the last one the assistant's; or columns in a template."""


def columns_of(text: Text | None) -> tuple[str, ...]:
    """Return the columns that the texts are made of."""
    if isinstance(text, Template):
        return text.columns
    return () if text is None else (text,) if isinstance(text, str) else text


DECODED_ROWS = 1_024  # rows decoded at a time: 4 MB of 1,024 float32 values, which a core's cache holds
READ_BYTES = 2**20  # bytes read at a time; else Arrow holds a whole row group, and many files are a single one


@dataclass(frozen=True, eq=False)
class Items:
    """N rows of a parquet file, streamed on demand.

    The columns that the target is computed from are not among `columns`.
    """

    path: str
    rows: Rows  # (N,) row numbers in the file, never decreasing
    ids: NDArray[Any]  # (N,) identity of each row
    columns: tuple[str, ...]  # those that may be read
    hidden: tuple[str, ...] = ()  # those that may not: the target is computed from them
    text: Text | None = None  # what the conversations are made of
    identity: str = ""  # hash of the file's content, of the rows and of the columns that may be read
    loaded: tuple[Conversation, ...] | None = None  # the texts of these rows, where they are in memory already
    file_raters: RaterLabels | None = None  # of the rows of the file, where labelers see raters on all rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rater_labels(self) -> RaterLabels | None:
        """The labels of raters, where the suite shows them on all rows."""
        return None if self.file_raters is None else self.file_raters.of(self.rows)

    def batches(self, column: str, start: int = 0) -> Iterator[pa.Array]:
        """Yield the values of `column` from row `start` on, in arrays of batches.

        A batch has at most some thousand rows. Raises DataError where the column may not be read.
        """
        if column in self.hidden:
            raise DataError(f"{self.path}: column {column!r} may not be used as an input: the target is made of it")
        if column not in self.columns:
            raise DataError(f"{self.path}: column {column!r} cannot be read here{did_you_mean(column, self.columns)}")
        rows = self.rows[start:]
        for first, array in self._decode(column, rows):
            offsets = _rows_between(rows, first, first + len(array)) - first
            if len(offsets):
                complete = len(offsets) == len(array) and (np.diff(offsets) == 1).all()
                yield array if complete else array.take(pa.array(offsets))

    def _decode(self, column: str, rows: Rows) -> Iterator[tuple[int, pa.Array]]:
        """Yield (first row number, values) of the batches that may hold `rows`.

        Row groups without such a row are passed over, and nothing is read after the last one.
        """
        options = {"pre_buffer": False, "buffer_size": READ_BYTES, "page_checksum_verification": True}
        with pq.ParquetFile(self.path, **options) as file:
            first = 0
            for group in range(file.num_row_groups):
                after = first + file.metadata.row_group(group).num_rows
                if len(_rows_between(rows, first, after)):
                    for batch in file.iter_batches(DECODED_ROWS, row_groups=[group], columns=[column]):
                        yield first, batch.column(0)
                        first += len(batch)
                        if first > rows[-1]:
                            return
                first = after

    def values(self, column: str) -> pa.Array:
        """Return all (N,) values of a small column."""
        parts = list(self.batches(column))
        return pa.concat_arrays(parts) if parts else pa.array([])

    def conversations(self, start: int = 0) -> Iterator[Conversation]:
        """Yield the turns of each row from row `start` on.

        A text is one assistant turn, a null no turn. Names of ROLES become the role that they mean; others stay.
        """
        if self.loaded is not None:
            yield from self.loaded[start:]
            return
        if self.text is not None and not isinstance(self.text, str):
            yield from self._composed(self.text, start)
            return
        where = f"{self.path}: column {self.text!r}"
        for batch in self.batches(self._text_column(), start):
            try:
                conversations = _conversations(batch, where)
            except UnicodeDecodeError as error:
                raise DataError(f"{where} holds text that is not UTF-8: {error.object!r:.60}; mend it") from None
            yield from conversations

    def _composed(self, text: tuple[str, ...] | Template, start: int) -> Iterator[Conversation]:
        """Yield the turns of rows whose text is in several columns."""
        columns = columns_of(text)
        for batches in zip(*(self.batches(column, start) for column in columns), strict=True):
            values = [
                _texts(batch, f"{self.path}: column {name!r}") for name, batch in zip(columns, batches, strict=True)
            ]
            for row in zip(*values, strict=True):
                if isinstance(text, Template):
                    yield [("assistant", text.fill(dict(zip(columns, row, strict=True))))]
                else:
                    roles = ["user"] * (len(row) - 1) + ["assistant"]
                    yield [(role, content) for role, content in zip(roles, row, strict=True) if content]

    def texts(self, start: int = 0) -> Iterator[str]:
        """Yield each conversation as text: a line ``###role: content`` per turn."""
        for conversation in self.conversations(start):
            yield "\n".join(f"###{role}: {content}" for role, content in conversation)

    def parts(self, size: int, start: int = 0) -> Iterator["Items"]:
        """Yield the items from row `start` on in parts of `size` rows.

        The texts of a part are in memory.
        """
        texts = self.conversations(start) if self.text is not None else None
        for low in range(start, len(self), size):
            rows, ids = self.rows[low : low + size], self.ids[low : low + size]
            loaded = None if texts is None else tuple(islice(texts, len(rows)))
            yield replace(self, rows=rows, ids=ids, loaded=loaded)

    def _text_column(self) -> str:
        if not isinstance(self.text, str):
            raise DataError(f"{self.path}: this needs the texts; name their column under data, as 'text: messages'")
        return self.text


def _rows_between(rows: Rows, first: int, after: int) -> Rows:
    low, high = np.searchsorted(rows, (first, after))
    return rows[low:high]


def _conversations(batch: pa.Array, where: str) -> list[Conversation]:
    if pa.types.is_dictionary(batch.type):
        batch = batch.dictionary_decode()
    dtype = batch.type
    if _is_text(dtype):
        return [[] if text is None else [("assistant", text)] for text in batch.to_pylist()]
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        turn = dtype.value_type
        if (names := turn_fields(turn)) is not None:
            turns = batch.flatten()
            roles = _decode_roles(pc.fill_null(pc.struct_field(turns, names[0]), ""))
            contents = pc.fill_null(pc.struct_field(turns, names[1]), "").to_pylist()
            pairs = iter(zip(roles, contents, strict=True))
            lengths = pc.fill_null(batch.value_lengths(), 0).to_pylist()
            return [list(islice(pairs, length)) for length in lengths]
    raise DataError(f"{where} must hold lists of {{role, content}} or strings, holds {dtype}")


def _texts(batch: pa.Array, where: str) -> list[str]:
    """Return the texts of a column; numbers as they are written, null as ""."""
    if pa.types.is_dictionary(batch.type):
        batch = batch.dictionary_decode()
    if pa.types.is_nested(batch.type) or pa.types.is_binary(batch.type):
        raise DataError(f"{where} holds {batch.type}, which is no text to be put together")
    try:
        return ["" if text is None else text for text in batch.cast(pa.string()).to_pylist()]
    except UnicodeDecodeError as error:
        raise DataError(f"{where} holds text that is not UTF-8: {error.object!r:.60}; mend it") from None


def turn_fields(turn: pa.DataType) -> tuple[str, str] | None:
    """Return the names of a turn's fields of role and content, or None."""
    texts = {field.name.lower(): field.name for field in turn if _is_text(field.type)} if _is_struct(turn) else {}
    return next(((texts[role], texts[text]) for role, text in TURN_FIELDS if {role, text} <= texts.keys()), None)


def read_role(name: str) -> str:
    """Return the role that a name means; the name where it means none."""
    return _ROLE_OF.get(name.strip().lower(), name)


def _decode_roles(names: pa.Array) -> list[str]:
    coded = names.dictionary_encode()
    roles = [read_role(name) for name in coded.dictionary.to_pylist()]
    return [roles[code] for code in coded.indices.to_pylist()]


def _is_struct(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_struct(dtype))


def _is_text(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype))
