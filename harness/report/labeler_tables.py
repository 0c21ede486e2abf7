"""What the cells of a labeler tell beyond its ranked scores: tables of facts and of stages, as means over the cells."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.plugin import facts
from harness.plugin.protocols import iter_plugins
from harness.scoring.leaderboard import DECIMALS, CellResult
from harness.scoring.scores import CheckpointScores
from harness.suite import spec

MAX_ROWS = 40  # of a table on a page
SCORED_METRICS = {"accuracy": "Accuracy", "macro_f1": "Macro-F1", "mae": "MAE"}
PAIR_METRICS = {"disagreement": "Disagreement", "either_correct": "Either right", "both_correct": "Both right"}
TRAIN_ROWS = "Train rows"  # the column that the learning curve of the labeler inside is read at
ON_TEST_NOTE = "Scored on the test rows, by which no labeler may choose among them."
CONTROL_METRICS = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class LabelerTable:
    """One table about one labeler in one comparison, its cells as text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass
class CellTable:
    """One table of one cell, on its way to a `LabelerTable`."""

    columns: list[str]  # the first is that of the rows' names
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)  # name -> column -> value
    top: int | None = None
    notes: list[str] = field(default_factory=list)

    def put(self, name: str, column: str, value: Any) -> None:
        """Set one value; an unknown column goes to the right end."""
        if column not in self.columns:
            self.columns.append(column)
        self.rows[name][column] = value


def labeler_tables(cell_results: list[CellResult]) -> dict[tuple[str, str], list[LabelerTable]]:
    """Return the tables of each labeler that has any, by (comparison, labeler)."""
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for cell_result in cell_results:
        groups.setdefault((cell_result.cell.evaluation.comparison, cell_result.cell.candidate.title), []).append(
            cell_result
        )
    found = {key: list(_labeler_tables(group, cell_results)) for key, group in groups.items()}
    return {key: tables for key, tables in found.items() if tables}


def _labeler_tables(cells: list[CellResult], cell_results: list[CellResult]) -> Iterator[LabelerTable]:
    cell_tables: dict[str, list[CellTable]] = {}
    for cell in cells:
        for title, cell_table in _cell_tables(cell, cell_results) if cell.scores is not None else ():
            cell_tables.setdefault(title, []).append(cell_table)
    for title, group in cell_tables.items():
        yield _mean(title, group, len(cells))


def _cell_tables(cell_result: CellResult, cell_results: list[CellResult]) -> Iterator[tuple[str, CellTable]]:
    """Yield the tables of one cell: those of its facts, then one of the stages that no scored one of these names."""
    scores = cell_result.scores
    assert scores is not None
    left = dict(scores.checkpoints)
    for title, table in facts.iter_tables(scores.facts) if facts.find_table_error(scores.facts) is None else ():
        cell_table = _cell_table(table)
        if table.get("scored"):
            named = {name: left.pop(name) for name in cell_table.rows if name in left}
            _score(cell_table, named)
            if named and TRAIN_ROWS in cell_table.columns:
                _control(cell_table, cell_result, cell_results)
        if cell_table.rows:
            yield title, cell_table
    if left:
        cell_table = CellTable(["Stage"], {name: {} for name in left}, notes=[ON_TEST_NOTE])
        _score(cell_table, left)
        yield "Stages", cell_table
    if PAIR_METRICS.keys() <= {metric for metric, _, _ in scores.honest}:
        shares = {column: scores.honest[metric, None, None].value for metric, column in PAIR_METRICS.items()}
        yield "Two members", CellTable(["Of", *shares], {"the first two": shares})


def _cell_table(table: Mapping[str, Any]) -> CellTable:
    cell_table = CellTable(list(table["columns"]), top=table.get("top"))
    met: Counter[str] = Counter()
    for name, *values in table["rows"]:
        met[name] += 1
        own = name if met[name] == 1 else f"{name} ({met[name]})"  # features of two blocks may have one name
        cell_table.rows[own] = dict(zip(cell_table.columns[1:], values, strict=True))
    return cell_table


def _score(cell_table: CellTable, checkpoints: Mapping[str, CheckpointScores]) -> None:
    """Put the scores of each stage beside its row."""
    for name, checkpoint in checkpoints.items():
        for mask, value in checkpoint.rows.items():
            cell_table.put(name, f"Accuracy of {mask.removesuffix(f' in {name}')}", value.value)
    for name, checkpoint in checkpoints.items():
        for metric, column in SCORED_METRICS.items():
            cell_table.put(name, column, checkpoint.scores[metric, None, None].value)
        for (_, label_class, _), value in checkpoint.scores.items():
            if label_class is not None:
                cell_table.put(name, f"Class {label_class}", value.value)


