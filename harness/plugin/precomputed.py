"""Neighbours found before a cell starts, on disk: shared by every labeler that needs them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.plugin.block import Block, Floats, Places, Rows

SIMILARITY_FILE, INDEX_FILE, RECORD_FILE = "similarity.npy", "index.npy", "list.json"


@dataclass(frozen=True)
class PrecomputedNeighbors:
    """The nearest labelled rows of each row to label: similarity (m, k) float32 and index (m, k) int32 in a folder.

    Or those of every row among all rows (N, k), in the order of the row numbers.
    """

    folder: str
    k: int
    of: str  # the fingerprint of what they were found for

    def serves(self, k: int, of: str) -> bool:
        """Return True if these are `k` neighbours or more of what has the fingerprint `of`."""
        return self.k >= k and self.of == of != ""

    def top(self, k: int) -> tuple[Floats, Places]:
        """Return the `k` nearest: similarity (m, k) and index (m, k) into the labels.

        Both are maps of the files: what is written into them stays in this process.
        """
        similarity, index = (np.load(Path(self.folder) / name, mmap_mode="c") for name in (SIMILARITY_FILE, INDEX_FILE))
        return similarity[:, :k].view(np.ndarray), index[:, :k].view(np.ndarray)

    def about(self) -> dict[str, Any]:
        """Return the record of the search: engine, seconds, how it was checked."""
        about: dict[str, Any] = json.loads((Path(self.folder) / RECORD_FILE).read_text())
        return about


def fingerprint(blocks: list[Block], labelled: Rows, to_label: Rows) -> str:
    """Hash what neighbours depend on: blocks by key and kind, and rows.

    Returns "" where a block has no key: then no list is of it. No path is hashed, so that a folder may be moved.
    """
    if any(block.key is None for block in blocks):
        return ""
    hashed = hashlib.sha256("\0".join(f"{block.kind} {block.key}" for block in blocks).encode())
    for rows in (labelled, to_label):
        hashed.update(f"\0{len(rows)}\0".encode())
        hashed.update(np.ascontiguousarray(rows).data)
    return hashed.hexdigest()
