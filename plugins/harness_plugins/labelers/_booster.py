"""The answer of boosted trees: in stages, and as a rule."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness import Block, BlockScaler
from harness_plugins.labelers._categories import Categories

if TYPE_CHECKING:
    from lightgbm import Booster

CHECKPOINT_ROUNDS = 50  # rounds from one checkpoint to the next
PREDICTED_ROWS = 16_384  # rows answered at a time


@dataclass(frozen=True, eq=False)
class Trees:
    """The rounds of a booster that answer."""

    booster: "Booster"
    rounds: int
    chosen: bool  # by validation; else the answer is summed in stages, which are checkpoints
    categories: Categories

    @property
    def stages(self) -> list[int]:
        """The last round of each stage."""
        return [min(start + CHECKPOINT_ROUNDS, self.rounds) for start in range(0, self.rounds, CHECKPOINT_ROUNDS)]

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return (rows, C) probabilities of X (rows, d)."""
        if self.chosen:
            return self.booster.predict(self.categories.merge(X), num_iteration=self.rounds)
        *_, raw = self.add_stages(X)
        return softmax(raw)

    def add_stages(self, X: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the sum (rows, C) after each stage; trees are walked once."""
        total, X = 0.0, self.categories.merge(X)
        for start in range(0, self.rounds, CHECKPOINT_ROUNDS):
            total = total + self.booster.predict(
                X, start_iteration=start, num_iteration=CHECKPOINT_ROUNDS, raw_score=True
            )
            yield total


@dataclass(frozen=True, eq=False)
class GBMRule:
    """The trees, as LightGBM writes them to a text file."""

    scaler: BlockScaler
    model: np.ndarray  # (bytes,) uint8, the text
    rounds: int
    chosen: bool
    n_classes: int
    categories: Categories

    def label(self, blocks: Mapping[str, Block], rows: np.ndarray) -> np.ndarray:
        from lightgbm import Booster

        booster = Booster(model_str=self.model.tobytes().decode())
        trees = Trees(booster, self.rounds, self.chosen, self.categories)
        proba = np.empty((len(rows), self.n_classes))
        for place, part in self.scaler.parts(blocks, rows, PREDICTED_ROWS):
            proba[place] = trees.predict(part)
        return proba


def softmax(raw: np.ndarray) -> np.ndarray:
    """Return (rows, C) probabilities of scores (rows, C)."""
    weight = np.exp(raw - raw.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)
