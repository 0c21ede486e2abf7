"""The rule that gives every row the same probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness import Block


@dataclass(frozen=True, eq=False)
class ConstantRule:
    """The same probabilities for every row."""

    share: np.ndarray  # (C,)

    def label(self, blocks: Mapping[str, Block], rows: np.ndarray) -> np.ndarray:
        return np.tile(self.share, (len(rows), 1))
