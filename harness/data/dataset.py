"""Load the rows of a suite with their labels.

Splitters and the scorer read a Dataset; labelers and embedders never do.
"""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.classes import Classes, Value
from harness.data.column_reader import ColumnReader
from harness.data.cut import Scores, Shares
from harness.data.label_reader import LabelReader, Labels, choose_classes
from harness.data.population import Population, select
from harness.data.rater_reader import check_leaks, check_table_size, describe_raters, read_rater_labels
from harness.data.raters import consensus, fuse_labels
from harness.data.section import Data, Fused, Raters
from harness.data.table import DataTable
from harness.errors import DataError
from harness.plugin.block import Rows
from harness.plugin.items import Items, Template, Text, columns_of
from harness.plugin.protocols import Labelled
from harness.plugin.raters import RaterLabels
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
CUT_ADVICE = "take fewer shares or more train rows, or give thresholds as 'cut: [...]'"
CUT_REMARK = (
    "each train set cuts the classes at its own quantiles: numbers of different seeds and ratios are about slightly "
    "different classes; value MAE and value Spearman are about the same values"
)


@dataclass(frozen=True, eq=False)
class Dataset:
    """N rows, some of them labelled, with sources and groups."""

    table: DataTable
    items: Items  # the label-free side, for embedders and feature sets
    labelled: Rows  # (n,) row numbers of the population, increasing
    y: NDArray[np.int64]  # (n,) their labels
    classes: Classes
    raters: NDArray[np.int64] | None = None  # (n, R) of raters who labelled every row
    sources: NDArray[Any] | None = None  # (N,) names
    groups: NDArray[np.int64] | None = None  # (N,) numbers 0..G-1, in the order of the names' hashes
    group_names: NDArray[Any] | None = None  # (G,)
    oversampled: bool = False  # the population repeats rows
    times: NDArray[Any] | None = None  # (N,) numbers or text in the order of time
    missing: tuple[Value, ...] = ()  # values of the target that mean "no label"
    remarks: tuple[str, ...] = ()  # on labels that do not mean what they seem to
    scores: Scores | None = None  # of the labelled rows, where the classes are cut from one
    rater_labels: RaterLabels | None = None  # of all N rows, by raters who labelled some
    raters_on_all: bool = False  # labelers see them on the rows to label, too

    def __len__(self) -> int:
        return len(self.items)

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    def read_labels(self, table: DataTable, name: str, role: str) -> Labels:
        """Read a column of another table as this target is read.

        Raises DataError.
        """
        return LabelReader(ColumnReader(table), self.classes, self.missing).labels(name, role)

    def positions(self, rows: Rows) -> NDArray[np.intp]:
        """Return the positions of labelled `rows` in ``labelled``."""
        return np.searchsorted(self.labelled, rows)

    def cut_by(self, train: Rows) -> "Dataset":
        """Return the dataset with the classes that `train` rows cut.

        It is this one unless the target has shares. Until then its classes are those that all its labelled rows cut.
        Raises DataError where a class is left without a train row.
        """
        if self.scores is None or self.scores.shares is None:
            return self
        try:
            classes = self.scores.cut(self.classes, self.positions(train))
        except ValueError as error:
            raise DataError(f"{self.table.display_name}: {len(train):,} train rows: {error}; {CUT_ADVICE}") from None
        y, raters = self.scores.number(classes)
        return replace(self, y=y, raters=raters, classes=classes, scores=replace(self.scores, shares=None))

    def for_splitters(self, columns: tuple[str, ...] = ()) -> Labelled:
        """Return the labelled rows alone, with the texts of some columns.

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
            {name: self._texts(name) for name in columns},
        )

    def _texts(self, name: str) -> NDArray[Any]:
        """Return (n,) values of a column of the labelled rows, as text."""
        if name in self.items.hidden:
            raise DataError(f"{self.table.display_name}: column {name!r} is the target, and cannot split the rows")
        return ColumnReader(self.table).texts(name)[self.items.rows[self.labelled]]

    def identity(self) -> str:
        """Return the hash of the population and of every label in it."""
        return digest(
            self.items.identity,
            [hash_array(a) for a in (self.labelled, self.y, self.raters, self.groups)],
            self.n_classes if self.classes.ordered else [self.n_classes, "no order"],
            *([] if self.scores is None else [hash_array(self.scores.target)]),
            *([] if self.rater_labels is None else [hash_raters(self.rater_labels)]),
        )


def load_dataset(
    data: Data, population: Population, table: DataTable, answers: tuple[Rows, NDArray[np.int64]] | None = None
) -> Dataset:
    """Read and check the labels, ids, sources and groups of a population.

    `answers` are row numbers of the table (g,) and labels (g,) that these rows get, though the target has none. Texts
    and vectors are not read. Raises DataError.
    """
    columns = ColumnReader(table)
    size = columns.size
    ids = columns.ids(data.id) if data.id else np.arange(size)
    names = data.hidden
    reader, remark = _label_reader(data, columns)
    classes = reader.classes
    read = [reader.labels(name) for name in names]
    rater_labels = np.stack([labels for labels, _ in read], axis=1)  # (N, R)
    is_labelled = np.logical_and.reduce([mask for _, mask in read])  # (N,)
    target = rater_labels[:, 0] if isinstance(data.target, str) else fuse_labels(rater_labels, data.target.fuse)
    sources = columns.names(data.source) if data.source else None
    times = columns.times(data.time) if data.time else None

    rows = select(population, target, is_labelled, sources, len(classes), table.display_name)
    if isinstance(data.target, Fused) and data.target.fuse == "consensus":
        rows = rows[~is_labelled[rows] | consensus(rater_labels[rows])]
    if answers is not None:
        answered, labels = answers
        target[answered], is_labelled[answered] = labels, True
    if not is_labelled[rows].any():
        fault = f"{table.display_name}: column {' + '.join(names)}: no row of the population has a label"
        raise DataError(fault, ("data", "target"))

    labelled = np.flatnonzero(is_labelled[rows])
    groups = group_names = None
    if data.group:
        group_names, groups = _number_groups(columns.names(data.group)[rows])
    readable = tuple(name for name in table.columns if name not in names)
    for name in columns_of(data.text):
        columns.require(name, "text")
        table.check_column(name, TEXT_PATHS)
    items = Items(
        str(table.path),
        rows,
        ids[rows],
        readable,
        names,
        data.text,
        digest(table.sha256, hash_array(rows), hash_array(ids[rows]), _text_identity(data.text), names),
    )
    raters = None
    if data.listed_raters:
        raters = np.stack([reader.rater(name, rows[labelled]) for name in data.listed_raters], axis=1)
    y = target[rows[labelled]]
    all_raters = None
    if isinstance(data.raters, Raters):
        file_raters = read_rater_labels(data.raters, reader, ids)
        all_raters = file_raters.of(rows)
        check_table_size(all_raters, len(labelled), table)
        if data.raters_on_all:
            check_leaks(all_raters.of(labelled), y, len(classes), data.raters, table)
            identity = digest(items.identity, hash_raters(file_raters))
            items = replace(items, file_raters=file_raters, identity=identity)
    scores = _scores(data, reader, rows[labelled])
    return Dataset(
        table,
        items,
        labelled,
        y,
        classes,
        raters,
        None if sources is None else sources[rows],
        groups,
        group_names,
        population.take == "oversampled",
        None if times is None else times[rows],
        data.missing_values,
        tuple(
            filter(
                None,
                (
                    remark,
                    unused_classes_remark(y, classes),
                    CUT_REMARK if isinstance(data.cut, Shares) else None,
                    describe_raters(all_raters) if all_raters is not None and data.raters_on_all else None,
                ),
            )
        ),
        scores,
        all_raters,
        data.raters_on_all,
    )


def labelled_rows(data: Data, table: DataTable) -> NDArray[np.bool_]:
    """Return (N,) bool: the rows of a table that have a label.

    Raises DataError.
    """
    reader, _ = _label_reader(data, ColumnReader(table))
    return np.asarray(np.logical_and.reduce([reader.labels(name)[1] for name in data.hidden]))


def _label_reader(data: Data, columns: ColumnReader) -> tuple[LabelReader, str | None]:
    """Return the reader of the target, and a line on classes not given.

    Of shares, the thresholds are those of all labelled rows of the file.
    """
    classes, remark = choose_classes(columns, data.hidden[0], data.given_classes, data.ordered, data.missing_values)
    reader = LabelReader(columns, classes, data.missing_values)
    if isinstance(data.cut, Shares):
        scores, is_labelled = reader.scores(data.hidden[0])
        try:
            thresholds = data.cut.find_thresholds(scores[is_labelled]) if is_labelled.any() else ()
        except ValueError as error:
            fault = f"{columns.table.display_name}: column {data.hidden[0]!r}: {error}; {CUT_ADVICE}"
            raise DataError(fault, ("data", "cut")) from None
        reader = replace(reader, classes=replace(classes, cuts=thresholds))
    return reader, remark


def _scores(data: Data, reader: LabelReader, rows: Rows) -> Scores | None:
    """Return the scores of labelled `rows` that classes are cut from, if any.

    A target that is fused of several columns has no score.
    """
    if not reader.classes.cuts or reader.classes.stored == "texts" or isinstance(data.target, Fused):
        return None
    raters = [reader.scores(name)[0][rows] for name in data.listed_raters]
    shares = data.cut if isinstance(data.cut, Shares) else None
    return Scores(reader.scores(data.target)[0][rows], np.stack(raters, axis=1) if raters else None, shares)


def hash_raters(labels: RaterLabels) -> list[object]:
    """Return what the identity of raters' labels is made of."""
    return [labels.n_rows, labels.n_raters, *map(hash_array, labels.arrays())]


def _text_identity(text: Text | None) -> object:
    return {"template": text.template} if isinstance(text, Template) else text


def unused_classes_remark(y: NDArray[np.int64], classes: Classes) -> str | None:
    """Return a line on the classes that no label y (n,) has, or None."""
    unused = np.flatnonzero(np.bincount(y, minlength=len(classes)) == 0)
    if not len(unused):
        return None
    named = ", ".join(classes.names[c] for c in unused[:MAX_NAMED_CLASSES])
    named += ", ..." if len(unused) > MAX_NAMED_CLASSES else ""
    subject = f"class {named} has" if len(unused) == 1 else f"the classes {named} have"
    advice = ""
    if classes.are_numbered and unused.tolist() == [0]:
        listed = ", ".join(map(str, range(1, len(classes))))
        advice = f"; for a scale that begins at 1, write 'classes: [{listed}]'"
    return f"{subject} no labelled row, and still counts in macro-F1 and RPS{advice}"


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
