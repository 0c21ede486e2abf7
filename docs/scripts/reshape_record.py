"""Bring the page over the record's suites from one file into a table and a page a section; no cell is needed.

`python docs/scripts/reshape_record.py leaderboards/record` reads README.md as labelharness 0.1.0 wrote it and
reference.csv, and writes the pages that `harness run suites/record.yaml` writes today. The boards beside it say which
suite each line is of. What one seed had claimed to separate is taken back. All numbers stay as they are.
"""

import csv
import html
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from harness.report.collection_page import CollectionPages, Comparison, Scope, SuiteLine
from harness.report.markdown import format_table, number
from harness.report.reference_page import OUTCOMES, ReferenceVerdict
from harness.report.tables import Column, Table
from harness.scoring.reference_cells import OwnNumber
from harness.suite import catalog
from harness.suite.reference import DEFAULT, find_file, read_reference

UNTESTED = "one seed: ranks are not tested"
MADE = (
    "Laid out again with `python docs/scripts/reshape_record.py leaderboards/record` from one page of labelharness "
    "0.1.0 and `reference.csv`, without running a cell; what one seed had claimed to separate is taken back."
)


def read_table(text: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the lines of a Markdown table, as texts."""
    header, lines = read_raw(text)
    return header, [[html.unescape(cell) for cell in line] for line in lines]


def read_suites(table: str, boards: Path) -> Iterator[SuiteLine]:
    """Yield the suites of the page, each with what its board says of its data."""
    for link, population, target, cells in read_table(table)[1]:
        name = link[1:].partition("]")[0]
        simulated = json.loads((boards / name / "board.json").read_text(encoding="utf-8"))["simulated"]
        yield SuiteLine(name, Scope(population, target, simulated), int(cells))


def find_scope(title: str, lines: list[list[str]], suites: list[SuiteLine], boards: Path) -> tuple[Scope, str]:
    """Return the scope of a comparison and its name: that of the suites whose boards have its lines."""
    scopes = set()
    for suite in suites:
        prefix = f"{suite.scope.population}; {suite.scope.target}; "
        with (boards / suite.name / "standings.csv").open(encoding="utf-8", newline="") as standings:
            values = {
                (row["labeler"], number(float(row["value"])))
                for row in csv.DictReader(standings)
                if title == prefix + row["comparison"]
            }
        if any((name, accuracy) in values for _, name, accuracy, *_ in lines if name != "majority"):
            scopes.add((suite.scope, title.removeprefix(prefix)))
    ((scope, heading),) = scopes
    return scope, heading


def read_comparison(section: str, suites: list[SuiteLine], boards: Path) -> Comparison:
    """Return one section of the old page, ranked by the numbers alone."""
    heading, circumstances, board, *_ = section.split("\n\n")
    header, lines = read_table(board)
    scope, comparison = find_scope(html.unescape(heading), lines, suites, boards)
    values = Counter(line[2] for line in lines)
    ranked = []
    for rank, name, accuracy, *others in lines:
        place = f"{1 + sum(float(other[2]) > float(accuracy) for other in lines)}{'=' * (values[accuracy] > 1)}"
        ranked.append((place if rank != "–" else rank, name, accuracy, *others))
    ties = ("`=` marks ties: equal to the printed precision.",) if any("=" in row[0] for row in ranked) else ()
    table = Table("", comparison, tuple(map(Column, header)), tuple(ranked))
    claims = (f"{UNTESTED}; the labelers stand in the order of their numbers", *ties)
    return Comparison(scope, comparison, (circumstances, f"> {UNTESTED}"), table, claims)


def read_verdicts(file: Path) -> Iterator[ReferenceVerdict]:
    """Yield the verdicts of reference.csv."""
    published = {row.line: row for row in read_reference(find_file(DEFAULT, catalog.discover())).rows}
    with file.open(encoding="utf-8", newline="") as lines:
        for record in csv.DictReader(lines):
            row = published[int(record["line"])]
            if record["reference"] != DEFAULT or float(record["theirs"]) != row.value:
                raise SystemExit(f"{file}: line {record['line']} is not that of {DEFAULT} as it is now")
            honest = float(record["honest"]) if record["honest"] else None
            ours = OwnNumber(float(record["ours"]), honest, record["chosen_on_test"]) if record["ours"] else None
            outcome = next(each for each in OUTCOMES if each == record["verdict"])
            yield ReferenceVerdict(row, record["suite"], ours, outcome, record["why"])


def reshape(folder: Path) -> None:
    """Write the pages of one collection again."""
    boards = folder.parent
    page = (folder / "README.md").read_text(encoding="utf-8")
    if "\n## All lines, unranked\n" not in page:
        raise SystemExit(f"{folder / 'README.md'}: is no page of labelharness 0.1.0 over several suites")
    top, *sections = page.split("\n## ")
    suites = list(read_suites(next(part for part in top.split("\n\n") if part.startswith("| Suite |")), boards))
    *ranked, unranked, again = sections
    header, lines = read_raw(unranked.split("\n\n")[2].strip())
    pages = CollectionPages(
        folder.name,
        tuple(suites),
        tuple(read_comparison(section, suites, boards) for section in ranked),
        format_table(header, lines, ("Labeler", "Where")),
        tuple(read_verdicts(folder / "reference.csv")),
        f"{again.partition(chr(10))[2].strip()}\n\n{MADE}",
    )
    for name, text in pages.files().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def read_raw(text: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the lines of a Markdown table as they are written."""
    header, _, *lines = ([cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines())
    return header, lines


if __name__ == "__main__":
    reshape(Path(sys.argv[1]))
