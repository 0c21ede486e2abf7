"""Selection bias of the best of several settings: the winner's curse."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.statistics.significance import Floats, Measurements, seed_variances

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
    by_seed = seed_variances(measured)[0].min() / measured.values.shape[1]  # the pooled one: the least of them is it
    covariance = covariance + by_seed * np.eye(len(members))
    errors = np.random.default_rng(SEED).standard_normal((RANDOM_HALVES, len(members))) @ _square_root(covariance).T
    chosen = (values + errors).argmax(axis=1)
    apart = float(np.mean(values[chosen] - errors[np.arange(RANDOM_HALVES), chosen]))
    best = int(values.argmax())
    apart = min(apart, float(values[best]))  # a lucky draw of the halves is no gain
    return SelectionEffect(
        len(members), int(members[best]), sign * float(values[best]), sign * apart, sign * float(values.mean())
    )


def _square_root(covariance: Floats) -> Floats:
    """Return R with R R' = covariance, which may be singular."""
    scales, axes = np.linalg.eigh(covariance)
    return np.asarray(axes * np.sqrt(np.maximum(scales, 0.0)))
