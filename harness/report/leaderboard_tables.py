"""The tables of one comparison: ranked labelers, classes, sources."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from harness.report.csv_files import Row, standing_rows
from harness.report.markdown import number, span
from harness.report.tables import Column, Estimate, IntervalCell, Table, columns, comparison_context
from harness.run.runner import Run
from harness.scoring import audit_verdicts
from harness.scoring.leaderboard import CellResult, Leaderboard, LeaderboardRow
from harness.statistics.metrics import DISPLAY_NAMES, LOWER_IS_BETTER, VALUE_METRICS
from harness.statistics.significance import MIN_UNITS

LEADER_MARK = "•"
INTERVAL = "95 % interval"  # of the primary metric
BOARD_METRICS = ("accuracy", "macro_f1", "mae")  # beside the primary one
UNORDERED_METRICS = ("accuracy", "macro_f1", "calibration_error")  # of classes without an order
BINARY_METRICS = ("accuracy", "macro_f1", "auc", "average_precision")  # of two classes
MAX_SOURCES = 30  # columns of a table by source


def rank_text(row: LeaderboardRow) -> str:
    """Return the rank, marked in the leading group."""
    return f"{row.rank or '–'}{f' {LEADER_MARK}' if row.standing and row.standing.leading else ''}"


def metric_header(metric: str) -> str:
    """Return the name of a metric with an arrow to its better end."""
    return f"{DISPLAY_NAMES.get(metric, metric)} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def board_metrics(run: Run) -> list[str]:
    """Return the metrics of a leaderboard, the primary one first."""
    primary, classes = run.suite.metrics.primary, run.dataset.classes
    of_many = BOARD_METRICS if classes.ordered else UNORDERED_METRICS
    metrics: tuple[str, ...] = BINARY_METRICS if len(classes) == 2 else of_many
    of_values = tuple(VALUE_METRICS) if run.dataset.scores is not None else ()
    return [primary, *(metric for metric in metrics if metric != primary), *of_values]


def board_table(run: Run, leaderboard: Leaderboard) -> Table:
    """Return the ranked labelers as board and terminal show them.

    It has the accuracy on each class beside the scores; the column of intervals and that of an audit only where there
    are any.
    """
    first, *others = board_metrics(run)
    values: dict[Column, list[Any]] = {
        Column("Rank"): [rank_text(row) for row in leaderboard.rows],
        Column("Labeler"): [row.title for row in leaderboard.rows],
        Column(metric_header(first)): [row.values.get(first) for row in leaderboard.rows],
    }
    if any(row.standing for row in leaderboard.rows):
        values[Column(INTERVAL)] = [_interval(row) for row in leaderboard.rows]
    if any(row.standing and row.standing.chosen for row in leaderboard.rows):
        values[Column("Best of settings")] = [_choice(row) for row in leaderboard.rows]
    values[Column(f"vs {run.suite.metrics.baseline}", signed=True)] = [_difference(row) for row in leaderboard.rows]
    for metric in others:
        values[Column(metric_header(metric))] = [row.values.get(metric) for row in leaderboard.rows]
    for label_class, counts in leaderboard.support.items():
        few = ", few" if min(counts) < MIN_UNITS else ""
        name = f"{run.dataset.classes.names[label_class]} (n={span(counts)}{few})"
        values[Column(name, 2, shade="value")] = [row.by_class.get(label_class) for row in leaderboard.rows]
    values[Column("Oracle gap", signed=True)] = [row.oracle_gap for row in leaderboard.rows]
    values[Column("Cells")] = [f"{row.ok}/{row.total}" for row in leaderboard.rows]
    if verdicts := _audit_verdicts(run, leaderboard):
        values[Column("Audit")] = [verdicts.get(row.title, "–") for row in leaderboard.rows]
    return Table("", leaderboard.title, tuple(values), tuple(zip(*values.values(), strict=True)))


def leaderboard_table(run: Run, leaderboard: Leaderboard) -> Table:
    """Return the ranked labelers as the report and its CSV have them."""
    first, *others = board_metrics(run)
    against = f"vs {run.suite.metrics.baseline}"
    scores = (metric_header(first), INTERVAL, "Best of settings", against, *map(metric_header, others))
    names = ("Rank", "Labeler", *scores)
    rows = tuple(
        (
            rank_text(row),
            row.title,
            row.values.get(first),
            _interval(row),
            _choice(row),
            row.difference,
            *(row.values.get(metric) for metric in others),
            row.oracle_gap,
            row.ok,
            row.total,
        )
        for row in leaderboard.rows
    )
    signed = (against, "Oracle gap")
    header = tuple(Column(name, signed=name in signed) for name in (*names, "Oracle gap", "Finished", "Cells"))
    return Table("leaderboard", "Leaderboard", header, rows, comparison_context(leaderboard.title))


def standing_records(run: Run, leaderboards: Iterable[Leaderboard]) -> Iterator[Row]:
    """Yield each labeler's standing with the metrics of the board.

    A metric has its mean over the splits, and its standard deviation where there are several.
    """
    metrics = board_metrics(run)
    for leaderboard in leaderboards:
        for row, standing in zip(leaderboard.rows, standing_rows([leaderboard]), strict=True):
            values = {name: row.values.get(name) for name in metrics}
            means = {name: None if value is None else value.mean for name, value in values.items()}
            deviations = {f"{name}_sd": None if value is None else value.sd for name, value in values.items()}
            yield standing | means | deviations | {"oracle_gap": row.oracle_gap, "finished": row.ok, "cells": row.total}


def class_table(leaderboard: Leaderboard, classes: Sequence[str]) -> Table:
    """Return the accuracy of each labeler on the rows of each class.

    `classes` are the names of the classes.
    """
    names = [f"{classes[c]} (n={span(n)})" for c, n in leaderboard.support.items()]
    rows = [
        (row.title, *(row.by_class.get(c) for c in leaderboard.support)) for row in leaderboard.rows if row.by_class
    ]
    header = (Column("Labeler"), *(Column(name, 2, shade="value") for name in names))
    return Table("classes", "Accuracy by class", header, tuple(rows), comparison_context(leaderboard.title))


def source_table(leaderboard: Leaderboard) -> Table | None:
    """Return the accuracy by source; None for one source or very many."""
    sources = sorted({source for row in leaderboard.rows for source in row.by_source})
    if not 1 < len(sources) <= MAX_SOURCES:
        return None
    rows = [(row.title, *map(row.by_source.get, sources)) for row in leaderboard.rows if row.by_source]
    return Table("", "Accuracy by source", columns(("Labeler", *sources)), tuple(rows))


def failure_table(cell_results: list[CellResult]) -> Table:
    """Count the cells without a result by labeler and reason."""
    counts = Counter(
        (result.cell.evaluation.comparison, result.cell.candidate.title, result.status, result.reason)
        for result in cell_results
        if result.status != "ok"
    )
    rows = tuple((*reason, count) for reason, count in counts.items())
    return Table(
        "failures", "Cells that do not count", columns(("Comparison", "Labeler", "Status", "Reason", "Cells")), rows
    )


def _interval(row: LeaderboardRow) -> IntervalCell | None:
    ends = row.standing.interval if row.standing else None
    return IntervalCell(*ends) if ends else None


def _choice(row: LeaderboardRow) -> str | None:
    """Return how many settings it is the best of, and its value without luck."""
    chosen = row.standing.chosen if row.standing else None
    return None if chosen is None else f"best of {chosen.settings}; {number(chosen.value)} when chosen on other rows"


def _difference(row: LeaderboardRow) -> Estimate | float | None:
    """Return the difference from the baseline, with its interval if any."""
    against = row.standing.against if row.standing else None
    return row.difference if against is None else Estimate(against.value, IntervalCell(*against.interval))


def _audit_verdicts(run: Run, leaderboard: Leaderboard) -> dict[str, str]:
    """Return the audit's verdicts by labeler.

    A labeler has one only if all its cells were audited and none has changed since.
    """
    verdicts = audit_verdicts.read_verdicts(run.store.folder)
    keys: dict[str, set[str]] = {}
    for cell in run.cells if verdicts else ():
        if cell.evaluation.comparison == leaderboard.title:
            keys.setdefault(cell.candidate.title, set()).add(cell.key)
    return {title: verdicts[min(own)].judgement for title, own in keys.items() if own <= verdicts.keys()}
