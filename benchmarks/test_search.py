"""Neighbours for a whole curve of train sets: one pass of ours against a search a ratio with what one would take.

faiss comes twice: at its default, and told to use its kernels for AVX-512. At full size, which takes hours with every
peer and half an hour with the best: `LABELHARNESS_ROWS=300932 LABELHARNESS_PEERS=SkylakeX pytest -s
benchmarks/test_search.py -k 300932`.
"""

import pytest

from benchmarks.peers import BEST, CLUSTERS, SIZES, Peer, aimed, in_turn

D, K = 1_024, 50
RATIOS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
TARGET = 9  # times as fast as faiss at its best, at full size

OURS = """
from harness.search import search
search(X[:600], np.arange(600), [300], 300, 5, threads=cores)  # compiled once
began = time.perf_counter()
levels, facts = search(X, np.arange(n), ends, ends[0], k, threads=cores)
print(json.dumps({**facts, "seconds": time.perf_counter() - began}))
"""
FAISS = """
import faiss
began = time.perf_counter()
for end in ends:
    index = faiss.IndexFlatIP(d)
    index.add(X[:end])
    index.search(X[end:], k)
print(json.dumps({"seconds": time.perf_counter() - began}))
"""
TORCH = """
import torch
T = torch.from_numpy(X)
began = time.perf_counter()
for end in ends:
    for start in range(end, n, 2048):
        (T[start:start + 2048] @ T[:end].T).topk(min(k, end))
print(json.dumps({"seconds": time.perf_counter() - began}))
"""
SCIKIT_LEARN = """
from sklearn.neighbors import NearestNeighbors
began = time.perf_counter()
for end in ends:
    NearestNeighbors(n_neighbors=min(k, end), metric="cosine", algorithm="brute").fit(X[:end]).kneighbors(X[end:])
print(json.dumps({"seconds": time.perf_counter() - began}))
"""
PEERS = {
    "ours": Peer(OURS),
    "faiss": Peer(FAISS),
    f"faiss, {BEST}": Peer(FAISS, BEST),
    "torch matmul and topk": Peer(TORCH),
    "scikit-learn brute": Peer(SCIKIT_LEARN),
}


@pytest.mark.timeout(40_000)
@pytest.mark.parametrize("rows", SIZES)
def test_a_curve_of_nested_train_sets(benchmark, rows):
    head = f"n, d, k, ends = {rows}, {D}, {K}, [int({rows} * ratio) for ratio in {RATIOS}]\n" + CLUSTERS
    head += "import os\ncores = int(os.environ['OMP_NUM_THREADS'])\n"
    answers = in_turn(benchmark, head, PEERS, 3 if rows < 100_000 else 1)
    ends = [int(rows * ratio) for ratio in RATIOS]
    pairs = sum((end - before) * (rows - end) for before, end in zip([0, *ends], ends, strict=False))
    info, facts = benchmark.extra_info, answers["ours"]
    aimed(benchmark, rows, f">= {TARGET}x faiss at its best", info[f"ratio over faiss, {BEST}"] >= TARGET)
    info |= {"law": "curve of 12 train sets, ours", "operations": 2 * D * pairs}
    info |= {"of": facts["engine"], "engine": facts["engine"], "recall": facts["recall"]}
    assert facts["recall"] == 1.0
