"""What a comparison is worth under another truth, without some rows, with another seed: all from stored answers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.audit.duplicates import DuplicateRows
from harness.plugin.protocols import Split
from harness.run.plan import Cell
from harness.run.runner import Run

MAX_SOURCES = 30  # as on a board
Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]
Score = Callable[[Cell, Labels], float | None]


@dataclass(frozen=True)
class RobustnessTable:
    """Numbers of each labeler of one comparison; columns that hold accuracies can be ranked."""

    comparison: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]  # labeler -> values
    about: str
    ranked: bool = True


def robustness_tables(run: Run, shown: Mapping[str, DuplicateRows]) -> Iterator[RobustnessTable]:
    """Yield the tables of every comparison that has finished cells. `shown` is of one split of each comparison."""
    groups: dict[str, dict[str, list[Cell]]] = {}
    for cell in run.cells:
        if run.store.has(cell.key):
            groups.setdefault(cell.evaluation.comparison, {}).setdefault(cell.candidate.title, []).append(cell)
    for comparison, labelers in groups.items():
        yield from _under_other_raters(run, comparison, labelers)
        yield from _without_sources(run, comparison, labelers)
        if comparison in shown:
            yield from _without_duplicates(run, labelers, shown[comparison])
        yield from _between_seeds(run, comparison, labelers)


def _under_other_raters(run: Run, comparison: str, labelers: dict[str, list[Cell]]) -> Iterator[RobustnessTable]:
    """Score against what each rater has said of the test rows."""
    data, raters = run.suite.data, run.dataset.raters
    others = [(place, name) for place, name in enumerate(data.raters) if name != data.target]
    if raters is None or not others:
        return
    scores: dict[str, Score] = {
        "the target": lambda cell, labels: _accuracy(labels, _truth(run, cell.evaluation.split))
    }
    for place, name in others:
        scores[name] = lambda cell, labels, place=place: _accuracy(  # type: ignore[misc]
            labels, raters[run.dataset.positions(cell.evaluation.split.test), place]
        )
    about = "Accuracy on the same test rows, with the labels of each rater as the truth; in brackets the rank under it."
    yield _table(run, comparison, "Other raters as truth", labelers, scores, about)


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
    about = (
        "Accuracy without the test rows of each source; in brackets the rank. The labelers were trained with all "
        "sources: the splitter `leave_source_out` trains without."
    )
    yield _table(run, comparison, "One source left out of the test rows", labelers, scores, about)


def _without_duplicates(run: Run, labelers: dict[str, list[Cell]], shown: DuplicateRows) -> Iterator[RobustnessTable]:
    """Score without the test rows that the train rows have shown."""
    names = [name for name, mask in shown.masks.items() if mask.any()]
    here = {title: [cell for cell in cells if cell.evaluation is shown.evaluation] for title, cells in labelers.items()}
    here = {title: cells for title, cells in here.items() if cells}
    if not names or not here:
        return
    kept: dict[str, Mask] = {"all rows": np.ones(len(shown.evaluation.split.test), np.bool_)}
    for name in names:
        if not shown.searched[name].all():
            kept[f"searched for {name}"] = shown.searched[name]
        kept[f"without {name}"] = shown.searched[name] & ~shown.masks[name]
    scores: dict[str, Score] = {
        f"{name} (n={np.count_nonzero(mask):,})": lambda cell, labels, mask=mask: _accuracy(  # type: ignore[misc]
            labels, _truth(run, cell.evaluation.split), mask
        )
        for name, mask in kept.items()
    }
    one = f"of one split alone, that of seed {shown.evaluation.split.seed}"
    about = f"Accuracy without the test rows that share it with a train row, {one}; in brackets the rank."
    yield _table(run, shown.evaluation.comparison, "Without what the train rows have shown", here, scores, about)


def _between_seeds(run: Run, comparison: str, labelers: dict[str, list[Cell]]) -> Iterator[RobustnessTable]:
    """Count the labels that change with the seed, over all pairs of seeds and the test rows both have."""
    rows = []
    for title, cells in labelers.items():
        rates = [_flips(run, one, other) for one, other in combinations(cells, 2) if _other_seed(one, other)]
        known = [rate for rate in rates if rate is not None]
        rows.append((title, (float(np.mean(known)) if known else None, _gap(run, cells))))
    if any(value is not None for _, values in rows for value in values):
        about = (
            "Flip rate: the share of common test rows whose label differs between two seeds, over all pairs; the seed "
            "also draws the train rows. Oracle gap: what choosing the best checkpoint on the test rows would add."
        )
        yield RobustnessTable(
            comparison, "Seeds and checkpoints", ("flip rate", "oracle gap"), tuple(rows), about, ranked=False
        )


def _other_seed(one: Cell, other: Cell) -> bool:
    return (
        one.evaluation.split.seed != other.evaluation.split.seed
        and one.evaluation.split.fold == other.evaluation.split.fold
    )


def _flips(run: Run, one: Cell, other: Cell) -> float | None:
    rows, first, second = np.intersect1d(one.evaluation.split.test, other.evaluation.split.test, True, True)
    if not len(rows):
        return None
    differ = run.store.read(one.key).labels[first] != run.store.read(other.key).labels[second]
    return float(differ.mean())


def _gap(run: Run, cells: list[Cell]) -> float | None:
    """Mean over the cells of the best checkpoint's accuracy on the test rows less the answer's."""
    gaps = []
    for cell in cells:
        result, truth = run.store.read(cell.key), _truth(run, cell.evaluation.split)
        if result.checkpoints:
            best = max(float((labels == truth).mean()) for labels in result.checkpoints.values())
            gaps.append(best - float((result.labels == truth).mean()))
    return float(np.mean(gaps)) if gaps else None


def _table(
    run: Run, comparison: str, title: str, labelers: dict[str, list[Cell]], scores: Mapping[str, Score], about: str
) -> RobustnessTable:
    """Score every cell in every way, and take the mean over the cells of a labeler."""
    rows = []
    for labeler, cells in labelers.items():
        answers = [(cell, run.store.read(cell.key).labels) for cell in cells]
        found = [[score(cell, labels) for cell, labels in answers] for score in scores.values()]
        known = [[value for value in values if value is not None] for values in found]
        rows.append((labeler, tuple(float(np.mean(values)) if values else None for values in known)))
    rows.sort(key=lambda row: (-(row[1][0] or 0), row[0]))
    return RobustnessTable(comparison, title, tuple(scores), tuple(rows), about)


def _truth(run: Run, split: Split) -> NDArray[np.int64]:
    return run.dataset.y[run.dataset.positions(split.test)]


def _accuracy(labels: Labels, truth: NDArray[np.int64], mask: Mask | None = None) -> float | None:
    hits = labels == truth if mask is None else (labels == truth)[mask]
    return float(hits.mean()) if len(hits) else None
