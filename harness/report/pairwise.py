"""Matches of two labelers as tables, lines and events: the differences, and how often the second won."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.report.markdown import interval, number
from harness.scoring.leaderboard import DECIMALS
from harness.scoring.pairwise import PairedComparison, PairedRow, SplitPair
from harness.statistics.metrics import LOWER_IS_BETTER
from harness.statistics.significance import ALPHA, holm

TextTable = tuple[str, list[str], list[list[str]]]
"""Title, header, rows."""


@dataclass(frozen=True)
class Tally:
    """How the second fared, split by split; equal to the printed precision is a tie."""

    wins: int
    ties: int
    losses: int
    mean: float  # of second - first
    best: SplitPair
    worst: SplitPair


def count_wins(found: Iterable[PairedComparison], primary: str) -> Tally:
    """Count the splits of some matches; a curve has none of its own."""
    rounds = [each for match in found if not match.is_curve for each in match.splits]
    sign = -1 if primary in LOWER_IS_BETTER else 1
    gains = [sign * round(each.second - each.first, DECIMALS) for each in rounds]
    return Tally(
        sum(gain > 0 for gain in gains),
        sum(gain == 0 for gain in gains),
        sum(gain < 0 for gain in gains),
        float(np.mean([each.second - each.first for each in rounds])),
        rounds[int(np.argmax(gains))],
        rounds[int(np.argmin(gains))],
    )


@dataclass(frozen=True)
class PairwiseReport:
    """All matches that one command was asked for."""

    matches: tuple[PairedComparison, ...]
    primary: str

    def tallies(self) -> dict[str, Tally]:
        """Return how the second of each pair fared."""
        by_name: dict[str, list[PairedComparison]] = {}
        for match in self.matches:
            by_name.setdefault(_name(match), []).append(match)
        return {name: count_wins(found, self.primary) for name, found in by_name.items()}

    def tables(self) -> Iterator[TextTable]:
        """Yield a table of every number for each match of one pair; of several, one line a match."""
        header = ["A", "B", "B - A", "95 % interval", "p", "Rows"]
        if len(self.tallies()) > 1:
            rows = [
                [match.where, _name(match), *_cells(match.rows[0])[:-1], self._verdict(match)] for match in self.matches
            ]
            yield f"{self.primary}, A to B", ["Where", "Labeler", *header[:-1], ""], rows
            return
        for match in self.matches:
            rows = [[row.metric, row.part, *_cells(row)] for row in match.rows]
            yield f"{match.where}: A = {match.first}, B = {match.second}", ["Metric", "Of", *header], rows
        rounds = [each for match in self.matches if not match.is_curve for each in match.splits]
        rows = [
            [each.split, number(each.first), number(each.second), number(each.second - each.first, signed=True), word]
            for each in rounds
            for word in (_outcome(each, self.primary),)
        ]
        yield f"{self.primary}, split by split", ["Split", "A", "B", "B - A", "B"], rows

    def lines(self) -> Iterator[str]:
        """Yield the tally of each pair, and what the p-values are."""
        for name, found in self.tallies().items():
            splits = found.wins + found.ties + found.losses
            best, worst = (f"{number(r.second - r.first, signed=True)} ({r.split})" for r in (found.best, found.worst))
            yield (
                f"{name}: {found.wins} won, {found.ties} tied, {found.losses} lost of {splits} splits; mean difference "
                f"{number(found.mean, signed=True)}, best {best}, worst {worst}"
            )
        tested = [match for match in self.matches if match.rows[0].difference is not None]
        if len(self.tallies()) > 1 and tested:
            yield f"separated: at most 5 % falsely among all {len(tested)} lines (Holm)"
        yield "splits share rows: they are shown one by one and no test counts them as trials"

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield every number as a JSON object."""
        for match in self.matches:
            for row in match.rows:
                ends = row.difference.interval if row.difference else (None, None)
                yield {
                    "where": match.where,
                    "a": match.first,
                    "b": match.second,
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

    def _verdict(self, match: PairedComparison) -> str:
        tested = [each for each in self.matches if each.rows[0].difference is not None]
        adjusted = holm(np.array([each.rows[0].difference.p for each in tested if each.rows[0].difference is not None]))
        apart = {id(each): p < ALPHA for each, p in zip(tested, adjusted.tolist(), strict=True)}
        return "separated" if apart.get(id(match)) else ""


def _name(match: PairedComparison) -> str:
    return match.second if match.first == match.second else f"{match.second} against {match.first}"


def _cells(row: PairedRow) -> list[str]:
    more, difference = number(row.delta, signed=True), row.difference
    about = [interval(difference.interval, signed=True), f"{difference.p:.2g}"] if difference else ["", ""]
    return [number(row.first), number(row.second), more, *about, f"{row.n:,}"]


def _outcome(each: SplitPair, primary: str) -> str:
    gain = round(each.second - each.first, DECIMALS) * (-1 if primary in LOWER_IS_BETTER else 1)
    return "won" if gain > 0 else "lost" if gain < 0 else "tied"
