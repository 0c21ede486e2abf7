"""`harness apply`: the probabilities of the labeler itself, without a training; every damage is one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from harness.cli.apply import apply as command
from harness.cli.label import label as label_command
from harness.errors import HarnessError
from harness.label.apply import apply_rule, build_blocks, environment_changes, open_job, predict
from harness.label.job import LabelOptions, prepare_labels
from harness.run.executor import execute
from harness.run.opening import load_suites, only_suite, open_run
from harness.run.runner import Options
from tests.command_line import table, vectors, write_suite

DATA = {"path": "data.parquet", "id": "row_id", "text": "messages", "target": "score", "classes": 6, "source": "source"}
BLOCKS = {
    "embedding": {"embedder": "column", "column": "embeddings"},
    "text": {"features": "text_v1"},
    "who": {"features": "one_hot", "columns": ["source"]},
    "svd": {"embedder": "hashing_svd", "dim": 4},
}
LABELERS = [
    "majority",
    {"knn": {"on": ["embedding", "who"]}, "as": "knn"},
    {"linear": {"on": ["embedding", "text"]}, "as": "linear"},
    {"mlp": {"on": ["embedding", "who"], "epochs": 3, "hidden": 8}, "as": "mlp"},
    {"gbm": {"on": ["embedding", "text"], "rounds": 8, "min_child": 5}, "as": "gbm"},
    {"calibrated": {"base": {"table_prior": {"on": "who"}}, "folds": 2}, "as": "table"},
    {"label_spreading": {"on": "embedding"}, "as": "spreading"},
    {"knn": {"on": "svd"}, "as": "svd"},
]
OPTIONS = Options(threads=1)


def new_rows(n=90, first=9_000):
    """Return rows that no suite has seen, without a score."""
    score = np.random.default_rng(5).integers(0, 6, n)
    rows = table(240).slice(0, n).drop_columns(["score", "row_id", "embeddings"])
    return rows.append_column("row_id", pa.array(np.arange(n) + first)).append_column(
        "embeddings", pa.array(list(vectors(score, seed=0)), pa.list_(pa.float32()))
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the rule of the labeler `knn`, its labels, and new rows."""
    folder = tmp_path_factory.mktemp("apply")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        rows = table(300, 60).take(np.random.default_rng(7).permutation(300))
        write_suite(folder, labelers=LABELERS, data=DATA, rows=rows, blocks=BLOCKS)
        pq.write_table(new_rows(), "new.parquet", row_group_size=37)
        save("knn", target_accuracy=0.5)
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy of that folder, which is where we are."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def save(labeler, **options):
    label_command(
        suite=Path("suite.yaml"),
        **{"out": Path("labels.parquet"), "labeler": labeler, "save": Path("rule"), "folds": 2, "threads": 1} | options,
    )


def apply(**options):
    command(**{"rule": Path("rule"), "data": Path("new.parquet"), "out": Path("out.parquet")} | options)


def refused(**options):
    with pytest.raises(HarnessError) as error:
        apply(**options)
    assert not Path("out.parquet").exists()
    (line,) = str(error.value).splitlines()
    return line


def direct(labeler):
    """Return the probabilities and labels that a training for the new rows gives."""
    collection, plugins = load_suites(Path("suite.yaml"), ())
    run = open_run(only_suite(collection), plugins, OPTIONS, print)
    job = prepare_labels(run, LabelOptions(Path("x.parquet"), Path("new.parquet"), labeler=labeler, folds=2))
    job.train(lambda run, blocks: execute(run, lambda *_: None, lambda outcome: None, blocks=blocks))
    return np.asarray(job.run.store.read(job.run.cells[0].key).proba)


