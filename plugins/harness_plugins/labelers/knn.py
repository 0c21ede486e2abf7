"""k nearest neighbours: each row takes the weighted vote, or the weighted mean, of the labelled rows around it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from harness import On, Predictions, Task, hookimpl, neighbors


@dataclass(frozen=True)
class KNN:
    """Vote or weighted mean of the k nearest labelled rows by cosine."""

    name: ClassVar[str] = "knn"
    preload: ClassVar[tuple[str, ...]] = ("faiss",)

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
        """Declare the neighbours that ``label`` asks for: the harness finds them once for all cells."""
        return [(self.on, self.k)]

    def label(self, task: Task) -> Predictions:
        similarity, index = neighbors(task, self.on, self.k)  # (m, k), (m, k)
        weight = self._weight(similarity.astype(np.float64))  # (m, k), rows sum to 1
        y = task.y[index]  # (m, k)
        if self.mode == "regression":
            return _mean(weight, y, task.n_classes)
        votes = np.stack([(weight * (y == c)).sum(axis=1) for c in range(task.n_classes)], axis=1)  # (m, C)
        if self.prior_calibration:
            prior = np.bincount(task.y, minlength=task.n_classes) / len(task.y)
            votes = np.divide(votes, prior, out=np.zeros_like(votes), where=prior > 0)
        return Predictions(votes / votes.sum(axis=1, keepdims=True))

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


def _mean(weight: np.ndarray, y: np.ndarray, n_classes: int) -> Predictions:
    """Split the weighted mean between its two neighbouring classes: the argmax rounds it, the expectation is exact."""
    mean = (weight * y).sum(axis=1)  # (m,)
    variance = (weight * (y - mean[:, None]) ** 2).sum(axis=1)
    lower = np.clip(np.floor(mean).astype(np.int64), 0, n_classes - 2)
    share = np.clip(mean - lower, 0, 1)
    proba = np.zeros((len(mean), n_classes))
    proba[np.arange(len(mean)), lower] = 1 - share
    proba[np.arange(len(mean)), lower + 1] = share
    return Predictions(proba, rows={"confidence": 1 - np.sqrt(variance) / (n_classes - 1)})


@hookimpl
def harness_labelers():
    return [KNN]
