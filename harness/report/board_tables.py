"""The tables of a finished board, from its committed files."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from harness.report.finished_board import (
    FinishedBoard,
    Standing,
    csv_rows,
    long_table,
    primary_metric,
)
from harness.report.leaderboard_tables import BOARD_METRICS, INTERVAL, LEADER_MARK, MAX_SOURCES, metric_header
from harness.report.markdown import number
from harness.report.parquet_files import COVERAGE
from harness.report.tables import Column, Estimate, IntervalCell, Table, columns, comparison_context
from harness.scoring.leaderboard import DECIMALS

SPLITS_LINE = re.compile(r"Splits: (.*)\. (Train [\d,-]+ rows, test .*)")  # below a heading of the page
CLASSES = re.compile(r"(?:.*, )?classes (.*)")  # at the end of what the page has on the target
COVERAGES = tuple(round(0.1 * step, 1) for step in range(1, 11))


def headings(board: FinishedBoard) -> dict[str, tuple[str, str]]:
    """Return {comparison: (heading, line on rows and seeds)} of the page.

    A comparison that the page of an earlier version heads by its splits alone has no line.
    """
    found = {comparison: (comparison, "") for comparison in board.comparisons}
    heading = ""
    for line in board.page.splitlines():
        if line.startswith("## "):
            heading = unescape(line[3:])
        elif (match := SPLITS_LINE.fullmatch(line)) is not None and unescape(match[1]) in found:
            found[unescape(match[1])] = (heading, unescape(match[2]))
    return found


def baseline(board: FinishedBoard, comparison: str) -> str:
    """Return the labeler that differences are taken from, or "baseline"."""
    rows = [row for row in board.of(comparison) if row.get("difference") and float(row["difference"]) == 0]
    alone = [row["labeler"] for row in rows if not row["difference_low"]] or [row["labeler"] for row in rows]
    return alone[0] if alone else "baseline"


def standing_value(row: Standing) -> float | None:
    """Return the primary metric of a labeler."""
    return float(row["value"]) if row["value"] else None


def standing_interval(row: Standing) -> IntervalCell | None:
    """Return the interval of a labeler's value."""
    return IntervalCell(float(row["low"]), float(row["high"])) if row.get("low") else None


def standing_difference(row: Standing) -> Estimate | float | None:
    """Return a labeler's difference from the baseline."""
    if not row.get("difference"):
        return None
    value = float(row["difference"])
    if not row["difference_low"]:
        return value
    return Estimate(value, IntervalCell(float(row["difference_low"]), float(row["difference_high"])))


def leaderboard_table(board: FinishedBoard, comparison: str) -> Table:
    """Return the ranked labelers of a comparison."""
    first = primary_metric(board, comparison)
    others = [metric for metric in BOARD_METRICS if metric != first]
    against, counts = f"vs {baseline(board, comparison)}", _cell_counts(board, comparison)
    values, rows = board.metric_means, []
    for row in board.of(comparison):
        means = values.get((comparison, row["labeler"]), {})
        settings = row.get("settings") or ""
        chosen = float(row["value_chosen_apart"]) if settings else None
        rows.append(
            (
                (row["rank"] or "–") + (f" {LEADER_MARK}" if row["leading"] == "True" else ""),
                row["labeler"],
                means.get(first) if first else standing_value(row),
                standing_interval(row),
                f"best of {settings}; {number(chosen)} when chosen on other rows" if settings else None,
                standing_difference(row),
                *(means.get(metric) for metric in others),
                *counts.get(row["labeler"], (0, 0)),
            )
        )
    name = metric_header(first) if first else "Value"
    names = ("Rank", "Labeler", name, INTERVAL, "Best of settings", against, *map(metric_header, others))
    header = tuple(Column(each, signed=each == against) for each in (*names, "Finished", "Cells"))
    return Table("leaderboard", "Leaderboard", header, tuple(rows), comparison_context(comparison))


def part_tables(board: FinishedBoard, comparison: str) -> Iterator[Table]:
    """Yield the accuracy by class and by source, where the board has it."""
    table = board.scores
    keep = pc.and_(pc.equal(table["comparison"], comparison), pc.equal(table["metric"], "accuracy"))
    keep = pc.and_(keep, pc.and_(pc.invert(table["oracle"]), pc.is_valid(table["value"])))
    keep = pc.and_(keep, pc.and_(pc.is_null(table["rows"]), pc.is_null(table["stage"])))
    table = table.filter(keep)
    for key, title in (("class", "Accuracy by class"), ("source", "Accuracy by source")):
        values: dict[str, dict[Any, list[float]]] = {}
        counts: dict[Any, set[int]] = {}
        for row in table.filter(pc.is_valid(table[key])).to_pylist():
            values.setdefault(row["labeler"], {}).setdefault(row[key], []).append(row["value"])
            counts.setdefault(row[key], set()).add(row["n"])
        if not 1 < len(counts) <= MAX_SOURCES:
            continue
        parts = sorted(counts)
        names = _class_names(board, len(parts)) if key == "class" else dict(zip(parts, map(str, parts), strict=True))
        header = [Column(f"{names.get(part, part)} (n={max(counts[part]):,})", 2, shade="value") for part in parts]
        rows = [
            (row["labeler"], *(_mean(values[row["labeler"]].get(part)) for part in parts))
            for row in board.of(comparison)
            if row["labeler"] in values
        ]
        context = comparison_context(comparison)
        yield Table(f"{key}_accuracy", title, (Column("Labeler"), *header), tuple(rows), context)