@pytest.mark.parametrize("labeler", ["knn", "linear", "mlp", "gbm", "table"])
def test_probabilities_are_those_of_a_training_to_the_byte(folder, labeler, tmp_path, catalog):
    if labeler != "knn":
        save(labeler)
    job = open_job(Path("rule"), Path("new.parquet"), Path("out.parquet"), catalog, Options())
    (tmp_path / "worker").mkdir()
    proba = predict(job, build_blocks(job, lambda *_: None), tmp_path / "worker")
    expected = direct(labeler)
    assert (proba.shape, proba.dtype, proba.tobytes()) == (expected.shape, expected.dtype, expected.tobytes())
    assert apply_rule(job).rows == 90
    np.testing.assert_array_equal(pd.read_parquet("out.parquet").proxy_label, expected.argmax(axis=1))


def test_rows_and_columns_are_those_of_the_input_and_of_labels(folder, capsys):
    apply()
    labels, data = pq.read_table("out.parquet"), pq.read_table("new.parquet")
    written = pq.read_table("labels.parquet")
    assert labels.select(data.column_names).equals(data)
    own = [name for name in written.column_names if name not in pq.read_schema("data.parquet").names]
    assert labels.column_names == [*data.column_names, *own]
    assert [labels.schema.field(name).type for name in own] == [written.schema.field(name).type for name in own]
    assert not any(labels["is_gold"].to_pylist())
    assert set(labels["proxy_labeler"].to_pylist()) == {"knn"}
    assert "90 rows labelled by knn" in capsys.readouterr().out


def test_rows_that_the_labels_had_get_the_same_columns(folder):
    """The unlabelled rows of the suite's own data are new rows, too: the same calibration, sets and acceptance."""
    labels = pd.read_parquet("labels.parquet")
    rest = labels[~labels.is_gold]
    data = pq.read_table("data.parquet")
    rows = data.filter(pa.array(pd.Series(data["row_id"].to_pylist()).isin(rest.row_id)))
    pq.write_table(rows, "new.parquet")
    apply()
    again = pd.read_parquet("out.parquet")
    for name in ("proxy_label", "proxy_score", "confidence", "label_low", "label_high", "accepted", "outside_support"):
        np.testing.assert_array_equal(again[name].to_numpy(), rest[name].to_numpy(), err_msg=name)
    np.testing.assert_array_equal(np.stack(again.proxy_probs), np.stack(rest.proxy_probs))


def test_the_card_has_what_was_measured_and_the_distance(folder):
    apply()
    card, values = Path("out.md").read_text().replace("\u00a0", " "), json.loads(Path("out.json").read_text())
    stated = json.loads(Path("labels.json").read_text())["quality"]["accuracy"]
    assert f"| Accuracy | {stated['value']:.4f} | {stated['low']:.4f} to {stated['high']:.4f} |" in card
    assert "Nothing was measured on these rows" in card
    assert f"{values['far']} of 90 rows" in card
    assert sum(values["by_label"].values()) == 90
    assert {name: counts["new"] for name, counts in values["by_source"].items()} == pd.Series(
        new_rows()["source"].to_pylist()
    ).value_counts().to_dict()
    assert not values["shifted"]


def test_rows_unlike_those_learnt_from_are_told_and_fail_a_gate(folder, capsys):
    rows = new_rows()
    old = np.stack(pq.read_table("data.parquet")["embeddings"].to_pylist())
    directions = np.random.default_rng(0).normal(size=(5_000, 16))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosine = (directions @ (old / np.linalg.norm(old, axis=1, keepdims=True)).T).max(axis=1)
    far = pa.array([99 * directions[cosine.argmin()]] * 90, pa.list_(pa.float32()))
    pq.write_table(rows.set_column(rows.column_names.index("embeddings"), "embeddings", far), "new.parquet")
    with pytest.raises(typer.Exit) as stop:
        apply(fail_if="shift")
    assert stop.value.exit_code == 3
    assert "many rows are far from all that the rule learnt from" in capsys.readouterr().out
    assert "**Shift: the new rows are unlike" in Path("out.md").read_text()
    assert pd.read_parquet("out.parquet").outside_support.mean() > 0.5


