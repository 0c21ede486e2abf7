"""The rows of a suite with their truth. Splitters and the scorer see a Dataset; labelers and embedders never do."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.data.hub import is_hub
from harness.data.population import Population, select
from harness.data.raters import consensus, fuse_labels
from harness.data.table import DataTable
from harness.errors import DataError, did_you_mean, first_few, printable
from harness.plugin.block import Rows
from harness.plugin.items import Items
from harness.plugin.protocols import Labelled
from harness.utils.hashing import digest, hash_array


@dataclass(frozen=True)
class Fused:
    """A target made of several raters' labels."""

    fuse: Literal["majority", "median", "consensus"]
    of: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.of) < 2 or len(set(self.of)) < len(self.of):
            raise ValueError(f"'of' must name two or more different columns, got {list(self.of)}")


@dataclass(frozen=True)
class Data:
    """The `data` section of a suite."""

    path: str
    target: str | Fused
    classes: int
    when_missing: Literal["error", "twin"] = "error"
    id: str | None = None
    text: str | None = None
    raters: tuple[str, ...] = ()
    source: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= 256:
            raise ValueError(f"classes must be from 2 to 256, got {self.classes}")
        if is_hub(self.path) and self.when_missing == "twin":
            raise ValueError("when_missing: twin is for files; what the hub has is fetched, or refused with the reason")

    @property
    def hidden(self) -> tuple[str, ...]:
        """The columns that the target is made of."""
        return (self.target,) if isinstance(self.target, str) else self.target.of


@dataclass(frozen=True, eq=False)
class Dataset:
    """N rows, some of them labelled, and what is known of each."""

    table: DataTable
    items: Items  # the label-free side, for embedders and feature sets
    labelled: Rows  # (n,) row numbers of the population, increasing
    y: NDArray[np.int64]  # (n,) their labels
    n_classes: int
    raters: NDArray[np.int64] | None = None  # (n, R)
    sources: NDArray[Any] | None = None  # (N,) names
    groups: NDArray[np.int64] | None = None  # (N,) numbers 0..G-1
    group_names: NDArray[Any] | None = None  # (G,)
    oversampled: bool = False  # rows stand in the population more than once

    def __len__(self) -> int:
        return len(self.items)

    def positions(self, rows: Rows) -> NDArray[np.intp]:
        """Return where labelled `rows` stand in ``labelled``."""
        return np.searchsorted(self.labelled, rows)

    def for_splitters(self) -> Labelled:
        """Return the labelled rows alone.

        Copies of an oversampled row have ids of their own: a splitter would keep equal ids on one side, and that train
        and test share rows is what such a population is there to show.
        """
        groups = None if self.groups is None or self.group_names is None else self.group_names[self.groups]
        return Labelled(
            self.labelled,
            self.y,
            self.labelled if self.oversampled else self.items.ids[self.labelled],
            None if groups is None else groups[self.labelled],
            None if self.sources is None else self.sources[self.labelled],
        )

    def identity(self) -> str:
        """Return the hash of the population and of every label in it."""
        return digest(
            self.items.identity,
            [hash_array(a) for a in (self.labelled, self.y, self.raters, self.groups)],
            self.n_classes,
        )


def load_dataset(data: Data, population: Population, table: DataTable) -> Dataset:
    """Read every column but the texts and the vectors, check them, and take the population. Raises DataError."""
    columns = _ColumnReader(table)
    size = columns.size
    ids = columns.ids(data.id) if data.id else np.arange(size)
    names = data.hidden
    read = [columns.labels(name, data.classes) for name in names]
    marks = np.stack([labels for labels, _ in read], axis=1)  # (N, R)
    known = np.logical_and.reduce([there for _, there in read])  # (N,)
    target = marks[:, 0] if isinstance(data.target, str) else fuse_labels(marks, data.target.fuse)
    sources = columns.names(data.source) if data.source else None

    rows = select(population, target, known, sources, data.classes, table.display_name)
    if isinstance(data.target, Fused) and data.target.fuse == "consensus":
        rows = rows[~known[rows] | consensus(marks[rows])]
    if not known[rows].any():
        raise DataError(f"{table.display_name}: column {' + '.join(names)}: no row of the population has a label")

    labelled = np.flatnonzero(known[rows])
    groups = group_names = None
    if data.group:
        group_names, groups = np.unique(columns.names(data.group)[rows], return_inverse=True)
    readable = tuple(name for name in table.columns if name not in names)
    if data.text is not None:
        columns.require(data.text, "text")
    items = Items(
        str(table.path),
        rows,
        ids[rows],
        readable,
        names,
        data.text,
        digest(table.sha256, hash_array(rows), hash_array(ids[rows]), data.text, names),
    )
    raters = None
    if data.raters:
        raters = np.stack([columns.rater(name, rows[labelled], ids, data.classes) for name in data.raters], axis=1)
    return Dataset(
        table,
        items,
        labelled,
        target[rows[labelled]],
        data.classes,
        raters,
        None if sources is None else sources[rows],
        groups,
        group_names,
        population.take == "oversampled",
    )


