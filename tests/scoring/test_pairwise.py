"""Comparisons of two labelers and of two suites, by the real command."""

import re

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.report.pairwise import count_wins
from harness.scoring.pairwise import Gate, PairedComparison, SplitPair, parse_gate
from tests.command_line import events, harness, scores, table, write_labelers, write_suite

KNN, WIDE = "knn(on=embedding, k=3)", "knn(on=embedding, k=30)"
SPLITS = [{"splitter": "nested", "ratios": [0.2, 0.5], "test": 0.4, "seeds": [1, 2, 3]}]
DATA = {"path": "data.parquet", "id": "row_id", "target": "score", "source": "source", "classes": 6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two finished suites.

    `other` has one labeler of `small`, on another block, and one of its own.
    """
    folder = tmp_path_factory.mktemp("pairs")
    write_labelers(folder / "plugin.py", mine="return np.eye(6)[task.to_label % 6]")
    changed = {"embedding": {"embedder": "hashing_svd", "dim": 8}}
    text = DATA | {"text": "messages"}
    listed = [{"knn": {"on": "embedding", "k": 3}}, "mine"]
    write_suite(folder, listed, table(500), name="other", data=text, splits=SPLITS, blocks=changed).rename(
        folder / "other.yaml"
    )
    listed = [{"knn": {"on": "embedding", "k": k}} for k in (3, 30)]
    write_suite(folder, listed, table(500), data=DATA, splits=SPLITS)
    for name in ("suite.yaml", "other.yaml"):
        done = harness("run", name, "--threads", 1, "--plugin", "plugin.py", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def differences(folder, *arguments):
    done = harness("compare", *arguments, "--json", "--plugin", "plugin.py", cwd=folder)
    return done.returncode, [event for event in events(done) if event["event"] == "difference"], done


@pytest.mark.slow
def test_two_labelers_of_a_suite(folder):
    code, differing, done = differences(folder, "suite.yaml", "--labelers", KNN, WIDE)
    assert code == 0, done.stderr
    rows = scores(folder)
    for event in differing:
        if "mean over" in event["where"]:
            continue
        label_class = event["of"].removeprefix("class ") if event["of"].startswith("class") else ""
        source = event["of"].removeprefix("source ") if event["of"].startswith("source") else ""
        for side, name in (("value_a", KNN), ("value_b", WIDE)):
            values = [
                float(row["value"])
                for row in rows
                if (row["comparison"], row["labeler"], row["metric"]) == (event["where"], name, event["metric"])
                and (row["class"], row["source"]) == (label_class, source)
            ]
            assert event[side] == pytest.approx(np.mean(values)), event
        assert event["difference"] == pytest.approx(event["value_b"] - event["value_a"])
        if event["metric"] == "accuracy" and event["rows"] >= 30:
            assert event["low"] <= event["difference"] <= event["high"]
        elif event["metric"] == "accuracy":
            assert event["low"] is None, "too few rows"
    parts = {event["of"] for event in differing if event["metric"] == "accuracy"}
    assert {"", "class 0", "class 5", "source flan", "source dolly"} <= parts
    assert {event["metric"] for event in differing if event["low"] is None and not event["of"]} == {
        "spearman",
        "calibration_error",
    }
    (curve,) = (e for e in differing if "mean over the ratios" in e["where"] and e["metric"] == "accuracy")
    by_ratio = [e["difference"] for e in differing if e["metric"] == "accuracy" and not e["of"] and e is not curve]
    assert curve["difference"] == pytest.approx(np.mean(by_ratio))
    (counted,) = (event for event in events(done) if event["event"] == "tally")
    assert counted["wins"] + counted["ties"] + counted["losses"] == 6
    assert counted["mean"] == pytest.approx(curve["difference"])


@pytest.mark.slow
def test_two_suites_by_the_labelers_that_both_have(folder):
    code, differing, done = differences(folder, "suite.yaml", "other.yaml")
    assert code == 0, done.stderr
    assert {event["a"] for event in differing} == {"majority", KNN}
    same = [event["difference"] for event in differing if event["a"] == "majority"]
    assert same == [0.0] * 3, "two ratios and the curve"
    named = differences(folder, "suite.yaml", "other.yaml", "--labelers", WIDE, "mine(k=0)")
    assert named[0] == 2
    named = differences(folder, "suite.yaml", "other.yaml", "--labelers", WIDE, "mine")
    assert {(event["a"], event["b"]) for event in named[1]} == {(WIDE, "mine")}


@pytest.mark.slow
def test_a_gate_exits_3_and_names_what_it_stopped(folder):
    worse = ("suite.yaml", "other.yaml", "--labelers", KNN, "mine")
    code, _, done = differences(folder, *worse, "--fail-if", "accuracy:-0.5pp")
    assert code == 3
    assert re.search(r"gate: mine, nested\(test=0.4\), 20 % labelled: accuracy -0\.\d{4}", done.stderr)
    assert differences(folder, *worse, "--fail-if", "accuracy:-99pp", "--fail-if", "mae:+6")[0] == 0
    assert differences(folder, *worse, "--fail-if", "mae:+0.01")[0] == 3


@pytest.mark.slow
def test_for_people_there_are_tables_and_a_tally(folder):
    done = harness("compare", "suite.yaml", "--labelers", KNN, WIDE, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"nested(test=0.4), 50 % labelled: A = {KNN}, B = {WIDE}" in done.stdout
    assert re.search(r"of 6 splits; mean difference [+-]0\.\d{4}, best [+-]0\.\d{4} \(nested", done.stdout)
    both = harness("compare", "suite.yaml", "other.yaml", "--plugin", "plugin.py", cwd=folder)
    assert "(Holm)" in both.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("suite.yaml", "--labelers", KNN, "majoriti"), "no labeler is called 'majoriti'; did you mean 'majority'"),
        (("suite.yaml", "--fail-if", "accuracy:-1pp"), "--fail-if is about two labelers"),
        (("suite.yaml", "--labelers", KNN, WIDE, "--fail-if", "acuracy:-1pp"), "no metric 'acuracy'; did you mean"),
        (("suite.yaml", "--labelers", KNN, WIDE, "--fail-if", "accuracy:1"), "must be METRIC:LIMIT with a sign"),
        (("suite.yaml", "--labelers", KNN, WIDE, "--reference", "x.csv"), "--reference is about one suite"),
    ],
)
def test_mistakes_are_one_clear_line(folder, arguments, said):
    done = harness("compare", *arguments, cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_other_test_rows_are_not_compared(folder, tmp_path):
    for name in ("one", "two"):
        splits = [SPLITS[0] | {"ratios": [0.2], "seeds": [1]}]
        rows = table(500) if name == "one" else table(500).slice(0, 400)
        write_suite(tmp_path, ["majority"], rows, name=name, data=DATA, splits=splits).rename(tmp_path / f"{name}.yaml")
        text = (tmp_path / f"{name}.yaml").read_text().replace("data.parquet", f"{name}.parquet")
        (tmp_path / f"{name}.yaml").write_text(text)
        (tmp_path / "data.parquet").rename(tmp_path / f"{name}.parquet")
        assert harness("run", f"{name}.yaml", "--threads", 1, cwd=tmp_path).returncode == 0
    done = harness("compare", "one.yaml", "two.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "nothing to compare: no split on the same rows" in done.stderr


@pytest.mark.parametrize(
    ("text", "gate"),
    [("accuracy:-0.5pp", Gate("accuracy", -0.005)), ("mae:+0.02", Gate("mae", 0.02))],
)
def test_gates_are_read(text, gate):
    assert parse_gate(text) == gate
    assert gate.is_violated_by(gate.limit * 1.01)
    assert not gate.is_violated_by(gate.limit * 0.99)
    assert not gate.is_violated_by(-gate.limit)
    with pytest.raises(HarnessError):
        parse_gate(text.replace(":", "="))


@pytest.mark.parametrize(("primary", "won", "lost"), [("accuracy", 2, 1), ("mae", 1, 2)])
def test_the_tally_by_hand(primary, won, lost):
    splits = [
        SplitPair("a", 0.5, 0.6),
        SplitPair("b", 0.5, 0.52),
        SplitPair("c", 0.5, 0.49),
        SplitPair("d", 0.5, 0.50001),
    ]
    curve = PairedComparison("curve", "A", "B", (), tuple(splits), is_curve=True)
    tally = count_wins([PairedComparison("here", "A", "B", (), tuple(splits)), curve], primary)
    assert (tally.wins, tally.ties, tally.losses) == (won, 1, lost)
    assert tally.mean == pytest.approx(0.11001 / 4)
    assert {tally.best.split, tally.worst.split} == {"a", "c"}
