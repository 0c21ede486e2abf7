"""Tables of a labeler's facts and stages, means over its cells."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.plugin import facts
from harness.plugin.protocols import iter_plugins
from harness.report.tables import Column, PartialMean, Table, columns
from harness.scoring.leaderboard import DECIMALS, CellResult
from harness.scoring.scores import CheckpointScores
from harness.suite import spec

MAX_ROWS = 40  # of a table on a page
SCORED_METRICS = {"accuracy": "Accuracy", "macro_f1": "Macro-F1", "mae": "MAE"}
PAIR_METRICS = {"disagreement": "Disagreement", "either_correct": "Either right", "both_correct": "Both right"}
TRAIN_ROWS = "Train rows"  # the column that the learning curve of the labeler inside is read at
ON_TEST_NOTE = "Scored on the test rows, by which no labeler may choose among them."
CONTROL_METRICS = ("accuracy", "macro_f1")


def labeler_tables(cell_results: list[CellResult], classes: Sequence[str]) -> dict[tuple[str, str], list[Table]]:
    """Return the tables of each labeler, by (comparison, labeler).

    A labeler without any is left out. `classes` are the names of the classes. The first column of a table has the
    names of its rows.
    """
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for result in cell_results:
        groups.setdefault((result.cell.evaluation.comparison, result.cell.candidate.title), []).append(result)
    tables = {key: list(_labeler_tables(group, cell_results, classes)) for key, group in groups.items()}
    return {key: group for key, group in tables.items() if group}


def _labeler_tables(cells: list[CellResult], cell_results: list[CellResult], classes: Sequence[str]) -> Iterator[Table]:
    by_title: dict[str, list[Table]] = {}
    tops: dict[str, int] = {}
    for cell in cells:
        for table, top in _cell_tables(cell, cell_results, classes) if cell.scores is not None else ():
            by_title.setdefault(table.title, []).append(table)
            if top is not None:
                tops.setdefault(table.title, top)
    for title, tables in by_title.items():
        yield _mean_table(tables, len(cells), tops.get(title))


def _cell_tables(
    cell_result: CellResult, cell_results: list[CellResult], classes: Sequence[str]
) -> Iterator[tuple[Table, int | None]]:
    """Yield (table, rows to show) of one cell: those of its facts first.

    The stages that no scored table names have one of their own.
    """
    scores = cell_result.scores
    assert scores is not None
    stages = dict(scores.checkpoints)
    for title, content in facts.iter_tables(scores.facts) if facts.find_table_error(scores.facts) is None else ():
        table = _fact_table(title, content)
        if content.get("scored"):
            scored = {row[0]: stages.pop(row[0]) for row in table.rows if row[0] in stages}
            table = table.with_values(_stage_scores(scored, classes))
            if scored and TRAIN_ROWS in table.names:
                table = _with_control(table, cell_result, cell_results)
        if table.rows:
            yield table, content.get("top")
    if stages:
        table = Table("", "Stages", columns(["Stage"]), tuple((name,) for name in stages), notes=(ON_TEST_NOTE,))
        yield table.with_values(_stage_scores(stages, classes)), None
    if PAIR_METRICS.keys() <= {metric for metric, _, _ in scores.honest}:
        shares = [scores.honest[metric, None, None].value for metric in PAIR_METRICS]
        header = columns(("Of", *PAIR_METRICS.values()))
        yield Table("", "Two members", header, (("the first two", *shares),)), None


def _fact_table(title: str, content: Mapping[str, Any]) -> Table:
    """Return a table of the facts, its rows under different names."""
    counts: Counter[str] = Counter()
    rows = []
    for name, *values in content["rows"]:
        counts[name] += 1  # features of two blocks may have one name
        rows.append((name if counts[name] == 1 else f"{name} ({counts[name]})", *values))
    return Table("", title, columns(content["columns"]), tuple(rows))


def _stage_scores(checkpoints: Mapping[str, CheckpointScores], classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return {column: {stage: score}}."""
    values: dict[str, dict[str, Any]] = {}
    for name, checkpoint in checkpoints.items():
        for mask, value in checkpoint.rows.items():
            values.setdefault(f"Accuracy of {mask.removesuffix(f' in {name}')}", {})[name] = value.value
    for name, checkpoint in checkpoints.items():
        for metric, column in SCORED_METRICS.items():
            if (key := (metric, None, None)) in checkpoint.scores:
                values.setdefault(column, {})[name] = checkpoint.scores[key].value
        for (_, label_class, _), value in checkpoint.scores.items():
            if label_class is not None:
                values.setdefault(f"Class {classes[label_class]}", {})[name] = value.value
    return values


