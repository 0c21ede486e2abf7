"""The index of all leaderboards in a folder, from their board.json."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.report.csv_files import to_csv
from harness.report.leaderboard_folder import BOARD_FILE, find_differences, write_files
from harness.report.markdown import escape, format_table

MAX_NAMED_LEADERS = 3  # of a leading group; the others are counted
FILES_NOTE = (
    "A board's folder has its page, `README.md`; every number, `scores.parquet`; where each labeler stands, "
    "`standings.csv`; every pair of labelers, `pairs.parquet`; how long the cells took, `timings.csv`; and in "
    "`plots/` what the page shows, with its numbers. `harness leaderboard FOLDER --csv` writes the parquet tables as "
    "CSV beside them."
)
KEYS = ("name", "data", "simulated", "population", "target", "labelers", "comparison", "leading", "command")
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
    """Write README.md and README.csv about every board in a folder."""
    write_files(boards, index_files(boards))


def outdated_files(boards: Path) -> list[str]:
    """Return a line for each file of the index that differs from the boards."""
    return list(find_differences(boards, index_files(boards)))


def index_files(boards: Path) -> dict[str, str]:
    """Return {name: text} of the index."""
    records = list(_read_boards(boards))
    rows = ({key: "; ".join(row.get(key, ())) if key == "leading" else row.get(key) for key in KEYS} for row in records)
    return {"README.md": _page(records), "README.csv": to_csv(rows)}


def _read_boards(boards: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the record of each board, by name; broken files are left out."""
    for file in sorted(boards.glob(f"*/{BOARD_FILE}")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict):
            yield record | {"name": file.parent.name}


def _page(records: list[Mapping[str, Any]]) -> str:
    parts = ["# Leaderboards"]
    for simulated, heading in ((False, "On real data"), (True, "On SIMULATED DATA")):
        rows = [list(_row(record)) for record in records if bool(record.get("simulated")) == simulated]
        if rows:
            words = [name for name in HEADER if name != "Labelers"]
            parts += [f"## {heading}", format_table(list(HEADER), rows, words)]
    leading = (
        "Leading: the labelers that none is significantly better than; where ranks claim nothing, the first by number."
    )
    return "\n\n".join([*parts, leading, FILES_NOTE]) + "\n"


def _row(record: Mapping[str, Any]) -> Iterator[str]:
    name = record["name"]
    yield f"[{escape(name)}]({name}/README.md)"
    for key in ("data", "population", "target"):
        yield escape(str(record.get(key, "")))
    yield str(int(record.get("labelers", 0)))
    yield escape(str(record.get("comparison", "")))
    leading = [escape(str(title)) for title in record.get("leading", ())]
    more = len(leading) - MAX_NAMED_LEADERS
    names = "; ".join(leading[:MAX_NAMED_LEADERS])  # a name may have commas
    yield names + (f" and {more} more" if more > 0 else "") or "cannot be told apart"
    yield escape(str(record.get("command", "")))
