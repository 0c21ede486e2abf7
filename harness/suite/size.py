"""Count the cells of a suite file before any is made."""

from math import prod
from typing import Any

from harness.suite.spec import Reader

MAX_SUITE_CELLS = 200_000


def check_size(top: dict[str, Any], reader: Reader, max_grid: int) -> None:
    """Refuse a suite of too many cells, counted without making any.

    A grid of more than `max_grid` labelers is not counted: it is refused by itself.
    """
    counts = map(_count_labelers, _list(top.get("labelers")))
    labelers = sum(count for count in counts if count <= max_grid)
    splits = sum(map(_count_splits, _list(top.get("splits"))))
    if labelers * splits > MAX_SUITE_CELLS:
        reader.add_problem(
            ("labelers",),
            f"{labelers * splits:,} cells ({labelers:,} labelers on {splits:,} splits); a suite has at most "
            f"{MAX_SUITE_CELLS:,}: make it several suites, or try fewer values",
        )
        reader.finish()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count_labelers(entry: Any) -> int:
    """Return the number of labelers of an entry, the product of its grid."""
    parameters = [value for key, value in entry.items() if key != "as"] if isinstance(entry, dict) else []
    grid = parameters[0].get("grid") if len(parameters) == 1 and isinstance(parameters[0], dict) else None
    return prod(len(_list(values)) or 1 for values in grid.values()) if isinstance(grid, dict) else 1


def _count_splits(entry: Any) -> int:
    """Return the number of splits of an entry: seeds times ratios or folds."""
    if not isinstance(entry, dict):
        return 1
    folds = entry.get("folds")
    ratios = len(_list(entry.get("ratios"))) or (folds if isinstance(folds, int) and folds > 0 else 1)
    return (len(_list(entry.get("seeds"))) or 1) * ratios
