"""`harness diagnose` where torch is not installed."""

import csv

import pytest

from tests.command_line import harness, write_suite

pytestmark = pytest.mark.slow


@pytest.fixture
def without_torch(tmp_path):
    """A suite in a folder; the environment hides torch."""
    write_suite(tmp_path, ["majority", "prior"])
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    return {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize("engine", ["int8", "float32"])
def test_an_engine_that_needs_torch_is_refused_in_one_line(tmp_path, without_torch, engine):
    result = harness("diagnose", "suite.yaml", "--engine", engine, cwd=tmp_path, env=without_torch)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == (
        f"error: --engine {engine} needs torch, which is not installed; --engine faiss works without it"
    )
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("engine", ["auto", "faiss"])
def test_a_small_search_and_faiss_need_no_torch(tmp_path, without_torch, engine):
    result = harness("diagnose", "suite.yaml", "--engine", engine, "-o", ".", cwd=tmp_path, env=without_torch)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "leaderboards" / "small"
    assert [file.name for file in folder.iterdir()] == ["diagnosis.csv"]
    with (folder / "diagnosis.csv").open(newline="") as file:
        first, *_ = csv.DictReader(file)
    assert (first["block"], first["kind"], first["k"], first["rows"]) == ("embedding", "all", "50", "240")
    assert float(first["lift"]) == pytest.approx(float(first["match"]) / float(first["chance"]), abs=1e-4)
