"""Ranked tables from scores, one for each comparison.

A comparison is the same data, target and kind of split.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.run.plan import Cell
from harness.scoring.scores import MetricKey, MetricValue, Scores, pool_scores
from harness.scoring.standings import Evidence, Standing, Standings, rank_intervals_of
from harness.scoring.tuning import settings_by_method, with_choices
from harness.statistics.metrics import LOWER_IS_BETTER, ConfusionMatrix

DECIMALS = 4  # of a board; values that are equal when rounded so are tied


@dataclass(frozen=True)
class MeanStd:
    """Mean over seeds and folds, with the standard deviation of several."""

    mean: float
    sd: float | None
    n: int  # test sets: seeds

    @classmethod
    def of(cls, values: list[float]) -> "MeanStd":
        """Return mean and standard deviation of one value or more."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None, len(values))


@dataclass(frozen=True)
class LeaderboardRow:
    """One labeler of one comparison."""

    title: str
    rank: str  # "1", "2-4"; by the numbers alone "2=" for a tie; "" where it is not ranked
    values: Mapping[str, MeanStd]  # metric -> value
    difference: float | None  # from the baseline, primary metric
    by_class: Mapping[int, float | None]
    by_source: Mapping[str, float | None]  # accuracy
    oracle_gap: float | None
    ok: int
    total: int
    failures: tuple[str, ...] = ()  # first lines
    not_applicable: str | None = None
    standing: Standing | None = None  # None where ranks are by the numbers alone
    leak: str | None = None  # what an audit has found: it is not ranked


@dataclass(frozen=True)
class Leaderboard:
    """The labelers that may be ranked against each other."""

    title: str
    n_train: tuple[int, ...]  # one for each split
    n_test: tuple[int, ...]
    support: Mapping[int, tuple[int, ...]]  # class -> test rows in each split
    seeds: tuple[int, ...]
    rows: tuple[LeaderboardRow, ...]
    standings: Standings | None = None  # None where ranks are by the numbers alone

    @property
    def leaders(self) -> list[LeaderboardRow]:
        """Labelers that none beats significantly, else those with the best mean."""
        leading = [row for row in self.rows if row.standing and row.standing.leading]
        return leading or [row for row in self.rows if row.rank in ("1", "1=")]


@dataclass
class CellResult:
    """The outcome of a cell."""

    cell: Cell
    status: str  # "ok", "failed", "not applicable", "not run"; "leak" where an audit has found one
    reason: str = ""
    scores: Scores | None = None
    timing: Mapping[str, Any] = field(default_factory=dict)  # not on boards, which are reproducible byte for byte

    def board_scores(self, as_record: bool) -> Mapping[MetricKey, MetricValue]:
        """Return the scores that a board shows.

        They are the honest ones; `as_record` those of the best checkpoint, if there is one.
        """
        assert self.scores is not None
        return self.scores.oracle if as_record and self.scores.oracle else self.scores.honest

    def board_table(self, as_record: bool) -> ConfusionMatrix:
        """Return the confusion matrix of these scores."""
        assert self.scores is not None
        table = self.scores.oracle_table if as_record and self.scores.oracle else self.scores.table
        assert table is not None
        return table


def test_set_scores(cell_results: Iterable[CellResult], as_record: bool) -> list[Mapping[MetricKey, MetricValue]]:
    """Return the scores of a labeler's finished cells by test set.

    The folds of a seed are one test set; any other split is one of its own.
    """
    scores: list[Mapping[MetricKey, MetricValue]] = []
    folds: dict[int, list[CellResult]] = {}
    for cell_result in cell_results:
        if cell_result.status == "ok" and cell_result.cell.evaluation.split.fold is not None:
            folds.setdefault(cell_result.cell.evaluation.split.seed, []).append(cell_result)
        elif cell_result.status == "ok":
            scores.append(cell_result.board_scores(as_record))
    for of_seed in folds.values():
        tables = [cell_result.board_table(as_record) for cell_result in of_seed]
        scores.append(pool_scores([cell_result.board_scores(as_record) for cell_result in of_seed], tables))
    return scores


CollectEvidence = Callable[[list[CellResult]], Evidence]
"""From the cells of labelers that have finished all theirs to the evidence for their ranks."""


def build_leaderboards(
    cell_results: list[CellResult], primary: str, baseline: str, as_record: bool, collect: CollectEvidence | None = None
) -> list[Leaderboard]:
    """Group the cells by comparison and rank the labelers of each.

    Ranks are by the `primary` metric. With `as_record` the numbers are those of each labeler's best checkpoint on the
    test rows, where it has checkpoints. Without `collect`, or where it has no evidence, ranks are by the numbers alone.
    """
    groups: dict[str, list[CellResult]] = {}
    for cell_result in cell_results:
        groups.setdefault(cell_result.cell.evaluation.comparison, []).append(cell_result)
    return [_build_leaderboard(title, group, primary, baseline, as_record, collect) for title, group in groups.items()]


