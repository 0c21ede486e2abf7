"""Files as people have them, from a suite to a board and to labels in the values that came in."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.command_line import board, harness

TAIL = """
splits:
  - {splitter: nested, test: 0.3, ratios: [0.6], seeds: [1, 2, 3]}
labelers:
  - majority
  - knn: {on: x, k: 9}
"""
WORDS = {"billing": ["invoice", "refund", "card"], "login": ["password", "account", "reset"], "other": ["sky", "tree"]}


def write(folder, data, block):
    (folder / "s.yaml").write_text(
        f"version: 1\nname: small\ndata: {json.dumps(data)}\nblocks:\n  x: {json.dumps(block)}{TAIL}"
    )
    return folder / "s.yaml"


@pytest.fixture
def stars(tmp_path):
    """A CSV file with stars from 1 to 5 on two thirds of its rows, and numeric columns."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 2))
    stars = np.digitize(x @ [1, 0.5], [-1.2, -0.4, 0.4, 1.2]) + 1
    shown = pd.array(np.where(np.arange(240) % 3 == 0, None, stars), dtype="Int64")
    pd.DataFrame({"stars": shown, "a": x[:, 0], "b": x[:, 1]}).to_csv(tmp_path / "d.csv", index=False)
    return write(
        tmp_path,
        {"path": "d.csv", "target": "stars", "classes": [1, 2, 3, 4, 5]},
        {"features": "columns", "columns": ["*"]},
    )


def test_stars_in_a_csv_file(stars, tmp_path):
    run = harness("run", stars, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    page = board(tmp_path)["README.md"].decode()
    assert "- Target: stars, classes 1, 2, 3, 4, 5" in page
    assert "\n| Labeler | 1 | 2 | 3 | 4 | 5 |\n" in page
    done = harness("label", stars, "--to", "out.parquet", "--at-least", "4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    labels = pq.read_table(tmp_path / "out.parquet").to_pandas()
    assert set(labels.proxy_label) <= {1, 2, 3, 4, 5}
    assert (labels.label_low <= labels.proxy_label).all()
    assert (labels.proxy_label <= labels.label_high).all()
    expected = np.stack(labels.proxy_probs) @ np.arange(1, 6)
    np.testing.assert_allclose(labels.proxy_score, expected, rtol=1e-5)
    new = labels[~labels.is_gold]
    assert ((new.proxy_label >= 4) == new.accepted).all()
    card = (tmp_path / "out.md").read_text()
    assert "Selected: labels from 4 on." in card
    assert "| Share of 2 or more |" in card
    wrong = harness("label", stars, "--to", "again.parquet", "--at-least", "0", cwd=tmp_path)
    assert (wrong.returncode, "--at-least 0: must be one of 2, 3, 4, 5" in wrong.stderr) == (2, True)


def test_class_names_without_an_order_in_a_tsv_file(tmp_path):
    rng = np.random.default_rng(0)
    topic = rng.choice(list(WORDS), 240)
    text = [" ".join(rng.choice(WORDS[name], 3)) for name in topic]
    shown = np.where(np.arange(240) % 4 == 0, "", topic)
    pd.DataFrame({"topic": shown, "text": text}).to_csv(tmp_path / "d.tsv", sep="\t", index=False)
    suite = write(
        tmp_path,
        {"path": "d.tsv", "target": "topic", "text": "text"},
        {"embedder": "hashing_svd", "dim": 8},
    )
    run = harness("run", suite, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    page = board(tmp_path)["README.md"].decode()
    assert "> Column 'topic' has the classes billing, login, other, without an order (data.classes is not set)." in page
    assert "| Gain | Macro-F1 ↑ | Calibration error ↓ |\n" in page
    assert "\n| Labeler | billing | login | other |\n" in page
    assert "MAE" not in page
    scored = set(pq.read_table(tmp_path / "leaderboards" / "small" / "scores.parquet")["metric"].to_pylist())
    assert scored & {"mae", "qwk", "rps", "spearman", "auc", "precision_top_10"} == set()
    assert "| class billing |" in harness("diagnose", suite, cwd=tmp_path).stdout
    done = harness("label", suite, "--to", "out.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    labels = pq.read_table(tmp_path / "out.parquet").to_pandas()
    assert {"proxy_score", "label_low", "label_high"}.isdisjoint(labels.columns)
    assert all(label in names for label, names in zip(labels.proxy_label, labels.label_set, strict=True))
    assert (labels.proxy_label == topic)[~labels.is_gold].mean() > 0.9
    account = json.loads((tmp_path / "out.json").read_text())
    assert account["classes"] == {"values": ["billing", "login", "other"], "ordered": False}
    assert "mae" not in account["quality"]
    # new rows need no label column, and their words are those of the suite's classes
    pd.DataFrame({"text": ["invoice card refund", "reset password account"]}).to_json(
        tmp_path / "new.json", orient="records"
    )
    new = harness("label", suite, "--data", "new.json", "--to", "new.parquet", cwd=tmp_path)
    assert new.returncode == 0, new.stderr
    assert pq.read_table(tmp_path / "new.parquet")["proxy_label"].to_pylist() == ["billing", "login"]


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("knn: {on: x, k: 9}", "ordinal: {on: x}"), 10, "ordinal(on=x) needs classes in an order"),
        (("knn: {on: x, k: 9}", "mlp: {on: x, loss: emd}"), 10, "mlp(on=x, loss=emd) needs classes in an order"),
        (("labelers:", "metrics: {primary: mae}\nlabelers:"), 8, "mae needs classes in an order"),
    ],
)
def test_what_needs_an_order_is_refused_where_there_is_none(tmp_path, change, line, words):
    frame = pd.DataFrame({"topic": ["a", "b", "c"] * 40, "v": np.arange(120) % 7})
    frame.to_parquet(tmp_path / "d.parquet")
    suite = write(tmp_path, {"path": "d.parquet", "target": "topic"}, {"features": "columns", "columns": ["v"]})
    suite.write_text(suite.read_text().replace(*change))
    refused = harness("plan", suite, cwd=tmp_path)
    assert refused.returncode == 2
    message = " ".join(refused.stderr.split())
    assert f"s.yaml:{line}: " in message
    assert f"{words}; a, b, c have none: set 'data.ordered: true' if their order means something" in message


def test_two_classes_have_auc_and_average_precision(tmp_path):
    x = np.random.default_rng(0).normal(size=240)
    pd.DataFrame({"ok": x > 0.5, "x": x}).to_parquet(tmp_path / "d.parquet")
    suite = write(tmp_path, {"path": "d.parquet", "target": "ok"}, {"features": "columns", "columns": ["x"]})
    run = harness("run", suite, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    page = board(tmp_path)["README.md"].decode()
    assert "| Gain | Macro-F1 ↑ | AUC ↑ |\n" in page
    assert "\n| Labeler | false | true |\n" in page
    assert "| Average precision ↑ |" in page.partition("<summary>More columns: ")[2]
    assert "- AUC and average precision are of class true." in page
