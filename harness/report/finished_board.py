"""A board read back from the files in its folder; no cells are needed."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.report.csv_files import without_formula_quote
from harness.report.leaderboard_folder import BOARD_FILE
from harness.report.parquet_files import PAIRS, SCORES, read_parquet
from harness.scoring.leaderboard import MeanStd

STANDINGS = "standings.csv"
FACT = re.compile(r"- ([A-Z][\w ]*): (.*)")  # a line on data, rows, target, class shares or protocol
WRITE_AGAIN = "write the board again with harness leaderboard SUITE"
RECORD_KEYS = {"data", "simulated", "population", "target", "comparison"}  # of board.json
TEXTS = {"comparison", "labeler", "rank", "leading"}  # columns of standings.csv
NUMBERS = ("rank_low", "rank_high", "value", "low", "high", "difference", "difference_low", "difference_high")
ROUNDING_ERROR = 1e-9  # of means that were added up in another order

Standing = Mapping[str, str]
MetricMeans = Mapping[tuple[str, str], Mapping[str, MeanStd]]
"""(comparison, labeler) -> metric -> its mean over the test sets."""


@dataclass(frozen=True)
class FinishedBoard:
    """The committed files of one board."""

    folder: Path
    record: Mapping[str, Any]  # board.json
    standings: tuple[Standing, ...]  # the rows of standings.csv

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def is_simulated(self) -> bool:
        return bool(self.record.get("simulated"))

    @property
    def comparisons(self) -> tuple[str, ...]:
        """The comparisons in the order of the page."""
        return tuple(dict.fromkeys(row["comparison"] for row in self.standings))

    @property
    def main_comparison(self) -> str:
        """The comparison with the most labels, which the index shows."""
        comparison = str(self.record.get("comparison", ""))
        return comparison if comparison in self.comparisons else self.comparisons[-1]

    def of(self, comparison: str) -> list[Standing]:
        """Return the standings of a comparison, by rank."""
        return [row for row in self.standings if row["comparison"] == comparison]

    @cached_property
    def page(self) -> str:
        """The text of README.md; "" where there is none."""
        file = self.folder / "README.md"
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""

    @cached_property
    def facts(self) -> Mapping[str, str]:
        """The lines about data, rows, target and classes at the page's head."""
        head = self.page.partition("\n## ")[0]
        matches = (FACT.fullmatch(line) for line in head.splitlines())
        return {match[1]: unescape(match[2]) for match in matches if match and match[1] != "Words"}

    @cached_property
    def scores(self) -> pa.Table:
        """Every number of every cell."""
        return _read_table(self.folder, SCORES)

    @cached_property
    def pairs(self) -> pa.Table:
        """Every pair of ranked labelers."""
        return _read_table(self.folder, PAIRS)

    @cached_property
    def metric_means(self) -> MetricMeans:
        """The honest scores over all rows, of the folds of a seed together."""
        table = self.scores
        keep = pc.and_(pc.equal(table["status"], "ok"), pc.is_valid(table["value"]))
        for name in ("class", "source", "rows", "stage"):
            keep = pc.and_(keep, pc.is_null(table[name]))
        if self.facts.get("Protocol") != "record":
            keep = pc.and_(keep, pc.invert(table["oracle"]))
        values: dict[tuple[str, str], dict[str, list[tuple[bool, bool, float]]]] = {}
        for row in table.filter(keep).to_pylist():
            of_labeler = values.setdefault((row["comparison"], row["labeler"]), {})
            of_labeler.setdefault(row["metric"], []).append((row["oracle"], row["fold"] is not None, row["value"]))
        return {key: {metric: _mean(rows) for metric, rows in by.items()} for key, by in values.items()}


