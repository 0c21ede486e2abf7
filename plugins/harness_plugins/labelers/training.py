"""How a small network learns the labelled rows and answers for the rest: a helper of the networks, not a plugin."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from harness import Predictions, Task, holdout
from harness_plugins.labelers.recipe import Objective, Training

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

CHUNK = 8_192  # rows answered at a time
PRELOAD = ("torch", "torch._dynamo")  # an optimiser's first step imports the second: a second for every cell


def learn(task: Task, recipe: Training, build: Callable[[int, int], "Module"]) -> Predictions:
    """Train the network that ``build(d, C)`` returns and answer for ``task.to_label``.

    Beside the parameters the recipe has two methods: ``objective(y, C, seed)`` says what to minimise, given the classes
    y (n',) trained on, and ``probabilities(outputs)`` turns what the network puts out into probabilities (rows, C).

    With validation the first epoch of the best validation accuracy answers. Without it, or where nothing can be held
    out, the last epoch answers and the labels after every epoch are checkpoints. The caller's random state and thread
    count stay as they are.
    """
    import torch

    X, X_pool = map(torch.from_numpy, task.matrix(recipe.on))  # (n, d), (m, d)
    y = torch.tensor(task.y)  # (n,)
    held = torch.from_numpy(holdout(task, recipe.validation))  # (n,)
    rows = torch.nonzero(~held)[:, 0]  # (n',)
    X_held, y_held = X[held], y[held].numpy()
    validated = len(y_held) > 0
    seed = task.seed % 2**63  # torch takes 64 bits
    best_epoch, best_accuracy, best_weights, checkpoints = None, -1.0, None, {}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the accelerators as well
        network = build(X.shape[1], task.n_classes)
        objective = recipe.objective(y[rows], task.n_classes, seed)
        for epoch in train(network, X, y, rows, recipe, objective, seed):
            if not validated:
                checkpoints[f"epoch {epoch}"] = answer(network, X_pool, recipe).argmax(axis=1).astype(np.uint8)
                continue
            accuracy = float((answer(network, X_held, recipe).argmax(axis=1) == y_held).mean())
            if accuracy > best_accuracy:
                best_epoch, best_accuracy = epoch, accuracy
                best_weights = {key: value.clone() for key, value in network.state_dict().items()}
            elif recipe.patience and epoch - best_epoch >= recipe.patience:
                break
    if validated:
        network.load_state_dict(best_weights)
    facts = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "epochs": epoch,
        "best_epoch": best_epoch,
        "validation_accuracy": best_accuracy if validated else None,
        "precision": "float32",
    }
    return Predictions(answer(network, X_pool, recipe), facts, checkpoints)


def train(
    network: "Module", X: "Tensor", y: "Tensor", rows: "Tensor", recipe: Training, objective: Objective, seed: int
) -> Iterator[int]:
    """Train `network` on the `rows` (n',) of X (n, d) and y (n,); yield the number of each epoch, from 1, as it ends.

    AdamW on the objective of shuffled batches; the learning rate follows a cosine, one step an epoch. Dropout draws
    from torch's global generator.
    """
    import torch

    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=recipe.epochs)
    shuffle = torch.Generator().manual_seed(seed)  # its own: every network meets the rows in the same order
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        for batch in rows[torch.randperm(len(rows), generator=shuffle)].split(recipe.batch):
            loss = objective(network, X.index_select(0, batch), y[batch])  # whole rows: ten times as fast as X[batch]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        yield epoch


def answer(network: "Module", X: "Tensor", recipe: Training) -> np.ndarray:
    """Return the (rows, C) float32 probabilities of `network` for X (rows, d), without dropout."""
    import torch

    network.eval()
    with torch.inference_mode():
        return torch.cat([recipe.probabilities(network(part)) for part in X.split(CHUNK)]).numpy()
