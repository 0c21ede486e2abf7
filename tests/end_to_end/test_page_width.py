"""Markdown pages in a real Chromium as wide as GitHub draws them: boards fit, and no number is broken."""

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from harness.report.leaderboard_parts import split_leaderboard
from harness.report.page_width import PAGE_WIDTH
from harness.report.tables import Column, IntervalCell, Table
from harness.scoring.leaderboard import MeanStd

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "leaderboards").glob("**/*.md"))]
PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")
DIGIT = 9.3  # pixels of a digit in the widest font that GitHub names; a wider fallback is made smaller
STYLE = """
body { margin: 0; width: 838px; line-height: 1.5;
       font: 16px/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", "Open Sans", Helvetica, Arial; }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-spacing: 0;
        border-collapse: collapse; }
th, td { padding: 6px 13px; border: 1px solid; }
th { font-weight: 600; }
"""
MEASURE = """(digit) => {
    const probe = document.createElement('span');
    probe.textContent = '0'.repeat(100);
    document.body.append(probe);
    const width = probe.getBoundingClientRect().width / 100;
    probe.remove();
    if (width > digit) document.body.style.fontSize = 16 * digit / width + 'px';
    const lines = (cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
    };
    const isNumber = (text) => /\\d/.test(text) && /^(?:[-+\\d\\s.,/%()=•±–≥]|to)+$/.test(text);
    const boards = [...document.querySelectorAll('table')].map((table) => ({
        head: [...table.querySelectorAll('th')].map((cell) => cell.textContent),
        first: table.querySelector('td')?.textContent,
        folded: table.closest('details') !== null,
        width: table.scrollWidth,
        tall: [...table.querySelectorAll('tbody tr')].map((row) => Math.max(...[...row.cells].map(lines))),
    }));
    document.querySelectorAll('details').forEach((each) => each.open = true);
    const cells = [...document.querySelectorAll('td')].filter((cell) => isNumber(cell.textContent));
    return {boards, numbers: cells.length,
            broken: cells.filter((cell) => lines(cell) > 1).map((cell) => cell.textContent)};
}"""


@pytest.fixture(scope="module")
def page(browser):
    return browser.new_page(viewport={"width": PAGE_WIDTH, "height": 800})


def measure(page, markdown):
    """Return the tables and the numbers of a Markdown page as Chromium lays them out."""
    page.set_content(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{PARSER.render(markdown)}")
    return page.evaluate(MEASURE, DIGIT)


def find_boards(tables):
    """Return the tables of ranks and of classes."""
    return [table for table in tables if table["head"][:2] == ["Rank", "Labeler"] or table["first"] == "test rows"]


def is_overview(table):
    """Return True for a table of the index or of the sections of the record."""
    return table["head"][0] in ("Board", "Section", "Rows and truth", "Suite")


def check(measured):
    """Check that boards fit a page, line by line, and that no number on it is broken."""
    boards = find_boards(measured["boards"])
    assert all(board["width"] <= PAGE_WIDTH for board in boards), [(b["head"], b["width"]) for b in boards]
    assert all(set(board["tall"]) == {1} for board in boards), boards
    assert not any(board["folded"] for board in boards)
    overviews = [table for table in measured["boards"] if is_overview(table) and not table["folded"]]
    assert all(table["width"] <= PAGE_WIDTH for table in overviews), [(t["head"], t["width"]) for t in overviews]
    assert measured["broken"] == []
    return boards


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_committed_page_fits_and_breaks_no_number(page, file):
    text = file.read_text()
    boards = check(measure(page, text))
    assert len(boards) >= text.count("\n| Rank | Labeler |")
    assert all(len(board["head"]) <= 6 for board in boards if board["head"][0] == "Rank")


def board(names, classes, primary="Accuracy ↑", others=("Macro-F1 ↑", "MAE ↓")):
    """Return a board of values with intervals, deviations and an accuracy on each class."""
    columns = [Column("Rank"), Column("Labeler"), Column(primary), Column("95 % interval")]
    columns += [Column("vs majority", signed=True), *map(Column, others)]
    columns += [Column(f"{name} (n=270,839)", 2, shade="value") for name in classes]
    rows = [
        *(
            (f"{10 + i}-{90 + i} •", name, MeanStd(-0.51, 0.01, 3), IntervalCell(-0.5, 0.5), -0.2)
            for i, name in enumerate(names)
        )
    ]
    cells = (*(MeanStd(0.4, 0.02, 3) for _ in others), *(0.5 for _ in classes))
    return Table("", "", (*columns, Column("Cells")), tuple((*row, *cells, "3/3") for row in rows))


LONG = [
    f"self_training(oversample(mlp(on=embedding+text_v2, hidden={h})), rounds={r})" for h in (256, 512) for r in (1, 5)
]


@pytest.mark.parametrize(
    "classes", [["bad", "good"], [*"012345"], [f"topic {i}" for i in range(40)], ["很好" * 5, "W" * 50]]
)
@pytest.mark.parametrize("names", [LONG, ["majority"], ["MWMWMWMWMWMWMWMWMWMWMWMWMW", "方法" * 20]])
def test_boards_of_any_names_and_classes_fit(page, names, classes):
    parts = split_leaderboard(board(names, classes, "Quadratic kappa ↑", ("Accuracy ↑", "Macro-F1 ↑", "MAE ↓")))
    boards = check(measure(page, "\n\n".join(parts.markdown())))
    assert sum(len(each["head"]) - 1 for each in boards[1:]) == len(classes)
    assert len(boards) == 2 or len(classes) > 6
