"""Train a small network on the labelled rows and label the rest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import Predictions, Task, holdout, validation_folds
from harness_plugins.networks.parameters import MIN_STEPS, Objective, Training
from harness_plugins.networks.precision import precision
from harness_plugins.networks.rule import PREDICTED_ROWS, NetworkRule, predict
from harness_plugins.networks.scaling import InputScaler

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module

    from harness_plugins.networks.backpropagation import Passes

CHECKPOINTS = 10  # epochs, evenly spaced, that are checkpoints beside the chosen one where validation chooses
FOLDS = 5  # that choose the epoch where the recipe's `choose` is folds
MIN_PROBABILITY = 1e-6  # of a class, in a log loss
SETTLED_FALL = 0.01  # share of a loss that it may still fall by in the last tenth of a training
NEGLIGIBLE_LOSS = 0.1  # share of the first loss: below, a fall counts against this
MIN_JUDGED_EPOCHS = 10  # a course of fewer epochs has no last tenth; it has not settled
PRELOAD = (
    "torch",
    "torch.optim.adamw",
    "harness_plugins.networks.optimizer",
    "harness_plugins.networks.backpropagation",
)


Build = Callable[[int, int], "Module"]
"""(d, C) -> the network to train."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained network."""

    network: "Module"  # with the weights that answer
    scaler: InputScaler
    epoch: int  # which they are of
    facts: dict[str, Any]
    checkpoints: dict[str, np.ndarray]  # of the other epochs
    course: list[tuple[int, float]]  # held rows labelled right and their log loss, after every epoch; empty without


@dataclass(frozen=True)
class Choice:
    """The epoch that folds have chosen."""

    epoch: int
    accuracy: float  # on the rows of all folds, each by the network that was trained without it
    losses: list[float]  # their log loss after every epoch


def label(task: Task, recipe: Training, build: Build) -> Predictions:
    """Train the network ``build(d, C)`` and label ``task.to_label``."""
    fitted = fit(task, recipe, build)
    shape = (len(task.to_label), task.n_classes)
    proba = predict(fitted.network, recipe, fitted.scaler.parts(task.blocks, task.to_label, PREDICTED_ROWS), shape)
    own = {f"epoch {fitted.epoch}": proba.argmax(axis=1).astype(np.uint8)} if task.checkpoints else {}
    return Predictions(proba, fitted.facts, fitted.checkpoints | own)


def learn(task: Task, recipe: Training, build: Build) -> NetworkRule:
    """Train the network ``build(d, C)``; return its weights as a rule."""
    fitted = fit(replace(task, checkpoints=False), recipe, build)
    weights = {name: tensor.cpu().numpy().copy() for name, tensor in fitted.network.state_dict().items()}
    return NetworkRule(recipe, fitted.scaler, task.n_classes, weights)


