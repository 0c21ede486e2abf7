"""Label agreement of a block: how often nearest neighbours share a class."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.plugin.block import Block, Rows, fuse
from harness.search.neighbors import nearest, normalize


@dataclass(frozen=True)
class Neighborhood:
    """Mean cosine and label agreement of the neighbours of some rows."""

    kind: str  # "all", "class" or "source"
    name: str  # of the class or of the source
    rows: int
    cosine: float  # mean cosine of a row to its neighbours
    match: float  # share of neighbours that have the row's label
    chance: float  # the same share among all rows: over all of them, the sum of the squared class shares

    @property
    def lift(self) -> float:
        """Return the ratio of the match to the match by chance."""
        return self.match / self.chance


def diagnose(
    block: Block,
    rows: Rows,
    y: NDArray[np.int64],
    copies: Rows,
    sources: NDArray[Any] | None,
    k: int,
    progress: Callable[[int], None],
) -> list[Neighborhood]:
    """Measure cosine and label agreement of each row's `k` nearest neighbours.

    The search among the labelled `rows` (n,) is exact, by cosine; features are z-scored over these rows. Rows with the
    same number in `copies` (n,) are copies: a row is a neighbour neither of itself nor of a copy. `sources` (n,) are
    names. `progress` gets the number of rows done.

    Returns all rows first, then each class, then each source. Raises DataError where there are not two different rows.
    """
    if len(np.unique(copies)) < 2:
        raise DataError(f"a diagnosis needs two different rows with a label, there is {len(np.unique(copies))}")
    (X,) = fuse([block], rows, rows)
    similarity, index = nearest(normalize(X), copies, len(rows), 0, k, progress)
    real = np.isfinite(similarity)  # fewer than k where there are fewer others
    count = real.sum(axis=1)
    cosine = np.where(real, similarity, 0).sum(axis=1, dtype=np.float64) / count
    match = ((y[index] == y[:, None]) & real).sum(axis=1) / count
    chance = (np.bincount(y) / len(y))[y]

    def average(kind: str, name: str, mask: NDArray[np.bool_]) -> Neighborhood:
        means = [float(values[mask].mean()) for values in (cosine, match, chance)]
        return Neighborhood(kind, name, int(mask.sum()), *means)

    groups = [average("all", "", np.ones(len(rows), np.bool_))]
    groups += [average("class", str(c), y == c) for c in np.unique(y)]
    if sources is not None:
        groups += [average("source", str(source), sources == source) for source in np.unique(sources)]
    return groups