def read_board(folder: Path) -> FinishedBoard:
    """Read the board in a folder; HarnessError if it has none, or a torn one."""
    for name in (BOARD_FILE, STANDINGS, SCORES, PAIRS):
        if not (folder / name).is_file():
            raise HarnessError(f"{folder}: is no board, {name} is missing; {WRITE_AGAIN}")
    try:
        record = json.loads((folder / BOARD_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        reason = " ".join(str(error).split())[:160]
        raise HarnessError(f"{folder / BOARD_FILE}: cannot be read: {reason}; {WRITE_AGAIN}") from None
    if not isinstance(record, dict) or not record.keys() >= RECORD_KEYS:
        raise HarnessError(f"{folder / BOARD_FILE}: is not as the harness writes it; {WRITE_AGAIN}")
    standings = tuple(read_csv(folder / STANDINGS))
    if not standings or not all(map(_is_standing, standings)):
        raise HarnessError(f"{folder / STANDINGS}: is not as the harness writes it; {WRITE_AGAIN}")
    return FinishedBoard(folder, record, standings)


def head_lines(page: str) -> list[str]:
    """Return the bold lines, such as warnings, at the head of a page."""
    return [unescape(text) for text in re.findall(r"^> \*\*(.*)\*\*$", page.partition("\n## ")[0], re.MULTILINE)]


def primary_metric(board: FinishedBoard, comparison: str) -> str | None:
    """Return the metric that standings.csv has the values of, if one is."""
    ranked = [(row["labeler"], float(row["value"])) for row in board.of(comparison) if row["value"]]
    for metric in dict.fromkeys(name for by in board.metric_means.values() for name in by):
        means = [board.metric_means.get((comparison, labeler), {}).get(metric) for labeler, _ in ranked]
        pairs = zip(means, ranked, strict=True)
        if ranked and all(mean and abs(mean.mean - value) < ROUNDING_ERROR for mean, (_, value) in pairs):
            return metric
    return None


def difference_variances(board: FinishedBoard, comparison: str, labelers: list[str]) -> NDArray[np.float64] | None:
    """Return (m, m) variances of differences over rows and seeds.

    None where the board has no error of them.
    """
    place = {labeler: i for i, labeler in enumerate(labelers)}
    variance = np.full((len(labelers), len(labelers)), np.nan)
    np.fill_diagonal(variance, 0.0)
    for row in board.pairs.filter(pc.equal(board.pairs["comparison"], comparison)).to_pylist():
        a, b = place.get(row["labeler_a"]), place.get(row["labeler_b"])
        if a is not None and b is not None and row["se"] is not None:
            variance[a, b] = variance[b, a] = row["se"] ** 2
    return None if np.isnan(variance).any() else variance


def long_table(board: FinishedBoard, name: str) -> pa.Table | None:
    """Return another long table of the board, if it has it."""
    return _read_table(board.folder, name) if (board.folder / name).is_file() else None


def csv_rows(board: FinishedBoard, name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of the board; none without it."""
    return list(read_csv(board.folder / name)) if (board.folder / name).is_file() else []


def _read_table(folder: Path, name: str) -> pa.Table:
    try:
        return read_parquet(name, folder / name)
    except ValueError as error:
        raise HarnessError(f"{folder / name}: {error}; {WRITE_AGAIN}") from None


def read_csv(file: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file of a board; HarnessError if torn."""
    try:
        with file.open(encoding="utf-8", errors="replace", newline="") as lines:
            for row in csv.DictReader(lines):
                yield {name: without_formula_quote(text or "") for name, text in row.items() if name is not None}
    except csv.Error as error:
        raise HarnessError(f"{file}: cannot be read: {error}; {WRITE_AGAIN}") from None


def _is_standing(row: Standing) -> bool:
    """Return True if a row has the columns and numbers of standings.csv."""
    try:
        return all(float(row[name] or 0) < np.inf for name in NUMBERS) and row.keys() >= TEXTS
    except (KeyError, ValueError):
        return False


def _mean(values: list[tuple[bool, bool, float]]) -> MeanStd:
    """Return the mean of (oracle, of one fold, value).

    Oracle values count where there are any, and those of single folds where there are no others.
    """
    oracle = [value for value in values if value[0]] or values
    of_test_sets = [value for value in oracle if not value[1]] or oracle
    return MeanStd.of([value for *_, value in of_test_sets])
