"""What the confidence of finished cells is worth, one split at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.plugin.protocols import Split
from harness.scoring.evidence import AnswerSource
from harness.scoring.leaderboard import CellResult
from harness.scoring.stacks import stacks
from harness.statistics import selective
from harness.statistics.selective import Threshold


@dataclass(frozen=True, eq=False)
class CellConfidence:
    """Accuracy of one cell's answers by their confidence."""

    accuracies: NDArray[np.float64]  # (COVERAGE_STEPS,) of the most confident rows
    aurc: float
    bins: NDArray[np.float64]  # (3, bins), see `reliability_sums`
    accepted: Threshold


def measure_confidence(
    source: AnswerSource, cell_results: Iterable[CellResult], target: float
) -> Mapping[str, CellConfidence]:
    """Return the confidence of cells by key; `target` is an accuracy."""
    by_split: dict[int, list[CellResult]] = {}
    for cell_result in cell_results:
        by_split.setdefault(id(cell_result.cell.evaluation), []).append(cell_result)
    return {
        key: confidence
        for group in by_split.values()
        for key, confidence in _of_split(
            source, group[0].cell.evaluation.split, [cell_result.cell.key for cell_result in group], target
        )
    }


def _of_split(
    source: AnswerSource, split: Split, keys: Sequence[str], target: float
) -> Iterator[tuple[str, CellConfidence]]:
    y = source.truth(split).y
    unit = None if source.groups is None else source.groups[split.test]
    for stack in stacks(keys, len(y) * source.n_classes):
        results = [source.read(key) for key in stack]
        confidence = np.stack([selective.top_probability(result.proba) for result in results])
        hit = np.stack([result.labels for result in results]) == y
        accuracies = selective.accuracy_by_coverage(confidence, hit)
        areas, bins = selective.aurc(confidence, hit).tolist(), selective.reliability_sums(confidence, hit)
        for i, key in enumerate(stack):
            accepted = selective.find_threshold(confidence[i], hit[i], target, unit)
            yield key, CellConfidence(accuracies[i], areas[i], bins[i], accepted)
