"""Bring boards of labelharness 0.1.0 into the form of today from their own files; no cell is needed.

`python docs/scripts/reshape_boards.py leaderboards` writes every board below a folder again: the wide table of each
comparison in three parts, the first labeler's score in board.json. What one seed had claimed to separate is taken back
in README.md, standings.csv, pairs.parquet and board.json. All numbers stay as they are.
"""

import csv
import html
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.report import index
from harness.report.consistency import find_boards
from harness.report.csv_files import without_formula_quote
from harness.report.leaderboard_parts import CLASS_HEADER, MORE_COLUMNS, split_leaderboard
from harness.report.markdown import format_table
from harness.report.parquet_files import PAIRS, read_parquet, to_parquet
from harness.report.tables import Column, Table
from harness.scoring.leaderboard import DECIMALS

UNTESTED = "one seed: ranks are not tested"
BY_NUMBER = f"- {UNTESTED}; the labelers stand in the order of their numbers"
INTERVALS = (
    "- Each 95 % interval is for its own value alone, over the draw of the test {unit} alone: another seed would "
    "change more, and how much is not measured."
)
TIES = "- `=` marks ties: equal to the printed precision."
MADE_WITH = re.compile(r"^labelharness 0\.1\.0, .*$", re.MULTILINE)
LAID_OUT = (
    "Laid out again with `python docs/scripts/reshape_boards.py` from the files of the board, without running a cell: "
    "the numbers are those of the version above{untested}."
)
TAKEN_BACK = "; what one seed had claimed to separate is taken back"
ONE_SEED = re.compile(r"; seed \d+ \(")

Standing = dict[str, str]


def reshape(board: Path) -> bool:
    """Write the files of one board again; return False for one of today's form."""
    page = (board / "README.md").read_text(encoding="utf-8")
    if MORE_COLUMNS in page:
        return False
    with (board / "standings.csv").open(encoding="utf-8", newline="") as lines:
        standings = list(csv.DictReader(lines))
    record = json.loads((board / index.BOARD_FILE).read_text(encoding="utf-8"))
    untested = ONE_SEED.search(page) is not None and any(row["rank_low"] for row in standings)
    if untested:
        standings = [*take_back(standings)]
        with (board / "standings.csv").open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, standings[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(standings)
        pairs = read_parquet(PAIRS, board / PAIRS).to_pylist()
        (board / PAIRS).write_bytes(
            to_parquet(PAIRS, [pair | {"p": None, "p_holm": None, "separated": False} for pair in pairs])
        )
    record |= leader(standings, record["comparison"])
    (board / index.BOARD_FILE).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    ranks = {(row["comparison"], without_formula_quote(row["labeler"])): row["rank"] for row in standings}
    page = "\n## ".join(section(text, ranks, untested) for text in page.split("\n## "))
    note = LAID_OUT.format(untested=TAKEN_BACK if untested else "")
    page = MADE_WITH.sub(lambda made: f"{made[0]}\n\n{note}", page)
    (board / "README.md").write_text(page, encoding="utf-8")
    return True


def take_back(standings: list[Standing]) -> Iterator[Standing]:
    """Yield the standings with ranks by the numbers alone."""
    for row in standings:
        values = [
            round(float(other["value"]), DECIMALS)
            for other in standings
            if other["comparison"] == row["comparison"] and other["rank"]
        ]
        rank = ""
        if row["rank"]:
            value = round(float(row["value"]), DECIMALS)
            rank = f"{1 + sum(other > value for other in values)}{'=' * (Counter(values)[value] > 1)}"
        yield row | {"rank": rank, "rank_low": "", "rank_high": "", "leading": str(False) if row["rank"] else ""}


def leader(standings: list[Standing], comparison: str) -> dict[str, Any]:
    """Return who leads a comparison, with the score of the first."""
    rows = [row for row in standings if row["comparison"] == comparison]
    leading = [row for row in rows if row["leading"] == str(True)]
    tested = bool(leading)
    leading = leading or [row for row in rows if row["rank"] in ("1", "1=")]
    record: dict[str, Any] = {
        "leading": [without_formula_quote(row["labeler"]) for row in leading],
        "metric": "accuracy",
    }
    columns = {"value": "value", "low": "low" * tested, "high": "high" * tested, "gain": "difference"}
    first = leading[0] if leading else {}
    return record | {name: float(first[column]) if first.get(column) else None for name, column in columns.items()}


def section(text: str, ranks: dict[tuple[str, str], str], untested: bool) -> str:
    """Return a section of a page with its board in three parts."""
    parts, title = text.split("\n\n"), ""
    reshaped: list[str] = []
    for part in parts:
        if part.startswith("Splits: "):
            title = part.removeprefix("Splits: ").partition(". Train ")[0]
        if part.startswith("| Rank | Labeler |"):
            comparison = html.unescape(title or parts[0].strip())
            reshaped += [f"> {UNTESTED}"] if untested else []
            reshaped += split_leaderboard(old_table(part, ranks, comparison, untested)).markdown()
        elif part.startswith("- Ranks are intervals") and untested:
            reshaped.append("\n".join(claims(part, reshaped)))
        elif part.startswith("| "):
            reshaped.append(with_whole_numbers(part))
        else:
            reshaped.append(part.replace("test rows (few) is shown", "test rows is shown"))
    return "\n\n".join(reshaped)


def with_whole_numbers(table: str) -> str:
    """Return a table of a page whose numbers no line breaks."""
    header, sides, *lines = ([cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines())
    return format_table(header, lines, [name for name, side in zip(header, sides, strict=True) if side == "---"])


def claims(notes: str, above: list[str]) -> Iterator[str]:
    """Yield the notes below a board without what one seed had claimed."""
    yield BY_NUMBER
    for line in notes.splitlines():
        if line.startswith("- Intervals are"):
            yield INTERVALS.format(unit="groups" if "test groups" in line else "rows")
            if any(re.search(r"^\| \d+= \|", part, re.MULTILINE) for part in above):
                yield TIES
        elif not line.startswith(("- Ranks are intervals", "- Smallest detectable difference")):
            yield line.replace("test rows (few) is shown", "test rows is shown")


def old_table(text: str, ranks: dict[tuple[str, str], str], comparison: str, untested: bool) -> Table:
    """Return the board that a page of 0.1.0 has as one table, its cells as texts."""
    header, _, *lines = ([html.unescape(cell.strip()) for cell in line[1:-1].split("|")] for line in text.splitlines())
    columns = tuple(Column(name, shade="value" if CLASS_HEADER.fullmatch(name) else "") for name in header)
    if untested:
        lines = [[ranks[comparison, name] or "–", name, *cells] for _, name, *cells in lines]
    return Table("", comparison, columns, tuple(map(tuple, lines)))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    boards = [board for board in find_boards(folder) if reshape(board)]
    index.write_index(folder)
    print(f"{len(boards)} boards: {', '.join(board.name for board in boards)}")