def fit(task: Task, recipe: Training, build: Build) -> Fit:
    """Train the network ``build(d, C)`` on the labelled rows.

    Beside the parameters the recipe has two methods: ``objective(y, C, seed)`` says what to minimise, given the classes
    y (n',) trained on, and ``probabilities(outputs)`` turns what the network puts out into probabilities (rows, C).

    With validation the epoch of the best validation accuracy answers, of several the one of the lowest log loss: few
    held rows are all right soon, long before the network is trained. Without it, or where nothing can be held
    out, the last epoch answers. Where the recipe chooses by folds, ``choose_epoch`` does, and all labelled rows are
    trained up to that epoch. Checkpoints, where the task wants any, are the labels after every epoch; with
    validation those after every tenth of the epochs, for each costs as much as the answer. Training, validation and
    checkpoints have the precision of the recipe; the answer is computed in float32 and is the checkpoint of its epoch.
    The caller's random state and thread count stay as they are.
    """
    import torch

    from harness_plugins.networks.backpropagation import passes

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = getattr(torch, precision(recipe.precision, device.type))
    scaler = InputScaler.fit(task, recipe.on, recipe.scale)
    X = resident(task, scaler, task.labelled, device, dtype)  # (n, d)
    y = torch.tensor(task.y, device=device)  # (n,)
    by_folds = recipe.choose == "folds"
    chosen = choose_epoch(task, recipe, build) if by_folds else None
    held = torch.from_numpy(holdout(task, 0 if by_folds else recipe.validation)).to(device)  # (n,)
    rows = torch.nonzero(~held)[:, 0]  # (n',)
    y_held = y[held].cpu().numpy()
    validated = len(y_held) > 0
    watched = validated or (task.checkpoints and not chosen)
    if watched:  # what every epoch answers for
        X_seen = X[held] if validated else resident(task, scaler, task.to_label, device, dtype)
    seed = task.seed % 2**63  # torch takes 64 bits
    best_epoch, best_accuracy, best_loss, best_weights, checkpoints = None, -1.0, np.inf, None, {}
    epochs = recipe.epochs_for(len(rows))
    seen_epochs = {-(-epochs * part // CHECKPOINTS) for part in range(1, CHECKPOINTS + 1) if task.checkpoints}
    course_losses: list[float] = []  # after every epoch: of the held rows, or else of the batches trained on
    course_hits: list[int] = []  # after every epoch: held rows labelled right
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every accelerator
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        network = build(X.shape[1], task.n_classes).to(device)
        objective = recipe.objective(y[rows], task.n_classes, seed)
        course = passes(network, dtype, seed)
        for epoch, loss in train(course, X, y, rows, recipe, objective, seed):
            if chosen:
                if epoch in seen_epochs:
                    checkpoints[f"epoch {epoch}"] = pool_labels(course, task, recipe, scaler, device, dtype)
                if epoch == chosen.epoch:
                    best_weights = {key: value.clone() for key, value in network.state_dict().items()}
                if epoch >= chosen.epoch and not task.checkpoints:
                    break
                continue
            if not validated:
                course_losses.append(loss)
            if not watched or (not validated and epoch == epochs):
                continue
            proba_seen = recipe.probabilities(course.outputs(X_seen))
            labels = proba_seen.argmax(dim=1).cpu().numpy()
            if not validated:
                checkpoints[f"epoch {epoch}"] = labels.astype(np.uint8)
                continue
            course_losses.append(log_loss(proba_seen, y[held]))
            course_hits.append(int((labels == y_held).sum()))
            accuracy = course_hits[-1] / len(y_held)
            if (accuracy, -course_losses[-1]) > (best_accuracy, -best_loss):
                best_epoch, best_accuracy, best_loss = epoch, accuracy, course_losses[-1]
                best_weights = {key: value.clone() for key, value in network.state_dict().items()}
            if epoch in seen_epochs:
                checkpoints[f"epoch {epoch}"] = pool_labels(course, task, recipe, scaler, device, dtype)
            if recipe.patience and epoch - best_epoch >= recipe.patience:
                break
    if chosen:
        best_epoch, best_accuracy, course_losses = chosen.epoch, chosen.accuracy, chosen.losses
    if best_weights is not None:
        network.load_state_dict(best_weights)
    facts = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "epochs": epoch,
        "best_epoch": best_epoch,
        "validation_accuracy": best_accuracy if best_epoch else None,
        "precision": str(dtype).removeprefix("torch."),
        **settling(course_losses, epochs, epochs * -(-len(rows) // recipe.batch)),
    }
    held_course = list(zip(course_hits, course_losses, strict=False))
    return Fit(network, scaler, best_epoch or epoch, facts, checkpoints, held_course)


def choose_epoch(task: Task, recipe: Training, build: Build) -> Choice | None:
    """Choose the epoch by folds; None where nothing can be held apart.

    Each fold is held out of a training of as many epochs as all rows will be trained for. The epoch is the one of the
    lowest log loss on the rows of all folds: their accuracy hardly moves for many epochs while the network grows too
    sure.
    """
    masks = validation_folds(task, FOLDS)
    if not masks:
        return None
    inner = replace(recipe, choose="holdout", epochs=recipe.epochs_for(len(task.y)))
    courses = [fit(replace(task, validation=held, checkpoints=False), inner, build).course for held in masks]
    sizes = [int(held.sum()) for held in masks]
    hits = np.array([[hit for hit, _ in course] for course in courses]).sum(axis=0)  # (epochs,)
    losses = np.average([[loss for _, loss in course] for course in courses], axis=0, weights=sizes)  # (epochs,)
    epoch = int(losses.argmin())
    return Choice(epoch + 1, float(hits[epoch] / sum(sizes)), losses.tolist())


def train(
    course: "Passes", X: "Tensor", y: "Tensor", rows: "Tensor", recipe: Training, objective: Objective, seed: int
) -> Iterator[tuple[int, float]]:
    """Train on `rows` (n',) of X (n, d), y (n,); yield epoch and loss.

    Epochs are numbered from 1; the loss is the mean over the batches of the epoch.

    AdamW on the objective of shuffled batches, at the recipe's learning rate of the epoch.
    """
    import torch

    from harness_plugins.networks.optimizer import AdamW

    optimizer = AdamW(course.parameters, recipe.weight_decay)
    shuffle = torch.Generator().manual_seed(seed)  # its own: every network meets the rows in the same order
    for epoch, lr in enumerate(recipe.rates(len(rows)), start=1):
        order = torch.randperm(len(rows), generator=shuffle).to(rows.device)
        batch_losses = []
        for batch in rows[order].split(recipe.batch):
            # index_select is ten times as fast as X[batch]
            batch_losses.append(course.differentiate(objective, X.index_select(0, batch), y[batch]))
            optimizer.step(lr)
        yield epoch, float(torch.stack(batch_losses).mean())


def log_loss(proba: "Tensor", y: "Tensor") -> float:
    """Return the mean log loss of probabilities (rows, C) for y (rows,)."""
    p_true = proba.gather(1, y[:, None])
    return float(-p_true.clamp(min=MIN_PROBABILITY).log().mean())


def settling(losses: list[float], epochs: int, steps: int) -> dict[str, object]:
    """Return the facts on whether a loss had settled when training ended.

    `losses` has one number an epoch. A learning rate that goes to 0 lets any loss come to rest: a tenth of the training
    is the last epochs that make a tenth of the sum of all learning rates. Settled means that the loss fell by at most 1
    % in it, or that training stopped before its `epochs`, or that the loss is next to nothing. With fewer `steps` than
    MIN_STEPS it must not have fallen at all: a loss falls slowly at first, too.
    """
    from harness_plugins.networks.optimizer import cosine

    rates = np.fromiter(cosine(1.0, epochs), float)
    begin = int(np.searchsorted(np.cumsum(rates), 0.9 * rates.sum()))
    if len(losses) < epochs or epochs < MIN_JUDGED_EPOCHS:
        return {"settled": len(losses) < epochs}
    width = max(1, epochs // 50)  # epochs that are averaged: batches and few held rows are noisy
    before = float(np.mean(losses[max(0, begin - width) : begin + 1]))
    after = float(np.mean(losses[-width:]))
    fall = before - after
    settled = fall <= (SETTLED_FALL if steps >= MIN_STEPS else 0) * max(after, NEGLIGIBLE_LOSS * losses[0])
    return {"settled": settled, "losses": [round(before, 6), round(after, 6)]}


def resident(
    task: Task, scaler: InputScaler, rows: np.ndarray, device: "torch.device", dtype: "torch.dtype"
) -> "Tensor":
    """Put the fused `rows` (len,) on `device` in `dtype`: (len, d).

    Part by part, so that they are never whole in another precision.
    """
    import torch

    X = torch.empty(len(rows), scaler.width, dtype=dtype, device=device)
    for place, part in scaler.parts(task.blocks, rows, PREDICTED_ROWS):
        X[place] = torch.from_numpy(part)
    return X


def pool_labels(
    course: "Passes",
    task: Task,
    recipe: Training,
    scaler: InputScaler,
    device: "torch.device",
    dtype: "torch.dtype",
) -> np.ndarray:
    """Return the labels (m,) uint8 that a network in training would give.

    The rows pass by part by part: the pool of a large task is never whole in memory.
    """
    import torch

    labels = np.empty(len(task.to_label), np.uint8)
    for place, part in scaler.parts(task.blocks, task.to_label, PREDICTED_ROWS):
        outputs = course.outputs(torch.from_numpy(part).to(device, dtype))
        labels[place] = recipe.probabilities(outputs).argmax(dim=1).cpu().numpy()
    return labels
