"""Load the rows of a suite with their labels.

Splitters and the scorer read a Dataset; labelers and embedders never do.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.column_reader import ColumnReader
from harness.data.hub import is_hub
from harness.data.population import Population, select
from harness.data.raters import consensus, fuse_labels
from harness.data.table import DataTable
from harness.errors import DataError
from harness.plugin.block import Rows
from harness.plugin.items import Items
from harness.plugin.protocols import Labelled
from harness.utils.hashing import digest, hash_array

TEXT_PATHS = (
    "",
    "[]",
    "[].role",
    "[].content",
    "[].from",
    "[].value",
)  # what is read of conversations
MAX_NAMED_CLASSES = 5  # the others are left out
SHA256 = re.compile(r"[0-9a-f]{64}")


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
    time: str | None = None
    sha256: str | None = None  # of the file

    def __post_init__(self) -> None:
        if self.sha256 is not None and not SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 must be 64 digits from 0 to f, got {self.sha256!r}")
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
    """N rows, some of them labelled, with sources and groups."""

    table: DataTable
    items: Items  # the label-free side, for embedders and feature sets
    labelled: Rows  # (n,) row numbers of the population, increasing
    y: NDArray[np.int64]  # (n,) their labels
    n_classes: int
    raters: NDArray[np.int64] | None = None  # (n, R)
    sources: NDArray[Any] | None = None  # (N,) names
    groups: NDArray[np.int64] | None = None  # (N,) numbers 0..G-1, in the order of the names' hashes
    group_names: NDArray[Any] | None = None  # (G,)
    oversampled: bool = False  # the population repeats rows
    times: NDArray[Any] | None = None  # (N,) numbers or text in the order of time

    def __len__(self) -> int:
        return len(self.items)

    def positions(self, rows: Rows) -> NDArray[np.intp]:
        """Return the positions of labelled `rows` in ``labelled``."""
        return np.searchsorted(self.labelled, rows)

    def for_splitters(self) -> Labelled:
        """Return the labelled rows alone.

        Copies of an oversampled row have ids of their own: a splitter would keep equal ids on one side, and such a
        population is meant to show what happens when train and test share rows.
        """
        groups = None if self.groups is None or self.group_names is None else self.group_names[self.groups]
        return Labelled(
            self.labelled,
            self.y,
            self.labelled if self.oversampled else self.items.ids[self.labelled],
            None if groups is None else groups[self.labelled],
            None if self.sources is None else self.sources[self.labelled],
            None if self.times is None else self.times[self.labelled],
        )

    def unused_classes_remark(self) -> str | None:
        """Return a line on the classes that no labelled row has, or None."""
        unused = np.flatnonzero(np.bincount(self.y, minlength=self.n_classes) == 0)
        if not len(unused):
            return None
        named = ", ".join(map(str, unused[:MAX_NAMED_CLASSES])) + (", ..." if len(unused) > MAX_NAMED_CLASSES else "")
        subject = f"class {named} has" if len(unused) == 1 else f"the classes {named} have"
        advice = ""
        if unused.tolist() == [0]:
            advice = (
                f"; for a scale that begins at 1, subtract 1 from the labels and set 'classes: {self.n_classes - 1}'"
            )
        return f"{subject} no labelled row, and still counts in macro-F1 and RPS{advice}"

    def identity(self) -> str:
        """Return the hash of the population and of every label in it."""
        return digest(
            self.items.identity,
            [hash_array(a) for a in (self.labelled, self.y, self.raters, self.groups)],
            self.n_classes,
        )


def load_dataset(data: Data, population: Population, table: DataTable) -> Dataset:
    """Read and check the labels, ids, sources and groups of a population.

    Texts and vectors are not read. Raises DataError.
    """
    columns = ColumnReader(table)
    size = columns.size
    ids = columns.ids(data.id) if data.id else np.arange(size)
    names = data.hidden
    read = [columns.labels(name, data.classes) for name in names]
    rater_labels = np.stack([labels for labels, _ in read], axis=1)  # (N, R)
    is_labelled = np.logical_and.reduce([mask for _, mask in read])  # (N,)
    target = rater_labels[:, 0] if isinstance(data.target, str) else fuse_labels(rater_labels, data.target.fuse)
    sources = columns.names(data.source) if data.source else None
    times = columns.times(data.time) if data.time else None

    rows = select(population, target, is_labelled, sources, data.classes, table.display_name)
    if isinstance(data.target, Fused) and data.target.fuse == "consensus":
        rows = rows[~is_labelled[rows] | consensus(rater_labels[rows])]
    if not is_labelled[rows].any():
        fault = f"{table.display_name}: column {' + '.join(names)}: no row of the population has a label"
        raise DataError(fault, ("data", "target"))

    labelled = np.flatnonzero(is_labelled[rows])
    groups = group_names = None
    if data.group:
        group_names, groups = _number_groups(columns.names(data.group)[rows])
    readable = tuple(name for name in table.columns if name not in names)
    if data.text is not None:
        columns.require(data.text, "text")
        table.check_column(data.text, TEXT_PATHS)
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
        None if times is None else times[rows],
    )


def _number_groups(names: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return names (G,) in the order of hashes, and the numbers (N,).

    In the order of the names themselves, a number would be close to those of like names: to the label, where groups are
    named by it.
    """
    distinct, number = np.unique(names, return_inverse=True)
    hashes = [blake2b(str(name).encode(errors="surrogatepass")).digest() for name in distinct.tolist()]
    order = np.array(sorted(range(len(hashes)), key=hashes.__getitem__), np.int64)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return distinct[order], place[number.reshape(-1)]


def load_labels(table: DataTable, name: str, classes: int, role: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (N,) labels of a column and (N,) bool, False where one is null.

    Raises DataError.
    """
    return ColumnReader(table).labels(name, classes, role)


def load_items(table: DataTable, text: str | None, id: str | None) -> Items:
    """Return every row of a table without a target, for embedders alone.

    Raises DataError.
    """
    columns = ColumnReader(table)
    if text is not None:
        columns.require(text, "text")
        table.check_column(text, TEXT_PATHS)
    rows = np.arange(columns.size)
    ids = columns.ids(id) if id is not None else rows
    identity = digest(table.sha256, hash_array(rows), hash_array(ids), text, ())
    return Items(str(table.path), rows, ids, tuple(table.columns), (), text, identity)
