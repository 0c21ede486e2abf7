"""Population shifts: the mix of classes and sources in two sets of rows."""

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
    """The mix of classes or sources in one sample, compared with another's."""

    samples: str  # "population against the file"
    by: str  # class or source
    p: float  # of Pearson's chi-square
    w: float  # Cohen's w: the root of the sum of (share - expected share)^2 / expected share
    rows: int  # of the first sample
    others: int  # rows of the second

    @property
    def chance(self) -> str:
        """The p-value as text: "= 0.02", or "< 1e-300" for any less."""
        return f"= {self.p:.1g}" if self.p >= 1e-300 else "< 1e-300"

    @property
    def shifted(self) -> bool:
        """Whether the shift is significant and not too small to matter."""
        return self.p < ALPHA and self.w >= MIN_EFFECT_SIZE


def find_shifts(dataset: Dataset, full: Dataset, evaluations: list[EvaluationSplit]) -> Iterator[PopulationShift]:
    """Compare the population with its file, and train rows with test rows.

    Where the rows have a source, the labelled rows are compared with the others, too. `full` is the dataset of the same
    file with every row taken. Of `evaluations`, one of each comparison is enough.
    """
    if not np.array_equal(dataset.items.rows, full.items.rows):
        samples = "population against the file"
        outside = ~np.isin(full.items.rows, dataset.items.rows)
        yield from _compare(samples, "class", dataset.y, full.y[outside[full.labelled]])
        if dataset.sources is not None and full.sources is not None:
            yield from _compare(samples, "source", dataset.sources, full.sources[outside])
    if dataset.sources is not None:
        labelled = np.isin(np.arange(len(dataset)), dataset.labelled)
        first, second = dataset.sources[labelled], dataset.sources[~labelled]
        yield from _compare("labelled rows against the others", "source", first, second)
    for evaluation in evaluations:
        sides = evaluation.split.train, evaluation.split.test
        samples = f"train against test, {evaluation}"
        yield from _compare(samples, "class", *(dataset.y[dataset.positions(rows)] for rows in sides))
        if dataset.sources is not None:
            yield from _compare(samples, "source", *(dataset.sources[rows] for rows in sides))


def compare_samples(samples: str, by: str, first: NDArray[Any], second: NDArray[Any]) -> PopulationShift | None:
    """Compare the categories (n,) and (m,) of two samples; None of only one.

    Pearson's chi-square for a 2 x k table gives the chance that two fair samples of one pool are as different as these;
    the effect is Cohen's w (1988) of the first against both together.
    """
    names, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    if len(names) < 2 or not len(first) or not len(second):
        return None
    from scipy.stats import chi2

    sides = codes[: len(first)], codes[len(first) :]
    counts = np.stack([np.bincount(side, minlength=len(names)) for side in sides])
    together = counts.sum(axis=0)
    expected_share = together / together.sum()
    expected = counts.sum(axis=1, keepdims=True) * expected_share
    statistic = float(((counts - expected) ** 2 / expected).sum())
    share = counts[0] / counts[0].sum()
    w = float(np.sqrt(((share - expected_share) ** 2 / expected_share).sum()))
    return PopulationShift(samples, by, float(chi2.sf(statistic, len(names) - 1)), w, len(first), len(second))


def _compare(samples: str, by: str, first: NDArray[Any], second: NDArray[Any]) -> Iterator[PopulationShift]:
    shift = compare_samples(samples, by, first, second)
    if shift is not None:
        yield shift
