"""Peers that take turns, every one in a process of its own.

The kernels of an OpenBLAS are chosen when it is loaded, and a library that sets its threads sets those of others too:
in one process a peer would be measured under the settings of another.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

ROWS = int(os.environ.get("LABELHARNESS_ROWS", "20000"))
SIZES = [ROWS // 4, ROWS // 2, ROWS]  # three, so that a law can be fitted
WHOLE = 300_932  # rows of the pool: targets are set for it
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
ONLY = os.environ.get("LABELHARNESS_PEERS", "")  # part of the names of the peers that are asked, all without it
BEST = "SkylakeX"  # OPENBLAS_CORETYPE of the kernels for AVX-512; faiss's OpenBLAS does not find them on newer CPUs

# Rows in 150 clusters of very different sizes, as unit vectors. Expects n and d; leaves rng and X (n, d).
CLUSTERS = """
import json, time
import numpy as np
rng = np.random.default_rng(0)
centre = 2 * rng.standard_normal((150, d), dtype=np.float32)
X = rng.standard_normal((n, d), dtype=np.float32)
X += centre[np.minimum(rng.zipf(1.3, n), 150) - 1]
X /= np.linalg.norm(X, axis=1, keepdims=True)
"""


@dataclass(frozen=True)
class Peer:
    """A script that prints one JSON object with its `seconds`, and the kernels that it shall be given."""

    script: str
    kernels: str = ""  # OPENBLAS_CORETYPE; without it the library chooses


def run(peer: Peer, head: str) -> dict[str, Any]:
    """Run one peer after `head`; returns what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    environment |= {"OMP_NUM_THREADS": str(CORES)} | ({"OPENBLAS_CORETYPE": peer.kernels} if peer.kernels else {})
    command = [sys.executable, "-W", "ignore", "-c", head + peer.script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=14_400)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def in_turn(benchmark: Any, head: str, peers: Mapping[str, Peer], rounds: int) -> dict[str, dict[str, Any]]:
    """Let the peers take turns, "ours" among them, and note medians and ratios; returns the last answer of each."""
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in peers if name == "ours" or ONLY in name}

    def turn() -> None:
        for name, found in answers.items():
            found.append(run(peers[name], head))

    benchmark.pedantic(turn, rounds=rounds)
    seconds = {name: median(answer["seconds"] for answer in found) for name, found in answers.items()}
    benchmark.extra_info["measured"] = seconds["ours"]
    for name, taken in seconds.items():
        if name != "ours":
            benchmark.extra_info[f"ratio over {name}"] = taken / seconds["ours"]
        print(f"{name:<32} {taken:9.2f} s {taken / seconds['ours']:7.2f}x")
    return {name: found[-1] for name, found in answers.items()}


def share_of(rows: int) -> int:
    """Return of how many queries a peer answers one: of many rows, a part tells how long all of them take."""
    return 1 if rows < 50_000 else 16


def aimed(benchmark: Any, rows: int, target: str, met: bool) -> None:
    """Note a target; of a size below the one it is set for nobody can say whether it is met."""
    benchmark.extra_info |= {"rows": rows, "target": target, "met": met if rows >= WHOLE else None}
