"""Every number of every cell, as the columns of a long table.

There are millions of them: a row of its own for each takes longer than all scoring.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from harness.report.csv_files import Row, cell_record
from harness.scoring.leaderboard import CellResult, test_set_scores
from harness.scoring.scores import MetricKey, MetricValue

CELL_COLUMNS = {
    "cell": pa.string(),
    "comparison": pa.string(),
    "labeler": pa.string(),
    "seed": pa.int64(),
    "ratio": pa.float64(),
    "fold": pa.int32(),
    "status": pa.string(),
}
SCORE_COLUMNS = {
    "metric": pa.string(),
    "class": pa.int32(),
    "source": pa.string(),
    "rows": pa.string(),
    "stage": pa.string(),
    "oracle": pa.bool_(),
    "value": pa.float64(),
    "n": pa.int64(),
}
ROWS_PER_TABLE = 8_192  # rows as Python values at a time


@dataclass(frozen=True)
class Part:
    """Some rows of a long table."""

    rows: int
    shared: Row  # what they have in common
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # the rest; empty where it is in neither


def score_parts(cell_results: Iterable[CellResult]) -> Iterator[Part]:
    """Yield every number of every cell: honest, oracle, of the stages.

    A cell without a result is one row with its status.
    """
    for cell_result in cell_results:
        cell = cell_record(cell_result) | {"cell": cell_result.cell.key, "status": "ok"}
        if cell_result.scores is None:
            yield Part(1, cell | {"status": cell_result.status})
            continue
        yield from _of_metrics(cell | {"oracle": False}, cell_result.scores.honest)
        yield from _of_metrics(cell | {"oracle": True}, cell_result.scores.oracle)
        yield from _of_masks(cell | {"oracle": False}, cell_result.scores.rows)
        for name, checkpoint in cell_result.scores.checkpoints.items():
            yield from _of_metrics(cell | {"oracle": False, "stage": name}, checkpoint.scores)
            yield from _of_masks(cell | {"oracle": False, "stage": name}, checkpoint.rows)


def pooled_parts(cell_results: Iterable[CellResult]) -> Iterator[Part]:
    """Yield the numbers of the folds of a seed together, without a fold."""
    of_seed: dict[tuple[str, str, int], list[CellResult]] = {}
    for cell_result in cell_results:
        evaluation = cell_result.cell.evaluation
        if evaluation.split.fold is not None and cell_result.status == "ok":
            key = evaluation.comparison, cell_result.cell.candidate.title, evaluation.split.seed
            of_seed.setdefault(key, []).append(cell_result)
    for folds in of_seed.values():
        record = cell_record(folds[0]) | {"fold": None, "status": "ok"}
        kinds = (False, True) if all(fold.scores and fold.scores.oracle for fold in folds) else (False,)
        for is_oracle in kinds:
            yield from _of_metrics(record | {"oracle": is_oracle}, test_set_scores(folds, is_oracle)[0])


def _of_metrics(shared: Row, scores: Mapping[MetricKey, MetricValue]) -> Iterator[Part]:
    if scores:
        metrics, classes, sources = zip(*scores, strict=True)
        values, counts = zip(*scores.values(), strict=True)
        columns = {"metric": metrics, "class": classes, "source": sources, "value": values, "n": counts}
        yield Part(len(scores), shared, columns)


def _of_masks(shared: Row, accuracies: Mapping[str, MetricValue]) -> Iterator[Part]:
    if accuracies:
        values, counts = zip(*accuracies.values(), strict=True)
        columns = {"rows": tuple(accuracies), "value": values, "n": counts}
        yield Part(len(accuracies), shared | {"metric": "accuracy"}, columns)


def to_tables(parts: Iterable[Part], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of the parts as tables of ROWS_PER_TABLE rows or more."""
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    rows = 0
    for part in parts:
        for name, column in columns.items():
            column += part.columns.get(name) or [part.shared.get(name)] * part.rows
        rows += part.rows
        if rows >= ROWS_PER_TABLE:
            yield pa.Table.from_pydict(columns, schema)
            columns, rows = {name: [] for name in schema.names}, 0
    if rows:
        yield pa.Table.from_pydict(columns, schema)
