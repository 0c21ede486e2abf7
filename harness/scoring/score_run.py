"""Score the finished cells of a run and rank its labelers."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from harness.run.runner import Run
from harness.run.store import Result
from harness.scoring import audit_verdicts
from harness.scoring.evidence import ORACLE, Archive, gather
from harness.scoring.leaderboard import Comparison, Ending, compare
from harness.scoring.scores import answers, scores
from harness.scoring.standings import Evidence


def score_cells(run: Run) -> Iterator[Ending]:
    """Score every finished cell from the store; the others come with the reason why they are not.

    A cell of a labeler that an audit has found leaking is scored, and takes no part in a ranking.
    """
    truth = lru_cache(1)(lambda cut: answers(run.dataset, cut.split))  # the cells of one split follow each other
    verdicts = audit_verdicts.read(run.store.folder)
    for cell in run.cells:
        if run.store.has(cell.key):
            result = run.store.read(cell.key)
            found = scores(result, truth(cell.evaluation), run.dataset.n_classes, run.suite.metrics.primary)
            leak = audit_verdicts.leak(verdicts, cell.key)
            yield Ending(cell, "ok" if leak is None else "leak", leak or "", found, result.timing)
        else:
            failure = run.store.failure(cell.key) or {"status": "not run", "reason": "not run yet"}
            yield Ending(cell, failure["status"], failure["reason"])
    run.store.save_fingerprints()


def leaderboards_of(run: Run, ended: list[Ending]) -> list[Comparison]:
    """Compare the cells under the suite's metrics and protocol."""
    metrics = run.suite.metrics
    as_record = run.suite.protocol == "record"
    return compare(ended, metrics.primary, metrics.baseline, as_record, lambda cells: evidence_for([run], cells))


def answer_source(runs: Sequence[Run]) -> Archive:
    """Return where the answers of runs over the same rows are found; one that several have is the first's."""

    def read(key: str) -> Result:
        owner = next((run for run in runs if run.store.has(key)), runs[0])
        return owner.store.read(key)

    dataset = runs[0].dataset
    return Archive(read, lambda split: answers(dataset, split), dataset.groups, dataset.n_classes)


def evidence_for(runs: Sequence[Run], ended: list[Ending]) -> Evidence:
    """Return what the rows say of these finished cells of runs over the same rows; of oracle numbers, nothing."""
    if runs[0].suite.protocol == "record":
        return Evidence(tuple(dict.fromkeys(ending.cell.candidate.title for ending in ended)), None, ORACLE)
    return gather(ended, runs[0].suite.metrics.primary, answer_source(runs))