def coverage_table(board: FinishedBoard, comparison: str) -> Table | None:
    """Return how accurate the surest rows of each labeler are."""
    table = long_table(board, COVERAGE)
    if table is None:
        return None
    values: dict[str, dict[float, float]] = {}
    for row in table.filter(pc.equal(table["comparison"], comparison)).to_pylist():
        values.setdefault(row["labeler"], {})[round(row["coverage"], 2)] = row["accuracy"]
    rows = tuple((name, *(by.get(share) for share in COVERAGES)) for name, by in values.items())
    header = (Column("Labeler"), *(Column(f"surest {share:.0%}", 2, shade="value") for share in COVERAGES))
    context = comparison_context(comparison)
    return Table("coverage", "Accuracy of the surest rows", header, rows, context) if rows else None


def cost_table(board: FinishedBoard, comparison: str) -> Table | None:
    """Return seconds and memory of a cell of each labeler, their means."""
    costs: dict[str, list[Sequence[float | None]]] = {}
    for row in csv_rows(board, "timings.csv"):
        if row.get("kind") == "cell" and row.get("comparison") == comparison and row.get("seconds"):
            cost = (_float(row.get(name, "")) for name in ("seconds", "peak_memory_mib", "parameters"))
            costs.setdefault(row.get("labeler", ""), []).append(tuple(cost))
    means = {
        labeler: [_mean([value for value in column if value is not None]) for column in zip(*rows, strict=True)]
        for labeler, rows in costs.items()
    }
    rows = tuple((row["labeler"], *means[row["labeler"]]) for row in board.of(comparison) if row["labeler"] in means)
    header = (Column("Labeler"), Column("Seconds", 1), Column("Peak memory, MiB", 1), Column("Parameters", 0))
    note = "Means over the cells; the seconds are those of one machine, and no part of the ranks."
    table = Table("costs", "Costs of a cell", header, rows, comparison_context(comparison), (note,))
    return table if rows else None


def other_table(board: FinishedBoard, name: str, title: str, comparison: str | None = None) -> Table | None:
    """Return a CSV table of the board, or its rows about a comparison."""
    rows = csv_rows(board, name)
    if comparison is not None:
        rows = [
            {key: text for key, text in row.items() if key != "comparison"}
            for row in rows
            if row.get("comparison") == comparison
        ]
    if not rows:
        return None
    names = [key[:1].upper() + key[1:] for key in rows[0]]
    values = tuple(tuple(map(number_or_text, row.values())) for row in rows)
    table = Table(Path(name).stem, title, columns(names), values)
    return table.without(table.empty)


def failure_table(board: FinishedBoard) -> Table:
    """Return how many cells of each labeler have no result."""
    table = board.scores.filter(pc.not_equal(board.scores["status"], "ok"))
    keys = ("comparison", "labeler", "status", "seed", "ratio", "fold")
    cells = {tuple(row[key] for key in keys) for row in table.select(keys).to_pylist()}
    counts = Counter(cell[:3] for cell in sorted(cells, key=str))
    rows = tuple((*key, count) for key, count in counts.items())
    return Table("failures", "Cells that do not count", columns(("Comparison", "Labeler", "Status", "Cells")), rows)


def _cell_counts(board: FinishedBoard, comparison: str) -> dict[str, tuple[int, int]]:
    """Return {labeler: (cells finished, all)}; folds count one by one."""
    table = board.scores.filter(pc.equal(board.scores["comparison"], comparison))
    cells = {
        (row["labeler"], row["seed"], row["ratio"], row["fold"], row["status"] == "ok")
        for row in table.select(["labeler", "seed", "ratio", "fold", "status"]).to_pylist()
    }
    folded = {labeler for labeler, _, _, fold, _ in cells if fold is not None}
    cells = {cell for cell in cells if cell[3] is not None or cell[0] not in folded}
    total, finished = Counter(cell[0] for cell in cells), Counter(cell[0] for cell in cells if cell[4])
    return {labeler: (finished[labeler], total[labeler]) for labeler in total}


def _class_names(board: FinishedBoard, n: int) -> dict[int, str]:
    """Return {class number: name}, from the page's line on the target."""
    match = CLASSES.fullmatch(board.facts.get("Target", ""))
    names = match[1].split(", ") if match else []
    return dict(enumerate(names)) if len(names) == n else {}


def number_or_text(text: str) -> Any:
    """Return a cell of a CSV file as a number if it is one; None if empty."""
    if not text:
        return None
    value = _float(text)
    if value is None:
        return text
    return int(value) if value.is_integer() and "." not in text else value


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _mean(values: Sequence[float] | None) -> float | None:
    return float(np.mean(values)) if values else None


def leaders(board: FinishedBoard, comparison: str) -> list[Standing]:
    """Return the leading group; without tests, the first by number."""
    rows = [row for row in board.of(comparison) if row["rank"]]
    leading = [row for row in rows if row["leading"] == "True"]
    return leading or [row for row in rows if row["rank"] in ("1", "1=") and not is_tested(board, comparison)]


def is_tested(board: FinishedBoard, comparison: str) -> bool:
    """Return True if ranks are intervals, False if the order of the numbers."""
    return any(row.get("rank_low") for row in board.of(comparison))


def leader_sentence(board: FinishedBoard, comparison: str, heading: str) -> str:
    """Return who leads, as far as that is claimed."""
    named = leaders(board, comparison)
    if not named:
        return f"{heading}: the labelers cannot be told apart."
    values = [standing_value(row) for row in named]
    names = [
        row["labeler"] + ("" if value is None else f" ({value:.{DECIMALS}f})")
        for row, value in zip(named, values, strict=True)
    ]
    text = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    if not is_tested(board, comparison):
        return f"{heading}: first by number {text}; nothing is claimed."
    return f"{heading}: {text} " + ("is ahead of all others." if len(names) == 1 else "lead, and cannot be told apart.")
