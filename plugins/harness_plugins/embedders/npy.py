"""Embeddings from a NumPy file, joined by id or by position."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import pyarrow.parquet as pq

from harness import DataError, Items, hookimpl

COPIED_ROWS = 8_192  # rows at a time: 32 MB of 1,024 float32 values


@dataclass(frozen=True)
class Npy:
    """The rows of the two-dimensional array in `path`, of floats or integers.

    Either `ids` names a ``.npy`` file with the id of each of its rows, and rows are found by id; or `order` is
    "same": row i of the array belongs to row i of the data file, and both must have as many rows.
    """

    name: ClassVar[str] = "npy"

    path: Path
    ids: Path | None = None
    order: Literal["same"] | None = None

    def __post_init__(self) -> None:
        if (self.ids is None) == (self.order is None):
            raise ValueError(
                "rows are never joined by position unsaid: give either 'ids: FILE.npy' with the id of each row, "
                "or 'order: same'"
            )

    def fitted(self, items: Items, names: tuple[str, ...]) -> Self:
        """Return the same; DataError where rows are joined by their order."""
        if self.ids is None:
            raise DataError(
                f"the rows of {self.path} are those of {items.path}, by their order: it has none for others"
            )
        return self

    def embed(self, items: Items, start: int) -> Iterator[np.ndarray]:
        """Yield (rows, d) float32 arrays.

        Raises DataError where a file is unfit or the rows cannot be joined.
        """
        array = _open(self.path)
        if array.ndim != 2 or array.dtype.kind not in "fiu" or array.shape[1] == 0:
            raise DataError(
                f"{self.path} must be a two-dimensional array of numbers, is {array.dtype} of shape {array.shape}"
            )
        index = self._by_order(items, array) if self.ids is None else self._by_id(items, array, _open(self.ids))
        for low in range(start, len(items), COPIED_ROWS):
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes an infinity, which the harness reports
                yield np.asarray(array[index[low : low + COPIED_ROWS]], np.float32)

    def _by_order(self, items: Items, array: np.ndarray) -> np.ndarray:
        in_file = pq.read_metadata(items.path).num_rows
        if len(array) != in_file:
            raise DataError(
                f"{self.path} has {len(array):,} rows, {items.path} has {in_file:,}: they are not in the same order; "
                "give 'ids: FILE.npy' with the id of each row"
            )
        return items.rows

    def _by_id(self, items: Items, array: np.ndarray, ids: np.ndarray) -> np.ndarray:
        if ids.ndim != 1 or ids.dtype.kind not in "iuU" or len(ids) != len(array):
            raise DataError(
                f"{self.ids} must hold {len(array):,} ids, one for each row of {self.path}, integers or text; "
                f"is {ids.dtype} of shape {ids.shape}"
            )
        file_kind, item_kind = (("text" if each.dtype.kind in "OUT" else "integers") for each in (ids, items.ids))
        if file_kind != item_kind:
            raise DataError(
                f"the ids in {self.ids} are {file_kind}, those of {items.path} are {item_kind}; make them alike"
            )
        file_ids = ids.tolist()
        place = {each: row for row, each in enumerate(file_ids)}
        if len(place) < len(file_ids):
            repeated = [each for row, each in enumerate(file_ids) if place[each] != row]
            raise DataError(
                f"{self.ids} holds {len(repeated):,} ids more than once: {_some(repeated)}; each must be unique"
            )
        item_ids = items.ids.tolist()
        missing = [each for each in item_ids if each not in place]
        if missing:
            raise DataError(
                f"{self.ids} lacks {len(missing):,} of the {len(item_ids):,} ids of {items.path}: {_some(missing)}; "
                "every row needs a vector"
            )
        return np.array([place[each] for each in item_ids], np.int64)


def _open(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a .npy file of numbers or text: {error}") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path} holds several arrays; save the one that is meant as .npy")
    return array


def _some(ids: list[object]) -> str:
    return ", ".join(str(each) for each in ids[:3]) + (", ..." if len(ids) > 3 else "")


@hookimpl
def harness_embedders():
    return [Npy]
