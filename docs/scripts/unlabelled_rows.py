"""Try two ways to learn from rows without a label, each beside the same training without these rows.

`python docs/scripts/unlabelled_rows.py` makes docs/data/unlabelled_rows.csv from made data (SIMULATED DATA) and from
raw_data/judged_responses.parquet, on one thread in a quarter of an hour; `python docs/scripts/findings.py` then makes
the table of docs/findings.md from it.

SoftMatch: Chen et al., SoftMatch: Addressing the Quantity-Quality Trade-off in Semi-supervised Learning, ICLR 2023; on
vectors the strong perturbation is noise and left-out features. Co-training: Blum and Mitchell, Combining Labeled and
Unlabeled Data with Co-training, COLT 1998.
"""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from harness import Items
from harness_plugins.embedders.hashing_svd import HashingSVD
from harness_plugins.features.text_v2 import TextV2

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "data" / "unlabelled_rows.csv"
JUDGED = ROOT / "raw_data" / "judged_responses.parquet"
C, SEEDS, RESAMPLES = 6, (1, 2, 3), 1_000
STEPS, BATCH, UNLABELLED, WIDTH = 500, 64, 192, 128  # of the networks
NOISE, DROPPED = 0.5, 0.2  # the strong perturbation: standard deviations of noise, share of features left out
ROUNDS, GROWTH = 3, 0.5  # of co-training: pseudo-labels added in a round, as a share of the labels
HEADER = ("data", "method", "control", "accuracy", "macro_f1", "difference", "low", "high")


class Split(NamedTuple):
    """Rows of one data set: X (N, d), its two views, y (N,), and who is what."""

    X: np.ndarray  # scaled on the labelled rows
    cut: int  # the first view is X[:, :cut]
    y: np.ndarray
    labelled: np.ndarray
    unlabelled: np.ndarray
    test: np.ndarray
    seed: int


def network(split: Split, strong: bool, consistent: bool) -> np.ndarray:
    """Return (m, C) of a perceptron, averaged over its last steps.

    `strong` perturbs the labelled rows; `consistent` adds SoftMatch's loss on the unlabelled ones.
    """
    torch.manual_seed(split.seed)
    X, y = torch.as_tensor(split.X), torch.as_tensor(split.y)
    model = torch.nn.Sequential(
        *(torch.nn.Linear(X.shape[1], WIDTH), torch.nn.ReLU(), torch.nn.Dropout(0.2)),
        *(torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(WIDTH, C)),
    )
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    labelled, unlabelled = torch.as_tensor(split.labelled), torch.as_tensor(split.unlabelled)
    prior = torch.bincount(y[labelled], minlength=C) / len(labelled)
    shares, middle, variance = torch.full((C,), 1 / C), torch.tensor(1 / C), torch.tensor(1.0)

    def perturb(rows: torch.Tensor, hard: bool) -> torch.Tensor:
        if not hard:
            return rows + 0.1 * NOISE * torch.randn_like(rows)
        return (rows + NOISE * torch.randn_like(rows)) * (torch.rand_like(rows) > DROPPED) / (1 - DROPPED)

    for step in range(STEPS):
        chosen = labelled[torch.randint(len(labelled), (BATCH,))]
        loss = functional.cross_entropy(model(perturb(X[chosen], strong)), y[chosen])
        if consistent:
            rows = X[unlabelled[torch.randint(len(unlabelled), (UNLABELLED,))]]
            with torch.no_grad():
                model.eval()
                proba = model(perturb(rows, False)).softmax(1)
                model.train()
                shares = 0.99 * shares + 0.01 * proba.mean(0)
                proba = functional.normalize(proba * prior / shares.clamp_min(1e-6), p=1, dim=1)  # aligned
                confidence = proba.max(1).values
                middle = 0.99 * middle + 0.01 * confidence.mean()
                variance = 0.99 * variance + 0.01 * confidence.var()
                weight = torch.exp(-2 * (confidence - middle).clamp_max(0) ** 2 / variance)
            each = functional.cross_entropy(model(perturb(rows, True)), proba.argmax(1), reduction="none")
            loss = loss + min(1, step / (0.3 * STEPS)) * (weight * each).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
    average.eval()
    with torch.no_grad():
        return average(X[torch.as_tensor(split.test)]).softmax(1).numpy()


def two_views(split: Split, exchange: bool) -> np.ndarray:
    """Return the mean (m, C) of a logistic regression on each view.

    With `exchange`, each learns for some rounds from the rows that the other is surest of, as many of a class as its
    share of the labels asks for; their probabilities are aligned with these shares.
    """
    views = (split.X[:, : split.cut], split.X[:, split.cut :])
    y = split.y[split.labelled]
    prior = np.bincount(y, minlength=C) / len(y)
    taught = [(split.labelled, y)] * 2
    for number in range(ROUNDS + 1 if exchange else 1):
        models = [
            LogisticRegression(C=0.03, max_iter=500).fit(view[rows], labels)
            for view, (rows, labels) in zip(views, taught, strict=True)
        ]
        taught = []
        for model, view in zip(models[::-1], views[::-1], strict=True):  # each teaches the other
            proba = answers(model, view[split.unlabelled])
            proba *= prior / np.maximum(proba.mean(axis=0), 1e-9)
            proba /= proba.sum(axis=1, keepdims=True)
            sizes = (len(y) * GROWTH * (number + 1) * prior).astype(int)  # by class
            surest = [np.argsort(-proba[:, c], kind="stable")[: sizes[c]] for c in range(C)]
            rows = np.concatenate([split.labelled, *(split.unlabelled[part] for part in surest)])
            taught.append((rows, np.concatenate([y, *(np.full(len(part), c) for c, part in enumerate(surest))])))
    return sum(answers(model, view[split.test]) for model, view in zip(models, views, strict=True)) / 2


