"""Errors that labelers share, and the gain of each in an ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from harness.statistics.metrics import Numbers


@dataclass(frozen=True)
class SharedErrors:
    """The errors of two labelers, as shares of the rows."""

    both: float  # both err
    chance: float  # both would err if their errors had nothing to do with each other
    same: float  # both err with the same label


@dataclass(frozen=True)
class EnsembleGain:
    """Accuracy of the mean of the probabilities, with and without one labeler."""

    alone: float
    without: float
    together: float


def shared_errors(y: Numbers, labels: Sequence[Numbers]) -> dict[tuple[int, int], SharedErrors]:
    """Return (i, j) -> shared errors of labelers i < j; y and labels are (m,)."""
    wrong = [answer != y for answer in labels]
    shared = {}
    for i, j in combinations(range(len(labels)), 2):
        both = wrong[i] & wrong[j]
        same = float((both & (labels[i] == labels[j])).mean())
        shared[i, j] = SharedErrors(float(both.mean()), float(wrong[i].mean() * wrong[j].mean()), same)
    return shared


def ensemble_gains(y: Numbers, probas: Sequence[Numbers]) -> list[EnsembleGain]:
    """Return the gain of each of two or more labelers in their ensemble.

    The ensemble is the plain mean of the (m, C) probabilities.
    """
    total = np.zeros(probas[0].shape)
    for proba in probas:
        total += proba
    together = _accuracy(total, y)
    return [EnsembleGain(_accuracy(proba, y), _accuracy(total - proba, y), together) for proba in probas]


def _accuracy(proba: Numbers, y: Numbers) -> float:
    return float((proba.argmax(axis=1) == y).mean())
