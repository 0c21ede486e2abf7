"""The site in a real Chromium, from files alone: search, links, long tables, the keyboard, rules of accessibility."""

import csv
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.report.long_table import STORED_DECIMALS
from harness.report.site_page import table_page
from tests.command_line import events, harness
from tests.conftest import ROOT

ROWS = 40_000
BOARDS = ("quickstart", "labels_flan")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site of two committed boards, by the command."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "leaderboards").mkdir()
    for name in BOARDS:
        (folder / "leaderboards" / name).symlink_to(ROOT / "leaderboards" / name)
    done = harness("site", "leaderboards", "--to", "public", "--json", cwd=folder)
    assert [(event["event"], event["boards"], event["simulated"]) for event in events(done)] == [("done", 2, True)]
    return folder / "public"


@pytest.fixture(scope="module")
def long_table():
    """40,000 rows: a name, a number with gaps, a seed."""
    draw = random.Random(0)
    values = [None if draw.random() < 0.1 else draw.random() for _ in range(ROWS)]
    names = [f"knn(k={draw.randrange(500)})" for _ in range(ROWS)]
    return pa.table({"labeler": names, "value": values, "seed": [i % 7 for i in range(ROWS)]})


@pytest.fixture
def page(browser):
    """A page; afterwards nothing but files may have been asked for, and nothing said on the console."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True)
    opened, asked, said = context.new_page(), [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert said == []


def test_the_search_finds_boards_by_name_data_and_labelers(page, site):
    page.goto((site / "index.html").as_uri())
    for query, names in (("QUICK", ["quickstart"]), ("raw_data", ["labels_flan"]), ("source_prior", ["quickstart"])):
        page.get_by_label("Show boards with").fill(query)
        shown = [row.locator("th a").inner_text() for row in page.locator("tbody tr").all() if row.is_visible()]
        assert shown == names
        assert page.locator("#count").inner_text() == "1 of 2 boards"
    page.keyboard.press("Escape")
    assert page.locator("tbody tr:visible").count() == 2


def test_a_board_is_two_keys_away_and_back(page, site):
    page.goto((site / "index.html").as_uri())
    link = page.locator("tbody th a", has_text="quickstart")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/quickstart/index.html")
    assert page.title() == "SIMULATED DATA: quickstart"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.get_by_role("link", name="Every pair").press("Enter")
    page.wait_for_url("**/quickstart/pairs.html")
    assert page.locator("#count").inner_text() == "56 rows"
    page.get_by_role("link", name="All boards").press("Enter")
    page.wait_for_url("**/public/index.html")
    assert page.locator("h1").inner_text() == "Leaderboards"


def test_a_table_of_a_board_sorts_and_is_saved(page, site):
    page.goto((site / "quickstart/index.html").as_uri())
    head = page.locator("#comparison-1 thead th >> nth=1")
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    names = page.locator("#comparison-1 table >> nth=0 >> tbody th").all_inner_texts()
    assert names == sorted(names, key=str.lower)
    with page.expect_download() as download:
        page.locator("button.save[data-file='leaderboard.csv']").first.click()
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert len(rows) == 16


def test_40000_rows_are_sorted_as_python_sorts_them_and_few_are_drawn(page, tmp_path, long_table):
    (tmp_path / "table.html").write_text(table_page("b", "every number", "", long_table, "x.parquet", simulated=True))
    page.goto((tmp_path / "table.html").as_uri())
    rows = list(enumerate(long_table.to_pylist()))

    def shown():
        drawn = [row.split("\t") for row in page.locator("#rows tbody").inner_text().splitlines()]
        return [(labeler, value, int(seed)) for labeler, value, seed in drawn]

    def rounded(row):
        return round(row["value"], STORED_DECIMALS)

    def expected(ordered):
        values = [(row["labeler"], row["value"], row["seed"]) for _, row in ordered]
        return [
            (name, "" if value is None else f"{round(value, STORED_DECIMALS):.4f}", seed)
            for name, value, seed in values
        ]

    present = [(i, row) for i, row in rows if row["value"] is not None]
    empty = [(i, row) for i, row in rows if row["value"] is None]
    head = page.locator("#rows thead th", has_text="value")
    head.locator("button").click()
    falling = sorted(present, key=lambda each: (-rounded(each[1]), each[0]))
    assert shown() == expected(falling[:100])
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("#rows tbody tr").count() == 100
    head.locator("button").press("Enter")
    rising = sorted(present, key=lambda each: rounded(each[1]))
    assert shown() == expected(rising[:100])
    page.locator("#next").click()
    assert shown() == expected(rising[100:200])
    assert page.locator("#place").inner_text() == "101 to 200"
    page.get_by_label("Show rows with").fill("k=123)")
    matching = [each for each in rising + empty if "k=123)" in each[1]["labeler"]]
    assert page.locator("#count").inner_text() == f"{len(matching)} of 40,000 rows"
    assert shown() == expected(matching[:100]), "empty ones stay last"


def test_a_page_without_javascript_has_its_first_rows(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "quickstart/scores.html").as_uri())
    assert page.locator("#rows tbody tr").count() == 100
    rows = pq.read_metadata(ROOT / "leaderboards/quickstart/scores.parquet").num_rows
    assert f"the first 100 of {rows:,} rows are here" in page.content()
    context.close()


@pytest.mark.parametrize("name", ["index.html", "data.html", "quickstart/index.html", "quickstart/pairs.html"])
def test_a_page_breaks_no_rule_of_accessibility_and_fits_a_phone(page, site, violations, name):
    page.goto((site / name).as_uri())
    for scheme, width in (("light", 1200), ("dark", 360)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        assert violations(page) == [], (scheme, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
