"""Write the tables of a run, beside its cells: its cells and its scores."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.report.csv_files import cell_record
from harness.report.score_parts import CELL_COLUMNS, SCORE_COLUMNS, score_parts, to_tables
from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult
from harness.utils.files import replacing


def write_tables(run: Run, cell_results: list[CellResult]) -> None:
    """Write the tables of a run that follow from its cells."""
    folder = run.store.folder / "tables"
    cells = cell_table(cell_results)
    _write_parquet(folder / "cells.parquet", cells.schema, [cells])
    schema = pa.schema([*CELL_COLUMNS.items(), *SCORE_COLUMNS.items()])
    scores = score_parts(result for result in cell_results if result.scores)
    _write_parquet(folder / "metrics.parquet", schema, to_tables(scores, schema))


def cell_table(cell_results: Iterable[CellResult]) -> pa.Table:
    """Return key, labeler, split, status and reason of each cell."""
    cells = [
        cell_record(result) | {"cell": result.cell.key, "status": result.status, "reason": result.reason}
        for result in cell_results
    ]
    return pa.Table.from_pylist(cells, pa.schema([*CELL_COLUMNS.items(), ("reason", pa.string())]))


def _write_parquet(file: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with replacing(file) as scratch, pq.ParquetWriter(scratch, schema) as out:
        for table in tables:
            out.write_table(table)
