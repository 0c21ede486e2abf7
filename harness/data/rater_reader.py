"""Read the labels of raters who each labelled some of the rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.column_reader import ColumnReader
from harness.data.label_reader import LabelReader
from harness.data.limits import check_memory
from harness.data.section import Raters
from harness.data.table import DataTable
from harness.errors import DataError, did_you_mean, first_few
from harness.plugin.block import Rows
from harness.plugin.raters import RaterLabels

PLACE = ("data", "raters")  # in a suite
MIN_ROWS = 10  # labelled rows that show that the target is what raters said
MIN_SHARE = 0.5  # of the labelled rows, that these must be


def read_rater_labels(raters: Raters, reader: LabelReader, ids: NDArray[Any]) -> RaterLabels:
    """Return the labels of raters by row number of the data file.

    `ids` (N,) are those of all its rows. Raises DataError.
    """
    labels = _read_columns(raters, reader) if raters.path is None else _read_file(raters, reader, ids)
    if not len(labels.labels):
        raise DataError(f"{reader.columns.table.display_name}: the raters gave no label to any row", PLACE)
    return labels


def _read_columns(raters: Raters, reader: LabelReader) -> RaterLabels:
    read = [reader.labels(name) for name in raters.columns]
    table = np.stack([np.where(is_labelled, labels, -1) for labels, is_labelled in read], axis=1)  # (N, R)
    rows, columns = np.nonzero(table >= 0)
    return RaterLabels(rows, columns, table[rows, columns], *table.shape)


def _read_file(raters: Raters, reader: LabelReader, ids: NDArray[Any]) -> RaterLabels:
    """Return the labels of a file; lines of other rows are left out."""
    table = reader.columns.table.raters
    assert table is not None  # opened beside the data
    columns = ColumnReader(table)
    for key in ("row", "rater", "label"):
        name = getattr(raters, key)
        if name not in table.columns:
            suggestion = did_you_mean(name, table.columns)
            raise DataError(f"{table.display_name}: no column {name!r} for {key}{suggestion}", (*PLACE, key))
    labels, is_labelled = LabelReader(columns, reader.classes, reader.missing).labels(raters.label)
    names = columns.names(raters.row)
    rows, lines = _find_rows(names, ids), np.flatnonzero(is_labelled)
    if not (rows >= 0).any():
        have = f"its rows are {first_few(names.tolist())}, the ids of the data {first_few(ids.tolist())}"
        raise DataError(f"{table.display_name}: column {raters.row!r}: no row is one of the data: {have}", PLACE)
    lines = lines[rows[lines] >= 0]
    distinct, rater = np.unique(columns.names(raters.rater)[lines], return_inverse=True)
    rater = rater.reshape(-1).astype(np.int64)
    _refuse_repeated(raters, columns, lines, rows[lines], rater)
    return RaterLabels(rows[lines], rater, labels[lines], len(ids), len(distinct))


def _find_rows(names: NDArray[Any], ids: NDArray[Any]) -> Rows:
    """Return the row (v,) of each of `names` (v,) among `ids`, -1 for none."""
    if names.dtype.kind != ids.dtype.kind:  # 17 and "17" are the same row
        text = np.dtypes.StringDType()
        names, ids = names.astype(text), ids.astype(text)
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids[order], names), len(ids) - 1)
    return np.where(ids[order][place] == names, order[place], -1)


def _refuse_repeated(raters: Raters, columns: ColumnReader, lines: Rows, rows: Rows, rater: NDArray[np.int64]) -> None:
    """Raise DataError if a rater has labelled a row twice."""
    order = np.lexsort((rater, rows))
    same = (np.diff(rows[order]) == 0) & (np.diff(rater[order]) == 0)
    if same.any():
        fault, advice = "a rater's further label of the same row", "keep one"
        raise columns.fail(raters.label, np.sort(lines[order[1:][same]]), fault, advice)


def check_table_size(raters: RaterLabels, n: int, table: DataTable) -> None:
    """Raise DataError if a table of `n` rows by raters is too large."""
    check_memory(n, 8 * raters.n_raters, f"{table.display_name}: labels of {raters.n_raters:,} raters", PLACE)


def check_leaks(labels: RaterLabels, y: NDArray[np.int64], n_classes: int, raters: Raters, table: DataTable) -> None:
    """Raise DataError if raters give the target away, alone or together.

    `labels` are those of the labelled rows, whose target is `y` (n,). A rater leaks who gave every row its target; all
    of them leak where their majority, or their median, is the target: then it was fused from them.
    """
    n = len(y)
    enough = max(MIN_ROWS, MIN_SHARE * n)
    given = np.bincount(labels.raters, minlength=labels.n_raters)
    right = np.bincount(labels.raters, labels.labels == y[labels.rows], labels.n_raters)
    copies = np.flatnonzero((given >= enough) & (right == given))
    votes = labels.counts(n_classes)  # (n, C)
    number = votes.sum(axis=1)
    rated = number > 0
    below, up_to = (votes.cumsum(axis=1) - votes)[np.arange(n), y], votes.cumsum(axis=1)[np.arange(n), y]
    is_mode = votes[np.arange(n), y] == votes.max(axis=1)
    is_median = (2 * below <= number) & (2 * up_to >= number)
    reason = None
    if len(np.unique(y)) < 2:
        return
    if len(copies):
        name = f"rater {raters.columns[copies[0]]!r}" if raters.columns else "a rater"
        reason = f"{name} gave the target itself to all {given[copies[0]]:,} labelled rows that they labelled"
    elif rated.sum() >= enough and (is_mode[rated].all() or is_median[rated].all()):
        how = "majority" if is_mode[rated].all() else "median"
        reason = f"the target is the {how} of the raters on all {rated.sum():,} labelled rows that they labelled"
    if reason is not None:
        advice = "on all rows, that is the hidden label; set 'on: labelled', or leave out what the target is made of"
        raise DataError(f"{table.display_name}: {reason}: {advice}", PLACE)


def describe_raters(labels: RaterLabels) -> str:
    """Return the line on raters whom labelers see on all rows."""
    rated = len(np.unique(labels.rows))
    return (
        f"labelers see the raters of the rows to label: {len(labels.labels):,} labels by {labels.n_raters:,} raters, "
        f"on {rated:,} of {labels.n_rows:,} rows"
    )
