"""Task and Predictions: the input and the output of a labeler.

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
from harness.plugin.raters import RaterLabels

MASKS = ("pseudo", "validation")  # of a task, bool
MAX_NAME = 200  # characters of the name of a checkpoint, of an array by row or of a fact
MAX_DEPTH = 20  # of facts in facts: a wrapper nests those of the labelers it holds
MAX_NAMES = 10_000  # checkpoints, and arrays by row

On = str | tuple[str, ...]
"""The name of one block, or the names of several to be put side by side."""


def readonly_copy(array: Any, dtype: Any) -> NDArray[Any]:
    """Return a read-only copy without a parent array.

    A NumPy slice would keep the longer array alive, and readable, in ``.base``.
    """
    copy = np.array(array, dtype, order="C", copy=True)
    copy.setflags(write=False)
    return copy


@dataclass(frozen=True, eq=False)
class Task:
    """Labelled rows, rows to label, and the columns of both.

    No label of a row to label can be reached from it.
    """

    blocks: Mapping[str, Block]
    labelled: Rows  # (n,) row numbers; a row may come more than once (oversampling)
    y: NDArray[np.int64]  # (n,) their labels, 0..C-1
    to_label: Rows  # (m,) row numbers, each once
    n_classes: int
    seed: int = 0  # the same for every labeler of a split
    spare: Rows = field(default_factory=lambda: np.empty(0, np.int64))  # rows neither labelled nor to label
    raters: NDArray[np.int64] | None = None  # (n, R) labels of the labelled rows by rater, -1: none
    groups: NDArray[np.int64] | None = None  # (N,) group number of every row
    pseudo: NDArray[np.bool_] | None = None  # (n,) True where the label is a prediction
    # By blocks: neighbours of the rows to label among the labelled ones, and of all rows among all.
    precomputed: Mapping[tuple[str, ...], PrecomputedNeighbors] = field(default_factory=dict)
    precomputed_graphs: Mapping[tuple[str, ...], PrecomputedNeighbors] = field(default_factory=dict)
    checkpoints: bool = True  # False: checkpoints are not scored, leave them out
    validation: NDArray[np.bool_] | None = None  # (n,) True where a label is to choose by, where the split names such
    rater_labels: RaterLabels | None = None  # of all N rows, where the suite shows raters on rows to label

    def __post_init__(self) -> None:
        for name in ("labelled", "y", "to_label", "spare", "raters", "groups", *MASKS):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, readonly_copy(array, np.bool_ if name in MASKS else np.int64))

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled array comes back writable; the constructor makes read-only copies again.
        return Task, tuple(getattr(self, part.name) for part in fields(self))

    def matrix(self, on: On, *rows: Rows) -> tuple[Floats, ...]:
        """Return X (n, d) and X_pool (m, d) of one or several blocks, float32.

        Embeddings come as they are, features z-scored with mean and standard deviation of the labelled rows only. With
        `rows`, arrays of row numbers, return one matrix (len, d) for each of them instead.
        """
        return fuse(self.chosen(on), self.labelled, *(rows or (self.labelled, self.to_label)))

    def parts(self, on: On, rows: Rows, size: int) -> Iterator[tuple[slice, Floats]]:
        """Yield the matrix of `rows` in parts: (slice of `rows`, (size, d)).

        The last part may be shorter. The parts are never in memory together.
        """
        return parts(self.chosen(on), self.labelled, rows, size)

    def chosen(self, on: On) -> list[Block]:
        """Return the blocks named by `on`, in that order.

        Raises KeyError for an unknown name, with the nearest known one.
        """
        names = (on,) if isinstance(on, str) else on
        for name in names:
            if name not in self.blocks:
                raise KeyError(f"no block {name!r} in this task{did_you_mean(name, self.blocks)}")
        return [self.blocks[name] for name in names]


@dataclass(frozen=True, eq=False)
class Predictions:
    """The (m, C) probabilities of a labeler, with facts and checkpoints."""

    proba: NDArray[Any]  # (m, C), rows sum to 1
    facts: Mapping[str, Any] = field(default_factory=dict)  # JSON: parameter count, noise rate, chosen alpha ...
    checkpoints: Mapping[str, NDArray[np.uint8]] = field(
        default_factory=dict
    )  # name -> (m,) labels predicted at that point of the training
    rows: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # name -> (m,) mask or number per row to label


def find_error(result: object, m: int, n_classes: int) -> str | None:
    """Return the first error in a labeler's result for m rows, or None.

    The harness, which refuses a result with an error, and the conformance kit share this check.
    """
    proba = result.proba if isinstance(result, Predictions) else result
    if not isinstance(proba, np.ndarray):
        return f"must return an array of probabilities or Predictions, returned {type(proba).__name__}"
    if proba.shape != (m, n_classes):
        hint = "; is a class missing from train?" if proba.ndim == 2 and proba.shape[0] == m else ""
        return f"probabilities must have shape ({m}, {n_classes}), got {proba.shape}{hint}"
    if proba.dtype.kind != "f":
        return f"probabilities must be floats, got {proba.dtype}"
    invalid = np.flatnonzero(~np.isfinite(proba).all(axis=1))
    if len(invalid):
        return f"probabilities must be finite; {len(invalid)} rows are not, the first at position {invalid[0]}"
    if proba.min(initial=0) < 0:
        return f"probabilities must not be negative, the smallest is {proba.min():.4g}"
    invalid = np.flatnonzero(np.abs(proba.sum(axis=1, dtype=np.float64) - 1) > 1e-3)
    if len(invalid):
        first = invalid[0]
        return f"rows must sum to 1; {len(invalid)} do not, position {first} sums to {proba[first].sum():.4g}"
    return _find_error_in_extras(result, m, n_classes) if isinstance(result, Predictions) else None


def _find_error_in_extras(predictions: Predictions, m: int, n_classes: int) -> str | None:
    mappings: dict[str, object] = {name: getattr(predictions, name) for name in ("checkpoints", "rows", "facts")}
    for kind, extras in mappings.items():
        if not isinstance(extras, Mapping):
            return f"{kind} must be a mapping from names, got {type(extras).__name__}"
        if len(extras) > MAX_NAMES:
            return f"{kind} must be at most {MAX_NAMES:,}, got {len(extras):,}"
        error = next(filter(None, map(find_name_error, extras)), None)
        if error is not None:
            return f"{kind} must have names that {error}"
    for name, labels in predictions.checkpoints.items():
        if not isinstance(labels, np.ndarray) or labels.shape != (m,) or labels.dtype != np.uint8:
            return f"checkpoint {name!r} must be a ({m},) uint8 array of labels"
        if labels.max(initial=0) >= n_classes:
            return f"checkpoint {name!r} holds label {labels.max()}, but there are {n_classes} classes"
    for name, values in predictions.rows.items():
        if not isinstance(values, np.ndarray) or values.shape != (m,) or values.dtype.kind not in "biuf":
            return f"rows {name!r} must be a ({m},) array of numbers or a mask"
    return _find_fact_error(predictions.facts, MAX_DEPTH)


def find_name_error(name: object) -> str | None:
    """Return what is wrong with the name of a checkpoint, row array or fact.

    Names stand in tables, files and terminals.

    >>> find_name_error(3)
    'are strings, got 3'
    """
    if not isinstance(name, str):
        return f"are strings, got {name!r:.80}"
    if not name.strip() or not name.isprintable():
        return f"can be printed, got {name[:80]!r}"
    return f"have at most {MAX_NAME} characters, got {len(name):,}" if len(name) > MAX_NAME else None


def _find_fact_error(value: Any, depth: int) -> str | None:
    """Return the first error in facts that JSON can hold and pages cannot."""
    if depth == 0:
        return f"facts must be nested at most {MAX_DEPTH} deep"
    if isinstance(value, Mapping):
        error = next(filter(None, map(find_name_error, value)), None)
        if error is not None:
            return f"facts must have names that {error}"
    elif isinstance(value, str) and not value.isascii() and not _is_unicode(value):
        return f"facts must be valid Unicode, got {value[:80]!a}"
    elif isinstance(value, int) and abs(value) >= 2**63:
        return "facts must hold whole numbers of less than 64 bits"
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return next(filter(None, (_find_fact_error(part, depth - 1) for part in parts)), None)


def _is_unicode(text: str) -> bool:
    return not any(0xD800 <= ord(character) < 0xE000 for character in text)
