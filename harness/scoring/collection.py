"""Rank labelers of several suites together, over the same rows."""

from dataclasses import dataclass, replace

from harness.run.runner import Run
from harness.scoring.leaderboard import Comparison, Ending, compare
from harness.scoring.score_run import evidence_for
from harness.utils.hashing import digest, hash_array


@dataclass(frozen=True)
class Contest:
    """What several suites say about the same rows and the same truth."""

    runs: tuple[Run, ...]
    comparison: Comparison


def contests(scored: list[tuple[Run, list[Ending]]]) -> list[Contest]:
    """Rank together the labelers of all suites that were asked about the same rows under the same truth.

    A cell that several suites share counts once. Two labelers of one name that are not the same cells carry the name of
    their suite.
    """
    together: dict[str, list[tuple[Run, list[Ending]]]] = {}
    for run, ended in scored:
        for comparison in dict.fromkeys(ending.cell.evaluation.comparison for ending in ended):
            group = [ending for ending in ended if ending.cell.evaluation.comparison == comparison]
            together.setdefault(_question(run, comparison, group), []).append((run, group))
    return [_contest(members) for members in together.values()]


def _question(run: Run, comparison: str, ended: list[Ending]) -> str:
    """Hash what makes numbers of two suites comparable: rows, truth, splits, and how they are ranked."""
    dataset, suite = run.dataset, run.suite
    rows = [hash_array(array) for array in (dataset.items.ids, dataset.labelled, dataset.y, dataset.groups)]
    evaluations = dict.fromkeys(ending.cell.evaluation for ending in ended)
    splits = sorted(
        [hash_array(evaluation.split.train), hash_array(evaluation.split.test)] for evaluation in evaluations
    )
    how = [suite.metrics.primary, suite.protocol]
    return digest(suite.data.path, run.simulated, rows, dataset.n_classes, comparison, splits, how)


def _contest(members: list[tuple[Run, list[Ending]]]) -> Contest:
    runs = tuple(run for run, _ in members)
    cells: dict[str, set[frozenset[str]]] = {}  # name -> the different sets of cells that go by it
    for _, group in members:
        for title in {ending.cell.candidate.title for ending in group}:
            cells.setdefault(title, set()).add(_keys(group, title))
    distinct: list[Ending] = []
    seen: set[tuple[str, str]] = set()
    for run, group in members:
        for ending in group:
            cell = ending.cell
            if len(cells[cell.candidate.title]) > 1:
                title = f"{cell.candidate.title} ({run.suite.name})"
                cell = replace(cell, candidate=replace(cell.candidate, title=title))
            if (cell.candidate.title, cell.key) not in seen:
                seen.add((cell.candidate.title, cell.key))
                distinct.append(replace(ending, cell=cell))
    metrics = runs[0].suite.metrics
    as_record = runs[0].suite.protocol == "record"
    (comparison,) = compare(distinct, metrics.primary, "majority", as_record, lambda cells: evidence_for(runs, cells))
    return Contest(runs, comparison)


def _keys(group: list[Ending], title: str) -> frozenset[str]:
    return frozenset(ending.cell.key for ending in group if ending.cell.candidate.title == title)
