"""Whether one set of rows is a fair sample of another: class by class, source by source."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.run.plan import EvaluationSplit

ALPHA = 1e-3  # a p-value below this is no accident
MIN_EFFECT_SIZE = 0.1  # Cohen's w of a small effect: with 300,000 rows every difference is significant


@dataclass(frozen=True)
class PopulationShift:
    """How the rows of one side are spread over the classes or the sources, against the other side."""

    what: str  # "population against the file"
    by: str  # class or source
    p: float  # of Pearson's chi-square
    w: float  # Cohen's w: the root of the sum of (share - expected share)^2 / expected share
    rows: int  # of the first side
    others: int

    @property
    def chance(self) -> str:
        """The p-value as text: "= 0.02", or "< 1e-300" where a float holds no less."""
        return f"= {self.p:.1g}" if self.p >= 1e-300 else "< 1e-300"

    @property
    def shifted(self) -> bool:
        """Whether it is neither an accident nor too small to matter."""
        return self.p < ALPHA and self.w >= MIN_EFFECT_SIZE


def find_shifts(dataset: Dataset, full: Dataset, evaluations: list[EvaluationSplit]) -> Iterator[PopulationShift]:
    """Compare the population with the rest of its file, labelled rows with the others, and train rows with test rows.

    `full` is the same file with every row taken. Of the cuts, one for each comparison is enough.
    """
    if not np.array_equal(dataset.items.rows, full.items.rows):
        outside = ~np.isin(full.items.rows[full.labelled], dataset.items.rows)
        yield from _compare_both("population against the file", "class", dataset.y, full.y[outside])
        if dataset.sources is not None and full.sources is not None:
            left = ~np.isin(full.items.rows, dataset.items.rows)
            yield from _compare_both("population against the file", "source", dataset.sources, full.sources[left])
    labelled = np.isin(np.arange(len(dataset)), dataset.labelled)
    if dataset.sources is not None:
        yield from _compare_both("labelled rows against the others", "source", *_split_by(dataset.sources, labelled))
    for evaluation in evaluations:
        sides = evaluation.split.train, evaluation.split.test
        what = f"train against test, {evaluation}"
        yield from _compare_both(what, "class", *(dataset.y[dataset.positions(rows)] for rows in sides))
        if dataset.sources is not None:
            yield from _compare_both(what, "source", *(dataset.sources[rows] for rows in sides))


def compare_samples(what: str, by: str, one: NDArray[Any], other: NDArray[Any]) -> PopulationShift | None:
    """Compare the categories of two sets of rows, (n,) and (m,); None where there is nothing to compare.

    Pearson's chi-square for a 2 x k table says how likely two fair samples of one pool are as different as these; the
    effect is Cohen's w (1988) of the first against both together.
    """
    names, place = np.unique(np.concatenate([one, other]), return_inverse=True)
    if len(names) < 2 or not len(one) or not len(other):
        return None
    from scipy.stats import chi2

    sides = place[: len(one)], place[len(one) :]
    counts = np.stack([np.bincount(side, minlength=len(names)) for side in sides])
    together = counts.sum(axis=0)
    expected = together / together.sum()
    ideal = counts.sum(axis=1, keepdims=True) * expected
    statistic = float(((counts - ideal) ** 2 / ideal).sum())
    share = counts[0] / counts[0].sum()
    w = float(np.sqrt(((share - expected) ** 2 / expected).sum()))
    return PopulationShift(what, by, float(chi2.sf(statistic, len(names) - 1)), w, len(one), len(other))


def _compare_both(what: str, by: str, one: NDArray[Any], other: NDArray[Any]) -> Iterator[PopulationShift]:
    found = compare_samples(what, by, one, other)
    if found is not None:
        yield found


def _split_by(values: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
    return values[mask], values[~mask]
