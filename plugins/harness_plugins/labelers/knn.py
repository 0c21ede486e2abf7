"""k nearest neighbours: weighted vote or mean of labelled rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from harness import Block, NeighborIndex, On, Predictions, Task, hookimpl, neighbors

VOTING_ROWS = 1_024  # rows that vote at a time: their weights stay in the processor's cache


@dataclass(frozen=True)
class KNN:
    """Vote or weighted mean of the k nearest labelled rows by cosine."""

    name: ClassVar[str] = "knn"

    on: On
    k: int = 50
    tau: float = 0.1  # temperature of the softmax weights exp(similarity / tau)
    weights: Literal["softmax", "power"] = "softmax"
    alpha: float = 4.0  # exponent of the power weights max(similarity, 0) ** alpha
    mode: Literal["vote", "regression"] = "vote"
    sim_threshold: float | None = None  # neighbours less similar than this have no weight
    prior_calibration: bool = False  # divide the votes by the class shares of the labelled rows

    def __post_init__(self) -> None:
        for name in ("k", "tau", "alpha"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.prior_calibration and self.mode == "regression":
            raise ValueError("prior_calibration divides votes; it needs mode: vote")

    def needs(self) -> list[tuple[On, int]]:
        """Declare the neighbours that ``label`` uses."""
        return [(self.on, self.k)]

    def learn(self, task: Task) -> "KNNRule":
        return KNNRule(self, NeighborIndex.fit(task, self.on), task.y, task.n_classes)

    def label(self, task: Task) -> Predictions:
        """Label as the rule does, by neighbours that cells may share.

        A row that is labelled itself, which no rule is asked about, is not its own neighbour.
        """
        similarity, index = neighbors(task, self.on, self.k)  # (m, k), (m, k)
        return self.vote(similarity, index, task.y, task.n_classes)

    def vote(self, similarity: np.ndarray, index: np.ndarray, y: np.ndarray, n_classes: int) -> Predictions:
        """Return the answer by the neighbours (m, k) among the labels y (n,)."""
        proba = np.empty((len(similarity), n_classes))
        confidence = np.empty(len(similarity))
        for start in range(0, len(similarity), VOTING_ROWS):
            part = slice(start, start + VOTING_ROWS)
            weight = self._weight(similarity[part].astype(np.float64))  # (rows, k), rows sum to 1
            votes = y[index[part]]  # (rows, k)
            if self.mode == "regression":
                proba[part], confidence[part] = _mean(weight, votes, n_classes)
            else:
                proba[part] = _votes(weight, votes, n_classes)
        if self.mode == "regression":
            return Predictions(proba, rows={"confidence": confidence})
        if self.prior_calibration:
            prior = np.bincount(y, minlength=n_classes) / len(y)
            proba = np.divide(proba, prior, out=np.zeros_like(proba), where=prior > 0)
        return Predictions(proba / proba.sum(axis=1, keepdims=True))

    def _weight(self, similarity: np.ndarray) -> np.ndarray:
        if self.weights == "softmax":  # in log space: exp(0.9 / 0.01) would overflow float32
            log_weight = similarity / self.tau
        else:
            with np.errstate(divide="ignore"):
                log_weight = self.alpha * np.log(np.maximum(similarity, 0))
        if self.sim_threshold is not None:
            log_weight = np.where(similarity < self.sim_threshold, -np.inf, log_weight)
        nobody = ~np.isfinite(log_weight[:, 0])  # nearest first: if it has no weight, none has
        log_weight[nobody, 0] = 0.0  # then the nearest keeps weight 1
        weight = np.exp(log_weight - log_weight[:, :1])
        return weight / weight.sum(axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class KNNRule:
    """The labelled rows, for the votes of the nearest."""

    labeler: KNN
    index: NeighborIndex
    y: np.ndarray  # (n,)
    n_classes: int

    def label(self, blocks: Mapping[str, Block], rows: np.ndarray) -> np.ndarray:
        proba = np.empty((len(rows), self.n_classes))
        for part, similarity, index in self.index.search(blocks, rows, self.labeler.k):
            proba[part] = self.labeler.vote(similarity, index, self.y, self.n_classes).proba
        return proba


def _votes(weight: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Sum neighbour weights (rows, k) by class: (rows, C)."""
    cell = np.arange(len(y))[:, None] * n_classes + y
    return np.bincount(cell.ravel(), weight.ravel(), len(y) * n_classes).reshape(len(y), n_classes)


def _mean(weight: np.ndarray, y: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Split weighted means between their two neighbouring classes.

    The argmax rounds the mean, the expectation is exact.

    Returns (rows, C) probabilities and (rows,) how near the neighbours' labels lie to their mean, 1 at best.
    """
    mean = (weight * y).sum(axis=1)  # (rows,)
    variance = (weight * (y - mean[:, None]) ** 2).sum(axis=1)
    lower = np.clip(np.floor(mean).astype(np.int64), 0, n_classes - 2)
    share = np.clip(mean - lower, 0, 1)
    proba = np.zeros((len(mean), n_classes))
    proba[np.arange(len(mean)), lower] = 1 - share
    proba[np.arange(len(mean)), lower + 1] = share
    return proba, 1 - np.sqrt(variance) / (n_classes - 1)


@hookimpl
def harness_labelers():
    return [KNN]
