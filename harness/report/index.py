"""The index of all leaderboards in a folder, from their board.json."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.report.csv_files import to_csv
from harness.report.leaderboard_folder import BOARD_FILE, find_differences, write_files
from harness.report.markdown import escape, format_table, interval, number, unbroken
from harness.report.page_width import shorten_names
from harness.statistics.metrics import DISPLAY_NAMES

MAX_NAMED_LEADERS = 3  # of a leading group; the others are counted
FILES_NOTE = (
    "A board's folder has its page, `README.md`; every number, `scores.parquet`; where each labeler stands, "
    "`standings.csv`; every pair of labelers, `pairs.parquet`; how long the cells took, `timings.csv`; and in "
    "`plots/` what the page shows, with its numbers. `harness leaderboard FOLDER --csv` writes the parquet tables as "
    "CSV beside them."
)
KEYS = (
    *("name", "data", "simulated", "population", "target", "labelers", "comparison", "leading"),
    *("metric", "value", "low", "high", "gain", "command"),
)
HEADER = ("Board", "Leading", "Score", "Gain")
SCOPE_HEADER = ("Board", "Data", "Population", "Target", "Labelers", "Comparison with the most labels", "Run it again")
LEADING_NOTE = (
    "Leading: the labelers that none is significantly better than; where ranks claim nothing, the first by number. It "
    "is about the comparison with the most labels. Score and gain are those of the first that leads, with a 95 % "
    "interval where ranks are tested. Gain: over the baseline of the suite, by default the commonest class."
)
NAME_ROOM = 300.0  # pixels of a leader's name on the page; board and README.csv have it in full


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
    parts, words = ["# Leaderboards"], [name for name in SCOPE_HEADER if name != "Labelers"]
    for simulated, heading in ((False, "On real data"), (True, "On SIMULATED DATA")):
        boards = [record for record in records if bool(record.get("simulated")) == simulated]
        if boards:
            leaders, scopes = [[*_leaders(board)] for board in boards], [[*_scope(board)] for board in boards]
            parts += [f"## {heading}", format_table([*HEADER], leaders, HEADER[:2])]
            parts += ["<details>\n<summary>What each board is about, and its command</summary>"]
            parts += [format_table([*SCOPE_HEADER], scopes, words), "</details>"]
    return "\n\n".join([*parts, LEADING_NOTE, FILES_NOTE]) + "\n"


def _link(record: Mapping[str, Any]) -> str:
    name = record["name"]
    return f"[{escape(name)}]({name}/README.md)"


def _leaders(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the cells of HEADER."""
    yield _link(record)
    names = [str(title) for title in record.get("leading", ())]
    more = len(names) - MAX_NAMED_LEADERS
    short = shorten_names(names, NAME_ROOM)[:MAX_NAMED_LEADERS] if names else []
    shown = "; ".join(map(escape, short))  # a name may have commas
    yield shown + (f" and {more} more" if more > 0 else "") or "cannot be told apart"
    yield from _score(record)


def _score(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield score and gain of the first that leads; "" where nobody does.

    A board of an earlier version has neither.
    """
    value, low, high, gain = (record.get(name) for name in ("value", "low", "high", "gain"))
    if not isinstance(value, float | int):
        yield from ("", "")
        return
    ends = "" if low is None or high is None else unbroken(f" ({interval((low, high))})")
    metric = str(record.get("metric"))
    yield f"{escape(DISPLAY_NAMES.get(metric, metric))} {number(value)}{ends}"
    yield number(gain, signed=True)


def _scope(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the cells of SCOPE_HEADER."""
    yield _link(record)
    for key in ("data", "population", "target"):
        yield escape(str(record.get(key, "")))
    yield str(int(record.get("labelers", 0)))
    for key in ("comparison", "command"):
        yield escape(str(record.get(key, "")))
