"""Rank intervals of labelers measured on the same rows, from their pairs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.statistics import significance
from harness.statistics.significance import ALPHA, MIN_UNITS, Measurements
from harness.statistics.value_interval import value_interval

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """A value or difference with its standard error and 95 % interval.

    The interval is not corrected for other comparisons.
    """

    value: float
    se: float
    interval: Bounds
    p: float | None  # of no difference; None where it is not tested


@dataclass(frozen=True)
class Pair:
    """Two labelers of one comparison."""

    first: str
    second: str
    difference: Difference  # first - second
    adjusted: float | None  # its p among all pairs (Holm 1979); None where it is not tested
    separated: bool


@dataclass(frozen=True)
class Standing:
    """The place of one labeler."""

    value: float  # of the primary metric, over the classes it is ranked on
    interval: Bounds | None  # 95 %, of this value alone; None where there are too few rows
    low: int | None  # 1 + number significantly better; None where ranks are not tested
    high: int | None  # m - number significantly worse
    leading: bool  # none is significantly better, and one is significantly worse than a leader
    against: Difference | None  # value - baseline's

    chosen: "Choice | None" = None  # if it is the best setting of a method that has several

    @property
    def rank(self) -> str:
        """The rank interval; "" where ranks are not tested."""
        if self.low is None:
            return ""
        return f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True)
class Choice:
    """The best of several settings, and what it is worth without the luck."""

    settings: int
    value: float  # when chosen on other rows


@dataclass(frozen=True, eq=False)
class Evidence:
    """Measurements of the labelers of one comparison, or why there are none."""

    titles: tuple[str, ...]  # (m,)
    measured: Measurements | None
    why: str = ""  # the reason where nothing is measured
    unit: str = "rows"  # what is drawn: "rows" or "groups"
    classes: tuple[int, ...] | None = None  # those that macro-F1 is ranked on, where not all
    bounds: Bounds = (-np.inf, np.inf)  # the least and largest value of the metric
    overlap: float | None = None  # share of train rows that two seeds share


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
        return 0 if self.evidence.measured is None else self.evidence.measured.seeds

    @property
    def has_enough_rows(self) -> bool:
        """True if there are enough rows for intervals."""
        return self.evidence.measured is not None and self.evidence.measured.units >= MIN_UNITS

    @property
    def untested(self) -> str | None:
        """Why ranks are not tested, or None."""
        return None if self.evidence.measured is None else self.evidence.measured.untested


def rank_intervals_of(evidence: Evidence, lower_is_better: bool, baseline: str) -> Standings:
    """Compare all pairs of labelers, with Holm's correction over all pairs."""
    measured, titles = evidence.measured, evidence.titles
    if measured is None:
        return Standings(evidence, {}, ())
    m, tested, enough = len(titles), measured.untested is None, measured.units >= MIN_UNITS
    estimates = significance.estimate_differences(measured)
    a, b = significance.pairs_of(m)
    adjusted = significance.holm(estimates.p)
    separated = (adjusted < ALPHA) & tested
    first_wins = (estimates.value < 0) == lower_is_better
    ranks = significance.rank_intervals(m, separated & first_wins, separated & ~first_wins)
    differences = differences_of(measured, evidence.bounds)
    pairs = tuple(
        Pair(titles[i], titles[j], difference, float(p) if tested else None, bool(apart))
        for i, j, difference, p, apart in zip(a, b, differences, adjusted, separated, strict=True)
    )
    own = significance.estimate_values(measured)
    low, high = value_interval(own, evidence.bounds, measured.units)
    leading = (ranks[:, 0] == 1) & (ranks[:, 0] > 1).any()
    against = _against(pairs, baseline)
    by_title = {
        title: Standing(
            float(own.value[i]),
            (float(low[i]), float(high[i])) if enough else None,
            int(ranks[i, 0]) if tested or m == 1 else None,
            int(ranks[i, 1]) if tested or m == 1 else None,
            bool(leading[i]),
            against.get(title) if enough else None,
        )
        for i, title in enumerate(titles)
    }
    if not tested or not pairs:
        return Standings(evidence, by_title, pairs)
    among_all = significance.detectable_difference(estimates, ALPHA / len(pairs))
    return Standings(evidence, by_title, pairs, among_all, significance.detectable_difference(estimates, ALPHA))


def differences_of(measured: Measurements, bounds: Bounds) -> list[Difference]:
    """Return the difference of every pair; its interval ends where it must.

    p is None where nothing is tested.
    """
    estimates, tested = significance.estimate_differences(measured), measured.untested is None
    width = bounds[1] - bounds[0]
    low, high = (np.clip(ends, -width, width) for ends in estimates.interval)
    columns = (estimates.value, estimates.se, low, high, estimates.p)
    return [
        Difference(v, se, (lo, hi), p if tested else None)
        for v, se, lo, hi, p in zip(*map(np.ndarray.tolist, columns), strict=True)
    ]


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
