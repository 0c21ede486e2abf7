"""Paired comparisons of labelers as tables, lines and events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.report.markdown import number
from harness.report.tables import Column, IntervalCell, Table, columns
from harness.scoring.leaderboard import DECIMALS
from harness.scoring.pairwise import PairedComparison, PairedRow, SplitPair
from harness.statistics.metrics import LOWER_IS_BETTER
from harness.statistics.seed_variance import MIN_SEEDS
from harness.statistics.significance import ALPHA, holm

SCORES = (Column("A"), Column("B"), Column("B - A", signed=True))
TESTED = (*SCORES, Column("95 % interval", signed=True), Column("p"))


@dataclass(frozen=True)
class Tally:
    """Splits that the second labeler won, tied and lost.

    Values that are equal to the printed precision are tied.
    """

    wins: int
    ties: int
    losses: int
    mean: float  # of second - first
    best: SplitPair
    worst: SplitPair


def count_wins(comparisons: Iterable[PairedComparison], primary: str) -> Tally:
    """Count the splits of some comparisons; a curve has none of its own."""
    pairs = _split_pairs(comparisons)
    gains = [_gain(pair, primary) for pair in pairs]
    return Tally(
        sum(gain > 0 for gain in gains),
        sum(gain == 0 for gain in gains),
        sum(gain < 0 for gain in gains),
        float(np.mean([pair.second - pair.first for pair in pairs])),
        pairs[int(np.argmax(gains))],
        pairs[int(np.argmin(gains))],
    )


@dataclass(frozen=True)
class PairwiseReport:
    """All paired comparisons of one command."""

    comparisons: tuple[PairedComparison, ...]
    primary: str

    def tallies(self) -> dict[str, Tally]:
        """Return the tally of each pair of labelers."""
        by_name: dict[str, list[PairedComparison]] = {}
        for comparison in self.comparisons:
            by_name.setdefault(_name(comparison), []).append(comparison)
        return {name: count_wins(group, self.primary) for name, group in by_name.items()}

    def tables(self) -> Iterator[Table]:
        """Yield every number of one pair, or one row a comparison of several."""
        if len(self.tallies()) > 1:
            yield self._overview()
            return
        for comparison in self.comparisons:
            title = f"{comparison.where}: A = {comparison.first}, B = {comparison.second}"
            rows = tuple((row.metric, row.part, *_cells(row), row.n) for row in comparison.rows)
            yield Table("", title, (Column("Metric"), Column("Of"), *TESTED, Column("Rows")), rows)
        rows = tuple(
            (pair.split, pair.first, pair.second, pair.second - pair.first, _outcome(_gain(pair, self.primary)))
            for pair in _split_pairs(self.comparisons)
        )
        yield Table("", f"{self.primary}, split by split", (Column("Split"), *SCORES, Column("B")), rows)

    def lines(self) -> Iterator[str]:
        """Yield the tally of each pair, and what the p-values are."""
        for name, tally in self.tallies().items():
            splits = tally.wins + tally.ties + tally.losses
            best, worst = (
                f"{number(pair.second - pair.first, signed=True)} ({pair.split})" for pair in (tally.best, tally.worst)
            )
            yield (
                f"{name}: {tally.wins} won, {tally.ties} tied, {tally.losses} lost of {splits} splits; mean difference "
                f"{number(tally.mean, signed=True)}, best {best}, worst {worst}"
            )
        tested = self._tested()
        if not tested and any(comparison.rows[0].difference for comparison in self.comparisons):
            yield f"fewer than {MIN_SEEDS} seeds: intervals are over the test rows alone, and no difference is tested"
        if len(self.tallies()) > 1 and tested:
            yield f"separated: at most 5 % falsely among all {len(tested)} lines (Holm)"
        yield "splits share rows: they are shown one by one and no test counts them as trials"

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield every number as a JSON object."""
        for comparison in self.comparisons:
            for row in comparison.rows:
                ends = row.difference.interval if row.difference else (None, None)
                yield {
                    "where": comparison.where,
                    "a": comparison.first,
                    "b": comparison.second,
                    "metric": row.metric,
                    "of": row.part,
                    "value_a": row.first,
                    "value_b": row.second,
                    "difference": row.delta,
                    "low": ends[0],
                    "high": ends[1],
                    "p": row.difference.p if row.difference else None,
                    "rows": row.n,
                }

    def _overview(self) -> Table:
        p_values = self._tested()
        adjusted = dict(zip(p_values, holm(np.array([*p_values.values()])).tolist(), strict=True))
        rows = tuple(
            (pair.where, _name(pair), *_cells(pair.rows[0]), "separated" if adjusted.get(i, 1.0) < ALPHA else "")
            for i, pair in enumerate(self.comparisons)
        )
        header = (*columns(("Where", "Labeler")), *TESTED, Column(""))
        return Table("", f"{self.primary}, A to B", header, rows)

    def _tested(self) -> dict[int, float]:
        """Return the p-value of each comparison that has one, by its place."""
        differences = ((i, comparison.rows[0].difference) for i, comparison in enumerate(self.comparisons))
        return {i: difference.p for i, difference in differences if difference and difference.p is not None}


def _name(comparison: PairedComparison) -> str:
    first, second = comparison.first, comparison.second
    return second if first == second else f"{second} against {first}"


def _cells(row: PairedRow) -> tuple[Any, ...]:
    """Return the cells of the columns TESTED."""
    if row.difference is None:
        return row.first, row.second, row.delta, None, None
    p = "" if row.difference.p is None else f"{row.difference.p:.2g}"
    return row.first, row.second, row.delta, IntervalCell(*row.difference.interval), p


def _split_pairs(comparisons: Iterable[PairedComparison]) -> list[SplitPair]:
    return [pair for comparison in comparisons if not comparison.is_curve for pair in comparison.splits]


def _gain(pair: SplitPair, primary: str) -> float:
    """Return second - first to the printed precision, better upwards."""
    return (-1 if primary in LOWER_IS_BETTER else 1) * round(pair.second - pair.first, DECIMALS)


def _outcome(gain: float) -> str:
    return "won" if gain > 0 else "lost" if gain < 0 else "tied"
