"""Rank labelers of several suites together on the same rows."""

from dataclasses import dataclass, replace

from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult, Leaderboard, build_leaderboards
from harness.scoring.score_run import evidence_for
from harness.utils.hashing import digest, hash_array


@dataclass(frozen=True)
class JointLeaderboard:
    """One leaderboard of several suites on the same rows and truth."""

    runs: tuple[Run, ...]
    leaderboard: Leaderboard


def joint_leaderboards(scored: list[tuple[Run, list[CellResult]]]) -> list[JointLeaderboard]:
    """Rank labelers together wherever suites share rows and truth.

    A cell that several suites share counts once. Two labelers of one name that are not the same cells carry the name of
    their suite.
    """
    groups: dict[str, list[tuple[Run, list[CellResult]]]] = {}
    for run, cell_results in scored:
        for comparison in dict.fromkeys(cell_result.cell.evaluation.comparison for cell_result in cell_results):
            group = [
                cell_result for cell_result in cell_results if cell_result.cell.evaluation.comparison == comparison
            ]
            groups.setdefault(_comparison_key(run, comparison, group), []).append((run, group))
    return [_joint_leaderboard(members) for members in groups.values()]


def _comparison_key(run: Run, comparison: str, cell_results: list[CellResult]) -> str:
    """Hash the rows, truth, splits and ranking that comparable suites share."""
    dataset, suite = run.dataset, run.suite
    rows = [hash_array(array) for array in (dataset.items.ids, dataset.labelled, dataset.y, dataset.groups)]
    if dataset.scores is not None:  # the truth that a train set cuts from them
        rows.append(hash_array(dataset.scores.target))
    evaluations = dict.fromkeys(cell_result.cell.evaluation for cell_result in cell_results)
    splits = sorted(
        [hash_array(evaluation.split.train), hash_array(evaluation.split.test)] for evaluation in evaluations
    )
    ranking = [suite.metrics.primary, suite.protocol]
    return digest(suite.data.path, run.simulated, rows, dataset.n_classes, comparison, splits, ranking)


def _joint_leaderboard(members: list[tuple[Run, list[CellResult]]]) -> JointLeaderboard:
    runs = tuple(run for run, _ in members)
    cells: dict[str, set[frozenset[str]]] = {}  # name -> the different sets of cells of that name
    for _, group in members:
        keys: dict[str, set[str]] = {}
        for cell_result in group:
            keys.setdefault(cell_result.cell.candidate.title, set()).add(cell_result.cell.key)
        for title, keys_of_title in keys.items():
            cells.setdefault(title, set()).add(frozenset(keys_of_title))
    distinct: list[CellResult] = []
    added: set[tuple[str, str]] = set()
    for run, group in members:
        for cell_result in group:
            cell = cell_result.cell
            if len(cells[cell.candidate.title]) > 1:
                title = f"{cell.candidate.title} ({run.suite.name})"
                cell = replace(cell, candidate=replace(cell.candidate, title=title))
            if (cell.candidate.title, cell.key) not in added:
                added.add((cell.candidate.title, cell.key))
                distinct.append(replace(cell_result, cell=cell))
    metrics = runs[0].suite.metrics
    as_record = runs[0].suite.protocol == "record"
    (leaderboard,) = build_leaderboards(
        distinct, metrics.primary, "majority", as_record, lambda cells: evidence_for(runs, cells)
    )
    return JointLeaderboard(runs, leaderboard)
