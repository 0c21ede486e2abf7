"""The long table of scores has one row for every number of every cell."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.plugin.protocols import Split
from harness.report import score_parts as module
from harness.report.parquet_files import SCORES, read_parquet, scores_to_parquet
from harness.report.score_parts import CELL_COLUMNS, SCORE_COLUMNS, score_parts, to_tables
from harness.run.plan import Cell, EvaluationSplit
from harness.scoring.leaderboard import CellResult
from harness.scoring.scores import CheckpointScores, MetricValue, Scores
from harness.suite.candidates import Candidate

NONE = np.empty(0, np.int64)
COLUMNS = CELL_COLUMNS | SCORE_COLUMNS
KEYS = st.tuples(st.sampled_from(["accuracy", "mae"]), st.sampled_from([None, 0, 3]), st.sampled_from([None, "flan"]))
VALUES = st.builds(MetricValue, st.none() | st.floats(0, 1), st.integers(0, 40))
NUMBERS = st.dictionaries(KEYS, VALUES, max_size=4)
MASKS = st.dictionaries(st.sampled_from(["sure", "adopted"]), VALUES, max_size=2)
CHECKPOINTS = st.dictionaries(st.sampled_from(["epoch 1", "member 2"]), st.builds(CheckpointScores, NUMBERS, MASKS))
SCORES_OF_A_CELL = st.builds(
    Scores, NUMBERS, MASKS, oracle=NUMBERS, checkpoints=CHECKPOINTS, table=st.just(np.eye(4, dtype=np.int64))
)


def cell_result(number, scores, fold=None):
    evaluation = EvaluationSplit("kfold", Split(np.arange(10), np.arange(10, 50), NONE, 3, fold=fold))
    cell = Cell(f"key {number}", Candidate(f"labeler {number}", None), evaluation, ())
    return CellResult(cell, "failed" if scores is None else "ok", "", scores)


def plain_rows(number, scores):
    """Yield the rows of a cell, one dict for each number."""
    cell = {"cell": f"key {number}", "comparison": "kfold", "labeler": f"labeler {number}", "seed": 3}
    if scores is None:
        yield cell | {"status": "failed"}
        return

    def row(metric, score, **more):
        return cell | {"status": "ok", "metric": metric, "value": score.value, "n": score.n, "oracle": False} | more

    for oracle, numbers in ((False, scores.honest), (True, scores.oracle)):
        for (metric, c, source), score in numbers.items():
            yield row(metric, score, **{"class": c}, source=source, oracle=oracle)
    for rows, score in scores.rows.items():
        yield row("accuracy", score, rows=rows)
    for stage, checkpoint in scores.checkpoints.items():
        for (metric, c, source), score in checkpoint.scores.items():
            yield row(metric, score, **{"class": c}, source=source, stage=stage)
        for rows, score in checkpoint.rows.items():
            yield row("accuracy", score, rows=rows, stage=stage)


@settings(deadline=None)
@given(st.lists(st.none() | SCORES_OF_A_CELL, max_size=4))
def test_columns_hold_a_row_for_each_number(outcomes):
    results = [cell_result(i, scores) for i, scores in enumerate(outcomes)]
    expected = [dict.fromkeys(COLUMNS) | row for i, scores in enumerate(outcomes) for row in plain_rows(i, scores)]
    tables = list(to_tables(score_parts(results), pa.schema(list(COLUMNS.items()))))
    assert [row for table in tables for row in table.to_pylist()] == expected


def test_long_tables_come_in_parts_and_lose_no_row(monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_TABLE", 5)
    numbers = {("accuracy", c, None): MetricValue(c / 4, 10) for c in range(4)}
    results = [cell_result(i, Scores(numbers, {})) for i in range(5)]
    tables = list(to_tables(score_parts(results), pa.schema(list(COLUMNS.items()))))
    assert [table.num_rows for table in tables] == [8, 8, 4]
    assert [row["labeler"] for table in tables for row in table.to_pylist()] == [
        f"labeler {i}" for i in range(5) for _ in range(4)
    ]


def test_folds_of_a_seed_have_their_pooled_numbers_at_the_end():
    table = np.array([[3, 1], [2, 4]])
    folds = [
        cell_result(0, Scores({("log_loss", None, None): MetricValue(value, 10)}, {}, table=table), fold)
        for fold, value in enumerate((0.25, 0.75))
    ]
    rows = read_parquet(SCORES, scores_to_parquet(folds)).to_pylist()
    assert [row["fold"] for row in rows[:3]] == [0, 1, None]
    pooled = {row["metric"]: (row["value"], row["n"]) for row in rows[2:] if row["class"] is None}
    assert pooled["log_loss"] == (0.5, 20)
    assert pooled["accuracy"] == (0.7, 20)
