"""Cross-validation: every labelled row is tested once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import Labelled, Split, hookimpl
from harness_plugins.splitters._units import hashed_order, units


@dataclass(frozen=True)
class KFold:
    """Every row (or group) is tested in exactly one of the folds."""

    name: ClassVar[str] = "kfold"

    folds: int = 5

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2, got {self.folds}")

    def splits(self, dataset: Labelled, seed: int) -> Iterator[Split]:
        names, unit = units(dataset)
        if len(names) < self.folds:
            raise ValueError(f"{self.folds} folds need as many rows (or groups), there are {len(names)}")
        dealt = np.empty(len(names), np.int64)
        dealt[hashed_order(names, f"fold {seed}")] = np.arange(len(names)) % self.folds
        for fold in range(self.folds):
            testing = dealt[unit] == fold
            empty = np.empty(0, np.int64)
            yield Split(dataset.rows[~testing], dataset.rows[testing], empty, seed, 1 - 1 / self.folds, fold)


@hookimpl
def harness_splitters():
    return [KFold]
