"""Score the finished cells of a run and rank its labelers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

import numpy as np

from harness.errors import describe_error
from harness.plugin.facts import find_table_error
from harness.plugin.task import Predictions, find_error
from harness.run.plan import Cell
from harness.run.result import Result
from harness.run.runner import Run
from harness.scoring import audit_verdicts
from harness.scoring.audit_verdicts import AuditVerdict
from harness.scoring.evidence import ORACLE_REASON, AnswerSource, collect_evidence
from harness.scoring.leaderboard import CellResult, Leaderboard, build_leaderboards
from harness.scoring.scores import Scores, Truth, score_results, truth_of
from harness.scoring.stacks import stacks
from harness.scoring.standings import Evidence


def score_cells(run: Run) -> Iterator[CellResult]:
    """Yield the result of every cell, scored if it has finished.

    Other cells have the reason instead. Cells that an audit has found leaking are scored, but not ranked.
    """
    verdicts = audit_verdicts.read_verdicts(run.store.folder)
    # The cells of one split follow each other.
    for evaluation, cells in groupby(run.cells, attrgetter("evaluation")):
        truth = truth_of(run.dataset, evaluation.split)
        for stack in stacks(cells, len(truth.y) * run.dataset.n_classes):
            yield from _score_stack(run, stack, truth, verdicts)
    run.store.save_fingerprints()


def _score_stack(
    run: Run, cells: Sequence[Cell], truth: Truth, verdicts: Mapping[str, AuditVerdict]
) -> Iterator[CellResult]:
    """Yield the results of cells of a split; finished ones are scored at once."""
    results, failures = _read_results(run, cells)
    scored = failures | _score_results(run, results, truth)
    for cell in cells:
        scores = scored.get(cell.key)
        if isinstance(scores, Scores):
            leak = audit_verdicts.leak_reason(verdicts, cell.key)
            yield CellResult(cell, "ok" if leak is None else "leak", leak or "", scores, results[cell.key].timing)
        elif scores is not None:
            yield CellResult(cell, "failed", scores)
        else:
            failure = run.store.failure(cell.key) or _unfinished(run, cell.key)
            yield CellResult(cell, failure["status"], failure["reason"])


def _read_results(run: Run, cells: Iterable[Cell]) -> tuple[dict[str, Result], dict[str, str]]:
    """Return the results of the finished ones among cells, by key.

    Those that cannot stand on a board are apart, with the reason.
    """
    results, failures = {}, {}
    for key in (cell.key for cell in cells if run.store.has(cell.key)):
        try:
            result = run.store.read(key)
            _check_stored(result)
            results[key] = result
        except Exception as error:  # of one cell: the board shows the others
            failures[key] = _failure(error)
    return results, failures


def _score_results(run: Run, results: Mapping[str, Result], truth: Truth) -> dict[str, Scores | str]:
    """Score results of a split, by key; one that fails has the reason instead."""
    if not results:
        return {}
    try:
        scores = score_results([*results.values()], truth, run.dataset.n_classes, run.suite.metrics.primary)
    except Exception as error:
        if len(results) == 1:
            return dict.fromkeys(results, _failure(error))
        alone = (_score_results(run, {key: result}, truth) for key, result in results.items())
        return {key: scored for one in alone for key, scored in one.items()}
    return dict(zip(results, scores, strict=True))


def _failure(error: Exception) -> str:
    return f"cannot be scored: {describe_error(error)}"


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
