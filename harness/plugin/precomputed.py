"""Precomputed neighbours on disk, shared by all labelers that need them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.plugin.block import Block, Floats, Indices, Rows

SIMILARITY_FILE, INDEX_FILE, RECORD_FILE = "similarity.npy", "index.npy", "list.json"


@dataclass(frozen=True)
class PrecomputedNeighbors:
    """A folder with the `k` nearest rows of each query: similarity and index.

    The queries are the m rows to label, and the index (m, k) int32 points into the labelled rows; or both are all rows
    (N, k), in the order of the row numbers. The similarity is float32.
    """

    folder: str
    k: int
    fingerprint: str  # of the blocks and rows that were searched

    def serves(self, k: int, fingerprint: str) -> bool:
        """Return True for at least `k` neighbours of the same fingerprint."""
        return self.k >= k and self.fingerprint == fingerprint != ""

    def top(self, k: int) -> tuple[Floats, Indices]:
        """Return similarity and index (m, k) of the `k` nearest.

        Both are memory maps of the files; a value written to them stays in this process.
        """
        similarity, index = (np.load(Path(self.folder) / name, mmap_mode="c") for name in (SIMILARITY_FILE, INDEX_FILE))
        return similarity[:, :k].view(np.ndarray), index[:, :k].view(np.ndarray)

    def read_record(self) -> dict[str, Any]:
        """Read the record of the search: engine, seconds, verification."""
        record: dict[str, Any] = json.loads((Path(self.folder) / RECORD_FILE).read_text())
        return record


def fingerprint(blocks: list[Block], labelled: Rows, to_label: Rows) -> str:
    """Hash the blocks (key and kind) and the rows of a neighbour search.

    Returns "" where a block has no key: its neighbours cannot be precomputed. No path is hashed, so that a folder may
    be moved.
    """
    if any(block.key is None for block in blocks):
        return ""
    hashed = hashlib.sha256("\0".join(f"{block.kind} {block.key}" for block in blocks).encode())
    for rows in (labelled, to_label):
        hashed.update(f"\0{len(rows)}\0".encode())
        hashed.update(np.ascontiguousarray(rows).data)
    return hashed.hexdigest()
