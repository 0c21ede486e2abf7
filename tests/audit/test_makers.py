"""Copies for the makers of blocks, and what is concluded from three blocks."""

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.audit.makers import BASE, LABELS, PLACES, judge_maker, write_copies
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data

Y = [0, None, 1, 2, 0, 1, None, 2, 0, 1]


def test_copies_hold_the_labelled_rows_and_differ_in_what_they_name(tmp_path, table_of):
    columns = {"y": Y, "id": [f"r{i}" for i in range(10)], "text": [f"So {i}." for i in range(10)]}
    dataset = load_dataset(Data("data.parquet", "y", 3, id="id", text="text"), Population(), table_of(columns))
    copies = write_copies(dataset, tmp_path / "copies")
    tables = {kind: pq.read_table(items.path) for kind, items in copies.items()}
    labelled = [i for i, label in enumerate(Y) if label is not None]
    base, labels, places = tables[BASE], tables[LABELS], tables[PLACES]
    assert base["id"].to_pylist() == [f"r{i}" for i in labelled]
    assert labels.drop(["y"]).equals(base.drop(["y"]))
    assert sorted(labels["y"].to_pylist()) == sorted(base["y"].to_pylist())
    assert all(a != b for a, b in zip(labels["y"].to_pylist(), base["y"].to_pylist(), strict=True))
    assert sorted(places.to_pylist(), key=str) == sorted(base.to_pylist(), key=str)
    assert places["id"].to_pylist() == copies[PLACES].ids.tolist() != base["id"].to_pylist()
    for kind, items in copies.items():
        assert items.hidden == ("y",)
        assert list(items.texts()) == [f"###assistant: {text}" for text in tables[kind]["text"].to_pylist()]


@dataclass(frozen=True)
class RowByRow:
    def embed(self, items, start): ...


@dataclass(frozen=True)
class AllAtOnce(RowByRow):
    resumable = False


@pytest.mark.parametrize(
    ("maker", "labels", "places", "kinds"),
    [
        (RowByRow, 0, "along", []),
        (RowByRow, 1, "along", ["leak"]),
        (RowByRow, 0, "behind", ["warning"]),
        (RowByRow, 0, "about along", []),
        (AllAtOnce, 0, "behind", []),
        (AllAtOnce, 1, "behind", ["leak"]),
    ],
)
def test_conclusions(maker, labels, places, kinds):
    base = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    order = np.array([1, 2, 3, 4, 5, 0])
    third = {"along": base[order], "behind": base, "about along": base[order] * np.float32(1.00001)}[places]
    findings = list(judge_maker("x", maker(), {BASE: base, LABELS: base + labels, PLACES: third}, base, order))
    assert [finding.kind for finding in findings] == kinds
    (finding,) = judge_maker("x", maker(), {BASE: base, LABELS: base + 1, PLACES: third}, base + 1, order)
    assert (finding.kind, "the second time" in finding.text) == ("warning", True)
