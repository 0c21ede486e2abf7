"""Whether the files of a committed board agree with each other: what can be checked where no finished cells are."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.report.csv_files import csv_cell
from harness.report.leaderboard_folder import BOARD_FILE, PLOTS_FOLDER, find_differences, orphaned_files
from harness.report.markdown import LEADER_MARK, escape, interval, mean_std, number
from harness.report.parquet_files import (
    COLUMNS,
    COVERAGE,
    PAIRS,
    RELIABILITY,
    ROWS_PER_BATCH,
    SCORES,
    csv_copy,
    csv_name,
    read_parquet,
)
from harness.scoring.leaderboard import MeanStd
from harness.statistics.metrics import DISPLAY_NAMES, LOWER_IS_BETTER

Row = dict[str, str]
Pair = dict[str, Any]  # one row of pairs.parquet, its names as standings.csv has them
Cells = dict[tuple[str, str], dict[str, list[float]]]  # (comparison, labeler) -> metric -> a value a cell
FILES = (BOARD_FILE, "README.md", "standings.csv", PAIRS, SCORES)
SETTINGS = f"{PLOTS_FOLDER}/settings.csv"
METRICS = {f"{shown} {'↓' if name in LOWER_IS_BETTER else '↑'}": name for name, shown in DISPLAY_NAMES.items()}
ROUNDING_ERROR = 1e-9  # of sums that were added up in another order


def find_boards(folder: Path) -> list[Path]:
    """Return the folders of boards below a folder, or the folder itself if it is one."""
    marks = [name for name in FILES if name != "README.md"]
    files = [file for name in marks for file in (folder / name, *folder.glob(f"*/{name}"))]
    return sorted({file.parent for file in files if file.is_file()})


def find_contradictions(board: Path) -> Iterator[str]:
    """Yield a line for everything in which the files of one board contradict each other.

    The page's ranks, values, intervals and differences against standings.csv and scores.parquet; values and ranks of
    standings.csv against scores.parquet and pairs.parquet; board.json against standings.csv; the plots and tables that
    the page names, and others; CSV copies against what they are copies of.
    """
    missing = [name for name in FILES if not (board / name).is_file()]
    if missing:
        yield f"{board}: {', '.join(missing)} missing; write it again with harness leaderboard SUITE"
        return
    page = (board / "README.md").read_text(encoding="utf-8")
    named = _named(page)
    yield from (f"{board / name}: is missing" for name in named if not (board / name).is_file())
    tables: dict[str, pa.Table] = {}
    for name in COLUMNS:
        if (board / name).is_file():
            try:
                tables[name] = read_parquet(name, board / name)
            except ValueError as error:
                yield f"{board / name}: {error}; write it again with harness leaderboard SUITE"
    if tables.keys() >= {SCORES, PAIRS}:
        try:
            yield from _of_tables(board, page, tables)
        except (KeyError, ValueError, TypeError) as error:
            yield f"{board}: is not as `harness leaderboard` writes it: {type(error).__name__} {error}"
    copies = {csv_name(name): csv_copy(table) for name, table in tables.items() if (board / csv_name(name)).is_file()}
    yield from find_differences(board, copies)
    listed = {*FILES, *named, *copies, SETTINGS}
    yield from (f"{board / name}: belongs to no board" for name in orphaned_files(board, listed))


def _named(page: str) -> list[str]:
    """Return the files of plots that a page links or names.

    The tables behind the plots of confidence are on no page.
    """
    named = re.findall(r"^!\[.*\]\((.*)\)$", page, re.MULTILINE) + re.findall(rf"`({PLOTS_FOLDER}/[\w.-]+)`", page)
    behind = [COVERAGE, RELIABILITY] if any(name.startswith(f"{PLOTS_FOLDER}/confidence-") for name in named) else []
    return list(dict.fromkeys([*named, *behind]))


def _of_tables(board: Path, page: str, tables: Mapping[str, pa.Table]) -> Iterator[str]:
    """Yield contradictions between page, index and tables."""
    about = json.loads((board / BOARD_FILE).read_text(encoding="utf-8"))
    standings, pairs = _rows(board / "standings.csv"), _pairs(tables[PAIRS])
    cells, counts = _cells(tables[SCORES], "- Protocol: record" in page)
    yield from (f"{board / 'README.md'}: {line}" for line in _of_page(page, standings, cells, counts))
    yield from (f"{board / 'standings.csv'}: {line}" for line in _of_standings(standings, pairs))
    yield from (f"{board / BOARD_FILE}: {line}" for line in _of_about(about, standings))


def _rows(file: Path) -> list[Row]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _pairs(table: pa.Table) -> list[Pair]:
    names = ("comparison", "labeler_a", "labeler_b")
    return [row | {name: csv_cell(row[name]) for name in names} for row in table.to_pylist()]


def _cells(table: pa.Table, as_record: bool) -> tuple[Cells, Counter[tuple[str, str]]]:
    """Return what a page shows of every cell, and how many cells each labeler has."""
    honest, oracle, seen = Cells(), Cells(), set()
    for batch in table.to_batches(ROWS_PER_BATCH):
        for row in batch.to_pylist():
            key = csv_cell(row["comparison"]), csv_cell(row["labeler"])
            seen.add((*key, row["seed"], row["ratio"], row["fold"]))
            narrow = any(row[name] is not None for name in ("class", "source", "rows", "stage"))
            if row["status"] == "ok" and row["value"] is not None and not narrow:
                kind = oracle if row["oracle"] else honest
                kind.setdefault(key, {}).setdefault(row["metric"], []).append(row["value"])
    shown = honest | oracle if as_record else honest
    return shown, Counter((comparison, labeler) for comparison, labeler, *_ in seen)


def _of_page(page: str, standings: list[Row], cells: Cells, counts: Counter[tuple[str, str]]) -> Iterator[str]:
    found = {(section, line["Labeler"]): line for section, line in _lines(page)}
    for row in standings:
        key = row["comparison"], row["labeler"]
        line = found.pop((escape(key[0]), escape(_plain(key[1]))), None)
        if line is None:
            yield f"{key[0]}: no line of {key[1]!r}, which stands in standings.csv"
            continue
        for name, expected in _expected(row, line, cells.get(key, {}), counts[key]):
            if line[name] != expected:
                yield f"{key[0]}, {key[1]}: {name} is {line[name]!r}, by the other files it is {expected!r}"
    yield from (f"{section}: {labeler!r} does not stand in standings.csv" for section, labeler in found)


def _expected(row: Row, line: Row, values: dict[str, list[float]], count: int) -> Iterator[tuple[str, str]]:
    """Yield (column, text) of the cells of a line that the other files tell."""
    yield "Rank", (row["rank"] or "–") + (f" {LEADER_MARK}" if row["leading"] == "True" else "")
    if "95 % interval" in line:
        yield "95 % interval", interval(_ends(row, "low", "high"))
    against = next(name for name in line if name.startswith("vs "))
    ends = interval(_ends(row, "difference_low", "difference_high"), signed=True)
    difference = float(row["difference"]) if row["difference"] else None
    yield against, number(difference, signed=True) + (f" ({ends})" if ends else "")
    ok = len(next(iter(values.values()), []))
    for name in line.keys() & METRICS.keys():
        yield name, mean_std(_mean_std(values.get(METRICS[name], [])))
    if ok:
        yield "Cells", f"{ok}/{count}"


def _of_standings(standings: list[Row], pairs: list[Pair]) -> Iterator[str]:
    """Yield the ranks that do not follow from the pairs, and the differences that are none of values."""
    by_name = {(row["comparison"], row["labeler"]): row for row in standings}
    better, worse = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    wins_by_less = _lower_wins(by_name, pairs)
    for pair in pairs:
        one, other = ((pair["comparison"], pair[name]) for name in ("labeler_a", "labeler_b"))
        difference = float(pair["difference"])
        if abs(float(by_name[one]["value"]) - float(by_name[other]["value"]) - difference) > ROUNDING_ERROR:
            yield f"{one[0]}: {one[1]} and {other[1]} do not differ by the {difference:.6g} of pairs.parquet"
        if pair["separated"]:
            winner, loser = (one, other) if (difference < 0) == wins_by_less else (other, one)
            better[loser] += 1
            worse[winner] += 1
    ranked = Counter(row["comparison"] for row in standings if row["rank_low"])
    for key, row in by_name.items():
        if row["rank_low"]:
            told = int(row["rank_low"]), int(row["rank_high"])
            if told != (1 + better[key], ranked[key[0]] - worse[key]):
                yield f"{key[0]}, {key[1]}: the rank {told[0]} to {told[1]} does not follow from pairs.parquet"


def _lower_wins(by_name: dict[tuple[str, str], Row], pairs: list[Pair]) -> bool:
    """Say whether errors are ranked: the lower value of a separated pair then has the lower rank."""
    for pair in pairs:
        one, other = (by_name[pair["comparison"], pair[name]] for name in ("labeler_a", "labeler_b"))
        if pair["separated"] and one["rank_low"] != other["rank_low"]:
            return (float(pair["difference"]) < 0) == (int(one["rank_low"]) < int(other["rank_low"]))
    return False


def _of_about(about: dict[str, Any], standings: list[Row]) -> Iterator[str]:
    labelers = len({row["labeler"] for row in standings})
    if about["labelers"] != labelers:
        yield f"says {about['labelers']} labelers, standings.csv has {labelers}"
    here = [row for row in standings if row["comparison"] == about["comparison"]]
    leading = [row["labeler"] for row in here if row["leading"] == "True"]
    leading = leading or [row["labeler"] for row in here if row["rank"] in ("1", "1=")]
    if list(map(_plain, leading)) != about["leading"]:
        yield f"says that {'; '.join(about['leading']) or 'nobody'} leads {about['comparison']}, standings.csv does not"


def _lines(page: str) -> Iterator[tuple[str, Row]]:
    """Yield (section, {column: cell}) of every line of every leaderboard on a page, as it is written there."""
    section, header = "", list[str]()
    for line in page.splitlines():
        if line.startswith("## "):
            section, header = line[3:], []
        elif not line.startswith("| "):
            header = []
        else:
            cells = [cell.strip() for cell in line[1:-1].split("|")]
            if not header:
                header = cells
            elif header[:2] == ["Rank", "Labeler"] and not set(cells[0]) <= set(":-"):
                yield section, dict(zip(header, cells, strict=True))


def _ends(row: Row, low: str, high: str) -> tuple[float, float] | None:
    return (float(row[low]), float(row[high])) if row[low] else None


def _mean_std(values: list[float]) -> MeanStd | None:
    if not values:
        return None
    return MeanStd(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None, len(values))


def _plain(text: str) -> str:
    """Take off the quote that keeps a spreadsheet from running a name that begins like a formula."""
    return text[1:] if re.match(r"'[=+\-@\t]", text) else text
