"""Calibration of probabilities on rows that the labeler had not seen.

Temperature scaling: Guo, Pleiss, Sun and Weinberger 2017. Isotonic regression of each class against the rest: Zadrozny
and Elkan 2002. A calibration is judged on other rows than those it was fitted on, too: `cross_fit_calibration`.
"""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from harness.statistics.metrics import Numbers, log_loss

Method = Literal["none", "temperature", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)
MIN_PROBABILITY = 1e-7  # a smaller probability counts as this much, as in the log loss
MAX_TEMPERATURE = 20.0  # temperatures from 1/20 to 20 are tried
Calibration = Callable[[Numbers], Numbers]
"""(m, C) probabilities to (m, C) calibrated ones, float64."""


def fit_calibration(method: Method, proba: Numbers, y: Numbers) -> Calibration:
    """Learn a calibration from (n, C) probabilities and labels y (n,)."""
    if method == "none":
        return lambda other: other.astype(np.float64)
    return _temperature(proba, y) if method == "temperature" else _isotonic(proba, y)


def cross_fit_calibration(method: Method, proba: Numbers, y: Numbers, fold: Numbers) -> Numbers:
    """Return (n, C) calibrated probabilities, each fold by the other folds.

    The calibration of a fold is fitted on the labels of all others.
    """
    calibrated = np.empty(proba.shape)
    for number in np.unique(fold):
        held = fold == number
        calibrated[held] = fit_calibration(method, proba[~held], y[~held])(proba[held])
    return calibrated


def best_method(proba: Numbers, y: Numbers, fold: Numbers) -> tuple[Method, Numbers]:
    """Return the method with the least log loss, and its (n, C) probabilities.

    Both are cross-fitted: a row is calibrated by a fit on the other folds.
    """
    by_method = {method: cross_fit_calibration(method, proba, y, fold) for method in METHODS}
    losses = {method: float(log_loss(calibrated, y)) for method, calibrated in by_method.items()}
    winner = min(METHODS, key=losses.__getitem__)  # of equals the simpler
    return winner, by_method[winner]


def scale(proba: Numbers, temperature: float) -> Numbers:
    """Return softmax(log p / T) of (m, C) probabilities as float64.

    At T = 1 they are unchanged.
    """
    if temperature == 1.0:
        return proba.astype(np.float64)
    from scipy.special import softmax

    return np.asarray(softmax(_log(proba) / temperature, axis=1))


def _temperature(proba: Numbers, y: Numbers) -> Calibration:
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    log_p, rows = _log(proba), np.arange(len(y))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(log_p / np.exp(log_temperature), axis=1)[rows, y].mean())

    widest = np.log(MAX_TEMPERATURE)
    optimum = minimize_scalar(loss, bounds=(-widest, widest), method="bounded")
    temperature = float(np.exp(optimum.x)) if optimum.fun < loss(0.0) else 1.0
    return lambda other: scale(other, temperature)


def _isotonic(proba: Numbers, y: Numbers) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    n, n_classes = proba.shape
    shares = np.bincount(y, minlength=n_classes) / n
    curves = [
        IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(proba[:, c].astype(np.float64), y == c)
        for c in range(n_classes)
    ]

    def apply(other: Numbers) -> Numbers:
        raw = np.stack([curves[c].predict(other[:, c].astype(np.float64)) for c in range(n_classes)], axis=1)
        # A step at 0 excludes a class because of a few rows: class shares with the weight of one row soften it.
        raw = (n * raw + shares) / (n + 1)
        return np.asarray(raw / raw.sum(axis=1, keepdims=True))

    return apply


def _log(proba: Numbers) -> Numbers:
    return np.log(np.clip(proba.astype(np.float64), MIN_PROBABILITY, 1.0))
