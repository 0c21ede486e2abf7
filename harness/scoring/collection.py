"""Rank labelers of several suites together, over the same rows."""

from dataclasses import dataclass, replace

from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult, Leaderboard, build_leaderboards
from harness.scoring.score_run import evidence_for
from harness.utils.hashing import digest, hash_array


@dataclass(frozen=True)
class JointLeaderboard:
    """What several suites say about the same rows and the same truth."""

    runs: tuple[Run, ...]
    leaderboard: Leaderboard


def joint_leaderboards(scored: list[tuple[Run, list[CellResult]]]) -> list[JointLeaderboard]:
    """Rank together the labelers of all suites that were asked about the same rows under the same truth.

    A cell that several suites share counts once. Two labelers of one name that are not the same cells carry the name of
    their suite.
    """
    together: dict[str, list[tuple[Run, list[CellResult]]]] = {}
    for run, cell_results in scored:
        for comparison in dict.fromkeys(cell_result.cell.evaluation.comparison for cell_result in cell_results):
            group = [
                cell_result for cell_result in cell_results if cell_result.cell.evaluation.comparison == comparison
            ]
            together.setdefault(_comparison_key(run, comparison, group), []).append((run, group))
    return [_joint_leaderboard(members) for members in together.values()]


def _comparison_key(run: Run, comparison: str, cell_results: list[CellResult]) -> str:
    """Hash what makes numbers of two suites comparable: rows, truth, splits, and how they are ranked."""
    dataset, suite = run.dataset, run.suite
    rows = [hash_array(array) for array in (dataset.items.ids, dataset.labelled, dataset.y, dataset.groups)]
    evaluations = dict.fromkeys(cell_result.cell.evaluation for cell_result in cell_results)
    splits = sorted(
        [hash_array(evaluation.split.train), hash_array(evaluation.split.test)] for evaluation in evaluations
    )
    how = [suite.metrics.primary, suite.protocol]
    return digest(suite.data.path, run.simulated, rows, dataset.n_classes, comparison, splits, how)


def _joint_leaderboard(members: list[tuple[Run, list[CellResult]]]) -> JointLeaderboard:
    runs = tuple(run for run, _ in members)
    cells: dict[str, set[frozenset[str]]] = {}  # name -> the different sets of cells that go by it
    for _, group in members:
        for title in {cell_result.cell.candidate.title for cell_result in group}:
            cells.setdefault(title, set()).add(_keys(group, title))
    distinct: list[CellResult] = []
    seen: set[tuple[str, str]] = set()
    for run, group in members:
        for cell_result in group:
            cell = cell_result.cell
            if len(cells[cell.candidate.title]) > 1:
                title = f"{cell.candidate.title} ({run.suite.name})"
                cell = replace(cell, candidate=replace(cell.candidate, title=title))
            if (cell.candidate.title, cell.key) not in seen:
                seen.add((cell.candidate.title, cell.key))
                distinct.append(replace(cell_result, cell=cell))
    metrics = runs[0].suite.metrics
    as_record = runs[0].suite.protocol == "record"
    (leaderboard,) = build_leaderboards(
        distinct, metrics.primary, "majority", as_record, lambda cells: evidence_for(runs, cells)
    )
    return JointLeaderboard(runs, leaderboard)


def _keys(group: list[CellResult], title: str) -> frozenset[str]:
    return frozenset(cell_result.cell.key for cell_result in group if cell_result.cell.candidate.title == title)
