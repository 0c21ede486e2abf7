"""The choice of the labeler, and the luck that is in it.

The first of a board is first by merit and by luck. Its answers out of fold are of the same labelled rows that chose it,
so they are too good by its luck: with 30 labels and seven labelers by four points of accuracy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.errors import DataError, HarnessError, did_you_mean
from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult, Leaderboard
from harness.scoring.score_run import evidence_for, leaderboards_of, score_cells
from harness.statistics.metrics import LOWER_IS_BETTER
from harness.statistics.selection_bias import winners_luck
from harness.suite.candidates import Candidate
from harness.suite.suite import Suite

CORRECTED_METRICS = ("accuracy", "macro_f1", "mae")


@dataclass(frozen=True)
class Choice:
    """The labeler of a labelling."""

    candidate: Candidate
    reason: str  # for the card
    luck: Mapping[str, float] = field(default_factory=dict)  # metric -> expected excess of what is measured out of fold


def choose_labeler(run: Run, name: str) -> Choice:
    """Return the labeler of that name, or where it is "best" the first.

    It ranks first with the most labels. Raises HarnessError.
    """
    if name == "best":
        return _best_labeler(run)
    return Choice(_find_labeler(run.suite, name, f"--with {name}"), "by its name")


def _find_labeler(suite: Suite, title: str, option: str) -> Candidate:
    titles = {candidate.title: candidate for candidate in suite.labelers}
    if title not in titles:
        raise HarnessError(f"{option}: no labeler of {suite.file} is called so{did_you_mean(title, titles)}")
    return titles[title]


def _best_labeler(run: Run) -> Choice:
    cell_results = list(score_cells(run))
    leaderboards = [
        leaderboard for leaderboard in leaderboards_of(run, cell_results) if any(row.rank for row in leaderboard.rows)
    ]
    if not leaderboards:
        earlier = run.store.cells.exists() and any(run.store.cells.iterdir())
        why = (
            "the data, the labelers or the splits have changed since the last run" if earlier else "nothing is run yet"
        )
        advice = f"run it with the same options: harness run {run.suite.file}; or name a labeler with --with"
        raise DataError(f"{run.suite.name}: no labeler has a rank, for {why}; {advice}")
    leaderboard = max(leaderboards, key=lambda leaderboard: max(leaderboard.n_train))
    first = next(row for row in leaderboard.rows if row.rank)
    ranked = sum(bool(row.rank) for row in leaderboard.rows)
    metric = run.suite.metrics.primary
    reason = f"first of {ranked} by {metric} ({first.values[metric].mean:.4f}) in {leaderboard.title}"
    if first.standing is not None and (chosen := first.standing.chosen) is not None:
        reason += (
            f"; the best of {chosen.settings} settings of its method: {chosen.value:.4f} when chosen on other rows"
        )
    candidate = _find_labeler(run.suite, first.title, first.title)
    return Choice(candidate, reason, _luck(run, leaderboard, cell_results))


def _luck(run: Run, leaderboard: Leaderboard, cell_results: list[CellResult]) -> dict[str, float]:
    """Return the luck in the metric that the labeler was chosen by.

    Labelled rows that the board has not tested on have chosen nothing, so theirs has none.
    """
    metric, ranked = run.suite.metrics.primary, {row.title for row in leaderboard.rows if row.rank}
    cells = [
        cell_result
        for cell_result in cell_results
        if cell_result.cell.evaluation.comparison == leaderboard.title and cell_result.cell.candidate.title in ranked
    ]
    if metric not in CORRECTED_METRICS or len(ranked) < 2:
        return {}
    measured = evidence_for([run], cells).measured
    if measured is None:
        return {}
    tested = np.unique(np.concatenate([cell_result.cell.evaluation.split.test for cell_result in cells]))
    luck = winners_luck(measured.values.mean(axis=1), measured.rows, metric in LOWER_IS_BETTER)
    return {metric: luck * len(tested) / len(run.dataset.labelled)}
