"""`harness label`: the file, its card, what a rerun reuses, every refusal."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import typer

from harness.cli.label import label as command
from harness.data.classes import Classes
from harness.errors import HarnessError
from harness.label.label_file import column_names
from harness.statistics.intervals import share_interval
from tests.command_line import harness, start, table, until, vectors, write_labelers, write_suite

DATA = {"path": "data.parquet", "id": "row_id", "text": "messages", "target": "score", "classes": 6}
LABELERS = ["majority", {"knn": {"on": "embedding"}}]
N, UNLABELLED = 400, 150
COLUMNS = column_names(Classes.numbered(6))


def shuffled(n=N, unlabelled=UNLABELLED):
    """Return the rows of the shared table in another order.

    So those without a score stand anywhere.
    """
    return table(n, unlabelled).take(np.random.default_rng(7).permutation(n))


def suite(folder, rows=None, **sections):
    return write_suite(folder, **{"labelers": LABELERS, "data": DATA, "rows": rows or shuffled()} | sections)


def label(folder, *arguments, env=None):
    return harness("label", "suite.yaml", "--to", "labels.parquet", *arguments, "--threads", 1, cwd=folder, env=env)


def finished(folder):
    return {path.name: path.stat().st_ino for path in (folder / "runs" / "small-labels" / "cells").iterdir()}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A folder with a run and its labels, and the command's result."""
    folder = tmp_path_factory.mktemp("label")
    suite(folder, data=DATA | {"source": "source"})
    assert harness("run", "suite.yaml", "--threads", 1, cwd=folder).returncode == 0
    done = label(folder)
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture
def folder(labelled, tmp_path, monkeypatch):
    """A copy of that folder, which is where we are."""
    shutil.copytree(labelled[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def again(**options):
    """Give the command in this process: finished trainings are reused."""
    command(**{"suite": Path("suite.yaml"), "out": Path("labels.parquet"), "threads": 1} | options)


def account(folder):
    return json.loads((folder / "labels.json").read_text())


def test_the_rows_are_the_inputs_with_columns_added(labelled):
    labels, data = pq.read_table(labelled[0] / "labels.parquet"), pq.read_table(labelled[0] / "data.parquet")
    assert labels.select(data.column_names).equals(data)
    assert labels.column_names == [*data.column_names, *COLUMNS]
    assert labels.schema.field("proxy_probs").type == pa.list_(pa.float32(), 6)
    assert sum(labels[name].null_count for name in COLUMNS) == 0


def test_the_columns_of_a_row_agree(labelled):
    labels = pd.read_parquet(labelled[0] / "labels.parquet")
    proba = np.stack(labels.proxy_probs).astype(float)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(labels.proxy_score, proba @ np.arange(6), atol=1e-5)
    np.testing.assert_allclose(labels.confidence, proba[np.arange(N), labels.proxy_label], atol=1e-6)
    assert ((labels.label_low <= labels.proxy_label) & (labels.proxy_label <= labels.label_high)).all()
    assert (labels.is_gold == labels.score.notna()).all()
    assert labels.accepted.all()
    assert set(labels.proxy_labeler) == {"knn(on=embedding)"}
    assert set(labels.run_id) == {account(labelled[0])["provenance"]["run_id"]}


def test_labels_are_those_of_the_labeler_trained_on_all_labelled_rows(labelled):
    """Compare the labels with those of k nearest neighbours in ten lines."""
    labels = pd.read_parquet(labelled[0] / "labels.parquet")
    X = np.stack(labels.embeddings)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    gold = labels.is_gold.to_numpy()
    similarity = X[~gold] @ X[gold].T
    near = np.argsort(-similarity, axis=1)[:, :50]
    weight = np.exp(np.take_along_axis(similarity, near, axis=1) / 0.1)
    y = labels.score[gold].to_numpy().astype(int)[near]
    votes = np.stack([(weight * (y == c)).sum(axis=1) for c in range(6)], axis=1)
    np.testing.assert_array_equal(labels.proxy_label[~gold], votes.argmax(axis=1))


def test_gold_rows_have_out_of_fold_labels(labelled):
    """Compare the accuracy out of fold with that of the gold rows' labels."""
    labels = pd.read_parquet(labelled[0] / "labels.parquet")
    gold = labels[labels.is_gold]
    hit = (gold.proxy_label == gold.score).mean()
    quality = account(labelled[0])["quality"]
    stated, measured = quality["accuracy"], share_interval((gold.proxy_label == gold.score).to_numpy())
    assert quality["out_of_fold"]["accuracy"] == pytest.approx(hit)
    assert stated["low"] < measured.low < stated["value"] < measured.high < stated["high"] < 0.95
    assert f"accuracy {stated['value']:.4f}" in labelled[1].stdout
    assert f"{hit:.4f}" in (labelled[0] / "labels.md").read_text()


def test_the_truth_of_the_hidden_rows_is_as_stated(labelled):
    """Compare with the scores of the shared table, which were hidden."""
    truth = table(N).to_pandas().set_index("row_id").score
    labels = pd.read_parquet(labelled[0] / "labels.parquet")
    rest = labels[~labels.is_gold]
    true = truth.loc[rest.row_id].to_numpy()
    summary = account(labelled[0])
    stated, measured = summary["quality"]["accuracy"], share_interval(rest.proxy_label.to_numpy() == true)
    assert measured.low < stated["high"]
    assert stated["low"] < measured.high
    inside = ((rest.label_low <= true) & (true <= rest.label_high)).mean()
    assert 0.82 < inside < 0.97
    for c, share in summary["pool"]["shares"].items():
        assert share["powered"]["low"] <= (truth == int(c)).mean() <= share["powered"]["high"]


def test_every_page_has_a_checksum(folder):
    """A flipped byte in the labels is found when the file is read."""
    file = folder / "labels.parquet"
    pq.read_table(file, page_checksum_verification=True)
    column = pq.read_metadata(file).row_group(0).column(pq.read_schema(file).get_field_index("messages") + 1)
    data = bytearray(file.read_bytes())
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(OSError, match="CRC checksum"):
        pq.read_table(file, page_checksum_verification=True)


def test_the_file_opens_as_a_data_set(labelled, tmp_path):
    datasets = pytest.importorskip("datasets", reason="the library datasets is not among the project's requirements")
    opened = datasets.load_dataset("parquet", data_files=str(labelled[0] / "labels.parquet"), cache_dir=str(tmp_path))
    assert opened["train"].num_rows == N
    assert len(opened["train"][0]["proxy_probs"]) == 6


def test_the_card_has_what_was_measured(labelled):
    from ruamel.yaml import YAML

    card, summary = (labelled[0] / "labels.md").read_text().replace("\u00a0", " "), account(labelled[0])
    front = YAML(typ="safe").load(card.split("---")[1])
    assert front["license"] == "unknown"
    assert front["configs"] == [{"config_name": "default", "data_files": "labels.parquet"}]
    quality = summary["quality"]
    for number in ("accuracy", "macro_f1", "mae", "coverage"):
        interval = quality[number]
        assert f"{interval['value']:.4f} ({interval['low']:.4f} to {interval['high']:.4f})" in card
    assert "With fewer than 300 labels no number is shifted" in card
    assert "Chosen on the same labels" in card
    assert f"{N - UNLABELLED} of them have a label" in card
    assert "first of 2 by accuracy" in card
    assert summary["provenance"]["sha256"] in card
    assert "| flan | " in card
    for name in COLUMNS:
        assert name in card.split("## The columns")[1]


def test_the_same_command_again_reuses_every_training(folder, capsys):
    before, page = finished(folder), (folder / "labels.md").read_bytes()
    again()
    assert "6 cells, 6 of them finished before" in capsys.readouterr().err
    assert finished(folder) == before
    assert (folder / "labels.md").read_bytes() == page


def test_killed_on_the_way_it_goes_on_and_leaves_no_half_file(tmp_path, labelled):
    body = "import time\ntime.sleep(0.4)\nreturn uniform(task)"
    write_labelers(tmp_path / "slow.py", slow=body)
    suite(tmp_path, labelers=["majority", "slow"])
    options = ("--with", "slow", "--plugin", "slow.py", "--threads", 1)
    command_line = ("label", "suite.yaml", "--to", "labels.parquet", *options)
    process = start(*command_line, cwd=tmp_path)
    folder = tmp_path / "runs" / "small-labels" / "cells"
    until(lambda: folder.exists() and len(list(folder.iterdir())) >= 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "labels.parquet").exists()
    before = finished(tmp_path)
    assert 2 <= len(before) < 6
    done = harness(*command_line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert finished(tmp_path).items() > before.items()
    assert pq.read_metadata(tmp_path / "labels.parquet").num_rows == N
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_an_accuracy_can_be_asked_for(folder):
    again(target_accuracy=0.8)
    labels, summary = pd.read_parquet(folder / "labels.parquet"), account(folder)
    level = summary["rules"]["thresholds"][0]["confidence"]
    rest = labels[~labels.is_gold]
    assert (rest.accepted == (rest.confidence >= np.float32(level))).all()
    assert 0 < rest.accepted.sum() == summary["rows"]["accepted"] < UNLABELLED
    assert labels[labels.is_gold].accepted.all()
    assert summary["rules"]["thresholds"][0]["bound"] >= 0.8


def test_an_accuracy_out_of_reach_is_refused_with_a_reason(folder, capsys):
    again(target_accuracy=0.99)
    printed = capsys.readouterr().out
    assert "; 0 accepted" in printed
    assert "accuracy 0.99 cannot be reached" in printed
    assert "cannot be reached" in (folder / "labels.md").read_text()
    assert not pd.read_parquet(folder / "labels.parquet").query("not is_gold").accepted.any()


def test_a_share_of_every_label_can_be_kept(folder):
    again(target_accuracy=0.99, by_class=True, keep=0.25)
    rest = pd.read_parquet(folder / "labels.parquet").query("not is_gold")
    for _, rows in rest.groupby("proxy_label"):
        assert rows.accepted.sum() == np.ceil(0.25 * len(rows))
        assert rows[rows.accepted].confidence.min() >= rows[~rows.accepted].confidence.max()


def test_the_best_rows_can_be_selected(folder):
    again(top=0.1)
    labels, summary = pd.read_parquet(folder / "labels.parquet"), account(folder)
    rest, gold = labels[~labels.is_gold], labels[labels.is_gold]
    assert rest.accepted.sum() == 15
    assert rest[rest.accepted].proxy_score.min() >= rest[~rest.accepted].proxy_score.max()
    assert (gold.accepted == (gold.score >= 4)).all()
    best = gold.sort_values("proxy_score", ascending=False, kind="stable").head(25)
    assert summary["quality"]["out_of_fold"]["accepted_right"] == pytest.approx((best.score >= 4).mean())
    assert "Expected precision, a true score of 4 or more" in (folder / "labels.md").read_text()
    again(at_least="5", good="5")
    rest = pd.read_parquet(folder / "labels.parquet").query("not is_gold")
    assert (rest.accepted == (rest.proxy_label >= 5)).all()


def new_rows(n=40, d=16, **columns):
    rng = np.random.default_rng(3)
    score = rng.integers(0, 6, n)
    defaults = {
        "extra": np.arange(n) * 1.5,
        "row_id": np.arange(n) + 9000,
        "messages": table(n)["messages"],
        "source": ["flan"] * n,
        "embeddings": pa.array(list(vectors(score, d)), pa.list_(pa.float32())),
    }
    return pa.table({name: value for name, value in (defaults | columns).items() if value is not None}), score


def test_new_rows_are_labelled_by_the_labels_of_the_suites_data(folder):
    suite(folder)
    assert harness("run", "suite.yaml", "--threads", 1, cwd=folder).returncode == 0
    rows, score = new_rows()
    pq.write_table(rows, folder / "new.parquet")
    done = harness(
        "label", "suite.yaml", "--data", "new.parquet", "--to", "new_labels.parquet", "--threads", 1, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    labels = pq.read_table(folder / "new_labels.parquet")
    assert labels.select(rows.column_names).equals(rows)
    assert not pc.any(labels["is_gold"]).as_py()
    assert (labels["proxy_label"].to_numpy() == score).mean() > 0.5
    summary = json.loads((folder / "new_labels.json").read_text())["rows"]
    assert (summary["gold"], summary["labelled"]) == (N - UNLABELLED, 40)


def test_labels_of_new_rows_are_scored_against_and_never_learnt_from(folder, capsys):
    suite(folder)
    assert harness("run", "suite.yaml", "--threads", 1, cwd=folder).returncode == 0
    rows, score = new_rows()
    wrong = pa.array((score + 1) % 6, mask=np.arange(40) % 2 == 1)  # labels of another annotator, of every second row
    for name, table_ in (("blind", rows), ("seen", rows.append_column("score", wrong))):
        pq.write_table(table_, f"{name}.parquet")
        again(data=Path(f"{name}.parquet"), out=Path(f"{name}_labels.parquet"))
    blind, seen = (pq.read_table(f"{name}_labels.parquet") for name in ("blind", "seen"))
    same = [name for name in COLUMNS if name != "run_id"]
    assert seen.select(same).equals(blind.select(same))
    assert seen["score"].combine_chunks().equals(wrong)
    cards = [json.loads(Path(f"{name}_labels.json").read_text()) for name in ("blind", "seen")]
    assert cards[0]["quality"] == cards[1]["quality"]
    assert cards[0]["rows"] == cards[1]["rows"]
    assert "truth" not in cards[1]
    again(data=Path("seen.parquet"), out=Path("seen_labels.parquet"), truth="score")
    scored = json.loads(Path("seen_labels.json").read_text())["truth"]
    label, true = seen["proxy_label"].to_numpy()[::2].astype(int), (score[::2] + 1) % 6
    assert (scored["column"], scored["rows"]) == ("score", 20)
    assert scored["accuracy"] == pytest.approx((label == true).mean())
    assert scored["mae"] == pytest.approx(np.abs(label - true).mean())
    assert f"against score, 20 rows: accuracy {scored['accuracy']:.4f}" in capsys.readouterr().out
    assert "## Against the truth of the file" in Path("seen_labels.md").read_text()
    for name, words in (
        ("scores", "no column 'scores' for --truth"),
        ("extra", "column 'extra': the label 1.5 in"),
        ("messages", "labels must be numbers, text or true and false"),
    ):
        message = refused(data=Path("seen.parquet"), out=Path("seen_labels.parquet"), truth=name)
        assert words in message


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"embeddings": None}, "new.parquet: no column 'embeddings', which the suite reads"),
        ({"d": 8}, "'embeddings' holds vectors of 8 numbers, in data.parquet they have 16"),
        ({"messages": pa.array(np.arange(40))}, "column 'messages' is int64, in data.parquet it is list<"),
        ({"row_id": np.zeros(40, int)}, "new.parquet: column 'row_id': 1 ids come more than once (0)"),
        ({"row_id": np.arange(40) + 1000}, "are those of labelled rows of data.parquet"),
        ({"proxy_score": np.zeros(40)}, "has a column 'proxy_score' already"),
    ],
)
def test_new_rows_that_do_not_fit_are_refused(labelled, tmp_path, monkeypatch, columns, words):
    monkeypatch.chdir(labelled[0])
    rows, _ = new_rows(**columns)
    pq.write_table(rows, tmp_path / "new.parquet")
    assert words in refused(data=tmp_path / "new.parquet", out=tmp_path / "x.parquet", labeler="majority")
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labeler": "kn"}, "--with kn: no labeler of suite.yaml is called so"),
        ({"truth": "score"}, "--truth score: none of the rows to label has a value there"),
        ({"coverage": 1.5}, "--coverage 1.5: must be between 0 and 1"),
        ({"top": 0.1, "at_least": "4"}, "give one of them"),
        ({"keep": 0.1}, "need --target-accuracy"),
        ({"good": "9"}, "--good 9: must be one of 1, 2, 3, 4, 5"),
        ({"calibration": "isotonik"}, "did you mean 'isotonic'?"),
        ({"data": Path("nowhere.parquet")}, "nowhere.parquet: no such file"),
        ({"out": Path("labels.csv")}, "must end in .parquet"),
        ({"out": Path("data.parquet")}, "was not written by this command"),
        ({"out": Path("nowhere/labels.parquet")}, "no such folder"),
    ],
)
def test_mistakes_are_one_line(labelled, monkeypatch, options, words):
    monkeypatch.chdir(labelled[0])
    assert words in refused(**options)


