"""The static site over all boards of a folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.errors import HarnessError, printable
from harness.report import board_tables
from harness.report.board_site import board_files, facts
from harness.report.consistency import find_boards
from harness.report.finished_board import FinishedBoard, primary_metric, read_board
from harness.report.html_report import as_json
from harness.report.html_tables import HtmlTable, to_html
from harness.report.leaderboard_page import SIMULATED_NOTE
from harness.report.leaderboard_tables import metric_header
from harness.report.ranking_site import FinishedRanking, find_rankings, ranking_files
from harness.report.site_page import render
from harness.report.tables import Column, Estimate, Table, to_csv_files
from harness.utils.files import replace_bytes, replace_text

LIST_FILE = "site.json"  # the names of the files of the site, so that none is left behind
HASH_MARK = ", SHA-256 "


@dataclass(frozen=True)
class Site:
    """What was written."""

    index: Path
    boards: int
    reports: tuple[str, ...]  # the boards whose full report is on the site
    is_simulated: bool  # whether any board is


def write_site(leaderboards: Path, to: Path) -> Site:
    """Write the site of every board in a folder, or of the folder's one.

    Files that an earlier site has in `to` and this one has not are removed. Raises HarnessError without a board, for a
    torn one, and for a folder that holds something else; then nothing is written.
    """
    folders = find_boards(leaderboards)
    if not folders:
        raise HarnessError(f"{leaderboards}: no board in it; give the folder that harness run writes, leaderboards")
    earlier = _earlier_files(to)
    boards = [read_board(folder) for folder in folders]
    contents: dict[str, str | bytes] = {}
    for board in boards:
        contents |= {f"{board.name}/{name}": content for name, content in board_files(board).items()}
    rankings = list(find_rankings(leaderboards))
    for ranking in rankings:
        contents |= {f"{ranking.name}/{name}": content for name, content in ranking_files(ranking).items()}
    contents |= {"index.html": index_page(boards, rankings), "data.html": data_page(boards), ".nojekyll": ""}
    contents[LIST_FILE] = json.dumps(sorted(contents), indent=1) + "\n"
    for name, content in contents.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            replace_bytes(to / name, content)
        else:
            replace_text(to / name, content)
    for name in earlier - contents.keys():
        _remove(to, name)
    reports = tuple(board.name for board in boards if f"{board.name}/report.html" in contents)
    return Site(to / "index.html", len(boards), reports, any(board.is_simulated for board in boards))


def index_page(boards: Sequence[FinishedBoard], rankings: Sequence[FinishedRanking]) -> str:
    """Return the page over all boards, real and simulated ones apart."""
    from markupsafe import Markup

    parts, tables = [], []
    for simulated, title in ((False, "On real data"), (True, "On SIMULATED DATA")):
        group = [board for board in boards if board.is_simulated == simulated]
        if group:
            table = _index_table(group, title, "simulated" if simulated else "real")
            tables.append(table)
            name = "simulated-data" if simulated else "real-data"
            parts.append({"id": name, "title": title, "table": _searchable(to_html(table), group)})
    warnings = [SIMULATED_NOTE] if all(board.is_simulated for board in boards) else []
    csv_files = Markup(as_json(to_csv_files(tables)))
    listed = [
        {
            "name": printable(ranking.name),
            "link": f"{quote(ranking.name)}/index.html",
            "verdict": printable(ranking.verdict),
            "simulated": ranking.is_simulated,
        }
        for ranking in rankings
    ]
    return render(
        "site_index.html",
        "Leaderboards",
        here="index",
        parts=parts,
        rankings=listed,
        warnings=warnings,
        csv_files=csv_files,
    )


def data_page(boards: Sequence[FinishedBoard]) -> str:
    """Return the page of data cards: one a file, one part a target."""
    cards: dict[str, dict[tuple[str, ...], list[FinishedBoard]]] = {}
    for board in boards:
        of_board = facts(board)
        use = (of_board["Target"], of_board["Rows"], of_board.get("Class shares", ""))
        cards.setdefault(of_board["Data"], {}).setdefault(use, []).append(board)
    sections = [_card(i, data, uses) for i, (data, uses) in enumerate(cards.items(), 1)]
    return render("site_data.html", "Data", script="", here="data", cards=sections)


def _card(place: int, data: str, uses: Mapping[tuple[str, ...], list[FinishedBoard]]) -> dict[str, Any]:
    name, _, file_hash = data.partition(HASH_MARK)
    simulated = any(board.is_simulated for boards in uses.values() for board in boards)
    return {
        "id": f"data-{place}",
        "title": printable(name),
        "hash": file_hash,
        "simulated": SIMULATED_NOTE if simulated else "",
        "uses": [
            {
                "title": printable(target),
                "facts": [(term, printable(text)) for term, text in (("Rows", rows), ("Class shares", shares)) if text],
                "boards": [board.name for board in boards],
            }
            for (target, rows, shares), boards in uses.items()
        ],
    }


def _index_table(boards: Sequence[FinishedBoard], title: str, file: str) -> Table:
    names = ("Board", "Score", "Gain", "Leader", "Metric", "With the most labels", "Data", "Population", "Target")
    header = (*(Column(name, signed=name == "Gain") for name in names), Column("Labelers"))
    return Table(f"boards_{file}", title, header, tuple(map(_index_row, boards)))


def _index_row(board: FinishedBoard) -> tuple[Any, ...]:
    comparison, of_board = board.main_comparison, facts(board)
    first = next((row for row in board.of(comparison) if row["rank"]), None)
    value = board_tables.standing_value(first) if first else None
    ends = board_tables.standing_interval(first) if first else None
    metric = primary_metric(board, comparison)
    return (
        board.name,
        Estimate(value, ends) if ends is not None and value is not None else value,
        board_tables.standing_difference(first) if first else None,
        _leader(board, comparison),
        metric_header(metric) if metric else "",
        board_tables.headings(board)[comparison][0],
        of_board["Data"].partition(HASH_MARK)[0],
        str(board.record.get("population", "")),
        str(board.record.get("target", "")),
        len({row["labeler"] for row in board.standings}),
    )


def _leader(board: FinishedBoard, comparison: str) -> str:
    """Return who leads in a few words."""
    named = board_tables.leaders(board, comparison)
    if not named:
        return "cannot be told apart"
    more = f" and {len(named) - 1} more" if len(named) > 1 else ""
    untested = "" if board_tables.is_tested(board, comparison) else " (by number, not tested)"
    return named[0]["labeler"] + more + untested


def _searchable(table: HtmlTable, boards: Sequence[FinishedBoard]) -> HtmlTable:
    """Link each board, and let its row be found by its labelers too."""
    rows = []
    for row, board in zip(table.rows, boards, strict=True):
        first, *others = row.cells
        texts = [cell.text for cell in row.cells]
        texts += sorted({printable(standing["labeler"]) for standing in board.standings})
        cells = (replace(first, link=f"{quote(board.name)}/index.html"), *others)
        rows.append(replace(row, cells=cells, labelers="\n".join(texts)))
    return replace(table, rows=tuple(rows), ranks=True)


def _earlier_files(to: Path) -> set[str]:
    """Return the files of the site that a folder holds; HarnessError if other."""
    if to.exists() and not to.is_dir():
        raise HarnessError(f"--to {to}: is a file; name a folder")
    if not to.exists() or not any(to.iterdir()):
        return set()
    try:
        names = json.loads((to / LIST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        names = None
    if not isinstance(names, list):
        raise HarnessError(f"--to {to}: holds files that are no site of harness site; name an empty folder")
    return set(map(str, names))


def _remove(to: Path, name: str) -> None:
    """Remove a file of an earlier site, and its folder if that is empty."""
    file = (to / name).resolve()
    if file.is_relative_to(to.resolve()) and file.is_file():
        file.unlink()
        if file.parent != to.resolve() and not any(file.parent.iterdir()):
            file.parent.rmdir()
