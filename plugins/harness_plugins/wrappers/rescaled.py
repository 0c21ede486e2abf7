"""Centred, standardised or whitened blocks for a base."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from harness import Block, Labeler, On, Predictions, Task, hookimpl
from harness_plugins._whitening import Whitening
from harness_plugins.wrappers._answer import answer

TRANSFORMED_ROWS = 16_384  # rows transformed at a time


@dataclass(frozen=True)
class Rescaled:
    """The base, given the blocks `on` rescaled and every other block as it is.

    Means, deviations and directions are those of the labelled rows. ``whiten`` turns a block to its principal axes and
    gives each of them deviation 1, so that cosines no longer follow the few directions in which all rows agree.
    """

    name: ClassVar[str] = "rescaled"
    preload: ClassVar[tuple[str, ...]] = ("sklearn.decomposition", "sklearn.preprocessing")

    base: Labeler
    on: On
    how: Literal["asis", "center", "standard", "whiten"] = "standard"
    dims: int = 256  # of a whitened block: principal axes kept, at most n - 1 and d
    factor: float = 1.0  # the rescaled block counts so much beside the others

    def __post_init__(self) -> None:
        if self.dims < 1:
            raise ValueError(f"dims must be at least 1, got {self.dims}")
        if not 0 < self.factor < np.inf:
            raise ValueError(f"factor must be positive, got {self.factor}")

    def label(self, task: Task) -> Predictions:
        names = (self.on,) if isinstance(self.on, str) else self.on
        made = {
            name: self._rescale(block, task.labelled) for name, block in zip(names, task.chosen(self.on), strict=True)
        }
        return answer(self.base, replace(task, blocks={**task.blocks, **made}))

    def _rescale(self, block: Block, labelled: np.ndarray) -> Block:
        scaler = self._scaler(np.asarray(block.array[labelled], np.float64))
        parts = [
            self.factor * scaler.transform(block.array[start : start + TRANSFORMED_ROWS])
            for start in range(0, len(block.array), TRANSFORMED_ROWS)
        ]
        return Block(np.concatenate(parts).astype(np.float32), "embedding")  # the base is not to scale it again

    def _scaler(self, X: np.ndarray):  # X (n, d)
        from sklearn.preprocessing import FunctionTransformer, StandardScaler

        if self.how == "asis" or len(X) < 2:
            return FunctionTransformer()
        if self.how == "whiten":
            return Whitening.fit(X, self.dims)
        return StandardScaler(with_std=self.how == "standard").fit(X)


@hookimpl
def harness_labelers():
    return [Rescaled]
