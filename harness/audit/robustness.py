"""Robustness of a comparison: other truths, fewer test rows, other seeds.

All of it is computed from stored answers.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.audit.duplicates import DuplicateRows
from harness.plugin.protocols import Split
from harness.run.plan import Cell
from harness.run.runner import Run

MAX_SOURCES = 30  # columns of the table without sources
Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]
Score = Callable[[Cell, Labels], float | None]


@dataclass(frozen=True)
class RobustnessTable:
    """Numbers of each labeler of one comparison."""

    comparison: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]  # labeler -> values
    note: str  # what the numbers are
    ranked: bool = True  # whether the columns hold accuracies


def robustness_tables(run: Run, duplicates: Mapping[str, DuplicateRows]) -> Iterator[RobustnessTable]:
    """Yield the tables of every comparison that has finished cells.

    `duplicates` are, by comparison, those of one of its splits.
    """
    comparisons: dict[str, dict[str, list[Cell]]] = {}
    for cell in run.cells:
        if run.store.has(cell.key):
            comparisons.setdefault(cell.evaluation.comparison, {}).setdefault(cell.candidate.title, []).append(cell)
    for comparison, labelers in comparisons.items():
        yield from _under_other_raters(run, comparison, labelers)
        yield from _without_sources(run, comparison, labelers)
        if comparison in duplicates:
            yield from _without_duplicates(run, labelers, duplicates[comparison])
        yield from _between_seeds(run, comparison, labelers)


def mean_accuracies(run: Run) -> dict[str, float]:
    """Return title -> mean accuracy on the suite's first comparison.

    Of labelers with finished cells there.
    """
    by_title: dict[str, list[float | None]] = {}
    for cell in run.cells:
        if cell.evaluation.comparison == run.cells[0].evaluation.comparison and run.store.has(cell.key):
            score = _accuracy(run.store.read(cell.key).labels, _truth(run, cell.evaluation.split))
            by_title.setdefault(cell.candidate.title, []).append(score)
    return {title: mean for title, scores in by_title.items() if (mean := _mean(scores)) is not None}


def _under_other_raters(run: Run, comparison: str, labelers: dict[str, list[Cell]]) -> Iterator[RobustnessTable]:
    """Score against the labels of each rater."""
    data = run.suite.data
    others = [(column, name) for column, name in enumerate(data.listed_raters) if name != data.target]
    if not others:
        return
    scores: dict[str, Score] = {
        "the target": lambda cell, labels: _accuracy(labels, _truth(run, cell.evaluation.split))
    }
    for column, name in others:
        scores[name] = lambda cell, labels, column=column: _accuracy(  # type: ignore[misc]
            labels, _rater_truth(run, cell.evaluation.split, column)
        )
    note = "Accuracy on the same test rows, with the labels of each rater as the truth; in brackets the rank under it."
    yield _table(run, comparison, "Other raters as truth", labelers, scores, note)


def _without_sources(run: Run, comparison: str, labelers: dict[str, list[Cell]]) -> Iterator[RobustnessTable]:
    """Score without the test rows of each source; nothing is trained again."""
    sources = run.dataset.sources
    names = [] if sources is None else [str(name) for name in np.unique(sources)]
    if sources is None or not 1 < len(names) <= MAX_SOURCES:
        return
    scores: dict[str, Score] = {"all": lambda cell, labels: _accuracy(labels, _truth(run, cell.evaluation.split))}
    for name in names:
        scores[f"without {name}"] = lambda cell, labels, name=name: _accuracy(  # type: ignore[misc]
            labels, _truth(run, cell.evaluation.split), sources[cell.evaluation.split.test] != name
        )
    note = (
        "Accuracy without the test rows of each source; in brackets the rank. The labelers were trained with all "
        "sources: the splitter `leave_source_out` trains without."
    )
    yield _table(run, comparison, "One source left out of the test rows", labelers, scores, note)


def _without_duplicates(run: Run, labelers: dict[str, list[Cell]], rows: DuplicateRows) -> Iterator[RobustnessTable]:
    """Score without the test rows that have a duplicate among the train rows."""
    kinds = [kind for kind, mask in rows.masks.items() if mask.any()]
    of_split = {
        title: [cell for cell in cells if cell.evaluation is rows.evaluation] for title, cells in labelers.items()
    }
    of_split = {title: cells for title, cells in of_split.items() if cells}
    if not kinds or not of_split:
        return
    masks: dict[str, Mask] = {"all rows": np.ones(len(rows.evaluation.split.test), np.bool_)}
    for kind in kinds:
        if not rows.searched[kind].all():
            masks[f"searched for {kind}"] = rows.searched[kind]
        masks[f"without {kind}"] = rows.searched[kind] & ~rows.masks[kind]
    scores: dict[str, Score] = {
        f"{name} (n={np.count_nonzero(mask):,})": lambda cell, labels, mask=mask: _accuracy(  # type: ignore[misc]
            labels, _truth(run, cell.evaluation.split), mask
        )
        for name, mask in masks.items()
    }
    note = (
        "Accuracy without the test rows that share it with a train row, of one split alone, that of seed "
        f"{rows.evaluation.split.seed}; in brackets the rank."
    )
    yield _table(run, rows.evaluation.comparison, "Without what the train rows have shown", of_split, scores, note)


def _between_seeds(run: Run, comparison: str, labelers: dict[str, list[Cell]]) -> Iterator[RobustnessTable]:
    """Measure how many labels change with the seed, over all pairs of seeds."""
    rows = []
    for title, cells in labelers.items():
        splits = [(cell, cell.evaluation.split) for cell in cells]
        rates = [
            _flip_rate(run, first, second)
            for (first, a), (second, b) in combinations(splits, 2)
            if a.seed != b.seed and a.fold == b.fold
        ]
        rows.append((title, (_mean(rates), _mean([_oracle_gap(run, cell) for cell in cells]))))
    if any(value is not None for _, values in rows for value in values):
        note = (
            "Flip rate: the share of common test rows whose label differs between two seeds, over all pairs; the seed "
            "also draws the train rows. Oracle gap: what choosing the best checkpoint on the test rows would add."
        )
        yield RobustnessTable(
            comparison, "Seeds and checkpoints", ("flip rate", "oracle gap"), tuple(rows), note, ranked=False
        )


def _flip_rate(run: Run, first: Cell, second: Cell) -> float | None:
    """Return the share of common test rows that two cells label differently."""
    rows, in_first, in_second = np.intersect1d(first.evaluation.split.test, second.evaluation.split.test, True, True)
    if not len(rows):
        return None
    return float((run.store.read(first.key).labels[in_first] != run.store.read(second.key).labels[in_second]).mean())


def _oracle_gap(run: Run, cell: Cell) -> float | None:
    """Return the best checkpoint's test accuracy minus the answer's."""
    result, truth = run.store.read(cell.key), _truth(run, cell.evaluation.split)
    if not result.checkpoints:
        return None
    best = max(float((labels == truth).mean()) for labels in result.checkpoints.values())
    return best - float((result.labels == truth).mean())


def _table(
    run: Run, comparison: str, title: str, labelers: dict[str, list[Cell]], scores: Mapping[str, Score], note: str
) -> RobustnessTable:
    """Return the mean score over the cells of each labeler, the best first."""
    rows = []
    for labeler, cells in labelers.items():
        answers = [(cell, run.store.read(cell.key).labels) for cell in cells]
        values = [_mean([score(cell, labels) for cell, labels in answers]) for score in scores.values()]
        rows.append((labeler, tuple(values)))
    rows.sort(key=lambda row: (-(row[1][0] or 0), row[0]))
    return RobustnessTable(comparison, title, tuple(scores), tuple(rows), note)


def _mean(values: list[float | None]) -> float | None:
    """Return the mean of those values that are not None; None where all are."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


def _truth(run: Run, split: Split) -> NDArray[np.int64]:
    dataset = run.dataset.cut_by(split.train)
    return dataset.y[dataset.positions(split.test)]


def _rater_truth(run: Run, split: Split, column: int) -> NDArray[np.int64]:
    dataset = run.dataset.cut_by(split.train)
    assert dataset.raters is not None  # of a suite that names raters
    return np.asarray(dataset.raters[dataset.positions(split.test), column])


def _accuracy(labels: Labels, truth: NDArray[np.int64], mask: Mask | None = None) -> float | None:
    hits = labels == truth if mask is None else (labels == truth)[mask]
    return float(hits.mean()) if len(hits) else None
