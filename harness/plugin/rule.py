"""Rules: what a labeler has learnt, to label rows that it has not seen.

A labeler may have a second method, ``learn(task) -> Rule``. Its ``label`` follows from the two: the probabilities of
``learn(task).label(task.blocks, task.to_label)``, to the byte. A rule can be stored, and labels tomorrow's rows without
a training.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from numpy.typing import NDArray

from harness.errors import DataError, NotApplicable, did_you_mean
from harness.plugin.block import Block, Floats, Rows, Scaling, fit_scalings, scaled_matrix, scaled_parts
from harness.plugin.task import On, Task

if TYPE_CHECKING:
    from harness.plugin.protocols import Labeler


class Rule(Protocol):
    """A frozen dataclass of all that a labeler has learnt.

    It is stored by its fields: arrays of numbers, texts, numbers, true and false, None, labelers, frozen dataclasses
    that are named by the type of a field, other rules, and tuples and dictionaries of these by text. The class must
    be in the return type of ``learn``: ``def learn(self, task: Task) -> MyRule``.
    """

    def label(self, blocks: Mapping[str, Block], rows: Rows) -> NDArray[Any]:
        """Return (len(rows), C) probabilities of rows of `blocks`.

        These may be rows of another file than those learnt from: a row number means nothing, and an answer depends on
        its own row alone.
        """
        ...


@dataclass(frozen=True, eq=False)
class BlockScaler:
    """Blocks side by side, scaled as in the task that a rule learnt from."""

    on: tuple[str, ...]
    widths: tuple[int, ...]  # columns of each block
    scalings: tuple[Scaling | None, ...]  # mean and scale of each block of features; None: embeddings, as they are

    @classmethod
    def fit(cls, task: Task, on: On) -> Self:
        """Fit the features' mean and deviation on the labelled rows."""
        blocks = task.chosen(on)
        widths = tuple(block.array.shape[1] for block in blocks)
        return cls((on,) if isinstance(on, str) else on, widths, tuple(fit_scalings(blocks, task.labelled)))

    @property
    def width(self) -> int:
        """The number of columns d of all blocks."""
        return sum(self.widths)

    def matrix(self, blocks: Mapping[str, Block], rows: Rows) -> Floats:
        """Return the (len(rows), d) matrix, as ``task.matrix`` would."""
        return scaled_matrix(self._choose(blocks), self.scalings, rows)

    def parts(self, blocks: Mapping[str, Block], rows: Rows, size: int) -> Iterator[tuple[slice, Floats]]:
        """Yield the matrix in parts of `size` rows, as ``task.parts`` would."""
        yield from scaled_parts(self._choose(blocks), self.scalings, rows, size)

    def _choose(self, blocks: Mapping[str, Block]) -> list[Block]:
        for name, width in zip(self.on, self.widths, strict=True):
            if name not in blocks:
                raise DataError(f"the rule needs the block {name!r}{did_you_mean(name, blocks)}")
            if blocks[name].array.shape[1] != width:
                raise DataError(
                    f"block {name!r} has {blocks[name].array.shape[1]:,} columns, the rule has learnt from {width:,}"
                )
        return [blocks[name] for name in self.on]


def learn(labeler: "Labeler", task: Task) -> Rule:
    """Return what a labeler learns from a task's labelled rows.

    For labelers that hold others. Raises NotApplicable where the labeler has no ``learn``.
    """
    method = getattr(labeler, "learn", None)
    if method is None:
        raise NotApplicable(f"labeler {labeler.name!r} has no learn(): its rule cannot be saved")
    rule: Rule = method(task)
    return rule
