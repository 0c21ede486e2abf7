"""What a block knows of the labels before anything is trained on it: how often near rows are of one class."""

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
    """The neighbours of some rows: of all of them, of a class, or of a source."""

    kind: str  # all, class or source
    name: str  # of the class or of the source
    rows: int
    cosine: float  # mean cosine of a row to its neighbours
    match: float  # share of neighbours that have the row's label
    chance: float  # the same share among all rows: over all of them, the sum of the squared class shares

    @property
    def lift(self) -> float:
        """How many times more neighbours have the row's label than chance would give it."""
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
    """Look at the `k` nearest of the labelled `rows` (n,) of each of them, exactly, by cosine.

    Features are z-scored over these rows. `copies` (n,) numbers them by where they come from: a row is a neighbour
    neither of itself nor of a copy. `sources` (n,) are names. `progress` is told how many rows are done.

    Returns all rows first, then each class, then each source. Raises DataError where there are not two different rows.
    """
    if len(np.unique(copies)) < 2:
        raise DataError(f"a diagnosis needs two different rows with a label, there is {len(np.unique(copies))}")
    (X,) = fuse([block], rows, rows)
    similarity, index = nearest(normalize(X), copies, len(rows), 0, k, progress)
    found = np.isfinite(similarity)  # fewer than k where there are fewer others
    count = found.sum(axis=1)
    cosine = np.where(found, similarity, 0).sum(axis=1, dtype=np.float64) / count
    match = ((y[index] == y[:, None]) & found).sum(axis=1) / count
    chance = (np.bincount(y) / len(y))[y]

    def over(kind: str, name: str, mask: NDArray[np.bool_]) -> Neighborhood:
        means = [float(values[mask].mean()) for values in (cosine, match, chance)]
        return Neighborhood(kind, name, int(mask.sum()), *means)

    groups = [over("all", "", np.ones(len(rows), np.bool_))]
    groups += [over("class", str(c), y == c) for c in np.unique(y)]
    if sources is not None:
        groups += [over("source", str(source), sources == source) for source in np.unique(sources)]
    return groups
