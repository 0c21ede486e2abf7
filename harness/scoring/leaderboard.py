"""From scores to ranked tables, one for each comparison: the same data, target and kind of split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.run.plan import Cell
from harness.scoring.scores import MetricKey, MetricValue, Scores
from harness.scoring.standings import Evidence, Standing, Standings, rank_intervals_of
from harness.statistics.metrics import LOWER_IS_BETTER

DECIMALS = 4  # what a board prints; values that are equal to this precision are tied


@dataclass(frozen=True)
class MeanStd:
    """A mean over seeds (and folds), with their standard deviation where there are several."""

    mean: float
    sd: float | None
    n: int  # seeds times folds


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
    standings: Standings | None = None  # None where nobody asked for them

    @property
    def leaders(self) -> list[LeaderboardRow]:
        """Those whom nobody is significantly better than; where ranks claim nothing, the first by number."""
        leading = [row for row in self.rows if row.standing and row.standing.leading]
        return leading or [row for row in self.rows if row.rank in ("1", "1=")]


@dataclass
class CellResult:
    """What became of a cell."""

    cell: Cell
    status: str  # "ok", "failed", "not applicable", "not run"; "leak" where an audit has found one
    reason: str = ""
    scores: Scores | None = None
    timing: Mapping[str, Any] = field(default_factory=dict)  # what it cost; never on a page that must not change

    def shown(self, as_record: bool) -> Mapping[MetricKey, MetricValue]:
        """The scores a board shows: the honest ones, or as in the record those of the best checkpoint, if any."""
        assert self.scores is not None
        return self.scores.oracle if as_record and self.scores.oracle else self.scores.honest


CollectEvidence = Callable[[list[CellResult]], Evidence]
"""Returns what the rows say of these labelers, whose cells are all finished."""


def build_leaderboards(
    cell_results: list[CellResult], primary: str, baseline: str, as_record: bool, collect: CollectEvidence | None = None
) -> list[Leaderboard]:
    """Group the cells by comparison and rank the labelers of each by the `primary` metric.

    With `as_record` the numbers are those of each labeler's best checkpoint on the test rows, where it has checkpoints.
    Without `collect`, or where it has no evidence, ranks are by the numbers alone.
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
        base = _mean_std([cell_result.shown(as_record) for cell_result in base_cells], (primary, None, None))
    rows = [_build_row(name, cells, primary, base, as_record) for name, cells in by_title.items()]
    standings = None
    if collect is not None:
        whole = {row.title for row in rows if _is_complete(row, primary)}
        evidence = collect([cell_result for cell_result in cell_results if cell_result.cell.candidate.title in whole])
        standings = rank_intervals_of(evidence, primary in LOWER_IS_BETTER, baseline)
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
    found = [cell_result.shown(as_record) for cell_result in cells if cell_result.status == "ok"]
    keys = list(dict.fromkeys(key for scores in found for key in scores))
    metrics = [metric for metric, label_class, source in keys if label_class is None and source is None]
    values = {metric: spread for metric in metrics if (spread := _mean_std(found, (metric, None, None))) is not None}
    leaks = [cell_result.reason for cell_result in cells if cell_result.status == "leak"]
    refusals = [cell_result.reason for cell_result in cells if cell_result.status == "not applicable"]
    return LeaderboardRow(
        title,
        "",
        values,
        values[primary].mean - base.mean if base and primary in values and len(found) == len(cells) else None,
        {
            c: _mean(_metric_values(found, ("accuracy", c, None)))
            for metric, c, _ in keys
            if metric == "accuracy" and c is not None
        },
        {s: _mean(_metric_values(found, ("accuracy", None, s))) for _, _, s in keys if s is not None},
        _gap([cell_result.scores for cell_result in cells if cell_result.scores is not None], primary),
        len(found),
        len(cells),
        tuple(dict.fromkeys(cell_result.reason for cell_result in cells if cell_result.status == "failed")),
        refusals[0] if len(refusals) == len(cells) else None,
        leak=leaks[0] if leaks else None,
    )


def _assign_ranks(rows: list[LeaderboardRow], primary: str, standings: Standings | None) -> list[LeaderboardRow]:
    """Sort by what ranks; only labelers without a missing cell have a rank. By the numbers alone, equal printed values
    share one."""
    found = standings.by_title if standings else {}
    sign = 1 if primary in LOWER_IS_BETTER else -1
    shown = {}
    for row in (row for row in rows if _is_complete(row, primary)):
        value = found[row.title].value if row.title in found else row.values[primary].mean
        shown[row.title] = round(sign * value, DECIMALS)
    everyone = list(shown.values())
    ranked = []
    for row in sorted(rows, key=lambda row: (shown.get(row.title, np.inf), row.title)):
        if row.title in found:
            standing = found[row.title]
            row = replace(row, rank=standing.rank, standing=standing)
        elif row.title in shown:
            tied = "=" if everyone.count(shown[row.title]) > 1 else ""
            row = replace(row, rank=f"{1 + sum(value < shown[row.title] for value in everyone)}{tied}")
        ranked.append(row)
    return ranked


def _mean_std(found: list[Mapping[MetricKey, MetricValue]], key: MetricKey) -> MeanStd | None:
    values = _metric_values(found, key)
    if not values:
        return None
    return MeanStd(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None, len(values))


def _metric_values(found: list[Mapping[MetricKey, MetricValue]], key: MetricKey) -> list[float]:
    return [scores[key].value for scores in found if key in scores and scores[key].value is not None]  # type: ignore[misc]


def _gap(scores: list[Scores], primary: str) -> float | None:
    """Mean over the cells with checkpoints of (best checkpoint on the test rows - honest answer), better upwards."""
    sign = -1 if primary in LOWER_IS_BETTER else 1
    key = (primary, None, None)
    with_oracle = [s for s in scores if s.oracle]
    best, honest = (
        _metric_values([s.oracle for s in with_oracle], key),
        _metric_values([s.honest for s in with_oracle], key),
    )
    return _mean([sign * (b - h) for b, h in zip(best, honest, strict=True)])


def _support(cell_results: list[CellResult]) -> dict[int, tuple[int, ...]]:
    """Return the test rows of every class in every split, from the first finished cell of each."""
    first = {
        cell_result.cell.evaluation: cell_result.scores
        for cell_result in reversed(cell_results)
        if cell_result.scores is not None
    }
    found: dict[int, list[int]] = {}
    for scores in first.values():
        for (metric, label_class, _), value in scores.honest.items():
            if metric == "accuracy" and label_class is not None:
                found.setdefault(label_class, []).append(value.n)
    return {c: tuple(counts) for c, counts in sorted(found.items())}


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
