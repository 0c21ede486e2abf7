"""Raters in columns with nulls and in a file of row, rater and label; what would leak is refused."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from harness import Split
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data, Fused, Raters
from harness.data.table import open_table
from harness.data.tasks import make_task
from harness.errors import DataError

Y = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, None, None]
IDS = [f"row {i}" for i in range(len(Y))]
FILE = Raters(path="answers.csv")


@pytest.fixture
def read(table_of, tmp_path):
    """A function that loads data, with the lines of a file of raters if any."""

    def load(raters, lines=None, columns=None, population=None, **data):
        table = table_of({"y": pa.array(Y, pa.int8()), "id": IDS} | (columns or {}), "data.parquet")
        if lines is not None:
            (tmp_path / "answers.csv").write_text("row,rater,label\n" + "".join(f"{line}\n" for line in lines))
            table = replace(table, raters=open_table("answers.csv", (tmp_path,), tmp_path / "cache", "error", None))
        section = {"path": "data.parquet", "target": "y", "classes": 3, "id": "id", "raters": raters} | data
        return load_dataset(Data(**section), population or Population(), table)

    return load


def split(train, test):
    train, test = np.array(train), np.array(test)
    return Split(train, test, np.setdiff1d(np.arange(12), [*train, *test]), 0)


LINES = ["row 3,ann,1", "row 0,bob,2", "row 0,ann,0", "row 13,bob,1", "row 5,eve,2"]
TABLE = np.full((14, 3), -1)
TABLE[[3, 0, 0, 13, 5], [0, 1, 0, 1, 2]] = [1, 2, 0, 1, 2]  # ann, bob, eve


def test_a_file_is_read_by_id_and_seen_on_labelled_rows_alone(read):
    dataset = read(FILE, [*LINES, "row 77,ann,0", "row 1,bob,"])
    np.testing.assert_array_equal(dataset.rater_labels.table(), TABLE)
    task = make_task(dataset, split([0, 3, 4], [5, 6]), {})
    assert task.rater_labels is None
    np.testing.assert_array_equal(task.raters, TABLE[[0, 3, 4]])
    assert dataset.items.rater_labels is None
    assert dataset.remarks == read((), None).remarks


def test_on_all_rows_labelers_see_the_rows_to_label_and_the_board_says_so(read):
    dataset = read(replace(FILE, on="all"), LINES)
    task = make_task(dataset, split([0, 3, 4], [5, 6]), {})
    np.testing.assert_array_equal(task.rater_labels.table(), TABLE)
    np.testing.assert_array_equal(task.raters, TABLE[[0, 3, 4]])
    np.testing.assert_array_equal(dataset.items.rater_labels.table(), TABLE)
    said = "labelers see the raters of the rows to label: 5 labels by 3 raters, on 4 of 14 rows"
    assert dataset.remarks == (said,)


def test_columns_with_nulls_are_read_as_a_file_is(read):
    columns = {name: [None if label < 0 else label for label in TABLE[:, i].tolist()] for i, name in enumerate("abe")}
    dataset = read(Raters(columns=("a", "b", "e"), on="all"), columns=columns)
    np.testing.assert_array_equal(dataset.rater_labels.table(), TABLE)


def test_a_population_has_the_raters_of_its_rows(read):
    dataset = read(replace(FILE, on="all"), LINES, population=Population("oversampled", per_class=6))
    np.testing.assert_array_equal(dataset.rater_labels.table(), TABLE[dataset.items.rows])
    np.testing.assert_array_equal(dataset.items.rater_labels.table(), TABLE[dataset.items.rows])


def test_numbers_and_text_are_the_same_id(read):
    dataset = read(FILE, ["7,ann,1"], {"id": [str(i) for i in range(14)]})
    assert dataset.rater_labels.rows.tolist() == [7]


def test_other_raters_are_another_identity(read):
    on_all = replace(FILE, on="all")
    identities = {read(raters, lines).identity() for raters in (FILE, on_all) for lines in (LINES, LINES[1:])}
    assert len(identities) == 4
    blocks = {read(raters, lines).items.identity for raters in (FILE, on_all) for lines in (LINES, LINES[1:])}
    assert len(blocks) == 3  # what feature sets do not see changes no block


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["row 3,ann,7"], r"answers\.csv: column 'label': the label 7 in 1 row \(row 0\)"),
        (["row 3,ann,1", "row 2,bob,1", "row 3,ann,2"], r"a rater's further label of the same row in 1 row \(row 2\)"),
        (["3,ann,1"], r"no row is one of the data: its rows are 3, the ids of the data row 0, row 1, row 2, \.\.\."),
        (["row 3,ann,"], "gave no label to any row"),
    ],
    ids=["a label that is no class", "twice", "other ids", "no label"],
)
def test_a_file_that_is_no_file_of_raters_is_one_line(read, lines, words):
    with pytest.raises(DataError, match=words) as error:
        read(FILE, lines)
    assert "\n" not in str(error.value)


def test_a_column_that_is_not_in_the_file_is_named(read):
    with pytest.raises(DataError, match=r"no column 'rateer' for rater; did you mean 'rater'\?"):
        read(replace(FILE, rater="rateer"), LINES)


def refused(read, words, *arguments, **more):
    with pytest.raises((DataError, ValueError), match=words) as error:
        read(*arguments, **more)
    assert "\n" not in str(error.value)


def on_all(*columns):
    return Raters(columns=columns, on="all")


def test_the_target_and_what_it_is_fused_from_are_no_raters_on_all_rows(read):
    columns = {"a": pa.array(Y, pa.int8()), "b": pa.array(Y[::-1], pa.int8())}
    refused(read, "rater 'y' is the target: on all rows, it is the hidden label", on_all("y"))
    fused = Fused("majority", ("a", "b", "y"))
    refused(read, "rater 'b' is one that the target is fused from", on_all("b"), columns=columns, target=fused)
    labelled = Raters(columns=("a", "b"))
    assert read(labelled, columns=columns, target=fused).rater_labels.n_raters == 2


def test_a_copy_of_the_target_is_found_by_its_labels(read):
    copy = {"copy": [None, *Y[1:]], "other": [2, 0, 0, 0, 1, 2, 0, 1, 2, 0, 1, 0, 1, 1]}
    words = r"rater 'copy' gave the target itself to all 11 labelled rows that they labelled"
    refused(read, words, on_all("other", "copy"), columns=copy)
    lines = [f"row {i},ann,{y}" for i, y in enumerate(Y) if y is not None]
    refused(read, "a rater gave the target itself to all 12", replace(FILE, on="all"), lines)
    assert read(FILE, lines).rater_labels.n_raters == 1
    assert read(replace(FILE, on="all"), [*lines[:5], "row 6,ann,2"]).rater_labels.n_raters == 1  # too few to be one


@pytest.mark.parametrize("how", ["majority", "median"])
def test_a_target_that_was_fused_from_the_raters_is_found(read, how):
    labels = np.random.default_rng(3).integers(0, 3, (14, 5))
    labels[0] = 0, 0, 1, 2, 2  # the median is 1, a majority 0 or 2
    target = np.median(labels, axis=1).astype(int) if how == "median" else np.array([2] * 14)
    if how == "majority":
        target[1:] = [np.bincount(row).argmax() for row in labels[1:]]
    columns = {name: labels[:, i].tolist() for i, name in enumerate("abcde")}
    raters = on_all(*columns)
    words = f"the target is the {how} of the raters on all 14 labelled rows"
    refused(read, words, raters, columns=columns | {"y": target.tolist()})
    other = np.setdiff1d(np.arange(3), labels[-1])  # what no rater said is neither
    target[-1] = other[0] if len(other) else np.bincount(labels[-1]).argmin()
    assert read(raters, columns=columns | {"y": target.tolist()}).rater_labels.n_raters == 5


@pytest.mark.parametrize(
    ("raters", "more", "words"),
    [
        ({}, {}, "raters need one of 'columns', as [a, b], and 'path'"),
        ({"columns": ("a",), "path": "x.csv"}, {}, "raters need one of"),
        ({"columns": ("a", "a")}, {}, "columns names a column twice: a, a"),
        ({"path": "x.csv"}, {"id": None}, "a file of raters names rows by their id: set 'id'"),
    ],
)
def test_a_section_that_cannot_be_meant_is_refused(read, raters, more, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        read(Raters(**raters), **more)
