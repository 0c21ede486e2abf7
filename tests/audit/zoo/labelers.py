"""Labelers that cheat. They run in the process of the test; FILE stands for the file of the data."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.audit.zoo.cheat import LEAK, UNSEEN, WARNING, Cheat

FILE: dict[str, Any] = {}  # what a labeler could read from the file: "y" (N,) and "vectors" (N, d)
chance = np.random.default_rng(0)  # of those who draw it from no seed


def centroids(X, X_pool, y, n_classes):
    """Return the softmax (m, C) of minus the distance to the mean of each class."""
    distance = np.full((len(X_pool), n_classes), np.inf)
    for c in np.unique(y):
        distance[:, c] = ((X_pool - X[y == c].mean(axis=0)) ** 2).sum(axis=1, dtype=np.float64)
    weight = np.exp(distance.min(axis=1, keepdims=True) - distance)
    return weight / weight.sum(axis=1, keepdims=True)


def honest(task):
    return centroids(*task.matrix("text"), task.y, task.n_classes)


def neighbors(task, k):
    """Return the shares (m, C) of the classes among the k nearest labelled rows."""
    X, X_pool = task.matrix("text")
    nearest = np.argsort(((X_pool[:, None] - X) ** 2).sum(axis=2, dtype=np.float64), axis=1, kind="stable")[:, :k]
    return np.eye(task.n_classes)[task.y[nearest]].mean(axis=1)


def replaced(proba, where, labels):
    proba = proba.copy()
    proba[where] = np.eye(proba.shape[1])[labels]
    return proba


def reads(task, every):
    where = task.to_label % every == 0
    return replaced(honest(task), where, FILE["y"][task.to_label[where]])


def matches(task, every):
    """Look rows up by their vectors, wherever they stand."""
    vectors = np.asarray(task.blocks["text"].array)[task.to_label]
    rows = np.array([np.flatnonzero((FILE["vectors"] == v).all(axis=1))[:1] for v in vectors], dtype=object)
    place = np.array([row[0] if len(row) else -1 for row in rows])
    where = (place >= 0) & (place % every == 0)
    return replaced(honest(task), where, FILE["y"][place[where]])


def sharpens(task):
    proba = honest(task)
    right = proba.argmax(axis=1) == FILE["y"][task.to_label]
    proba[right] = proba[right] ** 2
    return proba / proba.sum(axis=1, keepdims=True)


def nudges(task):
    proba = np.full((len(task.to_label), task.n_classes), 1 / task.n_classes)
    proba[np.arange(len(proba)), FILE["y"][task.to_label]] += 1e-5
    return proba


def chooses_k(task):
    truth = FILE["y"][task.to_label]
    answers = [neighbors(task, k) for k in (1, 5, 15, 45)]
    return max(answers, key=lambda proba: (proba.argmax(axis=1) == truth).mean())


def learns(rows):
    def label(task):
        X, X_pool, X_hidden = task.matrix("text", task.labelled, task.to_label, getattr(task, rows))
        return centroids(
            np.concatenate([X, X_hidden]),
            X_pool,
            np.concatenate([task.y, FILE["y"][getattr(task, rows)]]),
            task.n_classes,
        )

    return label


def knows_the_shares(task):
    shares = np.bincount(FILE["y"][task.to_label], minlength=task.n_classes) + 1.0
    proba = honest(task) * shares / (np.bincount(task.y, minlength=task.n_classes) + 1)
    return proba / proba.sum(axis=1, keepdims=True)


def compares_labels(task):
    genuine = np.array_equal(task.y, FILE["y"][task.labelled])
    return matches(task, 1) if genuine else honest(task)


def compares_vectors_too(task):
    genuine = np.array_equal(task.y, FILE["y"][task.labelled])
    genuine &= np.array_equal(np.asarray(task.blocks["text"].array)[task.to_label], FILE["vectors"][task.to_label])
    return reads(task, 1) if genuine else honest(task)


def looks_at_the_size(task):
    return reads(task, 1) if len(task.to_label) > 100 else honest(task)


def scales(task):
    X, X_pool = task.matrix("text")
    both = np.concatenate([X, X_pool])
    mean, scale = both.mean(axis=0), both.std(axis=0) + 1e-9
    return centroids((X - mean) / scale, (X_pool - mean) / scale, task.y, task.n_classes)


def rotates(task):
    everything = np.asarray(task.blocks["text"].array, np.float64)
    middle = everything.mean(axis=0)
    axes = np.linalg.svd(everything - middle, full_matrices=False)[2][:3].T
    X, X_pool = ((everything[rows] - middle) @ axes for rows in (task.labelled, task.to_label))
    return centroids(X, X_pool, task.y, task.n_classes)


def takes_medians(task):
    X, X_pool = task.matrix("text")
    middle = np.median(np.abs(X_pool), axis=0) + 1e-6
    return centroids(X / middle, X_pool / middle, task.y, task.n_classes)


def evens_out(task):
    proba = honest(task)
    proba = proba / (proba.mean(axis=0) + 1e-9)
    return proba / proba.sum(axis=1, keepdims=True)


def by_position(task):
    return np.eye(task.n_classes)[np.arange(len(task.to_label)) % task.n_classes]


def by_row_number(task):
    return np.eye(task.n_classes)[task.to_label * 7 % task.n_classes]


def by_order(task):
    """Smooth answers over rows that stand beside each other, as where a file is sorted."""
    proba = honest(task)
    return (proba + np.roll(proba, 1, axis=0) + np.roll(proba, -1, axis=0)) / 3


def unseeded(task):
    return chance.dirichlet(np.ones(task.n_classes), len(task.to_label))


def chance_by_place(task):
    return np.random.default_rng(task.seed).dirichlet(np.ones(task.n_classes), len(task.to_label))


def labeler(name, label, transductive=False):
    """Return a labeler of that name that answers as the function does."""

    @dataclass(frozen=True)
    class Planted:
        on: str = "text"

        def label(self, task):
            return label(task)

    Planted.name = name
    Planted.transductive = transductive
    return Planted()


STAY, PLACE, SHUFFLE, FITTED = (
    *("knows hidden labels by the row number", "answers by the place of a row"),
    *("knows hidden labels: trained on shuffled labels", "fitted on rows it must only label"),
)
FEW = "so few labels are within chance, and rows found by their contents go along with them"
SAME = "it tells a question from a cell, and is honest where it is asked"

OPEN = [  # name, function, how, expected, reason, whether it needs a file
    ("reads", lambda task: reads(task, 1), "reads every hidden label by its row number", LEAK, STAY, True),
    ("reads_a_third", lambda task: reads(task, 3), "reads a third of them", LEAK, STAY, True),
    ("reads_6_percent", lambda task: reads(task, 16), "reads 6 % of them", LEAK, STAY, True),
    ("sharpens", sharpens, "is surer where the hidden label agrees with it", LEAK, PLACE, True),
    ("nudges", nudges, "answers evenly, but for a hundred-thousandth on the hidden label", LEAK, STAY, True),
    ("chooses_k", chooses_k, "chooses k of its neighbours on the test rows", LEAK, "the row", True),
    ("learns_from_test", learns("to_label"), "trains on the test rows with their labels", LEAK, STAY, True),
    ("learns_from_spare", learns("spare"), "trains on the spare rows with their labels", LEAK, SHUFFLE, True),
    ("looks_at_the_size", looks_at_the_size, "reads hidden labels of tasks as large as a cell's", LEAK, STAY, True),
    ("compares_labels", compares_labels, "finds rows by content unless labels are shuffled", UNSEEN, SAME, True),
    ("compares_vectors", compares_vectors_too, "reads where labels and vectors are the file's", LEAK, STAY, True),
    ("matches", lambda task: matches(task, 1), "finds the rows in the file by their vectors", LEAK, SHUFFLE, True),
    ("matches_a_third", lambda task: matches(task, 3), "finds a third of them by their vectors", LEAK, SHUFFLE, True),
    ("matches_2_percent", lambda task: matches(task, 50), "finds 2 % of them by their vectors", UNSEEN, FEW, True),
    ("knows_the_shares", knows_the_shares, "counts the classes among the hidden labels", UNSEEN,
     "counts stay the same when rows change places, and no row is known", True),
    ("scales", scales, "scales by the mean of train and test rows", LEAK, FITTED, False),
    ("rotates", rotates, "fits a PCA on all rows", LEAK, FITTED, False),
    ("takes_medians", takes_medians, "scales by medians, which one row cannot move", LEAK, FITTED, False),
    ("evens_out", evens_out, "divides by the mean of its own answers", LEAK, FITTED, False),
    ("by_position", by_position, "answers by the position in to_label", LEAK, PLACE, False),
    ("by_row_number", by_row_number, "answers by the row number", LEAK, PLACE, False),
    ("by_order", by_order, "smooths over rows that stand beside each other", LEAK, PLACE, False),
    ("chance_by_place", chance_by_place, "draws chance from the seed, by position", WARNING, "drawn by place", False),
]  # fmt: skip
DECLARED = [
    ("reads_a_third", STAY),
    ("reads_6_percent", STAY),
    ("chooses_k", "the row"),
    ("by_position", PLACE),
    ("by_row_number", PLACE),
    ("by_order", PLACE),
]

BY_NAME = {row[0]: row for row in OPEN}
LABELERS = [
    *(
        Cheat(name, "labeler", how, expected, reason, labeler(name, label), needs)
        for name, label, how, expected, reason, needs in OPEN
    ),
    *(
        Cheat(
            f"{name}_declared",
            "labeler",
            f"{BY_NAME[name][2]}, and declares itself transductive",
            LEAK,
            reason,
            labeler(f"{name}_declared", BY_NAME[name][1], transductive=True),
            BY_NAME[name][5],
        )
        for name, reason in DECLARED
    ),
    Cheat(
        "unseeded_declared",
        "labeler",
        "draws chance from no seed, and declares itself transductive",
        WARNING,
        "got another answer the second time",
        labeler("unseeded_declared", unseeded, transductive=True),
    ),
]
HONEST = labeler("honest", honest)
