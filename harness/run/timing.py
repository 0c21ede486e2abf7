"""What something cost to make: timing.json in the folder of a cell, a block or a neighbour list."""

import json
from pathlib import Path
from typing import Any

from harness.utils.hashing import canonical_json

TIMING_FILE = "timing.json"


def write_timing(folder: Path, **cost: Any) -> None:
    """Write down what the content of a folder cost: `seconds`, `memory` (bytes), and what that depends on."""
    (folder / TIMING_FILE).write_text(canonical_json(cost))


def read_timing(folder: Path) -> dict[str, Any]:
    """Return what the content of a folder cost; {} where that is not known any more."""
    try:
        cost = json.loads((folder / TIMING_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return cost if isinstance(cost, dict) and {"seconds", "memory"} <= cost.keys() else {}
