"""The pages of one board on the site, and the files beside them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, printable
from harness.report import board_tables
from harness.report.finished_board import STANDINGS, FinishedBoard, csv_rows, head_lines
from harness.report.html_report import as_json, audit_table
from harness.report.html_tables import to_html
from harness.report.leaderboard_folder import BOARD_FILE, PLOTS_FOLDER
from harness.report.leaderboard_page import SIMULATED_NOTE
from harness.report.parquet_files import PAIRS, SCORES
from harness.report.site_page import render, table_page
from harness.report.svg import embed_svg
from harness.report.tables import Table, to_csv_files
from harness.statistics.significance import ALPHA
from harness.utils.yaml_file import load

COPIED = (STANDINGS, SCORES, PAIRS, "timings.csv", BOARD_FILE)
REPORT = "report.html"


def board_files(board: FinishedBoard) -> dict[str, str | bytes]:
    """Return {name: content} of a board's folder on the site."""
    suite = find_suite(board)
    copies = {name: (board.folder / name).read_bytes() for name in COPIED if (board.folder / name).is_file()}
    if suite is not None:
        copies["suite.yaml"] = suite.read_bytes()
    pages: dict[str, str | bytes] = {}
    if is_of_this_run(board):
        pages[REPORT] = _without_glossary_link((board.folder / REPORT).read_text(encoding="utf-8", errors="replace"))
    pages["scores.html"] = table_page(
        board.name, "every number", "Every number of every cell.", board.scores, SCORES, board.is_simulated
    )
    if board.pairs.num_rows:
        text = "Every pair of ranked labelers: the first minus the second, of the metric that is ranked."
        pages["pairs.html"] = table_page(board.name, "every pair", text, board.pairs, PAIRS, board.is_simulated)
    pages["index.html"] = _board_page(board, list(copies), list(pages), suite)
    return copies | pages


def find_suite(board: FinishedBoard) -> Path | None:
    """Return the suite file of a board, by its command; None if not there.

    A file counts only below the folder that holds the leaderboards, and only if it names this board: board.json may
    come from anywhere, and a site is public.
    """
    words = str(board.record.get("command", "")).split()
    root = board.folder.resolve().parent.parent
    file = (root / words[2]).resolve() if len(words) > 2 else root
    if file.suffix not in (".yaml", ".yml") or not file.is_relative_to(root) or not file.is_file():
        return None
    try:
        value = load(file).value
    except HarnessError:
        return None
    return file if isinstance(value, dict) and value.get("name") == board.name and "labelers" in value else None


def is_of_this_run(board: FinishedBoard) -> bool:
    """Return True if the board has a report with the values of standings.csv."""
    rows = csv_rows(board, "report/leaderboard.csv")
    if not (board.folder / REPORT).is_file() or not rows:
        return False
    shown = {(row.get("comparison"), row.get("labeler")): set(row.values()) for row in rows}
    standings = [row for row in board.standings if row["value"]]
    return all(
        any(_is_close(text, row["value"]) for text in shown.get((row["comparison"], row["labeler"]), ()))
        for row in standings
    )


def _is_close(text: str, value: str) -> bool:
    try:
        return abs(float(text) - float(value)) < 1e-9
    except ValueError:
        return False


def _without_glossary_link(page: str) -> str:
    """Return a report without its link to the glossary, which lies elsewhere."""
    start, link, rest = page.partition('<a href="../../docs/glossary.md">')
    return start + rest.replace("</a>", "", 1) if link else page


