"""The exported splits and answers give the board again, by pandas and scikit-learn alone."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.command_line import harness, table, write_suite

PAGE = Path(__file__).parents[2] / "docs" / "check.md"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of a run with two comparisons and two seeds, exported to check/."""
    folder = tmp_path_factory.mktemp("export")
    splits = [{"splitter": "nested", "test": 0.3, "ratios": [0.2, 0.5], "seeds": [1, 2]}]
    suite = write_suite(folder, ["majority", {"knn": {"on": "embedding"}}], table(240, unlabelled=40), splits=splits)
    run = harness("run", suite, cwd=folder)
    assert run.returncode == 0, run.stderr
    done = harness("export", suite, "--to", "check", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "answers of 8 of 8 cells: check/answers.parquet" in " ".join(done.stdout.split())
    return folder


def test_the_code_of_the_page_prints_the_numbers_of_the_board(exported, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    monkeypatch.chdir(exported)
    values = {}
    exec(code, values)
    assert capsys.readouterr().out
    scores = values["scores"].groupby(["comparison", "labeler"]).mean()
    standings = pd.read_csv("leaderboards/small/standings.csv").set_index(["comparison", "labeler"])
    assert len(scores) == 4
    for key, row in scores.iterrows():
        assert key in standings.index, (key, standings.index)
        assert f"{row.accuracy:.4f}" in Path("leaderboards/small/README.md").read_text()


def test_splits_are_those_of_the_rows(exported):
    splits, answers = (pd.read_parquet(exported / "check" / f"{name}.parquet") for name in ("splits", "answers"))
    sides = splits.groupby(["ratio", "seed"]).side.value_counts().unstack(fill_value=0)
    assert (sides.sum(axis=1) == 200).all()
    assert (sides.test == 60).all()
    assert sides.train.groupby("ratio").mean().to_dict() == {0.2: 40, 0.5: 100}
    tested = splits[splits.side == "test"].groupby(["ratio", "seed"]).id.apply(set)
    for key, cell in answers.groupby(["ratio", "seed", "labeler"]):
        assert set(cell.id) == tested[key[:2]]
        np.testing.assert_allclose(np.stack(cell.probabilities).sum(axis=1), 1, atol=1e-5)
    truth = table(240, unlabelled=40).to_pandas().set_index("row_id").score
    assert (answers.truth.to_numpy() == truth[answers.id].to_numpy()).all()


def test_nothing_is_exported_before_a_run(tmp_path):
    suite = write_suite(tmp_path, ["majority"])
    refused = harness("export", suite, "--to", "check", cwd=tmp_path)
    assert refused.returncode == 2
    assert "no cell is finished: give 'harness run" in " ".join(refused.stderr.split())
    (tmp_path / "file").touch()
    assert "--to file: is a file; name a folder" in harness("export", suite, "--to", "file", cwd=tmp_path).stderr
