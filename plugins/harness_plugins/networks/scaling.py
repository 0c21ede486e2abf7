"""The inputs of a network: blocks side by side, each on its scale."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from harness import Block, BlockScaler, On, Task
from harness_plugins._whitening import Whitening

Scale = Literal["none", "standard", "whiten", "auto"]

WHITENED_DIMS = 256  # axes of a whitened block, at most: the default of `rescaled`
UNEVEN = 10.0  # times apart: from here on `auto` standardises
FITTED_ROWS = 8_192  # rows at a time


@dataclass(frozen=True, eq=False)
class InputScaler:
    """Blocks side by side, scaled as on the rows learnt from.

    Features are always z-scored. An embedding is left as it is (``none``), z-scored too (``standard``), or turned to
    its principal axes (``whiten``).
    """

    blocks: BlockScaler
    whitenings: tuple[Whitening | None, ...]  # of each block; None: it keeps its columns

    @classmethod
    def fit(cls, task: Task, on: On, scale: Scale) -> Self:
        """Fit each block's scale on the labelled rows alone."""
        blocks = BlockScaler.fit(task, on)
        none = (None,) * len(blocks.on)
        if scale == "auto":
            scale = "standard" if is_uneven(root_mean_squares(blocks, task)) else "none"
        if scale == "whiten" and len(task.labelled) > 1:
            return cls(blocks, tuple(_whitening(task, name) for name in blocks.on))
        if scale == "standard":
            as_features = {name: replace(task.blocks[name], kind="feature") for name in blocks.on}
            blocks = BlockScaler.fit(replace(task, blocks={**task.blocks, **as_features}), on)
        return cls(blocks, none)

    @property
    def width(self) -> int:
        """The number of inputs d."""
        pairs = zip(self.blocks.widths, self.whitenings, strict=True)
        return sum(width if whitening is None else whitening.width for width, whitening in pairs)

    def parts(self, blocks: Mapping[str, Block], rows: np.ndarray, size: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the inputs of `rows` in parts: (slice, (size, d) float32)."""
        for place, part in self.blocks.parts(blocks, rows, size):
            yield place, part if not any(self.whitenings) else self._whiten(part)

    def _whiten(self, part: np.ndarray) -> np.ndarray:
        columns = np.split(part, np.cumsum(self.blocks.widths)[:-1], axis=1)
        pairs = zip(columns, self.whitenings, strict=True)
        return np.hstack([own if whitening is None else whitening.transform(own) for own, whitening in pairs])


def root_mean_squares(blocks: BlockScaler, task: Task) -> list[float]:
    """Return the root mean square of each block over the labelled rows."""
    squares = np.zeros(len(blocks.widths))
    starts = np.cumsum((0, *blocks.widths[:-1]))
    for _, part in blocks.parts(task.blocks, task.labelled, FITTED_ROWS):
        squares += np.add.reduceat(np.square(part, dtype=np.float64).sum(axis=0), starts)
    return np.sqrt(squares / np.array(blocks.widths) / len(task.labelled)).tolist()


def is_uneven(scales: list[float]) -> bool:
    """Return True if one of several scales is UNEVEN times another."""
    positive = [scale for scale in scales if scale > 0]  # a block of zeros has none
    return len(positive) > 1 and max(positive) >= UNEVEN * min(positive)


def _whitening(task: Task, name: str) -> Whitening | None:
    block = task.blocks[name]
    return Whitening.fit(block.array[task.labelled], WHITENED_DIMS) if block.kind == "embedding" else None
