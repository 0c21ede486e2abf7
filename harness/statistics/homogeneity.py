"""Test whether two samples have the same shares, or the same means.

Pearson's chi-square with the effect size w of Cohen 1988. Rows that come in groups count for as many as their shares
are worth: the correction of Rao and Scott 1981, first order. Means of vectors are compared by their distance, against
that of random samples of the same rows or groups: a permutation test.
"""

from dataclasses import dataclass

import numpy as np

from harness.statistics.distributions import chi_square_tail
from harness.statistics.intervals import Numbers, variance_of_mean

MIN_EXPECTED_ROWS = 5  # of a category in the smaller sample; rarer ones are one category together


PERMUTATIONS = 999


@dataclass(frozen=True)
class SamplesTest:
    """The difference between two samples."""

    p: float  # of no difference
    effect: float  # of shares Cohen's w, of means their distance in standard deviations


def compare_means(
    first: Numbers, second: Numbers, first_unit: Numbers | None = None, second_unit: Numbers | None = None
) -> SamplesTest | None:
    """Compare the means of vectors (n, d) and (p, d).

    Units (n,) and (p,) are groups of rows that depend on each other. None where all vectors are equal.
    """
    X = np.concatenate([first, second]).astype(np.float64)
    X -= X.mean(axis=0)
    variance = float((X**2).sum() / len(X))
    if variance == 0:
        return None
    unit = np.arange(len(X))
    if first_unit is not None and second_unit is not None:
        one, other = (np.unique(of_rows, return_inverse=True)[1].reshape(-1) for of_rows in (first_unit, second_unit))
        unit = np.concatenate([one, other + one.max() + 1])
    units, of_first = int(unit.max()) + 1, int(unit[: len(first)].max()) + 1
    total, rows = np.zeros((units, X.shape[1])), np.bincount(unit, minlength=units).astype(np.float64)
    np.add.at(total, unit, X)
    rng, chosen = np.random.default_rng(0), np.zeros((1 + PERMUTATIONS, units))
    chosen[0, :of_first] = 1
    for row in chosen[1:]:
        row[rng.permutation(units)[:of_first]] = 1
    inside = chosen @ rows
    # All rows together have the mean 0.
    distances = ((chosen @ total) ** 2).sum(axis=1) / variance * (1 / inside + 1 / (len(X) - inside)) ** 2
    p = float((distances >= distances[0] * (1 - 1e-9)).mean())
    return SamplesTest(p, float(np.sqrt(max(distances[0] - distances[1:].mean(), 0.0))))


def compare_shares(
    first: Numbers, second: Numbers, first_unit: Numbers | None = None, second_unit: Numbers | None = None
) -> SamplesTest | None:
    """Compare the categories of rows (n,) with those of other rows (p,).

    Units (n,) and (p,) are groups of rows that depend on each other. None where all rows are of one category.
    """
    if not len(first) or not len(second):
        return None
    names, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    codes = _merge_rare(codes.reshape(-1), len(names), min(len(first), len(second)))
    sides = codes[: len(first)], codes[len(first) :]
    categories = int(codes.max()) + 1
    if categories < 2:
        return None
    shares = [np.bincount(side, minlength=categories) / len(side) for side in sides]
    n, p = (_effective_rows(side, unit) for side, unit in zip(sides, (first_unit, second_unit), strict=True))
    expected = (n * shares[0] + p * shares[1]) / (n + p)
    statistic = float(((shares[0] - shares[1]) ** 2 / expected).sum() * n * p / (n + p))
    effect = np.sqrt(((shares[0] - shares[1]) ** 2 / np.maximum(shares[1], 0.5 / len(second))).sum())
    return SamplesTest(float(chi_square_tail(statistic, categories - 1)), float(effect))


def _merge_rare(codes: Numbers, categories: int, smaller: int) -> Numbers:
    """Return codes in which the rare categories are one, the last."""
    count = np.bincount(codes, minlength=categories)
    common = count * smaller / len(codes) >= MIN_EXPECTED_ROWS
    new = np.where(common, np.cumsum(common) - 1, common.sum())
    return np.unique(new[codes], return_inverse=True)[1].reshape(-1)


def _effective_rows(codes: Numbers, unit: Numbers | None) -> float:
    """Return the number of independent rows that these are worth."""
    if unit is None:
        return len(codes)
    effects, weights = [], []
    for code in np.unique(codes):
        share = float((codes == code).mean())
        variance, units = variance_of_mean((codes == code).astype(np.float64), unit)
        if units < 2:
            return 1.0
        effects.append(variance * len(codes) / max(share * (1 - share), 1e-12))
        weights.append(1 - share)
    if sum(weights) <= 0:
        return float(len(np.unique(unit)))
    return float(len(codes) / max(np.average(effects, weights=weights), 1.0))
