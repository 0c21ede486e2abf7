"""Selection bias of the best of several settings: the winner's curse."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.statistics.significance import Floats, Measurements

RANDOM_HALVES = 4_000  # the mean of the luck is then exact to a fiftieth of a standard error
SEED = 0  # a page does not change when it is written again


@dataclass(frozen=True)
class SelectionEffect:
    """One method in all its settings, each measured on the same test rows."""

    settings: int
    best: int  # which labeler it is, by its place in Measurements
    value: float  # of the best
    apart: float  # the best of one half of the test rows (and seeds), measured on the other half
    typical: float  # a setting at random: the mean of all


def selection_effect(measured: Measurements, members: NDArray[np.intp], lower_is_better: bool) -> SelectionEffect:
    """Estimate the gain of choosing the best of the labelers `members` (g,).

    `members` are places in `measured`. Two halves of the rows have errors that are independent, of twice the variance,
    and of mean the value on all rows. So value + e and value - e are two such halves, e being drawn from the errors of
    the values: what is best in one is measured in the other, which no choice has favoured (randomised sample splitting:
    Rasines & Young 2023). It takes the covariance alone, no second pass over the rows.
    """
    sign = -1.0 if lower_is_better else 1.0
    values = sign * measured.values.mean(axis=1)[members]
    covariance = measured.rows[np.ix_(members, members)]
    covariance = covariance + _seed_variance(measured, members) * np.eye(len(members))
    errors = np.random.default_rng(SEED).standard_normal((RANDOM_HALVES, len(members))) @ _square_root(covariance).T
    chosen = (values + errors).argmax(axis=1)
    apart = float(np.mean(values[chosen] - errors[np.arange(RANDOM_HALVES), chosen]))
    best = int(values.argmax())
    apart = min(apart, float(values[best]))  # a lucky draw of the halves is no gain
    return SelectionEffect(
        len(members), int(members[best]), sign * float(values[best]), sign * apart, sign * float(values.mean())
    )


def _seed_variance(measured: Measurements, members: NDArray[np.intp]) -> float:
    """Return the part of a mean's variance that the seeds add to the rows'.

    Settings of one method scatter alike: one variance, of what a seed does to each of them beside all.
    """
    g = len(members)
    if measured.seeds == 1 or g == 1:
        return 0.0
    values = measured.values[members]
    s2 = (values - values.mean(axis=0)).var(axis=1, ddof=1).sum() / (g - 1)
    own = np.zeros((g, g)) if measured.own_rows is None else measured.own_rows[np.ix_(members, members)]
    return max(float(s2 - (np.trace(own) - own.sum() / g) / (g - 1)), 0.0) / measured.seeds


def winners_luck(values: Floats, covariance: Floats, lower_is_better: bool) -> float:
    """Return how much better the best of values (m,) seems than it is.

    `covariance` (m, m) is that of their errors. It is the bootstrap's estimate of the bias: errors are drawn anew
    around the values, and the mean error of whichever is then the best is the luck of the choice (Efron and Tibshirani
    1993, chapter 10). It has the sign of an excess: what was measured less the luck is expected.
    """
    sign = -1.0 if lower_is_better else 1.0
    errors = np.random.default_rng(SEED).standard_normal((RANDOM_HALVES, len(values))) @ _square_root(covariance).T
    best = (sign * values + errors).argmax(axis=1)
    return sign * max(float(errors[np.arange(RANDOM_HALVES), best].mean()), 0.0)


def _square_root(covariance: Floats) -> Floats:
    """Return R with R R' = covariance, which may be singular."""
    scales, axes = np.linalg.eigh(covariance)
    return np.asarray(axes * np.sqrt(np.maximum(scales, 0.0)))
