"""Labelers that hold labelers, written in a suite to any depth and run by the real command."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.suite.catalog import discover
from harness.suite.suite import load_suite
from tests.command_line import BLOCKS, harness, write_suite

NESTED = [
    {"self_training": {"base": {"oversample": {"base": {"mlp": {"on": "embedding", "epochs": 2}}}}, "rounds": 1}},
    {"ensemble": {"members": [{"knn": {"on": "embedding", "k": 7}}, {"linear": {"on": "embedding"}}]}},
    {"calibrated": {"base": {"cleanlab": {"base": {"knn": {"on": "embedding", "k": 7}}, "folds": 2}}, "folds": 2}},
]


@pytest.mark.slow
def test_wrappers_nest_from_the_suite_to_the_board(tmp_path):
    file = write_suite(tmp_path, NESTED, blocks=BLOCKS)
    titles = [candidate.title for candidate in load_suite(file, discover()).labelers]
    assert "self_training(base=oversample(base=mlp(on=embedding, epochs=2)), rounds=1)" in titles
    done = harness("run", "suite.yaml", "--threads", 1, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    ranked = {event["labeler"]: event["rank"] for event in events if event["event"] == "line"}
    assert ranked.keys() == set(titles)
    assert all(ranked.values())
    scored = pq.read_table(tmp_path / "runs" / "small" / "tables" / "metrics.parquet").to_pylist()
    # What the ensemble's members agree on is scored as rows of its own; its alphas are checkpoints with an oracle.
    agreed = [row for row in scored if row["rows"] == "members agree"]
    assert len(agreed) == 1
    assert 0 < agreed[0]["n"] <= max(row["n"] for row in scored)
    oracle = [
        row["labeler"] for row in scored if row["oracle"] and row["metric"] == "accuracy" and row["class"] is None
    ]
    assert any(name.startswith("ensemble") for name in oracle)
    assert any(name.startswith("self_training") for name in oracle)
    assert np.isfinite([row["value"] for row in scored if row["value"] is not None]).all()
