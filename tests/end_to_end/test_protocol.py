"""Boards of splits that are not what they seem: rare classes in folds, perfect labelers, one large group."""

import json
from csv import DictReader

import numpy as np
import pyarrow as pa
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from tests.command_line import harness, long_rows, write_labelers, write_suite

GIVEN = "return np.asarray(task.blocks['answers'].array[task.to_label])[:, self.k * 4 : self.k * 4 + 4]"


def run_given(folder, truth, answers, splits, **more):
    """Run labelers that give the answers (k, n) in their columns, as labels of four classes."""
    proba = np.concatenate([np.eye(4, dtype=np.float32)[labels] for labels in answers], axis=1)
    columns = {"score": truth, "row_id": [f"r{i}" for i in range(len(truth))], "given": pa.array(list(proba))}
    write_labelers(folder / "plugin.py", given=GIVEN)
    labelers = [{"given": {"k": k}, "as": f"given {k}"} for k in range(len(answers))]
    blocks = {"answers": {"embedder": "column", "column": "given"}}
    data = {"path": "data.parquet", "id": "row_id", "target": "score", "classes": 4, **more.pop("data", {})}
    table = pa.table(columns | more.pop("columns", {}))
    write_suite(folder, ["majority", *labelers], table, splits=splits, data=data, blocks=blocks)
    done = harness("run", "suite.yaml", "--plugin", "plugin.py", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done, (folder / "leaderboards/small/README.md").read_text()


def standings(folder):
    lines = (folder / "leaderboards/small/standings.csv").read_text().splitlines()
    return {row["labeler"]: row for row in DictReader(lines)}


def test_the_folds_of_a_seed_are_one_test_set(tmp_path):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 300)
    truth[:4] = 3
    most = np.where((rng.random(300) < 0.2) & (truth < 3), (truth + 1) % 3, truth)
    splits = [{"splitter": "kfold", "folds": 10, "seeds": [1]}]
    _, page = run_given(tmp_path, truth, [truth, most], splits)
    scores = {
        (row["labeler"], row["metric"]): row["value"]
        for row in long_rows(tmp_path / "leaderboards/small/scores.parquet", "scores.parquet")
        if not row["fold"] and not row["class"] and not row["stage"]
    }
    assert float(scores["given 0", "macro_f1"]) == 1
    assert abs(float(scores["given 1", "macro_f1"]) - f1_score(truth, most, average="macro")) < 1e-9
    assert f"| test rows | {' | '.join(map(str, np.bincount(truth)))} |" in page
    assert "- A class with fewer than 30 test rows is shown; nothing is ranked on it." in page
    assert "one seed: ranks are not tested" in page
    assert harness("leaderboard", "leaderboards", "--check", cwd=tmp_path).returncode == 0


def test_intervals_end_where_the_metric_does(tmp_path):
    truth = np.tile([0, 1, 2], 40)
    answers = truth.copy()
    splits = [{"splitter": "nested", "test": 0.3, "ratios": [0.5], "seeds": [1]}]
    done, _ = run_given(tmp_path, truth, [truth, answers], splits)
    row = standings(tmp_path)["given 0"]
    exact = binomtest(36, 36).proportion_ci(method="exact")
    assert abs(float(row["low"]) - exact.low) < 1e-9
    assert float(row["high"]) == 1
    assert (row["rank"], row["rank_low"], row["leading"]) == ("1=", "", "False")
    pairs = long_rows(tmp_path / "leaderboards/small/pairs.parquet", "pairs.parquet")
    (same,) = (p for p in pairs if {p["labeler_a"], p["labeler_b"]} == {"given 0", "given 1"})
    assert (float(same["low"]), float(same["high"]), same["p"]) == (0.0, 0.0, "")
    assert "one seed: ranks are not tested" in done.stdout


def test_a_ratio_that_whole_groups_cannot_meet_is_said(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    groups = np.where(np.arange(300) < 210, 0, np.arange(300))
    splits = [{"splitter": "nested", "test": 0.2, "ratios": [0.1, 0.4, 0.8], "seeds": [1, 2]}]
    more = {"data": {"group": "g"}, "columns": {"g": [f"g{g}" for g in groups]}}
    _, page = run_given(tmp_path, truth, [truth], splits, **more)
    done = harness("plan", "suite.yaml", "--plugin", "plugin.py", cwd=tmp_path)
    said = [line for line in done.stdout.splitlines() if "whole groups cannot meet the ratio" in line]
    assert said
    assert all("asked" in line and "(seed" in line for line in said)
    assert "Whole groups cannot meet the ratio: asked" in page
    plan = harness("plan", "suite.yaml", "--plugin", "plugin.py", "--json", cwd=tmp_path)
    assert plan.returncode == 0
    events = [json.loads(line) for line in plan.stdout.splitlines()]
    assert events
    sizes = {}
    for line in done.stdout.splitlines():
        if "labelled, seed" in line and "left out" not in line and ":" not in line:
            name, size = line.split("seed")[0].strip("| "), int(line.split("|")[2].replace(",", ""))
            seed = line.split("seed")[1].split()[0]
            assert size not in sizes.setdefault(seed, {}).values(), "equal train sets are one comparison"
            sizes[seed][name] = size
    assert sizes
