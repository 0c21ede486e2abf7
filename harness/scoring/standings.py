"""Where labelers stand that are measured on the same rows: intervals of ranks, and the pairs they follow from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.statistics import significance
from harness.statistics.significance import ALPHA, MIN_UNITS, Estimates, Measurements

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """A value, or what one has more than another, with its standard error and its 95 % interval for itself alone."""

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
    """What is known of one labeler's place."""

    value: float  # what ranks: the primary metric, over the classes it is ranked on
    interval: Bounds | None  # 95 % of the value, for itself alone; None where there are too few rows
    low: int  # 1 + number significantly better
    high: int  # m - number significantly worse
    leading: bool  # nobody is significantly better, and somebody is significantly worse than one of these
    against: Difference | None  # value - baseline's

    @property
    def rank(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the rows say of the labelers of one comparison; or why they cannot."""

    titles: tuple[str, ...]  # (m,)
    measured: Measurements | None
    why: str = ""  # nothing is claimed
    unit: str = "rows"  # what is drawn: "rows" or "groups"
    classes: tuple[int, ...] | None = None  # those that macro-F1 is ranked on, where not all


@dataclass(frozen=True, eq=False)
class Standings:
    """The labelers of one comparison with all their pairs."""

    evidence: Evidence
    by_title: Mapping[str, Standing]
    pairs: tuple[Pair, ...]
    detectable: float | None = None  # the least true difference that would be found among all pairs in 4 of 5 runs
    planned: float | None = None  # and of one pair that was the only question

    @property
    def seeds(self) -> int:
        return 0 if self.evidence.measured is None else self.evidence.measured.values.shape[1]

    @property
    def has_enough_rows(self) -> bool:
        """There are rows enough to separate anything."""
        return self.evidence.measured is not None and self.evidence.measured.units >= MIN_UNITS


def rank_intervals_of(evidence: Evidence, lower_is_better: bool, baseline: str) -> Standings:
    """Compare all pairs of labelers; Holm's correction is over all of them."""
    measured, titles = evidence.measured, evidence.titles
    if measured is None:
        return Standings(evidence, {}, ())
    m, enough = len(titles), measured.units >= MIN_UNITS
    found = significance.estimate_differences(measured)
    a, b = significance.pairs_of(m)
    adjusted = significance.holm(found.p)
    separated = (adjusted < ALPHA) & enough
    first_wins = (found.value < 0) == lower_is_better
    ranks = significance.rank_intervals(m, separated & first_wins, separated & ~first_wins)
    each = _as_differences(found)
    pairs = tuple(
        Pair(titles[i], titles[j], difference, float(p), bool(apart))
        for i, j, difference, p, apart in zip(a, b, each, adjusted, separated, strict=True)
    )
    own = _as_differences(significance.estimate_values(measured))
    leading = (ranks[:, 0] == 1) & (ranks[:, 0] > 1).any()
    against = _against(pairs, baseline)
    by_title = {
        title: Standing(
            own[i].value,
            own[i].interval if enough else None,
            int(ranks[i, 0]),
            int(ranks[i, 1]),
            bool(leading[i]),
            against.get(title) if enough else None,
        )
        for i, title in enumerate(titles)
    }
    if not enough or not pairs:
        return Standings(evidence, by_title, pairs)
    among_all = significance.detectable_difference(found, ALPHA / len(pairs))
    return Standings(evidence, by_title, pairs, among_all, significance.detectable_difference(found, ALPHA))


def _as_differences(found: Estimates) -> list[Difference]:
    low, high = found.interval
    columns = (found.value, found.se, low, high, found.p)
    return [Difference(v, se, (lo, hi), p) for v, se, lo, hi, p in zip(*map(np.ndarray.tolist, columns), strict=True)]


def _against(pairs: tuple[Pair, ...], baseline: str) -> dict[str, Difference]:
    """Return what each labeler has more than the baseline."""
    found = {}
    for pair in pairs:
        if pair.second == baseline:
            found[pair.first] = pair.difference
        elif pair.first == baseline:
            value, (low, high) = pair.difference.value, pair.difference.interval
            found[pair.second] = Difference(0.0 - value, pair.difference.se, (-high, -low), pair.difference.p)
    return found
