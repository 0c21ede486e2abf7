"""The network d-256-256-6: our trainer against a usual script and scikit-learn's: `pytest benchmarks`.

They take turns, so that a busy machine slows all of them; every one gets a matrix that lies ready and trains the same
number of steps. `extra_info` has seconds per 100 epochs and how many times as long the other two take.
"""

import time
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

from harness_plugins.labelers.networks import MLP
from harness_plugins.labelers.passes import passes
from harness_plugins.labelers.precision import precision
from harness_plugins.labelers.training import train

ROUNDS = 3


def ours(X: np.ndarray, y: np.ndarray, epochs: int) -> None:
    recipe = MLP("x", epochs=epochs)
    device = torch.device("cpu")
    dtype = getattr(torch, precision("auto", device))
    rows, classes = torch.from_numpy(X).to(dtype), torch.from_numpy(y)
    course = passes(recipe.network(X.shape[1], 6), dtype, 0)
    for _ in train(course, rows, classes, torch.arange(len(y)), recipe, recipe.objective(classes, 6, 0), 0):
        pass


def script(X: np.ndarray, y: np.ndarray, epochs: int) -> None:
    """What one writes from the tutorials of torch."""
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    loader = torch.utils.data.DataLoader(data, batch_size=512, shuffle=True)
    network = MLP("x").network(X.shape[1], 6)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    loss_of = torch.nn.CrossEntropyLoss()
    network.train()
    for _ in range(epochs):
        for inputs, classes in loader:
            optimizer.zero_grad()
            loss_of(network(inputs), classes).backward()
            optimizer.step()
        schedule.step()


def scikit_learn(X: np.ndarray, y: np.ndarray, epochs: int) -> None:
    """Adam on the same layers; it has no dropout."""
    from sklearn.neural_network import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        MLPClassifier((256, 256), batch_size=512, max_iter=epochs, n_iter_no_change=10**6, tol=0.0).fit(X, y)


def seconds(trainer: Callable[[np.ndarray, np.ndarray, int], None], X: np.ndarray, y: np.ndarray, epochs: int) -> float:
    start = time.perf_counter()
    trainer(X, y, epochs)
    return time.perf_counter() - start


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("n", "d", "epochs", "rivals"),
    [
        (1_300, 319, 20, (script, scikit_learn)),
        (3_000, 4159, 5, (script, scikit_learn)),
        (30_000, 4159, 1, (script, scikit_learn)),
        (30_000, 1087, 2, (script, scikit_learn)),
        (270_000, 1087, 1, (script,)),
    ],
    ids=["1,300 x 319", "3,000 x 4,159", "30,000 x 4,159", "30,000 x 1,087", "270,000 x 1,087"],
)
def test_trainers_in_turn(benchmark, n, d, epochs, rivals):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, d), np.float32), rng.integers(0, 6, n)
    for trainer in (ours, *rivals):
        trainer(X[:600], y[:600], 1)  # imports
    taken = {rival.__name__: [] for rival in rivals}

    def their_turn():
        for rival in rivals:
            taken[rival.__name__].append(seconds(rival, X, y, epochs))

    benchmark.pedantic(ours, (X, y, epochs), setup=their_turn, rounds=ROUNDS)
    mine = benchmark.stats.stats.median
    benchmark.extra_info["seconds per 100 epochs"] = 100 / epochs * mine
    for name, times in taken.items():
        benchmark.extra_info[f"{name}: times as long"] = float(np.median(times)) / mine
    print(f"\n{n:,} x {d:,}:", {name: round(value, 2) for name, value in benchmark.extra_info.items()})
