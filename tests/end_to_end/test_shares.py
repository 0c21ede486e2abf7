"""Classes by shares of each train set: the board by NumPy and SciPy, test rows that no answer depends on, labels."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from tests.command_line import answer, cells, harness, scores

SHARES = [0.2, 0.3, 0.5]
ENDS = np.cumsum(SHARES)[:-1]
N = 260
SUITE = {
    "version": 1,
    "name": "small",
    "data": {"path": "d.parquet", "id": "id", "target": "score", "source": "source", "cut": {"shares": SHARES}},
    "blocks": {"x": {"embedder": "npy", "path": "x.npy", "order": "same"}},
    "splits": [
        {"splitter": "nested", "test": 0.3, "ratios": [0.2, 0.6], "seeds": [1, 2]},
        {"splitter": "kfold", "folds": 2, "seeds": [1]},
    ],
    "labelers": ["majority", {"knn": {"on": "x", "k": 9}}],
}


def write(folder, change=lambda score: score):
    """Write a suite on a score that vectors tell in part; the last 40 rows have none."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 4)).astype(np.float32)
    score = change(np.round(10 + 2 * x[:, 0] + rng.normal(size=N), 1))  # some are equal
    folder.mkdir()
    np.save(folder / "x.npy", x)
    columns = {"id": np.arange(N), "score": pa.array(score, mask=np.arange(N) >= N - 40), "source": ["a", "b"] * 130}
    pq.write_table(pa.table(columns), folder / "d.parquet")
    (folder / "s.yaml").write_text(json.dumps(SUITE))
    done = harness("run", "s.yaml", "--threads", 1, cwd=folder)
    assert done.returncode == 0, done.stderr
    return score


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("shares") / "run"


@pytest.fixture(scope="module")
def score(folder):
    score = write(folder)
    assert harness("export", "s.yaml", "--to", "out", cwd=folder).returncode == 0
    return score


def test_the_board_is_that_of_numpy_and_scipy(folder, score):
    splits, answers = (pq.read_table(folder / f"out/{name}.parquet").to_pandas() for name in ("splits", "answers"))
    board = {
        (row["labeler"], row["comparison"], row["seed"], row["fold"], row["metric"], row["source"]): row["value"]
        for row in scores(folder)
        if row["class"] == row["stage"] == row["rows"] == ""
    }
    compared = 0
    for name, rows in answers.groupby(["labeler", "comparison", "seed", "fold"], dropna=False):
        labeler, comparison, seed, fold = name
        of_split = splits[(splits.comparison == comparison) & (splits.seed == seed)]
        of_split = of_split[of_split.fold.isna() if np.isnan(fold) else of_split.fold == fold]
        train = score[of_split[of_split.side == "train"].id]
        cuts = np.sort(train)[np.floor(ENDS * len(train) + 0.5).astype(int)]
        classes = np.digitize(score[rows.id], cuts)
        names = np.array(["0 to 20 %", "20 to 50 %", "50 to 100 %"])
        assert rows.truth.tolist() == names[classes].tolist()
        means = np.array([train[np.digitize(train, cuts) == c].mean() for c in range(3)])
        proba = np.stack(rows.probabilities.to_numpy()).astype(float)
        expected, truth = proba @ means, score[rows.id]
        numbers = {
            ("accuracy", ""): (classes == proba.argmax(axis=1)).mean(),
            ("value_mae", ""): np.abs(expected - truth).mean(),
            ("value_mae", "b"): np.abs(expected - truth)[rows.id % 2 == 1].mean(),
        }
        if labeler != "majority":
            numbers["value_spearman", ""] = spearmanr(expected, truth)[0]
        for (metric, source), number in numbers.items():
            place = (labeler, comparison, str(seed), "" if np.isnan(fold) else str(int(fold)), metric, source)
            assert float(board[place]) == pytest.approx(number, abs=1e-6), place
            compared += 1
    assert compared == 6 * 3 + 6 * 4
    page = (folder / "leaderboards/small/README.md").read_text()
    assert "| Value MAE ↓ | Value Spearman ↑ |" in page
    assert "> Each train set cuts the classes at its own quantiles" in page


def test_values_of_test_rows_change_no_answer(folder, score, tmp_path):
    splits = pq.read_table(folder / "out/splits.parquet").to_pandas()
    locked = splits[(splits.side == "test") & splits.fold.isna()].id.unique()  # the same for all seeds and ratios

    def change(values):
        moved = values.copy()
        moved[locked] = -3 * values[locked] + 100
        return moved

    write(tmp_path / "other", change)
    ours, others = cells(folder), cells(tmp_path / "other")
    nested = [place for place in ours if place[2] in (0.2, 0.6)]
    assert len(nested) == 8
    for place in nested:
        assert answer(folder, ours[place]["cell"]) == answer(tmp_path / "other", others[place]["cell"]), place
    assert scores(folder) != scores(tmp_path / "other"), "their truth is another"


def test_labels_have_the_classes_of_all_labelled_rows(folder, score):
    done = harness("label", "s.yaml", "--to", "labels.parquet", "--folds", 3, "--threads", 1, cwd=folder)
    assert done.returncode == 0, done.stderr
    cuts = np.sort(score[: N - 40])[[44, 110]]  # of 220 labelled rows
    labels = pq.read_table(folder / "labels.parquet").to_pandas()
    gold = labels[labels.is_gold]
    assert len(gold) == 220
    assert set(labels.proxy_label) == {"0 to 20 %", "20 to 50 %", "50 to 100 %"}
    card = (folder / "labels.md").read_text()
    assert f"The classes are cut at the scores {cuts[0]:.6g}, {cuts[1]:.6g}." in card
    account = json.loads((folder / "labels.json").read_text())
    assert account["classes"]["cuts"] == cuts.tolist()
    counts = np.bincount(np.digitize(score[: N - 40], cuts))
    assert f"| 0 to 20 % | {counts[0]} |" in card


def test_a_train_set_without_a_class_is_one_line(folder, score):
    suite = SUITE | {"splits": [{"splitter": "nested", "test": 0.3, "ratios": [0.6, 0.01], "seeds": [1]}]}
    (folder / "few.yaml").write_text(json.dumps(suite | {"name": "few"}))
    done = harness("plan", "few.yaml", cwd=folder)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "few.yaml:1: splits[0]: d.parquet: 2 train rows: no row is left for the class" in done.stderr
