"""Neighbours that were found before a cell began, on disk: the same for every labeler that asks for them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.fuse import Block, Floats, Places, Rows

SIMILARITY, INDEX, ABOUT = "similarity.npy", "index.npy", "list.json"


@dataclass(frozen=True)
class Listed:
    """The nearest labelled rows of each row to label: similarity (m, k) float32 and index (m, k) int32 in a folder.

    Or those of every row among all rows (N, k), in the order of the row numbers.
    """

    folder: str
    k: int
    of: str  # what they were found for, see `question`

    def first(self, k: int) -> tuple[Floats, Places]:
        """Return the first `k` neighbours: similarity (m, k) and index (m, k) into the labels.

        Both are maps of the files: what is written into them stays in this process.
        """
        similarity, index = (np.load(Path(self.folder) / name, mmap_mode="c") for name in (SIMILARITY, INDEX))
        return similarity[:, :k].view(np.ndarray), index[:, :k].view(np.ndarray)

    def about(self) -> dict[str, Any]:
        """Return what the search told of itself: its engine, its seconds, how it was checked."""
        about: dict[str, Any] = json.loads((Path(self.folder) / ABOUT).read_text())
        return about


def question(blocks: list[Block], labelled: Rows, to_label: Rows) -> str:
    """Hash what a list of neighbours depends on; "" where a block is not on disk and no list can be of it."""
    paths = [block.path for block in blocks]
    if None in paths:
        return ""
    hashed = hashlib.sha256("\0".join(map(str, paths)).encode())
    for rows in (labelled, to_label):
        hashed.update(f"\0{len(rows)}\0".encode())
        hashed.update(np.ascontiguousarray(rows).data)
    return hashed.hexdigest()
