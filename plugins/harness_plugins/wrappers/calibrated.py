"""Temperature scaling: calibrated probabilities, same labels.

Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from harness import Block, Labeler, Predictions, Rule, Task, holdout, hookimpl, learn, out_of_fold
from harness_plugins.wrappers._answer import answer, with_facts

MIN_PROBABILITY = 1e-7  # a smaller probability counts as this much, as in the log loss of the board
MAX_TEMPERATURE = 20.0  # temperatures from 1/20 to 20 are tried


@dataclass(frozen=True)
class Calibrated:
    """The base's probabilities p as softmax(log p / T).

    T is the one that fits the labelled rows best, out of fold.

    T is fitted on out-of-fold probabilities: a base is always sure of rows it has learned, and tells nothing by it.
    It costs `folds` trainings more.
    """

    name: ClassVar[str] = "calibrated"

    base: Labeler
    folds: int = 5
    method: Literal["temperature"] = "temperature"

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2, got {self.folds}")

    def label(self, task: Task) -> Predictions:
        facts = self._fit(task)
        base = answer(self.base, task)
        return with_facts(replace(base, proba=apply_temperature(base.proba, facts["temperature"])), facts)

    def learn(self, task: Task) -> "CalibratedRule":
        return CalibratedRule(learn(self.base, task), self._fit(task)["temperature"])

    def _fit(self, task: Task) -> dict[str, Any]:
        if not holdout(task, 0.5).any():  # nothing can be held apart, so nothing is known of the base's honesty
            return {"temperature": 1.0, "log_loss_before": None, "log_loss_after": None}
        proba = out_of_fold(self.base, task, self.folds)  # (n, C)
        real = np.ones(len(task.y), np.bool_) if task.pseudo is None else ~task.pseudo
        before, temperature, after = fit(proba[real], task.y[real])
        return {"temperature": temperature, "log_loss_before": before, "log_loss_after": after}


@dataclass(frozen=True, eq=False)
class CalibratedRule:
    """The base's rule, and the temperature."""

    base: Rule
    temperature: float

    def label(self, blocks: Mapping[str, Block], rows: np.ndarray) -> np.ndarray:
        return apply_temperature(self.base.label(blocks, rows), self.temperature)


def fit(proba: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Return the log loss before, the temperature, the log loss after.

    Of (n, C) probabilities; the temperature is that of the least loss.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    log_p, rows = _log(proba), np.arange(len(y))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(log_p / np.exp(log_temperature), axis=1)[rows, y].mean())

    before, widest = loss(0.0), np.log(MAX_TEMPERATURE)
    best = minimize_scalar(loss, bounds=(-widest, widest), method="bounded")
    if best.fun >= before:
        return before, 1.0, before
    return before, float(np.exp(best.x)), float(best.fun)


def apply_temperature(proba: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(log p / T) of (m, C), float32, same argmax."""
    from scipy.special import softmax

    cooled = softmax(_log(proba) / temperature, axis=1).astype(np.float32)
    # A high T can round two probabilities that differed to the same number, and the lower class would take the tie.
    top = proba.astype(np.float32).argmax(axis=1)
    tied = np.flatnonzero(cooled.argmax(axis=1) != top)
    cooled[tied, top[tied]] = np.nextafter(cooled[tied].max(axis=1), np.float32(1))
    return cooled


def _log(proba: np.ndarray) -> np.ndarray:
    return np.log(np.clip(proba.astype(np.float64), MIN_PROBABILITY, 1.0))


@hookimpl
def harness_labelers():
    return [Calibrated]
