"""The record's split: a prefix of a permutation trains."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import Labelled, Split, hookimpl
from harness_plugins.splitters._units import check_ratios, units


@dataclass(frozen=True)
class Prefix:
    """A growing prefix of one NumPy permutation trains, the rest tests.

    It is the record's split.
    """

    name: ClassVar[str] = "prefix"

    ratios: tuple[float, ...]  # shares of the labelled rows that train

    def __post_init__(self) -> None:
        check_ratios(self.ratios)

    def splits(self, dataset: Labelled, seed: int) -> Iterator[Split]:
        """Yield nested train sets, each with all other rows as test set.

        Groups, where there are any, are permuted whole.
        """
        names, unit = units(dataset)
        place = np.empty(len(names), np.int64)
        place[np.random.default_rng(seed).permutation(len(names))] = np.arange(len(names))
        rank = place[unit]  # (n,)
        order = np.argsort(rank, kind="stable")
        n = len(order)
        for ratio in self.ratios:
            n_train = min(max(round(n * ratio), 1), n - 1)
            # A unit that the cut would divide goes to the test side, unless it is the first.
            last = max(rank[order[n_train]], rank[order[0]] + 1)
            train = rank < last
            yield Split(dataset.rows[train], dataset.rows[~train], np.empty(0, np.int64), seed, ratio)


@hookimpl
def harness_splitters():
    return [Prefix]
