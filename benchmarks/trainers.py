"""One trainer in a process of its own: `python trainers.py NAME ROWS COLUMNS EPOCHS THREADS`.

It says "ready" once its rows lie ready and its libraries are warm, trains when a line comes in, and says how many
seconds that took. The network is d-256-256-6, a batch 512 rows, the dropout .1; scikit-learn's trainer has none.
"""

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch

Training = Callable[[int], None]  # takes the number of epochs


def ours(X: np.ndarray, y: np.ndarray) -> Training:
    from harness_plugins.networks.backpropagation import passes
    from harness_plugins.networks.plugins import MLP
    from harness_plugins.networks.precision import precision
    from harness_plugins.networks.training import train

    dtype = getattr(torch, precision("auto", torch.device("cpu")))
    rows, classes = torch.from_numpy(X).to(dtype), torch.from_numpy(y)

    def training(epochs: int) -> None:
        recipe = MLP("x", epochs=epochs)
        course = passes(recipe.network(X.shape[1], 6), dtype, 0)
        for _ in train(course, rows, classes, torch.arange(len(y)), recipe, recipe.objective(classes, 6, 0), 0):
            pass

    return training


def script(X: np.ndarray, y: np.ndarray) -> Training:
    """What one writes from the tutorials of torch."""
    from torch.nn import CrossEntropyLoss, Dropout, Linear, ReLU, Sequential

    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    loader = torch.utils.data.DataLoader(data, batch_size=512, shuffle=True)

    def training(epochs: int) -> None:
        network = Sequential(
            *(Linear(X.shape[1], 256), ReLU(), Dropout(0.1)),
            *(Linear(256, 256), ReLU(), Dropout(0.1)),
            Linear(256, 6),
        )
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
        loss_of = CrossEntropyLoss()
        network.train()
        for _ in range(epochs):
            for inputs, classes in loader:
                optimizer.zero_grad()
                loss_of(network(inputs), classes).backward()
                optimizer.step()
            schedule.step()

    return training


def script_medium(X: np.ndarray, y: np.ndarray) -> Training:
    """The same after torch's one line that lets float32 products be computed in bfloat16."""
    torch.set_float32_matmul_precision("medium")
    return script(X, y)


def scikit_learn(X: np.ndarray, y: np.ndarray) -> Training:
    from sklearn.neural_network import MLPClassifier

    def training(epochs: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            MLPClassifier((256, 256), batch_size=512, max_iter=epochs, n_iter_no_change=10**6, tol=0.0).fit(X, y)

    return training


TRAINERS = {"ours": ours, "script": script, "script_medium": script_medium, "scikit_learn": scikit_learn}


def main(name: str, rows: int, columns: int, epochs: int, threads: int) -> None:
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((rows, columns), np.float32), rng.integers(0, 6, rows)
    TRAINERS[name](X[:600], y[:600])(1)
    training = TRAINERS[name](X, y)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    training(epochs)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
