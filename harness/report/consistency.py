"""Whether the files of a board agree with each other; no cells are needed."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.report.csv_files import csv_cell, without_formula_quote
from harness.report.leaderboard_folder import BOARD_FILE, PLOTS_FOLDER, find_differences, orphaned_files
from harness.report.page_consistency import Cells, Row, check_page
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
from harness.scoring.leaderboard import DECIMALS

Pair = dict[str, Any]  # one row of pairs.parquet, its names as standings.csv has them
Values = dict[tuple[str, str], dict[str, list[tuple[int | None, float]]]]  # with the fold
FILES = (BOARD_FILE, "README.md", "standings.csv", PAIRS, SCORES)
SETTINGS = f"{PLOTS_FOLDER}/settings.csv"
ROUNDING_ERROR = 1e-9  # of sums that were added up in another order


def find_boards(folder: Path) -> list[Path]:
    """Return the folders of boards in a folder, or the folder itself."""
    names = [name for name in FILES if name != "README.md"]
    files = [file for name in names for file in (folder / name, *folder.glob(f"*/{name}"))]
    return sorted({file.parent for file in files if file.is_file()})


def find_contradictions(board: Path) -> Iterator[str]:
    """Yield a line for every contradiction between the files of a board.

    The page's ranks, values, intervals and differences are compared with standings.csv and scores.parquet, values and
    ranks of standings.csv with scores.parquet and pairs.parquet, board.json with standings.csv, the plots and tables
    that the page names with those on disk, and CSV copies with their tables.
    """
    missing = [name for name in FILES if not (board / name).is_file()]
    if missing:
        yield f"{board}: {', '.join(missing)} missing; write it again with harness leaderboard SUITE"
        return
    page = (board / "README.md").read_text(encoding="utf-8")
    plots = _plot_names(page)
    yield from (f"{board / name}: is missing" for name in plots if not (board / name).is_file())
    tables: dict[str, pa.Table] = {}
    for name in COLUMNS:
        if (board / name).is_file():
            try:
                tables[name] = read_parquet(name, board / name)
            except ValueError as error:
                yield f"{board / name}: {error}; write it again with harness leaderboard SUITE"
    if tables.keys() >= {SCORES, PAIRS}:
        try:
            yield from _compare_tables(board, page, tables)
        except (KeyError, ValueError, TypeError) as error:
            yield f"{board}: is not as `harness leaderboard` writes it: {type(error).__name__} {error}"
    copies = {csv_name(name): csv_copy(table) for name, table in tables.items() if (board / csv_name(name)).is_file()}
    yield from find_differences(board, copies)
    listed = {*FILES, *plots, *copies, SETTINGS}
    yield from (f"{board / name}: belongs to no board" for name in orphaned_files(board, listed))


def _plot_names(page: str) -> list[str]:
    """Return the files of plots that a page links or names.

    The tables behind the plots of confidence are on no page.
    """
    names = re.findall(r"^!\[.*\]\((.*)\)$", page, re.MULTILINE) + re.findall(rf"`({PLOTS_FOLDER}/[\w.-]+)`", page)
    if any(name.startswith(f"{PLOTS_FOLDER}/confidence-") for name in names):
        names += [COVERAGE, RELIABILITY]
    return list(dict.fromkeys(names))


def _compare_tables(board: Path, page: str, tables: Mapping[str, pa.Table]) -> Iterator[str]:
    """Yield contradictions between page, index and tables."""
    record = json.loads((board / BOARD_FILE).read_text(encoding="utf-8"))
    with (board / "standings.csv").open(encoding="utf-8", newline="") as lines:
        standings = list(csv.DictReader(lines))
    names = ("comparison", "labeler_a", "labeler_b")
    pairs = [row | {name: csv_cell(row[name]) for name in names} for row in tables[PAIRS].to_pylist()]
    cells, counts = _cells(tables[SCORES], "- Protocol: record" in page)
    yield from (f"{board / 'README.md'}: {line}" for line in check_page(page, standings, cells, counts))
    yield from (f"{board / 'standings.csv'}: {line}" for line in _check_standings(standings, pairs))
    yield from (f"{board / BOARD_FILE}: {line}" for line in _check_record(record, standings))


def _cells(table: pa.Table, as_record: bool) -> tuple[Cells, dict[tuple[str, str], str]]:
    """Return the values of every cell as a page shows them, and counts.

    The counts are those of the cells of each labeler.
    """
    honest, oracle, cells, finished = Values(), Values(), set(), set()
    for batch in table.to_batches(ROWS_PER_BATCH):
        for row in batch.to_pylist():
            key = csv_cell(row["comparison"]), csv_cell(row["labeler"])
            cell = *key, row["seed"], row["ratio"], row["fold"]
            cells.add(cell)
            if row["status"] == "ok":
                finished.add(cell)
            of_some_rows = any(row[name] is not None for name in ("class", "source", "rows", "stage"))
            if row["status"] == "ok" and row["value"] is not None and not of_some_rows:
                scores = oracle if row["oracle"] else honest
                scores.setdefault(key, {}).setdefault(row["metric"], []).append((row["fold"], row["value"]))
    folded = {(comparison, labeler) for comparison, labeler, *_, fold in cells if fold is not None}

    def count(some: set[tuple[Any, ...]]) -> Counter[tuple[str, str]]:
        keys = ((cell[:2], cell[-1]) for cell in some)
        return Counter(key for key, fold in keys if fold is not None or key not in folded)

    totals, ok = count(cells), count(finished)
    counts = {key: f"{ok[key]}/{total}" for key, total in totals.items()}
    values = honest | oracle if as_record else honest
    return {key: {metric: _of_test_sets(found) for metric, found in by.items()} for key, by in values.items()}, counts


def _of_test_sets(values: list[tuple[int | None, float]]) -> list[float]:
    """Return the values of test sets: of the folds of a seed together.

    A board of an earlier version has those of the folds alone.
    """
    return [value for fold, value in values if fold is None] or [value for _, value in values]


def _check_standings(standings: list[Row], pairs: list[Pair]) -> Iterator[str]:
    """Yield the ranks that do not follow from the pairs.

    And the differences of pairs that are no differences of values.
    """
    by_name = {(row["comparison"], row["labeler"]): row for row in standings}
    better, worse = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    lower_wins = _lower_wins(by_name, pairs)
    for pair in pairs:
        first, second = ((pair["comparison"], pair[name]) for name in ("labeler_a", "labeler_b"))
        difference = float(pair["difference"])
        if abs(float(by_name[first]["value"]) - float(by_name[second]["value"]) - difference) > ROUNDING_ERROR:
            yield f"{first[0]}: {first[1]} and {second[1]} do not differ by the {difference:.6g} of pairs.parquet"
        if pair["separated"]:
            winner, loser = (first, second) if (difference < 0) == lower_wins else (second, first)
            better[loser] += 1
            worse[winner] += 1
    ranked = Counter(row["comparison"] for row in standings if row["rank_low"])
    for key, row in by_name.items():
        if row["rank_low"]:
            low, high = int(row["rank_low"]), int(row["rank_high"])
            if (low, high) != (1 + better[key], ranked[key[0]] - worse[key]):
                yield f"{key[0]}, {key[1]}: the rank {low} to {high} does not follow from pairs.parquet"

    yield from _check_order(standings)


def _check_order(standings: list[Row]) -> Iterator[str]:
    """Yield the comparisons whose ranks by number are not in their order."""
    by_number: dict[str, list[tuple[int, float]]] = {}
    for row in standings:
        if row["value"] and row["rank"] and not row["rank_low"]:
            place = int(row["rank"].rstrip("="))
            by_number.setdefault(row["comparison"], []).append((place, round(float(row["value"]), DECIMALS)))
    for comparison, places in by_number.items():
        values = [value for _, value in sorted(places)]
        if values not in (sorted(values), sorted(values, reverse=True)):
            yield f"{comparison}: the ranks by number are not in the order of the values"


def _lower_wins(by_name: dict[tuple[str, str], Row], pairs: list[Pair]) -> bool:
    """Return True if errors are ranked.

    Then the lower value of a separated pair has the lower rank.
    """
    for pair in pairs:
        first, second = (by_name[pair["comparison"], pair[name]] for name in ("labeler_a", "labeler_b"))
        if pair["separated"] and first["rank_low"] != second["rank_low"]:
            return (float(pair["difference"]) < 0) == (int(first["rank_low"]) < int(second["rank_low"]))
    return False


def _check_record(record: dict[str, Any], standings: list[Row]) -> Iterator[str]:
    """Yield contradictions between the entry of the index and standings.csv."""
    labelers = len({row["labeler"] for row in standings})
    if record["labelers"] != labelers:
        yield f"says {record['labelers']} labelers, standings.csv has {labelers}"
    rows = [row for row in standings if row["comparison"] == record["comparison"]]
    leading = [row["labeler"] for row in rows if row["leading"] == "True"]
    leading = leading or [row["labeler"] for row in rows if row["rank"] in ("1", "1=")]
    if list(map(without_formula_quote, leading)) != record["leading"]:
        leaders = "; ".join(record["leading"]) or "nobody"
        yield f"says that {leaders} leads {record['comparison']}, standings.csv does not"
        return
    if leading and "value" in record:
        first = next(row for row in rows if row["labeler"] == leading[0])
        ends = ("low", "high") if first["leading"] == "True" else ()
        for name, column in (("value", "value"), ("gain", "difference"), *zip(ends, ends, strict=True)):
            # Ranks by the numbers alone have no value there.
            if first[column] and abs(float(first[column]) - (record[name] or 0.0)) > ROUNDING_ERROR:
                yield f"says that the {name} of {leading[0]} is {record[name]}, standings.csv has {first[column]}"