def _with_control(table: Table, cell_result: CellResult, cell_results: list[CellResult]) -> Table:
    """Add the scores of the labeler inside on as many given labels.

    They are read off its cells at other ratios. Nothing is run for it: between two ratios the line between their scores
    is read, beyond them there is nothing.
    """
    base = _inner_labeler(cell_result.cell.candidate.labeler)
    if base is None:
        return table
    points = [result for result in cell_results if _is_point(result, base, cell_result)]
    if not points:
        note = f"Nothing on real labels: {spec.display_name(base)} is not in this suite by itself."
        return replace(table, notes=(*table.notes, note))
    curve = {len(point.cell.evaluation.split.train): point.scores.honest for point in points if point.scores}
    sizes = sorted(curve)
    train_rows = {row[0]: row[table.names.index(TRAIN_ROWS)] for row in table.rows}
    values: dict[str, dict[str, Any]] = {}
    for metric in CONTROL_METRICS:
        scores = np.array([curve[size][metric, None, None].value for size in sizes], float)
        values[f"{SCORED_METRICS[metric]} on real labels"] = {
            name: float(np.interp(n, sizes, scores)) if _is_number(n) and sizes[0] <= n <= sizes[-1] else None
            for name, n in train_rows.items()
        }
    notes = (
        f"On real labels: {points[0].cell.candidate.title} with as many train rows, read between the ratios of this "
        "suite.",
        "Each ratio is scored on its own test rows; beyond the ratios there is no number.",
    )
    return replace(table.with_values(values), notes=(*table.notes, *notes))


def _inner_labeler(labeler: Any) -> Any:
    """Return the labeler that this one holds; None for none or several."""
    inside = list(iter_plugins(labeler))[1:]
    return inside[0] if inside and list(iter_plugins(inside[0])) == inside else None


def _is_point(result: CellResult, base: Any, cell_result: CellResult) -> bool:
    """Return True if a cell is on the base's learning curve for this one.

    That is a cell of the base on the same kind of split, with the same seed and fold.
    """
    evaluation, other = result.cell.evaluation, cell_result.cell.evaluation
    same = (evaluation.split.seed, evaluation.split.fold) == (other.split.seed, other.split.fold)
    same = same and evaluation.family == other.family
    return same and result.scores is not None and result.cell.candidate.labeler == base


def _mean_table(tables: list[Table], cells: int, top: int | None) -> Table:
    """Average one table over the `cells` of a labeler.

    The rows are those of the `top` largest means of the second column, or the first ones where there is no `top`.
    """
    names = list(dict.fromkeys(name for table in tables for name in table.names))
    titles = list(dict.fromkeys(row[0] for table in tables for row in table.rows))
    records = [{row[0]: dict(zip(table.names, row, strict=True)) for row in table.rows} for table in tables]
    values = {name: [[record.get(title, {}).get(name) for record in records] for title in titles] for name in names[1:]}
    order = list(range(len(titles)))
    if top is not None:
        order.sort(key=lambda i: -(_mean(values[names[1]][i]) or 0))
    order = order[: min(top or MAX_ROWS, MAX_ROWS)]
    notes = list(dict.fromkeys(note for table in tables for note in table.notes))
    if len(order) < len(titles):
        notes.append(f"{len(order)} of {len(titles):,} rows.")
    means = [[_mean_cell(row, cells) for row in column] for column in values.values()]
    header = (Column(names[0]), *(Column(name, _decimals(column)) for name, column in values.items()))
    rows = tuple((titles[i], *(column[i] for column in means)) for i in order)
    return Table("", tables[0].title, header, rows, notes=tuple(notes))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _mean(values: list[Any]) -> float | None:
    numbers = [value for value in values if _is_number(value)]
    return float(np.mean(numbers)) if numbers else None


def _mean_cell(values: list[Any], cells: int) -> str | float | PartialMean:
    """Return the mean over the cells; of words all that differ."""
    mean = _mean(values)
    if mean is None:
        return ", ".join(dict.fromkeys(value for value in values if isinstance(value, str)))
    n = sum(map(_is_number, values))
    return mean if n >= cells else PartialMean(mean, n, cells)


def _decimals(column: list[list[Any]]) -> int:
    """Return a board's decimals; 0 or 1 for means of whole numbers."""
    if any(isinstance(value, float) for values in column for value in values):
        return DECIMALS
    means = [_mean(values) for values in column]
    return int(any(mean is not None and mean % 1 for mean in means))
