"""84 kinds of kNN on one split, a tenth labelled: one list and 84 votes, against a search a cell and a search a k.

The peer searches with faiss at its best and votes with NumPy. Its searches of one k are alike, so each is made once; a
search a cell is reckoned as fourteen times that. Of many rows it answers a sixteenth, which counts sixteen times.
"""

import pytest

from benchmarks.peers import BEST, CLUSTERS, SIZES, WHOLE, Peer, aimed, in_turn, share_of

D = 1_024
A_CELL, A_K = 50, 5  # times as fast as a search a cell and as a search a k, at full size
HEAD = """
from itertools import product
KS = (5, 10, 20, 50, 100, 200)
WEIGHTS = [*(("softmax", tau) for tau in (0.05, 0.1, 0.2, 0.5)), *(("power", alpha) for alpha in (1, 4, 8))]
MODES = ("vote", "regression")
size = n // 10
y = rng.integers(0, 6, size)
"""
OURS = """
import os, tempfile
from pathlib import Path
import faiss
from harness import Block, Task
from harness.plugin.precomputed import PrecomputedNeighbors, fingerprint
from harness.search.neighbors import nearest
from harness_plugins.labelers.knn import KNN
np.save("x.npy", X)
block = Block.open(os.path.abspath("x.npy"), "embedding")
task = Task({"x": block}, np.arange(size), y, np.arange(size, n), 6)
nearest(X[:600], np.arange(600), 300, 300, 5)
began = time.perf_counter()
similarity, index = nearest(X, np.arange(n), size, size, max(KS))
np.save("similarity.npy", similarity)
np.save("index.npy", index.astype(np.int32))
Path("list.json").write_text("{}")
listed = PrecomputedNeighbors(os.getcwd(), max(KS), fingerprint([block], task.labelled, task.to_label))
from dataclasses import replace
given = replace(task, precomputed={("x",): listed})
found = time.perf_counter() - began
labels = []
for k, (weights, value), mode in product(KS, WEIGHTS, MODES):
    knn = KNN("x", k=k, weights=weights, tau=value, alpha=value, mode=mode)
    labels.append(knn.label(given).proba.argmax(axis=1))
seconds = time.perf_counter() - began
asked = -(-(n - size) // share)
print(json.dumps({"seconds": seconds, "list": found, "sum": int(np.sum([each[:asked] for each in labels]))}))
"""
PEER = """
import faiss
index = faiss.IndexFlatIP(d)
index.add(X[:size])
searching, voting, labels = 0.0, 0.0, []
asked = X[size:size + -(-(n - size) // share)]
for k in KS:
    began = time.perf_counter()
    similarity, near = index.search(asked, k)
    searching += time.perf_counter() - began
    began = time.perf_counter()
    for (weights, value), mode in product(WEIGHTS, MODES):
        if weights == "softmax":
            weight = np.exp((similarity - similarity[:, :1]) / value)
        else:
            weight = np.maximum(similarity, 0) ** value
        weight /= weight.sum(axis=1, keepdims=True)
        if mode == "vote":
            votes = np.stack([(weight * (y[near] == c)).sum(axis=1) for c in range(6)], axis=1)
            labels.append(votes.argmax(axis=1))
        else:
            labels.append(np.rint((weight * y[near]).sum(axis=1)).astype(int))
    voting += time.perf_counter() - began
seconds = (searching * (14 if a_cell else 1) + voting) * (n - size) / len(asked)
print(json.dumps({"seconds": seconds, "searching": searching, "voting": voting, "sum": int(np.sum(labels))}))
"""
PEERS = {
    "ours": Peer(OURS, BEST),  # as in a run
    "a search a cell": Peer("a_cell = True\n" + PEER, BEST),
    "a search a k": Peer("a_cell = False\n" + PEER, BEST),
}


@pytest.mark.timeout(40_000)
@pytest.mark.parametrize("rows", SIZES)
def test_84_cells_of_one_split(benchmark, tmp_path, monkeypatch, rows):
    monkeypatch.chdir(tmp_path)
    head = f"n, d, share = {rows}, {D}, {share_of(rows)}\n" + CLUSTERS + HEAD
    answers, info = in_turn(benchmark, head, PEERS, 3 if rows < WHOLE else 1), benchmark.extra_info
    met = info["ratio over a search a cell"] >= A_CELL and info["ratio over a search a k"] >= A_K
    aimed(benchmark, rows, f">= {A_CELL}x a search a cell, {A_K}x a search a k", met)
    ours, peer = answers["ours"], answers["a search a k"]
    info |= {"rows": rows, "cells": 84, "law": "84 cells of one split, ours"}
    info |= {"share of the list": ours["list"] / ours["seconds"]}
    assert abs(ours["sum"] / peer["sum"] - 1) < 1e-4  # the same labels, but for ties of float32 and float64
