"""Raters of all rows through whole commands: the board, the keys, labels for rows without one, and mistakes."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.command_line import cells, harness, table, write_suite

RUN = ("run", "suite.yaml", "--threads", 1, "-j", 2)
DATA = {"path": "data.parquet", "id": "row_id", "target": "score", "classes": 6}
LABELERS = ["majority_vote", {"knn": {"on": "said", "k": 20}}]
SAID = {"said": {"features": "raters"}}


def answers(n=240):
    """Return (row, rater, label) of three raters, one of whom is good."""
    rng, y = np.random.default_rng(1), np.array(table()["score"].to_pylist())
    right = rng.random((n, 3)) < [0.9, 0.5, 0.5]
    labels = np.where(right, y[:, None], rng.integers(0, 6, (n, 3)))
    rows, raters = np.nonzero(rng.random((n, 3)) < 0.9)
    return rows, raters, labels[rows, raters]


def write_answers(folder, rows, raters, labels):
    lines = zip((rows + 1000).tolist(), raters.tolist(), labels.tolist(), strict=True)
    text = "id,who,said\n" + "".join(f"{row},person {rater},{label}\n" for row, rater, label in lines)
    (folder / "answers.csv").write_text(text)


RATERS = {"path": "answers.csv", "on": "all", "row": "id", "rater": "who", "label": "said"}


def test_a_board_says_that_raters_are_seen_and_other_raters_are_other_cells(tmp_path):
    rows, raters, labels = answers()
    write_answers(tmp_path, rows, raters, labels)
    write_suite(tmp_path, LABELERS, data=DATA | {"raters": RATERS}, blocks=SAID)
    assert harness(*RUN, cwd=tmp_path).returncode == 0
    board = (tmp_path / "leaderboards/small/README.md").read_text()
    said = f"Labelers see the raters of the rows to label: {len(rows)} labels by 3 raters, on"
    assert said in board
    first = cells(tmp_path)
    test = np.random.default_rng(3).permutation(240)[120]  # a row to label
    of_test = np.flatnonzero(rows == test)[0]
    labels[of_test] = (labels[of_test] + 1) % 6
    write_answers(tmp_path, rows, raters, labels)
    assert harness(*RUN, cwd=tmp_path).returncode == 0
    again = cells(tmp_path)
    assert {name: cell["cell"] for name, cell in first.items()}.keys() == again.keys()
    assert all(first[name]["cell"] != again[name]["cell"] for name in first)


def test_rows_without_a_label_are_labelled_by_their_raters(tmp_path):
    rows, raters, labels = answers()
    write_answers(tmp_path, rows, raters, labels)
    write_suite(tmp_path, ["dawid_skene"], table(unlabelled=60), data=DATA | {"raters": RATERS}, blocks=None)
    result = harness("label", "suite.yaml", "--with", "dawid_skene", "--to", "labels.parquet", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    truth = np.array(table()["score"].to_pylist())
    labelled = pq.read_table(tmp_path / "labels.parquet")
    proxies = dict(zip(labelled["row_id"].to_pylist(), labelled["proxy_label"].to_pylist(), strict=True))
    assert np.mean([proxies[1000 + row] == truth[row] for row in range(180, 240)]) > 0.75


@pytest.mark.parametrize(
    ("raters", "line"),
    [
        (RATERS | {"path": "answer.csv"}, "data.raters.path: answer.csv: no such file"),
        (RATERS | {"row": "idd"}, "data.raters.row: answers.csv: no column 'idd' for row; did you mean 'id'?"),
        ({"columns": ["sore"], "on": "all"}, "data.raters.columns[0]: data.parquet: no column 'sore' for target or"),
        ({"columns": ["score"], "on": "all"}, "data: rater 'score' is the target: on all rows, it is the hidden label"),
        (RATERS | {"on": "al"}, "data.raters.on: must be 'labelled' or 'all', got 'al'; did you mean 'all'?"),
    ],
    ids=["file", "column of the file", "column", "target", "on"],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path, raters, line):
    write_answers(tmp_path, *answers())
    write_suite(tmp_path, LABELERS, data=DATA | {"raters": raters}, blocks=SAID)
    result = harness("validate", "suite.yaml", cwd=tmp_path)
    assert result.returncode == 2
    (error,) = result.stderr.splitlines()
    assert line in error
    assert error.startswith("error: suite.yaml:")
