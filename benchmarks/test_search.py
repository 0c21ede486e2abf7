"""Neighbours for a whole curve of train sets: one pass of ours against a search a ratio with what one would take.

Every peer runs in a process of its own, because the kernels of faiss's OpenBLAS are chosen when it is loaded: at its
default, and told to use those for AVX-512 ("SkylakeX"). They take turns. `extra_info` has the seconds of each and how
many times as long as ours it takes. `pytest -s benchmarks/test_search.py`, at full size with LABELHARNESS_ROWS=300932.
"""

import json
import os
import subprocess
import sys
from statistics import median

import pytest

ROWS, D, K = int(os.environ.get("LABELHARNESS_ROWS", "40000")), 1_024, 50
ROUNDS = 3 if ROWS < 100_000 else 1
RATIOS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
COMMON = f"""
import json, time
import numpy as np
rng = np.random.default_rng(0)
n, d, k = {ROWS}, {D}, {K}
X = rng.standard_normal((n, d), dtype=np.float32)
X += 2 * rng.standard_normal((150, d), dtype=np.float32)[np.minimum(rng.zipf(1.3, n), 150) - 1]
X /= np.linalg.norm(X, axis=1, keepdims=True)
ends = [int(n * ratio) for ratio in {RATIOS}]
"""
PEERS = {
    "ours": """
from harness.search import search
search(X[:600], np.arange(600), [300], 300, 5, threads=2)  # compiled once
began = time.perf_counter()
levels, facts = search(X, np.arange(n), ends, ends[0], k, threads=2)
print(json.dumps({"seconds": time.perf_counter() - began, **facts}))
""",
    "faiss": """
import faiss
began = time.perf_counter()
for end in ends:
    index = faiss.IndexFlatIP(d)
    index.add(X[:end])
    index.search(X[end:], k)
print(json.dumps({"seconds": time.perf_counter() - began}))
""",
    "torch": """
import torch
T = torch.from_numpy(X)
began = time.perf_counter()
for end in ends:
    for start in range(end, n, 2048):
        (T[start:start + 2048] @ T[:end].T).topk(min(k, end))
print(json.dumps({"seconds": time.perf_counter() - began}))
""",
    "scikit-learn": """
from sklearn.neighbors import NearestNeighbors
began = time.perf_counter()
for end in ends:
    NearestNeighbors(n_neighbors=min(k, end), metric="cosine", algorithm="brute").fit(X[:end]).kneighbors(X[end:])
print(json.dumps({"seconds": time.perf_counter() - began}))
""",
}
SETTINGS = [("ours", ""), ("faiss", ""), ("faiss", "SkylakeX"), ("torch", ""), ("scikit-learn", "")]


def told(peer: str, kernels: str) -> dict[str, float]:
    """Run one peer; returns what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    environment |= {"OMP_NUM_THREADS": "2"} | ({"OPENBLAS_CORETYPE": kernels} if kernels else {})
    command = [sys.executable, "-c", COMMON + PEERS[peer]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=7_200)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.timeout(20_000)
def test_a_curve_of_nested_train_sets(benchmark):
    answers: dict[tuple[str, str], list[dict[str, float]]] = {setting: [] for setting in SETTINGS}

    def turn() -> None:
        for setting in SETTINGS:
            answers[setting].append(told(*setting))

    benchmark.pedantic(turn, rounds=ROUNDS)
    seconds = {
        " ".join(filter(None, setting)): median(a["seconds"] for a in found) for setting, found in answers.items()
    }
    benchmark.extra_info |= {"rows": ROWS, "ours": answers[SETTINGS[0]][-1]}
    for name, taken in seconds.items():
        benchmark.extra_info[name] = f"{taken:.1f} s, {taken / seconds['ours']:.1f}x"
        print(f"{name:<16} {taken:8.1f} s {taken / seconds['ours']:6.1f}x")
    assert answers[SETTINGS[0]][-1]["recall"] == 1.0
