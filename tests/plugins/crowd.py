"""Made answers of raters with known confusion matrices."""

import numpy as np

from harness import RaterLabels, Task


def make_crowd(n, n_raters, per_row, n_classes, accuracy, seed=0, spread=0.15, far=True):
    """Return the truth (n,), the labels, and the confusion (R, truth, label).

    Raters are as often right as `accuracy` says, give or take `spread`; wrong labels are near ones unless `far`.
    """
    rng = np.random.default_rng(seed)
    truth = rng.choice(n_classes, n, p=(share := 0.8 ** np.arange(n_classes)) / share.sum())
    right = np.clip(accuracy + spread * rng.uniform(-1, 1, (n_raters, n_classes)), 0.05, 0.98)
    distance = np.abs(np.arange(n_classes)[:, None] - np.arange(n_classes))
    wrong = rng.random((n_raters, n_classes, n_classes)) * (distance > 0) * (far | (distance == 1))
    confusion = wrong / wrong.sum(axis=2, keepdims=True) * (1 - right[:, :, None])
    confusion += right[:, :, None] * np.eye(n_classes)
    raters = rng.random((n, n_raters)).argsort(axis=1)[:, :per_row].reshape(-1)
    rows = np.repeat(np.arange(n), per_row)
    limits = confusion[raters, truth[rows]].cumsum(axis=1)
    labels = np.minimum((rng.random(len(rows))[:, None] > limits).sum(axis=1), n_classes - 1)
    return truth, RaterLabels(rows, raters, labels, n, n_raters), confusion


def crowd_task(truth, labels, n_classes, n_labelled=1, **more):
    """Return the task of labelling all but the first `n_labelled` rows."""
    rows = np.arange(len(truth))
    labelled, to_label = rows[:n_labelled], rows[n_labelled:]
    return Task({}, labelled, truth[labelled], to_label, n_classes, rater_labels=labels, **more)


def accuracy(answer, task, truth):
    proba = getattr(answer, "proba", answer)
    return float((proba.argmax(axis=1) == truth[task.to_label]).mean())
