"""How a small network learns the labelled rows and answers for the rest: a helper of the networks, not a plugin."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from harness import On, Predictions, Task, holdout

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

CHUNK = 8_192  # rows answered at a time
PRELOAD = ("torch", "torch._dynamo")  # an optimiser's first step imports the second: a second for every cell


@dataclass(frozen=True)
class Recipe:
    """The parameters that every network shares; a value out of range is a ValueError."""

    on: On
    dropout: float = 0.1
    epochs: int = 100
    batch: int = 512  # rows per step
    lr: float = 1e-3  # of the first epoch; a cosine takes it to 0
    weight_decay: float = 1e-4
    validation: float = 0.1  # share of the labelled rows held out to choose the epoch; 0 = none, the last epoch answers
    patience: int = 0  # stop after so many epochs without a better validation accuracy; 0 = train all epochs

    def __post_init__(self) -> None:
        for name, fits, wanted in (
            ("dropout", 0 <= self.dropout < 1, "in [0, 1)"),
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("lr", 0 < self.lr < inf, "positive"),
            ("weight_decay", 0 <= self.weight_decay < inf, "0 or more"),
            ("validation", 0 <= self.validation <= 0.5, "in [0, 0.5]"),
            ("patience", self.patience >= 0, "0 or more"),
            ("patience", self.patience == 0 or self.validation > 0, "0 where validation is 0"),
        ):
            if not fits:
                raise ValueError(f"{name} must be {wanted}, got {getattr(self, name)}")


def learn(task: Task, recipe: Recipe, build: Callable[[int, int], "Module"]) -> Predictions:
    """Train the network that ``build(d, C)`` returns and answer for ``task.to_label``.

    With validation the first epoch of the best validation accuracy answers. Without it, or where nothing can be held
    out, the last epoch answers and the labels after every epoch are checkpoints. The caller's random state and thread
    count stay as they are.
    """
    import torch

    X, X_pool = map(torch.from_numpy, task.matrix(recipe.on))  # (n, d), (m, d)
    y = torch.tensor(task.y)  # (n,)
    held = torch.from_numpy(holdout(task, recipe.validation))  # (n,)
    X_held, y_held = X[held], y[held].numpy()
    validated = len(y_held) > 0
    seed = task.seed % 2**63  # torch takes 64 bits
    best_epoch, best_accuracy, best_weights, checkpoints = None, -1.0, None, {}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the accelerators as well
        network = build(X.shape[1], task.n_classes)
        for epoch in train(network, X, y, torch.nonzero(~held)[:, 0], recipe, seed):
            if not validated:
                checkpoints[f"epoch {epoch}"] = probabilities(network, X_pool).argmax(axis=1).astype(np.uint8)
                continue
            accuracy = float((probabilities(network, X_held).argmax(axis=1) == y_held).mean())
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
    return Predictions(probabilities(network, X_pool), facts, checkpoints)


def train(network: "Module", X: "Tensor", y: "Tensor", rows: "Tensor", recipe: Recipe, seed: int) -> Iterator[int]:
    """Train `network` on the `rows` (n',) of X (n, d) and y (n,); yield the number of each epoch, from 1, as it ends.

    AdamW on the cross-entropy of shuffled batches; the learning rate follows a cosine, one step an epoch. Dropout
    draws from torch's global generator.
    """
    import torch
    from torch.nn.functional import cross_entropy

    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=recipe.epochs)
    shuffle = torch.Generator().manual_seed(seed)  # its own: every network meets the rows in the same order
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        for batch in rows[torch.randperm(len(rows), generator=shuffle)].split(recipe.batch):
            inputs = X.index_select(0, batch)  # copies whole rows: ten times as fast as X[batch]
            loss = cross_entropy(network(inputs), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        yield epoch


def probabilities(network: "Module", X: "Tensor") -> np.ndarray:
    """Return the (rows, C) float32 softmax of `network` for X (rows, d), without dropout."""
    import torch

    network.eval()
    with torch.inference_mode():
        return torch.cat([network(part).softmax(dim=1) for part in X.split(CHUNK)]).numpy()
