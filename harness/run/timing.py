"""Costs on disk: timing.json beside a cell, a block or a neighbour list."""

import json
from pathlib import Path
from typing import Any

from harness.utils.files import write_text
from harness.utils.hashing import canonical_json

TIMING_FILE = "timing.json"
NUMBERS = {"seconds", "memory", "rows", "work", "threads", "wall", "n", "m"}  # of a record


def write_timing(folder: Path, **cost: Any) -> None:
    """Write the cost of a folder's content.

    It has `seconds`, `memory` in bytes at the peak, and what these depend on.
    """
    write_text(folder / TIMING_FILE, canonical_json(cost))


def read_timing(folder: Path) -> dict[str, Any]:
    """Return the cost of a folder's content; {} where none is recorded.

    A damaged record counts as none.
    """
    try:
        cost = json.loads((folder / TIMING_FILE).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(cost, dict) or not {"seconds", "memory"} <= cost.keys():
        return {}
    return cost if all(_has_type(name, value) for name, value in cost.items()) else {}


def _has_type(name: str, value: object) -> bool:
    if name in NUMBERS:
        return isinstance(value, int | float) and 0 <= value < 2**63
    if name == "d":  # columns of a cell's matrix
        return value is None or (isinstance(value, int) and 0 <= value < 2**63)
    if name == "searches":
        return isinstance(value, list) and all(map(is_search, value))
    return isinstance(value, dict if name == "spec" else list) if name in ("spec", "names") else True


def is_search(record: object) -> bool:
    """Return True for the record of a search, with what tables show of it."""
    return (
        isinstance(record, dict)
        and isinstance(seconds := record.get("seconds"), int | float)
        and 0 <= seconds < 2**63
        and isinstance(record.get("engine"), str)
        and isinstance(record.get("shared"), bool)
    )
