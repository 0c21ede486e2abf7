"""Score the finished cells of a run and rank its labelers."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from harness.errors import describe_error
from harness.plugin.facts import find_table_error
from harness.plugin.task import Predictions, find_error
from harness.run.result import Result
from harness.run.runner import Run
from harness.scoring import audit_verdicts
from harness.scoring.evidence import ORACLE_REASON, AnswerSource, collect_evidence
from harness.scoring.leaderboard import CellResult, Leaderboard, build_leaderboards
from harness.scoring.scores import score_result, truth_of
from harness.scoring.standings import Evidence


def score_cells(run: Run) -> Iterator[CellResult]:
    """Yield the result of every cell, scored if it has finished.

    Other cells have the reason instead. Cells that an audit has found leaking are scored, but not ranked.
    """
    # The cells of one split follow each other, so that one truth is enough.
    truth = lru_cache(1)(lambda evaluation: truth_of(run.dataset, evaluation.split))
    verdicts = audit_verdicts.read_verdicts(run.store.folder)
    for cell in run.cells:
        if run.store.has(cell.key):
            try:
                result = run.store.read(cell.key)
                _check_stored(result)
                scores = score_result(result, truth(cell.evaluation), run.dataset.n_classes, run.suite.metrics.primary)
            except Exception as error:  # of one cell: the board shows the others
                yield CellResult(cell, "failed", f"cannot be scored: {describe_error(error)}")
                continue
            leak = audit_verdicts.leak_reason(verdicts, cell.key)
            yield CellResult(cell, "ok" if leak is None else "leak", leak or "", scores, result.timing)
        else:
            failure = run.store.failure(cell.key) or _unfinished(run, cell.key)
            yield CellResult(cell, failure["status"], failure["reason"])
    run.store.save_fingerprints()


def _check_stored(result: Result) -> None:
    """Raise ValueError where an answer cannot stand on a board.

    An earlier version may have stored it.
    """
    m, n_classes = result.proba.shape
    error = find_error(
        Predictions(result.proba.view(np.ndarray), result.facts, result.checkpoints, result.rows), m, n_classes
    )
    error = error or find_table_error(result.facts)
    if error is not None:
        raise ValueError(error)


def _unfinished(run: Run, key: str) -> dict[str, str]:
    if (run.store.cells / key).exists():
        return {"status": "failed", "reason": "its files have changed since it was finished: run it again"}
    return {"status": "not run", "reason": "not run yet"}


def leaderboards_of(run: Run, cell_results: list[CellResult]) -> list[Leaderboard]:
    """Build the leaderboards by the suite's metrics and protocol."""
    metrics = run.suite.metrics
    as_record = run.suite.protocol == "record"
    return build_leaderboards(
        cell_results, metrics.primary, metrics.baseline, as_record, lambda cells: evidence_for([run], cells)
    )


def answer_source(runs: Sequence[Run]) -> AnswerSource:
    """Return access to the predictions of runs over the same rows.

    A cell that several runs have is read from the first of them.
    """

    def read(key: str) -> Result:
        owner = next((run for run in runs if run.store.has(key)), runs[0])
        return owner.store.read(key)

    dataset = runs[0].dataset
    return AnswerSource(read, lambda split: truth_of(dataset, split), dataset.groups, dataset.n_classes)


def evidence_for(runs: Sequence[Run], cell_results: list[CellResult]) -> Evidence:
    """Return the evidence of finished cells of runs over the same rows.

    Oracle numbers are no evidence.
    """
    if runs[0].suite.protocol == "record":
        return Evidence(
            tuple(dict.fromkeys(cell_result.cell.candidate.title for cell_result in cell_results)), None, ORACLE_REASON
        )
    return collect_evidence(cell_results, runs[0].suite.metrics.primary, answer_source(runs))