def load_items(table: DataTable, text: str | None, id: str | None) -> Items:
    """Return every row of a table without any target, for embedders alone. Raises DataError."""
    columns = _ColumnReader(table)
    if text is not None:
        columns.require(text, "text")
    rows = np.arange(columns.size)
    ids = columns.ids(id) if id is not None else rows
    identity = digest(table.sha256, hash_array(rows), hash_array(ids), text, ())
    return Items(str(table.path), rows, ids, tuple(table.columns), (), text, identity)


class _ColumnReader:
    """Reads and checks single columns of one table."""

    def __init__(self, table: DataTable) -> None:
        self.table = table
        self.size: int = pq.read_metadata(table.path).num_rows
        if self.size == 0:
            raise DataError(f"{table.display_name}: has no rows")

    def require(self, name: str, role: str) -> None:
        if name not in self.table.columns:
            raise DataError(
                f"{self.table.display_name}: no column {name!r} for {role}{did_you_mean(name, self.table.columns)}"
            )

    def read(self, name: str, role: str) -> pa.Array:
        self.require(name, role)
        try:
            with pq.ParquetFile(self.table.path) as file:
                column = file.read([name]).column(0)
            array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            array.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            reason = printable(str(error).strip().partition("\n")[0])
            advice = "the file is damaged or its text is not UTF-8; write it again"
            raise DataError(f"{self.table.display_name}: column {name!r} cannot be read: {reason}; {advice}") from None
        return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array

    def fail(self, name: str, rows: NDArray[np.intp], what: str, advice: str) -> DataError:
        count = f"{len(rows):,} row{'s' if len(rows) > 1 else ''}"
        return DataError(
            f"{self.table.display_name}: column {name!r}: {what} in {count} (row {first_few(rows)}); {advice}"
        )

    def ids(self, name: str) -> NDArray[Any]:
        array = self.read(name, "id")
        if not (pa.types.is_integer(array.type) or _is_text(array.type)):
            raise DataError(
                f"{self.table.display_name}: column {name!r}: ids must be integers or strings, are {array.type}"
            )
        self._refuse_nulls(name, array, "every row needs an id")
        ids = self._numpy(name, array)
        order = np.argsort(ids, kind="stable")
        twice = order[1:][ids[order[1:]] == ids[order[:-1]]]
        if len(twice):
            raise self.fail(name, np.sort(twice), f"the id {ids[twice.min()]} and others repeat", "ids must be unique")
        return ids

    def names(self, name: str) -> NDArray[Any]:
        array = self.read(name, "source or group")
        if not (pa.types.is_integer(array.type) or _is_text(array.type)):
            raise DataError(f"{self.table.display_name}: column {name!r}: must be strings or integers, is {array.type}")
        self._refuse_nulls(name, array, "give every row a value")
        return self._numpy(name, array)

    def labels(self, name: str, classes: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return (N,) labels and (N,) whether there is one. Null is unlabelled; nothing else is."""
        array = self.read(name, "target or raters")
        known = _is_known(array)
        if pa.types.is_null(array.type):
            return np.zeros(self.size, np.int64), known
        if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
            raise DataError(
                f"{self.table.display_name}: column {name!r}: labels must be whole numbers, are "
                f"{array.type}; convert them"
            )
        values = np.where(known, _numbers(array), 0)
        allowed = f"labels are whole numbers from 0 to {classes - 1}"
        if values.dtype.kind == "f":
            missing = np.flatnonzero(np.isnan(values))
            if len(missing):
                raise self.fail(name, missing, "NaN", "write null where there is no label")
            wrong = np.flatnonzero(values != np.floor(values))
            if len(wrong):
                raise self.fail(name, wrong, f"the label {values[wrong[0]]:g}", allowed)
        wrong = np.flatnonzero(known & ((values < 0) | (values >= classes)))
        if len(wrong):
            advice = f"{allowed}; map them, or set data.classes"
            raise self.fail(name, wrong, f"the label {values[wrong[0]]:g}", advice)
        return values.astype(np.int64), known

    def rater(self, name: str, rows: Rows, ids: NDArray[Any], classes: int) -> NDArray[np.int64]:
        values, known = self.labels(name, classes)
        missing = rows[~known[rows]]
        if len(missing):
            raise self.fail(name, missing, "no label of this rater", "leave the rater out, or unlabel the rows")
        return values[rows]

    def _numpy(self, name: str, array: pa.Array) -> NDArray[Any]:
        if _is_text(array.type):
            return np.array(array.to_pylist(), dtype=np.dtypes.StringDType())
        if pa.types.is_uint64(array.type):
            large = np.flatnonzero(_numbers(array) > np.iinfo(np.int64).max)
            if len(large):
                raise self.fail(name, large, "an integer of 2^63 or more", "write such numbers as text")
        return _numbers(array).astype(np.int64)

    def _refuse_nulls(self, name: str, array: pa.Array, advice: str) -> None:
        missing = np.flatnonzero(~_is_known(array))
        if len(missing):
            raise self.fail(name, missing, "null", advice)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _numbers(array: pa.Array) -> NDArray[Any]:
    """Return the numbers of an array, anything in place of nulls. Arrow's own ways to NumPy import pandas first."""
    values = pa.Array.from_buffers(array.type, len(array), [None, array.buffers()[1]], offset=array.offset)
    return np.from_dlpack(values)


def _is_known(array: pa.Array) -> NDArray[np.bool_]:
    return _numbers(array.is_valid().cast(pa.uint8())).view(np.bool_)