def refused(**options):
    """Return the error of the command, which is one line."""
    with pytest.raises(HarnessError) as error:
        again(**options)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_a_changed_input_is_refused(folder):
    rows = pq.read_table(folder / "data.parquet")
    pq.write_table(rows.slice(1), folder / "data.parquet")
    assert "--to labels.parquet: holds labels of other data than data.parquet is now" in refused()
    assert "have changed since the last run" in refused(out=Path("other.parquet"))


def test_nothing_run_nothing_best_and_a_refusal_has_exit_code_2(tmp_path):
    suite(tmp_path)
    done = label(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: small: no labeler has a rank, for nothing is run yet")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (table(100), "all 100 rows have a label"),
        (
            table(100, 40).filter(pc.fill_null(pc.not_equal(table(100, 40)["score"], 5), True)),
            "no labelled row is of class 5",
        ),
    ],
    ids=["all labelled", "class unseen"],
)
def test_data_that_cannot_be_labelled_are_refused(tmp_path, monkeypatch, rows, words):
    suite(tmp_path, rows)
    monkeypatch.chdir(tmp_path)
    assert words in refused(labeler="majority")


def test_an_unseen_class_can_be_accepted_and_is_on_the_card(tmp_path):
    rows = table(300, 100)
    suite(tmp_path, rows.filter(pc.fill_null(pc.not_equal(rows["score"], 5), True)))
    done = label(tmp_path, "--with", "knn(on=embedding)", "--unseen-classes")
    assert done.returncode == 0, done.stderr
    assert "No labelled row is of class 5" in (tmp_path / "labels.md").read_text()
    assert 5 not in set(pd.read_parquet(tmp_path / "labels.parquet").proxy_label)


