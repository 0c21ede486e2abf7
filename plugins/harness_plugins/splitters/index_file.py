"""A split that stands in a file: which ids train, validate and test."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from harness import DataError, Labelled, Split, hookimpl

SIDES = ("train", "validation", "test", "spare")
MAX_NAMED = 3  # ids in a message


@dataclass(frozen=True)
class IndexFile:
    """Sides by id, from a parquet or CSV file such as `harness export` writes.

    The columns `id` and `side` (train, validation, test or spare) are needed; rows whose id is not there are spare.
    With a column `seed` each seed has its own rows, else every seed has all; with `ratio` or `fold` each of them is a
    split. `comparison` takes the rows of one comparison, where the file has such a column.
    """

    name: ClassVar[str] = "index_file"

    path: Path
    comparison: str | None = None

    def splits(self, dataset: Labelled, seed: int) -> Iterator[Split]:
        """Yield a split for each ratio and fold of the seed in the file."""
        table = self._read()
        if self.comparison is not None:
            table = self._select(table, "comparison", self.comparison)
        if "seed" in table.column_names:
            table = self._select(table, "seed", seed)
        keys = [name for name in ("ratio", "fold") if name in table.column_names]
        for values in _distinct(table, keys):
            part = table
            for name, value in zip(keys, values, strict=True):
                column = part[name]
                part = part.filter(pc.is_null(column) if value is None else pc.equal(column, value))
            yield self._split(part, dataset, seed, dict(zip(keys, values, strict=True)))

    def _read(self) -> pa.Table:
        try:
            table = csv.read_csv(self.path) if self.path.suffix == ".csv" else pq.read_table(self.path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path}: cannot be read: {str(error).strip().splitlines()[0]}") from None
        for name in ("id", "side"):
            if name not in table.column_names:
                raise DataError(f"{self.path}: has no column {name!r}; it needs id and side")
        unknown = sorted(set(map(str, pc.unique(table["side"]).to_pylist())) - set(SIDES))
        if unknown:
            raise DataError(f"{self.path}: the side {unknown[0]!r} is none of {', '.join(SIDES)}")
        return table

    def _select(self, table: pa.Table, column: str, value: Any) -> pa.Table:
        if column not in table.column_names:
            raise DataError(f"{self.path}: has no column {column!r}")
        chosen = table.filter(pc.equal(table[column], value))
        if chosen.num_rows == 0:
            have = ", ".join(map(str, pc.unique(table[column]).to_pylist()[:MAX_NAMED]))
            raise DataError(f"{self.path}: no row has the {column} {value!r}; there are {have}")
        return chosen

    def _split(self, table: pa.Table, dataset: Labelled, seed: int, key: dict[str, Any]) -> Split:
        ids = np.array([str(value) for value in table["id"].to_pylist()], np.dtypes.StringDType())
        known = dataset.ids.astype(np.dtypes.StringDType())
        order = np.argsort(known, kind="stable")
        place = np.minimum(np.searchsorted(known[order], ids), len(known) - 1)
        matched = known[order][place] == ids
        if not matched.any():
            raise DataError(f"{self.path}: no id is that of a labelled row, such as {', '.join(known[:MAX_NAMED])}")
        if len(np.unique(ids)) < len(ids):
            raise DataError(f"{self.path}: an id stands twice in one split, as {_repeated(ids)}")
        rows = dataset.rows[order[place[matched]]]
        side = np.array(table["side"].to_pylist(), np.dtypes.StringDType())[matched]
        train, validation, test = (np.sort(rows[side == name]) for name in SIDES[:3])
        learning = np.sort(np.concatenate([train, validation]))
        spare = np.setdiff1d(dataset.rows, np.concatenate([learning, test]))
        return Split(learning, test, spare, seed, key.get("ratio"), key.get("fold"), validation)


def _distinct(table: pa.Table, keys: list[str]) -> list[tuple[Any, ...]]:
    if not keys:
        return [()]
    return list(dict.fromkeys(zip(*(table[name].to_pylist() for name in keys), strict=True)))


def _repeated(ids: np.ndarray) -> str:
    values, counts = np.unique(ids, return_counts=True)
    return str(values[counts > 1][0])


@hookimpl
def harness_splitters():
    return [IndexFile]
