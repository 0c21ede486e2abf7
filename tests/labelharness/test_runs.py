"""Suites run from Python: the board of the command line, rows in memory as files, mistakes as exceptions."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import labelharness as lh
from harness.report.parquet_files import read_parquet
from tests.command_line import BLOCKS, board, harness, long_rows, ranks, table, write_labelers, write_suite

LABELERS = ["majority", {"knn": {"on": "embedding", "k": 7}}]
SECTIONS = {
    "name": "small",
    "data": {"id": "row_id", "text": "messages", "target": "score", "classes": 6},
    "blocks": BLOCKS,
    "splits": [{"splitter": "prefix", "ratios": [0.5], "seeds": [3, 4, 5]}],
    "labelers": LABELERS,
}


def rows():
    """240 rows as a DataFrame, the last 40 without a score: NaN, as pandas has it."""
    return table(unlabelled=40).to_pandas()


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def run(output):
    return lh.run(lh.suite(**SECTIONS), rows(), threads=1, output=output)


def test_the_board_is_that_of_the_command_line(run, output, tmp_path):
    write_suite(tmp_path, LABELERS, table(unlabelled=40), splits=SECTIONS["splits"])
    result = harness("run", "suite.yaml", "--threads", "1", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert ranks(tmp_path) == ranks(output) == dict(zip(run.board["labeler"], run.board["rank"], strict=True))
    assert long_rows(tmp_path / "leaderboards" / "small" / "scores.parquet") == long_rows(
        output / "leaderboards" / "small" / "scores.parquet"
    )


def test_its_tables_are_those_on_the_disk(run, output):
    folder = output / "leaderboards" / "small"
    for name, frame in (("scores.parquet", run.scores), ("pairs.parquet", run.pairs)):
        pd.testing.assert_frame_equal(frame, read_parquet(name, folder / name).to_pandas())
    cells = pq.read_table(output / "runs" / "small" / "tables" / "cells.parquet").to_pandas()
    pd.testing.assert_frame_equal(run.cells, cells)
    standings = pd.read_csv(folder / "standings.csv", dtype={"rank": str})
    for column in standings.columns:
        assert run.board[column].equals(standings[column]) or np.allclose(
            run.board[column].astype(float), standings[column].astype(float), equal_nan=True
        ), column
    accuracy = run.scores.query("metric == 'accuracy' and stage.isna() and rows.isna() and not oracle")
    total = accuracy[accuracy["class"].isna() & accuracy["source"].isna()]
    means = total.groupby("labeler")["value"].mean()
    assert np.allclose(run.board["accuracy"], means[run.board["labeler"]])


def test_a_board_in_a_notebook_is_drawn_as_in_the_report(run, output):
    page = run.report(output / "page.html").read_text()
    shown = run._repr_html_()
    for labeler in run.board["labeler"]:
        assert f">{labeler}</th>" in shown
    cells = [part.partition("<")[0] for part in shown.split("<td")[1:]]
    assert cells
    assert shown.count("<svg") == page.partition("</table>")[0].count("<svg") > 0
    assert "<script" not in shown
    assert "<button" not in shown
    assert (output / "leaderboards" / "small" / "report.html").read_text() == page
    assert "knn(on=embedding, k=7)" in repr(run)


def test_the_same_rows_run_nothing_again(run, output):
    files = {file: file.stat().st_mtime_ns for file in (output / "runs" / "small" / "cells").rglob("*.npy")}
    before = dict(os.environ)
    again = lh.run(lh.suite(**SECTIONS), pa.Table.from_pandas(rows()), threads=1, output=output)
    assert {file: file.stat().st_mtime_ns for file in files} == files
    assert list(again.cells["cell"]) == list(run.cells["cell"]), "a Table of a DataFrame is the same rows"
    assert dict(os.environ) == before
    assert len(list((output / "runs" / "cache" / "memory").iterdir())) == 1


def test_commands_find_a_run_by_its_folder(run, output):
    result = harness("status", output / "runs" / "small", "-o", output, "--json", cwd=output.parent)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["finished"] == 6
    files = board(output)
    assert lh.run(output / "runs" / "small", threads=1, output=output).board.equals(run.board)
    assert board(output)["scores.parquet"] == files["scores.parquet"]


def test_its_labels_are_those_of_the_command(run, output, tmp_path):
    frame, card = run.label(target_accuracy=0.5, good=4)
    command = ["label", output / "runs" / "small", "--to", tmp_path / "labels.parquet", "-o", output]
    result = harness(*command, "--target-accuracy", "0.5", "--good", "4", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    written = pq.read_table(tmp_path / "labels.parquet").to_pandas()
    assert frame["proxy_label"].tolist() == written["proxy_label"].tolist()
    assert frame["accepted"].tolist() == written["accepted"].tolist()
    assert (~frame["is_gold"]).sum() == 40
    assert card == (tmp_path / "labels.md").read_text()


def test_new_rows_in_memory_are_labelled(run, tmp_path):
    new = rows().tail(30).assign(row_id=lambda frame: frame["row_id"] + 5000).drop(columns="score")
    labels = run.label(new, to=tmp_path / "new.parquet")
    assert labels.frame["row_id"].tolist() == new["row_id"].tolist()
    assert labels.frame["proxy_label"].between(0, 5).all()
    assert (tmp_path / "new.md").read_text() == labels.card
    with pytest.raises(TypeError, match="no option 'coverag'; did you mean 'coverage'"):
        run.label(coverag=0.5)


def test_a_failed_cell_is_in_the_cells_and_raises_nothing(output, tmp_path, caplog):
    plugin = write_labelers(tmp_path / "broken.py", broken="raise RuntimeError('too hot')")
    suite = lh.suite(**SECTIONS | {"name": "failing", "labelers": [*LABELERS, "broken"]}, plugins=[plugin])
    run = lh.run(suite, rows(), threads=1, output=output, plugins=[plugin])
    failed = run.cells.query("status == 'failed'")
    assert failed["labeler"].tolist() == ["broken"] * 3
    assert failed["reason"].str.contains("too hot").all()
    assert "3 of 9 cells failed: Run.cells has the reasons" in caplog.messages
    assert ">broken</th>" in run._repr_html_()
    assert run.board.set_index("labeler")["finished"].to_dict()["broken"] == 0


def test_workers_of_each_run_have_its_threads(tmp_path):
    """They are forked from one server, whose libraries have read the variables of the first run."""
    body = "return Predictions(uniform(task), {'threads': os.environ['OMP_NUM_THREADS']})"
    plugin = write_labelers(tmp_path / "probe.py", probe=body)
    suite = lh.suite(**SECTIONS | {"labelers": ["probe"], "metrics": {"baseline": "probe"}}, plugins=[plugin])
    for threads in (1, 2, 1):
        done = lh.run(suite, rows(), threads=threads, output=tmp_path / str(threads), plugins=[plugin])
        records = (tmp_path / str(threads) / "runs" / "small" / "cells").glob("*/cell.json")
        assert {json.loads(record.read_text())["facts"]["threads"] for record in records} == {str(threads)}
        assert len(done.cells) == 3


def test_a_suite_of_another_origin_keeps_its_folder(tmp_path):
    file = write_suite(tmp_path, ["majority"])
    lh.run(file, threads=1, output=tmp_path)
    with pytest.raises(lh.DataError, match=r"suite: name: .* has the run of another suite of this name"):
        lh.run(lh.suite(file, labelers=LABELERS), threads=1, output=tmp_path)


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({"data": {"targt": "score"}}, ["suite: data.targt: unknown key", "suite: data: 'target' is missing"]),
        ({"labelers": [{"knn": {"on": "embedding", "kk": 1}}]}, ["suite: labelers[0].knn.kk: unknown key 'kk'"]),
        ({"blocks": {"x": {1: 2}}}, ["suite: blocks.x: a key must be a plain name, got 1"]),
        ({"metrics": {"primary": {1, 2}}}, ["suite: metrics.primary: has the type set, which a suite cannot give"]),
        ({"name": "../up"}, ["suite: name: must be letters"]),
        ({"splits": []}, ["suite: splits: must be a list"]),
    ],
)
def test_every_mistake_of_a_suite_is_named_with_its_place(change, problems, tmp_path):
    with pytest.raises(lh.SuiteError) as built:
        lh.suite(**SECTIONS | change)
    with pytest.raises(lh.SuiteError) as caught:
        lh.run(SECTIONS | {"version": 1} | change, rows(), output=tmp_path)
    for error in (built.value, caught.value):
        assert len(error.problems) >= len(problems)
        assert all(line.startswith(start) for line, start in zip(error.problems, problems, strict=False)), error
    assert not (tmp_path / "runs" / "small").exists()


def test_data_that_do_not_fit_name_their_place(tmp_path):
    with pytest.raises(lh.SuiteError) as caught:
        lh.run(lh.suite(**SECTIONS), rows().drop(columns="score"), output=tmp_path)
    (problem,) = caught.value.problems
    assert problem.startswith("suite: data.target: ")
    assert "no column 'score'" in problem
    with pytest.raises(lh.DataError, match=r"\.parquet: column 'score': the label 99 in 1 row \(row 7\)"):
        lh.run(
            lh.suite(**SECTIONS),
            rows().assign(score=lambda frame: frame["score"].mask(frame.index == 7, 99)),
            output=tmp_path,
        )
    with pytest.raises(lh.DataError, match=r"must be a pandas DataFrame, a pyarrow Table, .* got builtins\.list"):
        lh.run(lh.suite(**SECTIONS), [1, 2], output=tmp_path)
    with pytest.raises(lh.HarnessError, match="jobs must be at least 1, got 0"):
        lh.run(lh.suite(**SECTIONS), rows(), output=tmp_path, jobs=0)
    with pytest.raises(lh.SuiteError, match="suite: data: 'path' is missing"):
        lh.run(lh.suite(**SECTIONS), output=tmp_path)


def test_sections_of_a_file_are_replaced_and_its_data_found(tmp_path):
    file = write_suite(tmp_path, LABELERS, reference=None)
    built = lh.suite(file, name="other", labelers=["majority"], blocks=None)
    assert built["data"]["path"] == str(tmp_path / "data.parquet")
    assert (built["name"], built["labelers"], built["splits"]) == (
        "other",
        ["majority"],
        [{**SECTIONS["splits"][0], "seeds": [3]}],
    )
    assert "blocks" not in built
    assert Path(lh.run(built, threads=1, output=tmp_path / "out").page).parent.name == "other"


def test_sections_of_a_run_are_replaced_and_its_rows_kept(run, output):
    built = lh.suite(output / "runs" / "small", name="again", labelers=[{"knn": {"on": "embedding", "k": 7}}])
    again = lh.run(built, threads=1, output=output)
    assert set(again.cells["cell"]) == set(run.cells["cell"]), "the baseline is added: these cells are those of the run"
    assert again.scores.equals(run.scores)


def test_a_file_that_is_no_suite_is_refused(tmp_path):
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(lh.SuiteError, match=r"list\.yaml: a suite is a mapping"):
        lh.suite(tmp_path / "list.yaml")
    with pytest.raises(lh.SuiteError, match=r"missing\.yaml: no such file"):
        lh.run(tmp_path / "missing.yaml", rows())


def test_a_saved_rule_labels_other_rows(run, output, tmp_path):
    new = table(60).to_pandas().drop(columns="score").assign(row_id=np.arange(60) + 9_000)
    direct = run.label(new, labeler="knn(on=embedding, k=7)", folds=2).frame
    run.label(labeler="knn(on=embedding, k=7)", folds=2, save=tmp_path / "rule")
    labels, card = lh.apply(tmp_path / "rule", new, output=output)
    assert labels.proxy_label.tolist() == direct.proxy_label.tolist()
    assert "a rule that was learnt from 200 labelled rows" in card
    with pytest.raises(lh.DataError, match=r"no rule of harness label --save"):
        lh.apply(output, new, output=output)