def test_a_failing_labeler_is_named_with_its_reason(tmp_path):
    write_labelers(tmp_path / "bad.py", bad='raise ValueError("not today")')
    suite(tmp_path, labelers=["majority", "bad"])
    done = label(tmp_path, "--with", "bad", "--plugin", "bad.py")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: bad (labels, seed 0): failed: ValueError: not today"


def test_groups_stay_together_in_the_folds(tmp_path):
    """Let a labeler record which rows are of a group it has learnt from.

    In the folds none may be, labelled or not.
    """
    body = """
        met = np.isin(task.groups[task.to_label], task.groups[task.labelled])
        return Predictions(uniform(task), rows={"met": met})
    """
    write_labelers(tmp_path / "group.py", group=body)
    rows = shuffled().append_column("prompt", pa.array(np.arange(N) // 4))
    suite(tmp_path, rows, labelers=["majority", "group"], data=DATA | {"group": "prompt"})
    done = label(tmp_path, "--with", "group", "--plugin", "group.py")
    assert done.returncode == 0, done.stderr
    shares = []
    for cell in (tmp_path / "runs" / "small-labels" / "cells").iterdir():
        if json.loads((cell / "cell.json").read_text())["split"][0] == "out of fold":
            shares.append(np.load(cell / "rows.npz")["met"].mean())
    assert shares == [0.0] * 5
    assert "are of a group that has labelled rows" in (tmp_path / "labels.md").read_text()


def test_a_pool_unlike_the_labelled_rows_is_said_first(folder, capsys):
    """Hide the labels of one half of the classes alone: the pool is of these."""
    rows = table(N)
    high = rows["score"].to_numpy() >= 3
    score = pa.array(rows["score"].to_numpy(), pa.int8(), mask=high & (np.arange(N) % 10 > 0))
    suite(folder, rows.set_column(rows.schema.get_field_index("score"), "score", score))
    options = {"labeler": "knn(on=embedding)", "out": Path("moved.parquet")}
    with pytest.raises(typer.Exit) as end:
        again(**options, fail_if="shift")
    assert end.value.exit_code == 3
    assert capsys.readouterr().out.startswith("Shift: the labelled rows are no random sample of the pool (")
    card, summary = Path("moved.md").read_text(), json.loads(Path("moved.json").read_text())
    body = card.split("---", 2)[2].strip().splitlines()
    assert [line for line in body if line][1].startswith("**Shift: ")
    assert "| Number | For rows like the labelled ones (95 % interval) |" in card
    assert "The estimates above do not hold" in card
    assert summary["shift"]["shifted"]
    assert summary["shift"]["tests"]["labels"]["p"] < 1e-6
    again(**options)  # without the option it is said all the same, and the exit code is 0
    assert "--fail-if labels: must be shift" in refused(fail_if="labels")


def test_random_labels_show_no_shift_and_few_are_said_first(labelled, tmp_path):
    assert not account(labelled[0])["shift"]["shifted"]
    assert "Of these labels (95 % interval)" in (labelled[0] / "labels.md").read_text()
    rows = table(N)
    score = pa.array(rows["score"].to_numpy(), pa.int8(), mask=np.random.default_rng(0).permutation(N) >= 60)
    suite(tmp_path, rows.set_column(rows.schema.get_field_index("score"), "score", score))
    done = label(tmp_path, "--with", "knn(on=embedding)", "--fail-if", "shift", "--unseen-classes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Fewer than 100 labels: 60 rows measure everything here")
    assert "**Fewer than 100 labels: 60 rows" in (tmp_path / "labels.md").read_text()
    assert account(tmp_path)["quality"]["panel"] == 0  # nothing is carried over


def test_events_for_programs(folder, capsys):
    again(as_json=True)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["event"], last["file"], last["rows"]["labelled"]) == ("labels", "labels.parquet", UNLABELLED)


@pytest.mark.parametrize(
    "other", [{"label_spreading": {"on": "embedding"}}, {"calibrated": {"base": {"knn": {"on": "embedding"}}}}]
)
def test_transductive_labelers_and_wrappers_label_too(tmp_path, other):
    suite(tmp_path, labelers=["majority", other | {"as": "other"}])
    done = label(tmp_path, "--with", "other")
    assert done.returncode == 0, done.stderr
    labels, truth = pd.read_parquet(tmp_path / "labels.parquet"), table(N).to_pandas().set_index("row_id").score
    rest = labels[~labels.is_gold]
    assert (rest.proxy_label == truth.loc[rest.row_id].to_numpy()).mean() > 0.6


def test_rows_to_label_next(folder, capsys):
    again(out=Path("to_label.parquet"), suggest=30)
    suggested, data = pq.read_table(folder / "to_label.parquet"), pq.read_table(folder / "data.parquet")
    ids = suggested["row_id"].to_pylist()
    assert len(set(ids)) == 30
    assert suggested["score"].null_count == 30
    rows = [data["row_id"].to_pylist().index(row_id) for row_id in ids]
    assert suggested.select(data.column_names).equals(data.take(rows))
    weight = suggested["wanted"].to_numpy()
    assert (np.diff(weight) <= 0).all()
    proba = np.stack(suggested["proxy_probs"].to_numpy())
    entropy = -(proba * np.log(np.maximum(proba, 1e-12))).sum(axis=1) / np.log(6)
    assert (weight <= entropy + 1e-6).all()
    printed = capsys.readouterr().out
    assert "30 rows to label next: to_label.parquet" in printed
    assert "source flan: " in printed
    assert not (folder / "to_label.md").exists()
