"""Differences of two labelers on the same rows.

The labelers are of one suite or of two; differences are by split, by class and by source.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError, did_you_mean
from harness.run.runner import Run
from harness.scoring.evidence import AnswerSource, collect_evidence
from harness.scoring.leaderboard import CellResult, test_set_scores
from harness.scoring.score_run import answer_source
from harness.scoring.scores import MetricKey, Truth
from harness.scoring.standings import Difference, differences_of
from harness.statistics.metrics import LABEL_METRICS, PROBABILITY_METRICS, VALUE_METRICS, value_range
from harness.statistics.significance import MIN_UNITS

GATE_PATTERN = re.compile(r"(?P<metric>\w+):(?P<limit>[+-]\d+(\.\d+)?)(?P<points>pp)?")


@dataclass(frozen=True)
class Gate:
    """A limit on a difference: the least if negative, the most if positive."""

    metric: str
    limit: float

    def is_violated_by(self, difference: float) -> bool:
        return difference < self.limit if self.limit < 0 else difference > self.limit


@dataclass(frozen=True)
class PairedRow:
    """One number of both labelers, and second - first.

    There is no interval where the number has no known error, or too few rows.
    """

    metric: str
    part: str  # "" for all rows, "class 3", "source flan"
    first: float
    second: float
    n: int  # rows, the mean over the splits
    difference: Difference | None

    @property
    def delta(self) -> float:
        return self.second - self.first


@dataclass(frozen=True)
class SplitPair:
    """One split by the primary metric."""

    split: str
    first: float
    second: float


@dataclass(frozen=True)
class PairedComparison:
    """Two labelers on one comparison, or on all ratios of one splitter."""

    where: str
    first: str
    second: str
    rows: tuple[PairedRow, ...]  # the primary metric over all rows stands first
    splits: tuple[SplitPair, ...]
    is_curve: bool = False


def parse_gate(text: str) -> Gate:
    """Parse "accuracy:-0.5pp" or "mae:+0.02"; HarnessError if malformed."""
    match = GATE_PATTERN.fullmatch(text.strip())
    if match is None:
        raise HarnessError(f"--fail-if {text}: must be METRIC:LIMIT with a sign, such as accuracy:-0.5pp or mae:+0.02")
    metrics = (*LABEL_METRICS, *PROBABILITY_METRICS, *VALUE_METRICS)
    if match["metric"] not in metrics:
        raise HarnessError(f"--fail-if {text}: no metric {match['metric']!r}{did_you_mean(match['metric'], metrics)}")
    return Gate(match["metric"], float(match["limit"]) / (100 if match["points"] else 1))


def compare_pairs(
    first: tuple[Run, list[CellResult]],
    second: tuple[Run, list[CellResult]],
    titles: tuple[str, str],
    metrics: Collection[str] | None = None,
) -> list[PairedComparison]:
    """Compare two labelers wherever they share rows and truth.

    With `metrics` only these, and the primary one, are compared, over all rows.
    """
    runs = (first[0], second[0])
    sides = [
        _cells(run, cell_results, title) for (run, cell_results), title in zip((first, second), titles, strict=True)
    ]
    shared = [name for name in sides[0] if name in sides[1]]
    pairs = [(sides[0][name], sides[1][name]) for name in shared]
    pairs = [
        pair for pair in pairs if all(cell_result.status == "ok" for cell_result in pair) and _same_rows(runs, pair)
    ]
    by_where: dict[str, list[tuple[CellResult, CellResult]]] = {}
    curves: dict[str, list[tuple[CellResult, CellResult]]] = {}
    for one, other in pairs:
        where = one.cell.evaluation.comparison
        by_where.setdefault(where, []).append((one, other))
        if one.cell.evaluation.split.fold is None:
            curves.setdefault(where.rpartition(", ")[0], []).append((one, other))
    comparisons = [_compare_pair(runs, where, group, titles, False, metrics) for where, group in by_where.items()]
    for name, group in curves.items():
        if name and len({one.cell.evaluation.split.ratio for one, _ in group}) > 1:
            comparisons.append(_compare_pair(runs, f"{name}, mean over the ratios", group, titles, True, metrics))
    return comparisons


def find_violation(match: PairedComparison, gate: Gate) -> PairedRow | None:
    """Return the row that violates a gate."""
    rows = (row for row in match.rows if not row.part and row.metric == gate.metric)
    return next((row for row in rows if gate.is_violated_by(row.delta)), None)


def _cells(run: Run, cell_results: list[CellResult], title: str) -> dict[tuple[object, ...], CellResult]:
    titles = [candidate.title for candidate in run.suite.labelers]
    if title not in titles:
        raise HarnessError(f"{run.suite.file}: no labeler is called {title!r}{did_you_mean(title, titles)}")
    cells = [cell_result for cell_result in cell_results if cell_result.cell.candidate.title == title]
    return {
        (evaluation.comparison, evaluation.split.seed, evaluation.split.ratio, evaluation.split.fold): cell_result
        for cell_result in cells
        for evaluation in (cell_result.cell.evaluation,)
    }


def _same_rows(runs: tuple[Run, Run], pair: tuple[CellResult, CellResult]) -> bool:
    if runs[0] is runs[1]:
        return True
    ids, truths = [], []
    for run, cell_result in zip(runs, pair, strict=True):
        split = cell_result.cell.evaluation.split
        dataset = run.dataset.cut_by(split.train)
        ids.append(dataset.items.ids[split.test])
        truths.append(dataset.y[dataset.positions(split.test)])
    return np.array_equal(ids[0], ids[1]) and np.array_equal(truths[0], truths[1])


def _compare_pair(
    runs: tuple[Run, Run],
    where: str,
    pairs: list[tuple[CellResult, CellResult]],
    titles: tuple[str, str],
    is_curve: bool,
    metrics: Collection[str] | None,
) -> PairedComparison:
    primary = runs[0].suite.metrics.primary
    splits = tuple(
        SplitPair(str(one.cell.evaluation), one_value, other_value)
        for one, other in pairs
        if (one_value := _value(one, primary)) is not None and (other_value := _value(other, primary)) is not None
    )
    rows = tuple(_rows(runs, pairs, primary, is_curve, metrics))
    return PairedComparison(where, *titles, rows, splits, is_curve)


def _value(cell_result: CellResult, metric: str) -> float | None:
    assert cell_result.scores is not None
    score = cell_result.scores.honest.get((metric, None, None))
    return None if score is None else score.value


def _rows(
    runs: tuple[Run, Run],
    pairs: list[tuple[CellResult, CellResult]],
    primary: str,
    is_curve: bool,
    metrics: Collection[str] | None,
) -> Iterator[PairedRow]:
    """Yield the common numbers: metrics, then accuracy by class and source."""
    first_scores, second_scores = (test_set_scores([pair[side] for pair in pairs], False) for side in (0, 1))
    scores = list(zip(first_scores, second_scores, strict=True))
    keys = list(dict.fromkeys(key for one, _ in scores for key in one))
    names = [key[0] for key in keys if key[1:] == (None, None) and (metrics is None or key[0] in {primary, *metrics})]
    selected: list[MetricKey] = [(m, None, None) for m in sorted(names, key=lambda metric: (metric != primary, metric))]
    if not is_curve and metrics is None:
        selected += [key for key in keys if key[0] == "accuracy" and key[1:] != (None, None)]
    both = _side_by_side(runs, pairs)
    for key in selected:
        values = [(one.get(key), other.get(key)) for one, other in scores]
        both_values = [
            (a.value, b.value, a.n) for a, b in values if a and b and a.value is not None and b.value is not None
        ]
        if len(both_values) < len(scores):
            continue
        first, second, n = np.mean(both_values, axis=0)
        metric, label_class, source = key
        part = f"source {source}" if source is not None else ""
        if label_class is not None:
            part = f"class {runs[0].dataset.classes.names[label_class]}"
        difference = _difference(*both, metric, label_class, source)
        yield PairedRow(metric, part, float(first), float(second), round(n), difference)


def _side_by_side(
    runs: tuple[Run, Run], pairs: list[tuple[CellResult, CellResult]]
) -> tuple[list[CellResult], AnswerSource]:
    """Return the cells of both, titled first and second, and their source.

    The second labeler's cells get the splits of the first, whose rows are the same.
    """
    renamed = []
    for pair in pairs:
        for side, cell_result in zip(("second", "first"), reversed(pair), strict=True):
            candidate = replace(cell_result.cell.candidate, title=side)
            renamed.append(
                replace(
                    cell_result, cell=replace(cell_result.cell, candidate=candidate, evaluation=pair[0].cell.evaluation)
                )
            )
    return renamed, answer_source(runs)


def _difference(
    both: list[CellResult], where: AnswerSource, metric: str, label_class: int | None, source: str | None
) -> Difference | None:
    def part(truth: Truth) -> NDArray[np.bool_]:
        if label_class is not None:
            return np.asarray(truth.y == label_class)
        return np.array([str(name) == source for name in truth.sources]) if truth.sources is not None else truth.y < 0

    all_rows = label_class is None and source is None
    measured = collect_evidence(both, metric, where, None if all_rows else part).measured
    if measured is None or measured.units < MIN_UNITS:
        return None
    return differences_of(measured, value_range(metric, where.n_classes))[0]


def common_labelers(first: Run, second: Run) -> list[str]:
    """Return the titles of labelers of both suites; HarnessError if none."""
    others = {candidate.title for candidate in second.suite.labelers}
    titles = [candidate.title for candidate in first.suite.labelers if candidate.title in others]
    if not titles:
        raise HarnessError(f"{second.suite.file}: has no labeler of {first.suite.file}; name two with --labelers A B")
    return titles
