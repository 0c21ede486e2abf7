"""The splits and answers of a run as parquet, to be checked elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.plugin.protocols import Split
from harness.run.plan import Cell, EvaluationSplit
from harness.run.runner import Run
from harness.scoring import audit_verdicts
from harness.utils.files import replacing

SPLITS_FILE = "splits.parquet"
ANSWERS_FILE = "answers.parquet"


def export(run: Run, folder: Path) -> tuple[Path, Path, int]:
    """Write the splits and the answers of all finished cells to `folder`.

    SPLITS_FILE has a row for each labelled row of each split, with its side; ANSWERS_FILE one for each test row of each
    finished cell, with the truth. Labels are values of the target. Returns the files and the number of cells. Cells
    that an audit has found leaking are left out.
    """
    splits = folder / SPLITS_FILE
    evaluations = list(dict.fromkeys(cell.evaluation for cell in run.cells))
    _write(splits, (_split_table(run, evaluation) for evaluation in evaluations))
    verdicts = audit_verdicts.read_verdicts(run.store.folder)
    finished = run.store.finished_keys(cell.key for cell in run.cells)
    cells = [c for c in run.cells if c.key in finished and audit_verdicts.leak_reason(verdicts, c.key) is None]
    answers = folder / ANSWERS_FILE
    _write(answers, (_answer_table(run, cell) for cell in cells))
    return splits, answers, len(cells)


def _split_table(run: Run, evaluation: EvaluationSplit) -> pa.Table:
    split, dataset = evaluation.split, run.dataset
    side = np.full(len(dataset.labelled), "spare", np.dtypes.StringDType())
    for name in ("train", "validation", "test"):  # a validation row is a train row, too
        side[dataset.positions(getattr(split, name))] = name
    columns = _split_columns(evaluation.comparison, split, len(side))
    return pa.table({**columns, "id": _ids(run, dataset.labelled), "side": pa.array(side.tolist(), pa.string())})


def _answer_table(run: Run, cell: Cell) -> pa.Table:
    split = cell.evaluation.split
    dataset = run.dataset.cut_by(split.train)
    result, classes = run.store.read(cell.key), dataset.classes
    proba = pa.array(np.ascontiguousarray(result.proba).reshape(-1))
    m = len(split.test)
    return pa.table(
        {
            **_split_columns(cell.evaluation.comparison, split, m),
            "labeler": _repeated(cell.candidate.title, m, pa.string()),
            "id": _ids(run, split.test),
            "truth": classes.decode(dataset.y[dataset.positions(split.test)]),
            "label": classes.decode(result.labels),
            "probabilities": pa.FixedSizeListArray.from_arrays(proba, len(classes)),
        }
    )


def _split_columns(comparison: str, split: Split, n: int) -> dict[str, pa.Array]:
    return {
        "comparison": _repeated(comparison, n, pa.string()),
        "seed": _repeated(split.seed, n, pa.int64()),
        "ratio": _repeated(split.ratio, n, pa.float64()),
        "fold": _repeated(split.fold, n, pa.int64()),
    }


def _repeated(value: Any, n: int, kind: pa.DataType) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), n)


def _ids(run: Run, rows: NDArray[np.int64]) -> pa.Array:
    ids = run.dataset.items.ids[rows]
    return pa.array(ids) if ids.dtype.kind in "iu" else pa.array(ids.tolist(), pa.string())


def _write(file: Path, tables: Iterator[pa.Table]) -> None:
    """Write tables of the same columns as one file, a row group each."""
    with replacing(file) as scratch:
        writer = None
        try:
            for table in tables:
                writer = writer or pq.ParquetWriter(scratch, table.schema, compression="zstd")
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()
