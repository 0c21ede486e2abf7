"""Plant wrong labels in made data, and count which of them a method of cleaning flags: SIMULATED DATA.

`python docs/scripts/planted_noise.py` makes docs/data/planted_noise.csv, on one thread in minutes;
`python docs/scripts/findings.py` then makes the table of docs/findings.md from it.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness import Block, Labeler, Predictions, Task
from harness_plugins.labelers.knn import KNN
from harness_plugins.networks.plugins import MLP
from harness_plugins.wrappers.cleanlab_filter import Cleanlab
from harness_plugins.wrappers.simifeat import SimiFeat

NOISE_CSV = Path(__file__).parents[1] / "data" / "planted_noise.csv"
N, M, D, CLUSTERS = 3_000, 3_000, 48, 90  # labelled rows, test rows, features, clusters; each cluster is of one class
SHARES = np.array([0.06, 0.15, 0.29, 0.29, 0.18, 0.03])  # of the classes, near those of the record's pool
C = len(SHARES)
NOISE = 0.25  # share of wrong labels
SPREADS = {"apart": 0.9, "touching": 1.35, "mixed": 1.7}  # of the rows of a cluster, in units of that of the centres
NOISES = ("any class", "next class")  # where wrong labels go
SEEDS = (1, 2, 3)
BASES: dict[str, Labeler] = {"knn": KNN("x", k=10), "mlp": MLP("x", hidden=64)}
HEADER = (
    *("clusters", "noise", "seed", "base", "method", "agree", "wrong", "estimated", "matrix_error"),
    *("flagged", "precision", "recall", "accuracy"),
)


def transition(noise: str) -> np.ndarray:
    """Return P(given | true) (C, C)."""
    distance = np.abs(np.subtract.outer(np.arange(C), np.arange(C)))
    wrong = (distance > 0 if noise == "any class" else distance == 1).astype(float)
    return NOISE * wrong / wrong.sum(axis=1, keepdims=True) + (1 - NOISE) * np.eye(C)


def made(clusters: str, noise: str, seed: int) -> tuple[Task, np.ndarray]:
    """Return a task with planted noise, and the true classes (N + M,) of its rows."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLUSTERS, D))
    class_of = np.concatenate([np.arange(C), rng.choice(C, CLUSTERS - C, p=SHARES)])
    cluster = rng.integers(0, CLUSTERS, N + M)
    X = (centres[cluster] + SPREADS[clusters] * rng.standard_normal((N + M, D))).astype(np.float32)
    true = class_of[cluster]
    given = (rng.random(N)[:, None] > transition(noise)[true[:N]].cumsum(axis=1)).sum(axis=1).clip(0, C - 1)
    task = Task({"x": Block(X, "embedding")}, np.arange(N), given, np.arange(N, N + M), C, seed, checkpoints=False)
    return task, true


class Recorder:
    """A labeler that keeps the labelled rows that it was last given."""

    name = "recorder"

    def __init__(self, base: Labeler) -> None:
        self.base, self.rows = base, np.empty(0, np.int64)

    def label(self, task: Task) -> Predictions | np.ndarray:
        self.rows = task.labelled
        return self.base.label(task)


def measured(clusters: str, noise: str, seed: int, base_name: str) -> Iterator[dict[str, object]]:
    """Yield the numbers of no cleaning, simifeat and cleanlab with one base."""
    task, true = made(clusters, noise, seed)
    wrong, base = task.y != true[:N], BASES[base_name]
    clean = Task(task.blocks, task.labelled, true[:N], task.to_label[:1], C)
    agree = SimiFeat(BASES["knn"], "x", do="flag").label(clean).facts["neighbors_agree"]
    recorder = Recorder(base)
    for method, labeler in (
        ("none", recorder),
        ("simifeat", SimiFeat(recorder, "x")),
        ("cleanlab", Cleanlab(recorder)),
    ):
        answer = labeler.label(task)
        proba = answer.proba if isinstance(answer, Predictions) else answer
        flagged = ~np.isin(task.labelled, recorder.rows)
        numbers = {"agree": agree, "wrong": wrong.mean(), "accuracy": (proba.argmax(axis=1) == true[N:]).mean()}
        if method != "none":
            numbers |= {"flagged": flagged.mean(), "precision": wrong[flagged].mean(), "recall": flagged[wrong].mean()}
        if method == "simifeat":
            rows = answer.facts["tables"]["Noise transition"]["rows"]
            T = np.array([row[1 : C + 1] for row in rows])
            error = np.abs(T - transition(noise)).mean()
            numbers |= {"estimated": answer.facts["noise_rate"], "matrix_error": error}
        place = {"clusters": clusters, "noise": noise, "seed": seed, "base": base_name, "method": method}
        yield place | {name: f"{number:.4f}" for name, number in numbers.items()}


if __name__ == "__main__":
    places = [(clusters, noise, seed) for clusters in SPREADS for noise in NOISES for seed in SEEDS]
    with NOISE_CSV.open("w", newline="") as out:
        writer = csv.DictWriter(out, HEADER, lineterminator="\n")
        writer.writeheader()
        for place in places:
            for name in BASES:
                writer.writerows(measured(*place, name))
