"""Costs on disk: timing.json beside a cell, a block or a neighbour list."""

import json
from pathlib import Path
from typing import Any

from harness.utils.hashing import canonical_json

TIMING_FILE = "timing.json"


def write_timing(folder: Path, **cost: Any) -> None:
    """Write the cost of a folder's content.

    It has `seconds`, `memory` in bytes at the peak, and what these depend on.
    """
    (folder / TIMING_FILE).write_text(canonical_json(cost))


def read_timing(folder: Path) -> dict[str, Any]:
    """Return the cost of a folder's content; {} where none is recorded."""
    try:
        cost = json.loads((folder / TIMING_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return cost if isinstance(cost, dict) and {"seconds", "memory"} <= cost.keys() else {}