def test_a_source_that_nothing_learnt_from_is_strange(folder):
    rows = new_rows().to_pandas()
    rows.loc[:9, "source"] = "unheard of"
    rows.to_parquet("new.parquet", index=False)
    apply()
    labels = pd.read_parquet("out.parquet")
    assert labels.outside_support[:10].all()
    assert json.loads(Path("out.json").read_text())["strange"] == 10


@pytest.mark.parametrize("name", ["rule.npz", "measured.npz", "card.md", "labels.json", "rule.json"])
def test_a_damaged_file_is_named(folder, name):
    file = folder / "rule" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x01
    file.write_bytes(content)
    line = refused()
    assert f"rule/{name}" in line
    assert "damaged" in line or "cannot be read" in line
    file.unlink()
    assert f"rule/{name}: is missing" in refused() or "has no rule.json" in refused()


def sealed(content):
    from harness.utils.hashing import digest

    content.pop("sha256", None)
    return json.dumps(content | {"sha256": digest(content)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "has format 99, this version of labelharness reads 1"),
        ({"labeler": {"knnn": {}}}, "no labeler is called 'knnn'; did you mean 'knn'?"),
        ({"labeler": {"knn": {"on": "x", "kk": 3}}}, "unknown key 'kk'"),
        ({"form": {"class": "os.system", "fields": {}}}, "of another version of the plugins"),
        ({"measured": None}, "is of another form"),
        ({"columns": 3}, "is of another form"),
    ],
)
def test_a_foreign_rule_is_one_line(folder, change, words):
    file = folder / "rule" / "rule.json"
    file.write_text(sealed(json.loads(file.read_text()) | change))
    assert words in refused()


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', "{", "\x00"])
def test_what_is_no_rule_is_one_line(folder, content):
    (folder / "rule" / "rule.json").write_text(content)
    assert "rule" in refused()
    assert "no such folder" in refused(rule=Path("nowhere"))
    assert "is a file" in refused(rule=Path("new.parquet"))
    assert "has no rule.json" in refused(rule=Path("runs"))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"embeddings": None}, "new.parquet: no column 'embeddings', which the rule reads"),
        ({"source": None}, "no column 'source', which the rule reads"),
        ({"source": np.arange(90) / 2}, "column 'source' is double, the rule has learnt from string"),
        ({"embeddings": [[1.0, 2.0]] * 90}, "vectors of 2 numbers, the rule has learnt from 16"),
        ({"confidence": np.arange(90)}, "has a column 'confidence' already"),
    ],
)
def test_new_rows_that_do_not_fit_are_one_line(folder, columns, words):
    rows = new_rows()
    for name, values in columns.items():
        rows = rows.drop_columns([name]) if name in rows.column_names else rows
        rows = rows if values is None else rows.append_column(name, pa.array(values))
    pq.write_table(rows, "new.parquet")
    assert words in refused()


