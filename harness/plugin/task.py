"""What a labeler is given, and what it gives back.

Four letters are used everywhere: N rows of the population, n labelled, m to label, d features; C is the number of
classes, which are the integers 0 to C-1.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import did_you_mean
from harness.plugin.block import Block, Floats, Rows, fuse, parts
from harness.plugin.precomputed import PrecomputedNeighbors

On = str | tuple[str, ...]
"""The name of one block, or the names of several to be put side by side."""


def readonly_copy(array: Any, dtype: Any) -> NDArray[Any]:
    """Return a read-only copy that keeps no parent: a NumPy slice would carry the whole of it along in ``.base``."""
    copy = np.array(array, dtype, order="C", copy=True)
    copy.setflags(write=False)
    return copy


@dataclass(frozen=True, eq=False)
class Task:
    """Rows with labels, rows to label, and what is known of both. It holds no hidden label and no way to one."""

    blocks: Mapping[str, Block]
    labelled: Rows  # (n,) row numbers; a row may come more than once (oversampling)
    y: NDArray[np.int64]  # (n,) their labels, 0..C-1
    to_label: Rows  # (m,) row numbers, each once
    n_classes: int
    seed: int = 0  # the same for every labeler of a split
    spare: Rows = field(default_factory=lambda: np.empty(0, np.int64))  # rows neither labelled nor asked about
    raters: NDArray[np.int64] | None = None  # (n, R) what each rater said of the labelled rows
    groups: NDArray[np.int64] | None = None  # (N,) group number of every row
    pseudo: NDArray[np.bool_] | None = None  # (n,) True where the label is a labeler's own guess
    # Neighbours found beforehand, by blocks: of the rows to label among the labelled ones, of all among all.
    precomputed: Mapping[tuple[str, ...], PrecomputedNeighbors] = field(default_factory=dict)
    precomputed_graphs: Mapping[tuple[str, ...], PrecomputedNeighbors] = field(default_factory=dict)
    checkpoints: bool = True  # False: nobody looks at the answers on the way, leave them out

    def __post_init__(self) -> None:
        for name in ("labelled", "y", "to_label", "spare", "raters", "groups", "pseudo"):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, readonly_copy(array, np.bool_ if name == "pseudo" else np.int64))

    def __reduce__(self) -> tuple[Any, ...]:
        # NumPy forgets in a pickle that an array is read-only; made anew, the arrays are sealed again.
        return Task, tuple(getattr(self, part.name) for part in fields(self))

    def matrix(self, on: On, *rows: Rows) -> tuple[Floats, ...]:
        """Return X (n, d) and X_pool (m, d), float32, of one block or of several side by side.

        Embeddings come as they are, features z-scored with mean and standard deviation of the labelled rows only. Of
        given `rows`, arrays of row numbers, there is one matrix (len, d) each instead.
        """
        return fuse(self.chosen(on), self.labelled, *(rows or (self.labelled, self.to_label)))

    def parts(self, on: On, rows: Rows, size: int) -> Iterator[tuple[slice, Floats]]:
        """Yield the matrix of `rows`, such as ``to_label``, in parts that are never in memory together.

        Each comes with its place: (slice of the rows, (`size` rows or what is left of them, d)).
        """
        return parts(self.chosen(on), self.labelled, rows, size)

    def chosen(self, on: On) -> list[Block]:
        """Return the blocks named by `on`, in that order; an unknown name is a KeyError that lists the known ones."""
        names = (on,) if isinstance(on, str) else on
        for name in names:
            if name not in self.blocks:
                raise KeyError(f"no block {name!r} in this task{did_you_mean(name, self.blocks)}")
        return [self.blocks[name] for name in names]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a labeler may say beyond its (m, C) probabilities."""

    proba: NDArray[Any]  # (m, C), rows sum to 1
    facts: Mapping[str, Any] = field(default_factory=dict)  # JSON: parameter count, noise rate, chosen alpha ...
    checkpoints: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)  # name -> (m,) labels on the way
    rows: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # name -> (m,) mask or number per row to label


def find_error(result: object, m: int, n_classes: int) -> str | None:
    """Say what is wrong with a labeler's answer for m rows, or None if nothing is.

    Shared by the harness, which refuses a flawed answer, and by the conformance kit.
    """
    proba = result.proba if isinstance(result, Predictions) else result
    if not isinstance(proba, np.ndarray):
        return f"must return an array of probabilities or Predictions, returned {type(proba).__name__}"
    if proba.shape != (m, n_classes):
        hint = "; is a class missing from train?" if proba.ndim == 2 and proba.shape[0] == m else ""
        return f"probabilities must have shape ({m}, {n_classes}), got {proba.shape}{hint}"
    if proba.dtype.kind != "f":
        return f"probabilities must be floats, got {proba.dtype}"
    wrong = np.flatnonzero(~np.isfinite(proba).all(axis=1))
    if len(wrong):
        return f"probabilities must be finite; {len(wrong)} rows are not, the first at position {wrong[0]}"
    if proba.min(initial=0) < 0:
        return f"probabilities must not be negative, the smallest is {proba.min():.4g}"
    wrong = np.flatnonzero(np.abs(proba.sum(axis=1, dtype=np.float64) - 1) > 1e-3)
    if len(wrong):
        first = wrong[0]
        return f"rows must sum to 1; {len(wrong)} do not, position {first} sums to {proba[first].sum():.4g}"
    return _find_error_in_extras(result, m, n_classes) if isinstance(result, Predictions) else None


def _find_error_in_extras(predictions: Predictions, m: int, n_classes: int) -> str | None:
    for name, labels in predictions.checkpoints.items():
        if not isinstance(labels, np.ndarray) or labels.shape != (m,) or labels.dtype != np.uint8:
            return f"checkpoint {name!r} must be a ({m},) uint8 array of labels"
        if labels.max(initial=0) >= n_classes:
            return f"checkpoint {name!r} holds label {labels.max()}, but there are {n_classes} classes"
    for name, values in predictions.rows.items():
        if not isinstance(values, np.ndarray) or values.shape != (m,) or values.dtype.kind not in "biuf":
            return f"rows {name!r} must be a ({m},) array of numbers or a mask"
    return None
