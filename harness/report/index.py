"""The index of all leaderboards in a folder, made of what each board says of itself."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.report.csv_files import Row, to_csv
from harness.report.leaderboard_folder import BOARD_FILE, find_differences, write_files
from harness.report.markdown import escape, format_table

MAX_NAMED_LEADERS = 3  # of a leading group; the others are counted
FILES = (
    "A board's folder has its page, `README.md`; every number, `scores.parquet`; where each labeler stands, "
    "`standings.csv`; every pair of labelers, `pairs.parquet`; how long the cells took, `timings.csv`; and in "
    "`plots/` what the page shows, with its numbers. `harness leaderboard FOLDER --csv` writes the parquet tables as "
    "CSV beside them."
)
HEADER = (
    "Board",
    "Data",
    "Population",
    "Target",
    "Labelers",
    "Comparison with the most labels",
    "Leading",
    "Run it again",
)


def write_index(boards: Path) -> None:
    """Write README.md and README.csv about every board below the folder `boards`."""
    write_files(boards, index_files(boards))


def outdated_files(boards: Path) -> list[str]:
    """Return one line for each file of the index that is not what the boards say."""
    return list(find_differences(boards, index_files(boards)))


def index_files(boards: Path) -> dict[str, str]:
    """Return {name: text} of the index."""
    found = list(_read_boards(boards))
    return {"README.md": _page(found), "README.csv": to_csv(map(_record, found))}


def _read_boards(boards: Path) -> Iterator[Mapping[str, Any]]:
    """Yield what the boards say of themselves, in the order of their names; a file that says nothing is passed over."""
    for file in sorted(boards.glob(f"*/{BOARD_FILE}")):
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(about, dict):
            yield about | {"name": file.parent.name}


def _page(found: list[Mapping[str, Any]]) -> str:
    parts = ["# Leaderboards"]
    for simulated, heading in ((False, "On real data"), (True, "On SIMULATED DATA")):
        rows = [list(_row(about)) for about in found if bool(about.get("simulated")) == simulated]
        if rows:
            parts += [
                f"## {heading}",
                format_table(list(HEADER), rows, left=[name for name in HEADER if name != "Labelers"]),
            ]
    leading = (
        "Leading: the labelers that none is significantly better than; where ranks claim nothing, the first by number."
    )
    return "\n\n".join([*parts, leading, FILES]) + "\n"


def _row(about: Mapping[str, Any]) -> Iterator[str]:
    name = about["name"]
    yield f"[{escape(name)}]({name}/README.md)"
    for key in ("data", "population", "target"):
        yield escape(str(about.get(key, "")))
    yield str(int(about.get("labelers", 0)))
    yield escape(str(about.get("comparison", "")))
    leading = [escape(str(title)) for title in about.get("leading", ())]
    more = len(leading) - MAX_NAMED_LEADERS
    # Names have commas in them.
    yield (
        "; ".join(leading[:MAX_NAMED_LEADERS]) + (f" and {more} more" if more > 0 else "")
        or "nobody is told from another"
    )
    yield escape(str(about.get("command", "")))


def _record(about: Mapping[str, Any]) -> Row:
    keys = ("name", "data", "simulated", "population", "target", "labelers", "comparison", "leading", "command")
    return {key: "; ".join(about.get(key, ())) if key == "leading" else about.get(key) for key in keys}
