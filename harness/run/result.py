"""One finished cell, read back, and those that are kept in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.run.array_files import read_array
from harness.run.timing import read_timing

MAX_KEPT_BYTES = 2**27  # of results in memory
FIXED_BYTES = 4_096  # of a result, beside its arrays


@dataclass(frozen=True, eq=False)
class Result:
    """One finished cell, read back."""

    labels: NDArray[np.uint8]  # (m,)
    proba: NDArray[np.float32]  # (m, C)
    facts: Mapping[str, Any]
    checkpoints: Mapping[str, NDArray[np.uint8]]  # name -> (m,)
    rows: Mapping[str, NDArray[Any]]  # name -> (m,)
    timing: Mapping[str, Any]  # seconds, peak memory; excluded from boards, which must be reproducible byte for byte

    @property
    def arrays(self) -> list[NDArray[Any]]:
        return [self.labels, self.proba, *self.checkpoints.values(), *self.rows.values()]


def read_result(folder: Path, record: Mapping[str, Any]) -> Result:
    """Read the result in a cell's folder; `record` is its intact record."""
    checkpoints = read_array(folder / "checkpoints.npy") if "checkpoints.npy" in record["files"] else ()
    return Result(
        read_array(folder / "labels.npy"),
        read_array(folder / "proba.npy"),
        record["facts"],
        dict(zip(record["checkpoints"], checkpoints, strict=True)),
        _read_rows(folder / "rows.npz") if "rows.npz" in record["files"] else {},
        read_timing(folder),
    )


def _read_rows(file: Path) -> dict[str, NDArray[Any]]:
    with np.load(file, allow_pickle=False) as archive:
        return dict(archive)


class ResultMemory:
    """Results that have been read, as many as fit; others are read again.

    The first are kept: all cells are read in one order, several times.
    """

    def __init__(self) -> None:
        self._results: dict[str, Result] = {}
        self._bytes = 0

    def get(self, key: str) -> Result | None:
        """Return the result of a cell, if it is kept."""
        return self._results.get(key)

    def add(self, key: str, result: Result) -> None:
        """Keep a result, unless it is memory-mapped or does not fit."""
        size = FIXED_BYTES + sum(array.nbytes for array in result.arrays)
        is_mapped = any(isinstance(array, np.memmap) for array in result.arrays)
        if not is_mapped and self._bytes + size <= MAX_KEPT_BYTES:
            self._results[key] = result
            self._bytes += size
