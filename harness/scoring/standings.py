"""Rank intervals of labelers measured on the same rows, from their pairs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.statistics import significance
from harness.statistics.significance import ALPHA, MIN_UNITS, Estimates, Measurements

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """A value or difference with its standard error and 95 % interval.

    The interval is not corrected for other comparisons.
    """

    value: float
    se: float
    interval: Bounds
    p: float  # of no difference


@dataclass(frozen=True)
class Pair:
    """Two labelers of one comparison."""

    first: str
    second: str
    difference: Difference  # first - second
    adjusted: float  # its p among all pairs (Holm 1979)
    separated: bool


@dataclass(frozen=True)
class Standing:
    """The place of one labeler."""

    value: float  # of the primary metric, over the classes it is ranked on
    interval: Bounds | None  # 95 %, of this value alone; None where there are too few rows
    low: int  # 1 + number significantly better
    high: int  # m - number significantly worse
    leading: bool  # none is significantly better, and one is significantly worse than a leader
    against: Difference | None  # value - baseline's

    @property
    def rank(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True, eq=False)
class Evidence:
    """Measurements of the labelers of one comparison, or why there are none."""

    titles: tuple[str, ...]  # (m,)
    measured: Measurements | None
    why: str = ""  # the reason where nothing is measured
    unit: str = "rows"  # what is drawn: "rows" or "groups"
    classes: tuple[int, ...] | None = None  # those that macro-F1 is ranked on, where not all


@dataclass(frozen=True, eq=False)
class Standings:
    """The labelers of one comparison with all their pairs."""

    evidence: Evidence
    by_title: Mapping[str, Standing]
    pairs: tuple[Pair, ...]
    detectable: float | None = None  # the least true difference that 4 of 5 runs would find among all pairs
    planned: float | None = None  # and for one pair planned beforehand

    @property
    def seeds(self) -> int:
        return 0 if self.evidence.measured is None else self.evidence.measured.values.shape[1]

    @property
    def has_enough_rows(self) -> bool:
        """True if there are enough rows to separate labelers."""
        return self.evidence.measured is not None and self.evidence.measured.units >= MIN_UNITS


def rank_intervals_of(evidence: Evidence, lower_is_better: bool, baseline: str) -> Standings:
    """Compare all pairs of labelers, with Holm's correction over all pairs."""
    measured, titles = evidence.measured, evidence.titles
    if measured is None:
        return Standings(evidence, {}, ())
    m, enough = len(titles), measured.units >= MIN_UNITS
    estimates = significance.estimate_differences(measured)
    a, b = significance.pairs_of(m)
    adjusted = significance.holm(estimates.p)
    separated = (adjusted < ALPHA) & enough
    first_wins = (estimates.value < 0) == lower_is_better
    ranks = significance.rank_intervals(m, separated & first_wins, separated & ~first_wins)
    differences = _as_differences(estimates)
    pairs = tuple(
        Pair(titles[i], titles[j], difference, float(p), bool(apart))
        for i, j, difference, p, apart in zip(a, b, differences, adjusted, separated, strict=True)
    )
    values = _as_differences(significance.estimate_values(measured))
    leading = (ranks[:, 0] == 1) & (ranks[:, 0] > 1).any()
    against = _against(pairs, baseline)
    by_title = {
        title: Standing(
            values[i].value,
            values[i].interval if enough else None,
            int(ranks[i, 0]),
            int(ranks[i, 1]),
            bool(leading[i]),
            against.get(title) if enough else None,
        )
        for i, title in enumerate(titles)
    }
    if not enough or not pairs:
        return Standings(evidence, by_title, pairs)
    among_all = significance.detectable_difference(estimates, ALPHA / len(pairs))
    return Standings(evidence, by_title, pairs, among_all, significance.detectable_difference(estimates, ALPHA))


def _as_differences(estimates: Estimates) -> list[Difference]:
    low, high = estimates.interval
    columns = (estimates.value, estimates.se, low, high, estimates.p)
    return [Difference(v, se, (lo, hi), p) for v, se, lo, hi, p in zip(*map(np.ndarray.tolist, columns), strict=True)]


def _against(pairs: tuple[Pair, ...], baseline: str) -> dict[str, Difference]:
    """Return title -> difference from the baseline."""
    differences = {}
    for pair in pairs:
        if pair.second == baseline:
            differences[pair.first] = pair.difference
        elif pair.first == baseline:
            value, (low, high) = pair.difference.value, pair.difference.interval
            differences[pair.second] = Difference(0.0 - value, pair.difference.se, (-high, -low), pair.difference.p)
    return differences