def _build_leaderboard(
    title: str,
    cell_results: list[CellResult],
    primary: str,
    baseline: str,
    as_record: bool,
    collect: CollectEvidence | None,
) -> Leaderboard:
    by_title: dict[str, list[CellResult]] = {}
    for cell_result in cell_results:
        by_title.setdefault(cell_result.cell.candidate.title, []).append(cell_result)
    base_cells = by_title.get(baseline, [])
    base = None  # nothing is compared with a baseline that lacks a cell
    if all(cell_result.status == "ok" for cell_result in base_cells):
        base = _mean_std(test_set_scores(base_cells, as_record), (primary, None, None))
    rows = [_build_row(name, cells, primary, base, as_record) for name, cells in by_title.items()]
    standings = None
    if collect is not None:
        complete = {row.title for row in rows if _is_complete(row, primary)}
        evidence = collect(
            [cell_result for cell_result in cell_results if cell_result.cell.candidate.title in complete]
        )
        lower = primary in LOWER_IS_BETTER
        settings = settings_by_method(cell_result.cell.candidate for cell_result in cell_results)
        standings = with_choices(rank_intervals_of(evidence, lower, baseline), settings, lower)
    evaluations = list(dict.fromkeys(cell_result.cell.evaluation for cell_result in cell_results))
    return Leaderboard(
        title,
        tuple(len(evaluation.split.train) for evaluation in evaluations),
        tuple(len(evaluation.split.test) for evaluation in evaluations),
        _support(cell_results),
        tuple(dict.fromkeys(evaluation.split.seed for evaluation in evaluations)),
        tuple(_assign_ranks(rows, primary, standings)),
        standings,
    )


def _is_complete(row: LeaderboardRow, primary: str) -> bool:
    return row.ok == row.total and primary in row.values


def _build_row(
    title: str, cells: list[CellResult], primary: str, base: MeanStd | None, as_record: bool
) -> LeaderboardRow:
    cell_scores = test_set_scores(cells, as_record)
    finished = sum(cell_result.status == "ok" for cell_result in cells)
    keys = list(dict.fromkeys(key for scores in cell_scores for key in scores))
    metrics = [metric for metric, label_class, source in keys if label_class is None and source is None]
    values = {
        metric: spread for metric in metrics if (spread := _mean_std(cell_scores, (metric, None, None))) is not None
    }
    leaks = [cell_result.reason for cell_result in cells if cell_result.status == "leak"]
    refusals = [cell_result.reason for cell_result in cells if cell_result.status == "not applicable"]
    return LeaderboardRow(
        title,
        "",
        values,
        values[primary].mean - base.mean if base and primary in values and finished == len(cells) else None,
        {
            c: _mean(_metric_values(cell_scores, ("accuracy", c, None)))
            for metric, c, _ in keys
            if metric == "accuracy" and c is not None
        },
        {
            s: _mean(_metric_values(cell_scores, ("accuracy", None, s)))
            for s in dict.fromkeys(s for _, _, s in keys if s is not None)
        },
        _gap([cell_result.scores for cell_result in cells if cell_result.scores is not None], primary),
        finished,
        len(cells),
        tuple(dict.fromkeys(cell_result.reason for cell_result in cells if cell_result.status == "failed")),
        refusals[0] if len(refusals) == len(cells) else None,
        leak=leaks[0] if leaks else None,
    )


def _assign_ranks(rows: list[LeaderboardRow], primary: str, standings: Standings | None) -> list[LeaderboardRow]:
    """Sort the rows and give complete labelers their ranks.

    Without standings ranks are by the numbers, and values that are equal on the board share one.
    """
    standing_of = standings.by_title if standings else {}
    sign = 1 if primary in LOWER_IS_BETTER else -1
    rounded = {}
    for row in (row for row in rows if _is_complete(row, primary)):
        value = standing_of[row.title].value if row.title in standing_of else row.values[primary].mean
        rounded[row.title] = round(sign * value, DECIMALS)
    all_values = list(rounded.values())
    ranked = []
    for row in sorted(rows, key=lambda row: (rounded.get(row.title, np.inf), row.title)):
        standing = standing_of.get(row.title)
        rank = standing.rank if standing else ""
        if row.title in rounded and not rank:
            tied = "=" if all_values.count(rounded[row.title]) > 1 else ""
            rank = f"{1 + sum(value < rounded[row.title] for value in all_values)}{tied}"
        row = replace(row, rank=rank, standing=standing)
        ranked.append(row)
    return ranked


def _mean_std(cell_scores: list[Mapping[MetricKey, MetricValue]], key: MetricKey) -> MeanStd | None:
    values = _metric_values(cell_scores, key)
    return MeanStd.of(values) if values else None


def _metric_values(cell_scores: list[Mapping[MetricKey, MetricValue]], key: MetricKey) -> list[float]:
    metric_values = (scores.get(key) for scores in cell_scores)
    return [score.value for score in metric_values if score is not None and score.value is not None]


def _gap(scores: list[Scores], primary: str) -> float | None:
    """Return the mean gain of choosing the checkpoint on the test rows.

    It is the mean over the cells with checkpoints of (best checkpoint - honest answer), positive where the best is
    better.
    """
    sign = -1 if primary in LOWER_IS_BETTER else 1
    key = (primary, None, None)
    with_oracle = [s for s in scores if s.oracle]
    best, honest = (
        _metric_values([s.oracle for s in with_oracle], key),
        _metric_values([s.honest for s in with_oracle], key),
    )
    return _mean([sign * (b - h) for b, h in zip(best, honest, strict=True)])


def _support(cell_results: list[CellResult]) -> dict[int, tuple[int, ...]]:
    """Return class -> numbers of test rows, one for each test set."""
    first = {
        cell_result.cell.evaluation: cell_result.scores
        for cell_result in reversed(cell_results)
        if cell_result.scores is not None
    }
    by_class: dict[int, dict[tuple[int, float | None], int]] = {}
    for evaluation, scores in first.items():
        test_set = evaluation.split.seed, evaluation.split.ratio
        for (metric, label_class, _), value in scores.honest.items():
            if metric == "accuracy" and label_class is not None:
                counts = by_class.setdefault(label_class, {})
                counts[test_set] = counts.get(test_set, 0) + value.n
    return {c: tuple(counts.values()) for c, counts in sorted(by_class.items())}


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