def _control(cell_table: CellTable, cell_result: CellResult, cell_results: list[CellResult]) -> None:
    """Put beside each row what the labeler inside reaches on as many given labels, by its cells at other ratios.

    Nothing is run for it: between two ratios the line between their scores is read, beyond them there is nothing.
    """
    base = _inner(cell_result.cell.candidate.labeler)
    if base is None:
        return
    points = [each for each in cell_results if _is_point(each, base, cell_result)]
    if not points:
        cell_table.notes.append(f"Nothing on real labels: {spec.display_name(base)} is not in this suite by itself.")
        return
    title = points[0].cell.candidate.title
    curve = {len(each.cell.evaluation.split.train): each.scores.honest for each in points if each.scores is not None}
    sizes = sorted(curve)
    for metric in CONTROL_METRICS:
        reached = [curve[size][metric, None, None].value for size in sizes]
        for name, row in cell_table.rows.items():
            n, value = row.get(TRAIN_ROWS), None
            if isinstance(n, int | float) and sizes[0] <= n <= sizes[-1]:
                value = float(np.interp(n, sizes, np.array(reached, float)))
            cell_table.put(name, f"{SCORED_METRICS[metric]} on real labels", value)
    cell_table.notes += [
        f"On real labels: {title} with as many train rows, read between the ratios of this suite.",
        "Each ratio is scored on its own test rows; beyond the ratios there is no number.",
    ]


def _inner(labeler: Any) -> Any:
    """Return the labeler that this one holds, where it holds exactly one."""
    inside = list(iter_plugins(labeler))[1:]
    return inside[0] if inside and list(iter_plugins(inside[0])) == inside else None


def _is_point(each: CellResult, base: Any, cell_result: CellResult) -> bool:
    """Say whether a cell is on the base's learning curve for this one: the same kind of split, seed and fold."""
    one, other = each.cell.evaluation, cell_result.cell.evaluation
    same = (one.split.seed, one.split.fold) == (other.split.seed, other.split.fold)
    return same and one.family == other.family and each.scores is not None and each.cell.candidate.labeler == base


def _mean(title: str, cell_tables: list[CellTable], cells: int) -> LabelerTable:
    """Return the mean of one table over the `cells` of a labeler; what some of them lack has a count beside it."""
    columns = list(dict.fromkeys(column for cell_table in cell_tables for column in cell_table.columns))
    names = list(dict.fromkeys(name for cell_table in cell_tables for name in cell_table.rows))
    values = [
        [[cell_table.rows.get(name, {}).get(column) for cell_table in cell_tables] for name in names]
        for column in columns[1:]
    ]
    notes = list(dict.fromkeys(note for cell_table in cell_tables for note in cell_table.notes))
    order = list(range(len(names)))
    top = next((cell_table.top for cell_table in cell_tables if cell_table.top is not None), None)
    if top is not None:
        order.sort(key=lambda i: -(_average(values[0][i]) or 0))
    shown = order[: min(top or MAX_ROWS, MAX_ROWS)]
    if len(shown) < len(names):
        notes.append(f"{len(shown)} of {len(names):,} rows.")
    texts = [names, *(_texts(column, cells) for column in values)]
    return LabelerTable(title, tuple(columns), tuple(tuple(text[i] for text in texts) for i in shown), tuple(notes))


def _average(values: list[Any]) -> float | None:
    numbers = [value for value in values if isinstance(value, int | float)]
    return float(np.mean(numbers)) if numbers else None


def _texts(column: list[list[Any]], cells: int) -> list[str]:
    """Return one text a row: words as they are, means of whole numbers as such, other means with a board's decimals."""
    means = [_average(values) for values in column]
    whole = not any(isinstance(value, float) for values in column for value in values)
    decimals = int(any(mean is not None and mean % 1 for mean in means)) if whole else DECIMALS
    return [_text(values, mean, decimals, cells) for values, mean in zip(column, means, strict=True)]


def _text(values: list[Any], mean: float | None, decimals: int, cells: int) -> str:
    if mean is None:
        return ", ".join(dict.fromkeys(value for value in values if isinstance(value, str)))
    met = sum(isinstance(value, int | float) for value in values)
    return f"{mean:,.{decimals}f}" + (f" ({met}/{cells})" if met < cells else "")