def answers(model: LogisticRegression, X: np.ndarray) -> np.ndarray:
    proba = np.zeros((len(X), C))
    proba[:, model.classes_] = model.predict_proba(X)
    return proba


METHODS: dict[str, tuple[str, Callable[[Split], np.ndarray]]] = {  # name -> its control, the method
    "mlp": ("mlp, perturbed", lambda split: network(split, False, False)),
    "mlp, perturbed": ("mlp, perturbed", lambda split: network(split, True, False)),
    "softmatch": ("mlp, perturbed", lambda split: network(split, True, True)),
    "two views": ("two views", lambda split: two_views(split, False)),
    "co-training": ("two views", lambda split: two_views(split, True)),
}


def made() -> tuple[np.ndarray, int, np.ndarray]:
    """Return X (6,500, 11), its cut and y of made data: ordered classes of the shares that wines have."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((6_500, 4))
    X = latent @ rng.standard_normal((4, 11)) + 0.6 * rng.standard_normal((6_500, 11))
    quality = latent[:, 0] + 0.6 * np.tanh(latent[:, 1] * latent[:, 2]) + 0.3 * latent[:, 3] ** 2
    quality += 0.8 * rng.standard_normal(6_500)
    return X.astype(np.float32), 6, np.searchsorted(np.quantile(quality, [0.005, 0.04, 0.37, 0.8, 0.97]), quality)


def judged() -> tuple[np.ndarray, int, np.ndarray, np.ndarray]:
    """Return X (18,514, 319), its cut, y and the prompts of the judged responses."""
    table = pq.read_table(JUDGED, columns=["judge_score", "prompt_id"])
    rows = np.arange(len(table))
    items = Items(str(JUDGED), rows, rows, ("messages",), text="messages", identity="judged")
    vectors = np.concatenate(list(HashingSVD(dim=256).embed(items, 0)))
    X = np.concatenate([vectors, TextV2().features(items)], axis=1).astype(np.float32)
    return (
        X,
        256,
        np.asarray(table["judge_score"]).astype(np.int64),
        np.unique(table["prompt_id"], return_inverse=True)[1],
    )


def measured(name: str, X: np.ndarray, cut: int, y: np.ndarray, unit: np.ndarray, share: float) -> list[list[str]]:
    """Return the rows of the file of one data set; whole units are labelled, and resampled for the intervals."""
    order = np.random.default_rng(0).permutation(unit.max() + 1)
    tested, others = np.split(order, [round(0.3 * len(order))])
    test = np.flatnonzero(np.isin(unit, tested))
    labels: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}
    for seed in SEEDS:
        drawn = np.random.default_rng(seed).permutation(others)[: round(share * len(order))]
        labelled = np.flatnonzero(np.isin(unit, drawn))
        deviation = X[labelled].std(axis=0)
        Z = (X - X[labelled].mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1)
        Z = np.clip(Z, -6, 6).astype(np.float32)
        split = Split(Z, cut, y, labelled, np.setdiff1d(np.arange(len(y)), labelled), test, seed)
        for method, (_, label) in METHODS.items():
            labels[method].append(label(split).argmax(axis=1))
    number = np.unique(unit[test], return_inverse=True)[1]
    drawn = np.random.default_rng(1).multinomial(len(tested), np.full(len(tested), 1 / len(tested)), RESAMPLES)
    correct = {method: np.mean([one == y[test] for one in three], axis=0) for method, three in labels.items()}
    lines = []
    for method, (control, _) in METHODS.items():
        difference = correct[method] - correct[control]
        resampled = (drawn @ np.bincount(number, difference)) / (drawn @ np.bincount(number))
        low, high = np.quantile(resampled, [0.025, 0.975])
        numbers = (correct[method].mean(), np.mean([macro_f1(y[test], one) for one in labels[method]]))
        lines.append([name, method, control, *(f"{n:.4f}" for n in (*numbers, difference.mean(), low, high))])
    return lines


def macro_f1(true: np.ndarray, predicted: np.ndarray) -> float:
    hits = np.bincount(true[true == predicted], minlength=C)
    return float(
        (2 * hits / np.maximum(np.bincount(true, minlength=C) + np.bincount(predicted, minlength=C), 1)).mean()
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    X, cut, y = made()
    lines = measured("SIMULATED, 2 %", X, cut, y, np.arange(len(y)), 0.02)
    X, cut, y, prompt = judged()
    lines += measured("random, 10 %", X, cut, y, np.arange(len(y)), 0.1)
    lines += measured("by prompt, 10 %", X, cut, y, prompt, 0.1)
    with RESULTS.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([HEADER, *lines])
