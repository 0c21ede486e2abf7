"""One locked test set, nested train sets: the recommended split."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import Labelled, Split, hookimpl
from harness_plugins.splitters._units import check_ratios, hashed_order, units


@dataclass(frozen=True)
class Nested:
    """One locked test set for every ratio and seed.

    The seed orders the nested train sets only.
    """

    name: ClassVar[str] = "nested"

    ratios: tuple[float, ...]  # train rows as shares of all labelled rows
    test: float = 0.2  # share of the labelled rows (whole groups) that is locked away for testing

    def __post_init__(self) -> None:
        if not 0 < self.test < 1:
            raise ValueError(f"test must be between 0 and 1, got {self.test:g}")
        check_ratios(self.ratios, below=1 - self.test)

    def splits(self, dataset: Labelled, seed: int) -> Iterator[Split]:
        """Yield a split per ratio; the test set depends on the ids alone.

        Labelled rows in neither set are spare.
        """
        names, unit = units(dataset)
        sizes = np.bincount(unit, minlength=len(names))
        n = len(unit)
        locked = _first(hashed_order(names, "test"), sizes, round(n * self.test))
        rest = np.setdiff1d(np.arange(len(names)), locked)
        order = rest[hashed_order(names[rest], f"train {seed}")]
        testing = np.isin(unit, locked)
        for ratio in self.ratios:
            training = np.isin(unit, _first(order, sizes, round(n * ratio)))
            spare = ~training & ~testing
            yield Split(dataset.rows[training], dataset.rows[testing], dataset.rows[spare], seed, ratio)


def _first(order: np.ndarray, sizes: np.ndarray, n: int) -> np.ndarray:
    """Take units in order while they fit into n rows; at least one."""
    fitting = int(np.searchsorted(np.cumsum(sizes[order]), n, side="right"))
    return order[: max(fitting, 1)]


@hookimpl
def harness_splitters():
    return [Nested]