@pytest.mark.parametrize(
    ("labeler", "words"),
    [
        ("spreading", "labeler 'label_spreading' is transductive"),
        ("svd", "block 'svd' (hashing_svd) is fitted on all rows of the data"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_any_training(folder, labeler, words):
    before = sorted((folder / "runs" / "small-labels" / "cells").iterdir())
    with pytest.raises(HarnessError) as error:
        save(labeler, out=Path("other.parquet"), save=Path("other"))
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert sorted((folder / "runs" / "small-labels" / "cells").iterdir()) == before
    assert not Path("other").exists()


def test_nothing_but_a_rule_is_replaced(folder):
    with pytest.raises(HarnessError, match="--save runs: is there already and is no rule"):
        save("knn", save=Path("runs"))
    with pytest.raises(HarnessError, match="--suggest writes none"):
        save("knn", suggest=3)
    first = (folder / "rule" / "rule.npz").read_bytes()
    save("majority")
    assert (folder / "rule" / "rule.npz").read_bytes() != first
    assert not list(folder.glob(".rule*"))


def test_another_processor_or_plugin_is_one_line(folder, monkeypatch, catalog):
    job = open_job(Path("rule"), Path("new.parquet"), Path("out.parquet"), catalog, Options())
    assert environment_changes(job) == []
    monkeypatch.setattr("harness.label.apply.processor_kernels", lambda: {"torch": "AVX2"})
    (line,) = environment_changes(job)
    assert "kernels" in line
    assert "probabilities may differ in their last digits" in line


def test_an_interrupted_or_failed_command_leaves_no_scratch(folder, monkeypatch):
    monkeypatch.setattr("harness.label.apply.label_file.write_with_columns", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        apply()
    assert not list((folder / "runs" / "cache").glob("apply-*"))


PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import BlockScaler, On, Task, hookimpl


@dataclass(frozen=True, eq=False)
class Nearest:
    scaler: BlockScaler
    centres: np.ndarray

    def label(self, blocks, rows):
        distance = np.square(self.scaler.matrix(blocks, rows)[:, None] - self.centres).sum(axis=2)
        return np.eye(len(self.centres))[distance.argmin(axis=1)]


@dataclass(frozen=True)
class Centroid:
    name: ClassVar[str] = "centroid"
    on: On
    cheats: bool = False  # label() does not follow from what it learns

    def learn(self, task: Task) -> Nearest:
        scaler = BlockScaler.fit(task, self.on)
        X = scaler.matrix(task.blocks, task.labelled)
        return Nearest(scaler, np.stack([X[task.y == c].mean(axis=0) for c in range(task.n_classes)]))

    def label(self, task):
        proba = self.learn(task).label(task.blocks, task.to_label)
        return proba[:, ::-1].copy() if self.cheats else proba


@hookimpl
def harness_labelers():
    return [Centroid]
"""


def test_a_plugin_file_is_saved_and_applied_as_a_bundled_labeler_is(folder, capsys):
    Path("mine.py").write_text(PLUGIN)
    suite = json.loads(Path("suite.yaml").read_text())
    suite["labelers"] += [{"centroid": {"on": "text"}, "as": name} for name in ("mine",)]
    suite["labelers"] += [{"centroid": {"on": "text", "cheats": True}, "as": "cheat"}]
    Path("suite.yaml").write_text(json.dumps(suite))
    save("mine", plugin=[Path("mine.py")])
    assert "no labeler is called 'centroid'" in refused()
    apply(plugin=[Path("mine.py")])
    labels = pd.read_parquet("out.parquet")
    rule = np.load("rule/rule.npz")
    assert rule["rule.centres"].shape == (6, 35)
    assert (labels.proxy_labeler == "mine").all()
    Path("out.parquet").unlink()
    capsys.readouterr()
    with pytest.raises(HarnessError, match=r"cheat: what it learns gives other probabilities than its label\(\)"):
        save("cheat", plugin=[Path("mine.py")], out=Path("cheat.parquet"), save=Path("cheat"))
    assert Path("cheat.parquet").exists()  # the labels are not lost
    assert not Path("cheat").exists()
    Path("mine.py").write_text(PLUGIN.replace("distance.argmin", "distance.argmax"))
    apply(plugin=[Path("mine.py")])
    assert "code centroid changed" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "values"), [("top", 0.1), ("keep", 0.2), ("at_least", "4")])
def test_what_is_accepted_is_chosen_among_the_new_rows(folder, option, values):
    more = {"target_accuracy": 0.99} if option == "keep" else {}
    save("knn", **{option: values} | more)
    apply()
    labels = pd.read_parquet("out.parquet")
    if option == "top":
        accepted = labels.proxy_score.rank(ascending=False, method="first") <= 9
        np.testing.assert_allclose(labels.proxy_score[labels.accepted].min(), labels.proxy_score[accepted].min())
        assert labels.accepted.sum() == 9
    elif option == "keep":
        for _, rows in labels.groupby("proxy_label"):
            assert rows.accepted.sum() >= np.ceil(0.2 * len(rows))
            assert rows.confidence[rows.accepted].min() >= rows.confidence[~rows.accepted].max()
    else:
        np.testing.assert_array_equal(labels.accepted, labels.proxy_label >= 4)
