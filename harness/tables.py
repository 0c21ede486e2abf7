"""The numbers of a run as files for programs: CSV beside the leaderboard, parquet beside the cells."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.rank import Comparison, Ending
from harness.run import Run
from harness.score import Value

Row = dict[str, Any]


def score_rows(ended: list[Ending]) -> Iterator[Row]:
    """Yield every number of every cell: honest, oracle, of the stages; a cell without a result is one row with its
    status."""
    for ending in ended:
        about = _about_cell(ending)
        if ending.scores is None:
            yield about | {"status": ending.status}
            continue
        named = ((False, ending.scores.honest), (True, ending.scores.oracle))
        for is_oracle, found in named:
            for (metric, label_class, source), value in found.items():
                yield about | _score_row(metric, value, label_class, source, oracle=is_oracle)
        for rows, value in ending.scores.rows.items():
            yield about | _score_row("accuracy", value, rows=rows)
        for name, stage in ending.scores.stages.items():
            for (metric, label_class, source), value in stage.scores.items():
                yield about | _score_row(metric, value, label_class, source, stage=name)
            for rows, value in stage.rows.items():
                yield about | _score_row("accuracy", value, rows=rows, stage=name)


def _score_row(
    metric: str,
    value: Value,
    label_class: int | None = None,
    source: str | None = None,
    rows: str | None = None,
    stage: str | None = None,
    oracle: bool = False,
) -> Row:
    return {
        "status": "ok",
        "metric": metric,
        "class": label_class,
        "source": source,
        "rows": rows,
        "stage": stage,
        "oracle": oracle,
        "value": value.value,
        "n": value.n,
    }


CELL_COLUMNS = {
    "cell": pa.string(),
    "comparison": pa.string(),
    "labeler": pa.string(),
    "seed": pa.int64(),
    "ratio": pa.float64(),
    "fold": pa.int64(),
    "status": pa.string(),
}
SCORE_COLUMNS = {
    "metric": pa.string(),
    "class": pa.int64(),
    "source": pa.string(),
    "rows": pa.string(),
    "stage": pa.string(),
    "oracle": pa.bool_(),
    "value": pa.float64(),
    "n": pa.int64(),
}


def _about_cell(ending: Ending) -> Row:
    split = ending.cell.cut.split
    return {
        "comparison": ending.cell.cut.comparison,
        "labeler": ending.cell.candidate.title,
        "seed": split.seed,
        "ratio": split.ratio,
        "fold": split.fold,
    }


def timing_rows(run: Run, ended: list[Ending]) -> Iterator[Row]:
    """Yield what each cell cost: seconds of its `label` call, peak anonymous memory, parameters."""
    for ending in ended:
        timing, parameters = {}, None
        if ending.status == "ok":
            result = run.store.read(ending.cell.key)
            timing, parameters = dict(result.timing), result.facts.get("parameters")
        yield _about_cell(ending) | {
            "status": ending.status,
            "seconds": timing.get("seconds"),
            "peak_memory_mib": None if not timing else round(timing["memory"] / 2**20, 1),
            "parameters": parameters,
        }


def standing_rows(comparisons: list[Comparison]) -> Iterator[Row]:
    """Yield where each labeler stands; those without a rank have nothing but their name."""
    for comparison in comparisons:
        for line in comparison.lines:
            row: Row = {"comparison": comparison.title, "labeler": line.title, "rank": line.rank}
            standing = line.standing
            names = ("rank_low", "rank_high", "leading", "value", "low", "high")
            low, high = (standing.interval if standing else None) or (None, None)
            told = (standing.low, standing.high, standing.leading, standing.value, low, high) if standing else ()
            row |= dict(zip(names, told or (None,) * len(names), strict=True))
            against = standing.against if standing else None
            ends = against.interval if against else (None, None)
            row |= {"difference": against.value if against else line.difference}
            yield row | {"difference_low": ends[0], "difference_high": ends[1]}


def pair_rows(comparisons: list[Comparison]) -> Iterator[Row]:
    """Yield every pair of ranked labelers: the difference is the first's primary metric minus the second's."""
    for comparison in comparisons:
        for pair in comparison.standings.pairs if comparison.standings else ():
            difference = pair.difference
            yield {
                "comparison": comparison.title,
                "labeler_a": pair.first,
                "labeler_b": pair.second,
                "difference": difference.value,
                "se": difference.se,
                "low": difference.interval[0],
                "high": difference.interval[1],
                "p": difference.p,
                "p_holm": pair.adjusted,
                "separated": pair.separated,
            }


def to_csv(rows: Iterator[Row]) -> str:
    """Write rows as CSV; numbers in full precision."""
    listed = list(rows)
    columns = list(dict.fromkeys(key for row in listed for key in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_csv_cell, columns))
    for row in listed:
        writer.writerow([_csv_cell(row.get(column)) for column in columns])
    return out.getvalue()


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    text = re.sub("\r(?!\n)", "\n", str(value))  # the writer quotes \n, but not a lone \r
    # A spreadsheet would run a text cell that begins like a formula.
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t")) else text


def write_tables(run: Run, ended: list[Ending]) -> None:
    """Write the derived tables of the run; they can be made again from the cells at any time."""
    folder = run.store.folder / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    cells = [_about_cell(e) | {"cell": e.cell.key, "status": e.status, "reason": e.reason} for e in ended]
    _parquet(folder / "cells.parquet", cells, CELL_COLUMNS | {"reason": pa.string()})
    metrics = [row | {"cell": e.cell.key} for e in ended if e.scores for row in score_rows([e])]
    _parquet(folder / "metrics.parquet", metrics, CELL_COLUMNS | SCORE_COLUMNS)


def _parquet(file: Path, rows: list[Row], columns: dict[str, pa.DataType]) -> None:
    scratch = file.with_suffix(".part")
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(list(columns.items()))), scratch)
    scratch.replace(file)