def _board_page(board: FinishedBoard, copies: list[str], pages: list[str], suite: Path | None) -> str:
    from markupsafe import Markup

    titles = board_tables.headings(board)
    drawn, tables = [], []
    for i, comparison in enumerate(board.comparisons, 1):
        folded = list(_folded_tables(board, comparison))
        leaderboard = board_tables.leaderboard_table(board, comparison)
        tables += [leaderboard, *folded]
        drawn.append(_comparison(board, comparison, i, titles[comparison], leaderboard, folded))
    fits = board_tables.other_table(board, f"{PLOTS_FOLDER}/fits.csv", "Fitted curves")
    audit, failures = audit_table(board.folder / "audit.csv"), board_tables.failure_table(board)
    tables += [table for table in (fits, audit, failures) if table is not None and table.rows]
    figures = [figure for name in ("curves", "classes") for figure in _figures(board, name)]
    main = board.main_comparison
    parts = [(f"#{comparison['id']}", comparison["title"]) for comparison in drawn]
    parts += [("#curves", "Learning curves")] if figures or fits else []
    parts += [("#audit", "Audit")] if audit else []
    parts += [("#failures", "Failures"), ("#again", "Run it again")]
    names = {"scores.html": "Every number", "pairs.html": "Every pair", REPORT: "Full report"}
    parts += [(page, names[page]) for page in pages]
    notes = [SIMULATED_NOTE] if board.is_simulated else []
    return render(
        "site_board.html",
        board.name,
        root="../",
        simulated=board.is_simulated,
        warnings=[*notes, *(warning for warning in head_lines(board.page) if warning not in notes)],
        leaders=printable(board_tables.leader_sentence(board, main, titles[main][0])),
        facts=[(term, printable(text)) for term, text in facts(board).items()],
        files=copies,
        parts=[{"link": link, "title": title} for link, title in parts],
        comparisons=drawn,
        figures=figures,
        fits=to_html(fits) if fits else None,
        audit=to_html(audit) if audit and audit.rows else None,
        failures=to_html(failures) if failures.rows else None,
        command=printable(str(board.record.get("command", ""))),
        suite_file=suite.name if suite else "",
        suite=suite.read_text(encoding="utf-8", errors="replace") if suite else "",
        csv_files=Markup(as_json(to_csv_files(tables))),
    )


def facts(board: FinishedBoard) -> dict[str, str]:
    """Return what the page has on data, rows and target, or the index has."""
    record = board.record
    known = {"Data": str(record.get("data", "")), "Rows": f"population: {record.get('population', '')}"}
    return known | {"Target": str(record.get("target", ""))} | dict(board.facts)


def _comparison(
    board: FinishedBoard,
    comparison: str,
    place: int,
    heading: tuple[str, str],
    leaderboard: Table,
    folded: list[Table],
) -> dict[str, Any]:
    return {
        "id": f"comparison-{place}",
        "title": printable(heading[0]),
        "splits": printable(comparison),
        "circumstances": heading[1],
        "open": comparison == board.main_comparison,
        "leaderboard": to_html(leaderboard),
        "claim": _claim(board, comparison),
        "folded": [to_html(table) for table in folded],
        "figures": list(_figures(board, f"confidence-{place}")),
    }


def _folded_tables(board: FinishedBoard, comparison: str) -> Iterator[Table]:
    yield from board_tables.part_tables(board, comparison)
    settings = board_tables.other_table(board, f"{PLOTS_FOLDER}/settings.csv", "Settings tried", comparison)
    coverage, costs = (table(board, comparison) for table in (board_tables.coverage_table, board_tables.cost_table))
    yield from (table for table in (settings, coverage, costs) if table is not None)


def _claim(board: FinishedBoard, comparison: str) -> str:
    if not board_tables.is_tested(board, comparison):
        return "Ranks are not tested here: the labelers stand in the order of their numbers."
    return (
        "Ranks are intervals: a labeler of rank 2-4 is beaten by one and cannot be told apart from two others. • marks "
        f"the leading group. The chance of any false separation is at most {ALPHA:.0%} (Holm)."
    )


def _figures(board: FinishedBoard, name: str) -> Iterator[dict[str, Any]]:
    """Yield the plots of the board whose files begin with a name."""
    from xml.etree import ElementTree

    from markupsafe import Markup

    for file in sorted((board.folder / PLOTS_FOLDER).glob("*.svg")):
        if file.stem == name or file.stem.rpartition("-")[0] == name:
            drawing = file.read_text(encoding="utf-8", errors="replace")
            try:
                title = ElementTree.fromstring(drawing).findtext("{http://www.w3.org/2000/svg}title") or file.stem
                yield {"svg": Markup(embed_svg(drawing, file.stem)), "caption": printable(title)}
            except ElementTree.ParseError as error:
                raise HarnessError(f"{file}: is no SVG: {error}") from None
