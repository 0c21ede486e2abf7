"""The static site, read back by an HTML parser."""

import base64
import csv
import hashlib
import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from harness.errors import HarnessError, printable
from harness.report.board_site import find_suite
from harness.report.csv_files import csv_cell
from harness.report.data_set_ranking import rank_boards
from harness.report.finished_board import read_board
from harness.report.ranking_page import write_ranking
from harness.report.site import write_site
from tests.boards import COMPARISON, write_board
from tests.conftest import ROOT
from tests.report.test_html_report import Page

LEADERBOARDS = ROOT / "leaderboards"
BOARDS = ("quickstart", "labels_flan", "full_300k", "record_diagnosis")  # tested, one seed, not applicable, no leader
HOSTILE = "=x</script><script>alert(1)</script>\u202e"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site of four committed boards."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "leaderboards").mkdir()
    for name in BOARDS:
        (folder / "leaderboards" / name).symlink_to(LEADERBOARDS / name)
    write_site(folder / "leaderboards", folder / "public")
    return folder / "public"


def pages(site):
    return {file: Page(file.read_text()) for file in sorted(site.rglob("*.html"))}


def cells(page):
    """Return the rows of every table, their cells as texts without marks of sorting."""
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    return [
        [unescape(re.sub(r"<[^>]*>", "", cell)).strip() for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.DOTALL)]
        for row in rows
    ]


def test_links_lead_to_files_and_parts_and_no_page_asks_for_anything(site):
    found = pages(site)
    assert len(found) == 2 + 3 * len(BOARDS)
    for file, page in found.items():
        ids = {attributes["id"] for attributes in page.attributes if "id" in attributes}
        addresses = [a[key] for a in page.attributes for key in ("href", "src", "action", "data") if key in a]
        assert addresses
        for address in addresses:
            target, _, part = address.partition("#")
            assert address == "data:," or ":" not in address
            assert not target or address == "data:," or (file.parent / target).is_file(), address
            assert target or not part or part in ids or part.startswith("m"), address
        ((policy, _),) = page.of("meta", **{"http-equiv": "Content-Security-Policy"})
        scripts = [text for attributes, text in page.of("script") if "type" not in attributes]
        digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
        allowed = f"'sha256-{digests[0]}'" if digests else "'none'"
        assert len(digests) == (file.name != "data.html")
        assert policy["content"].startswith("default-src 'none'; ")
        assert f"script-src {allowed};" in policy["content"]


@pytest.mark.parametrize("name", BOARDS)
def test_the_numbers_are_those_of_the_committed_page(site, name):
    page = (LEADERBOARDS / name / "README.md").read_text().replace("\u00a0", " ")
    shown = cells((site / name / "index.html").read_text())
    rows = [" | ".join(row) for row in shown]
    is_board, seen = False, 0
    for line in page.splitlines():
        texts = [unescape(text.strip()) for text in line[2:-2].split(" | ")] if line.startswith("| ") else []
        if not texts or texts[:2] == ["Rank", "Labeler"]:
            is_board = bool(texts)
        elif is_board and not set(texts[0]) <= set("-: "):
            rank, _, *numbers = texts
            numbers = [number.partition(" (")[0] for number in numbers]  # the interval has a column of its own
            assert any(row.startswith(f"{rank} | ") and all(number in row for number in numbers) for row in rows), line
            seen += 1
    standings = read_board(LEADERBOARDS / name).standings
    assert {row["labeler"] for row in standings} <= {row[1] for row in shown if len(row) > 1}
    assert seen == len(standings)


def test_simulated_data_are_headed_and_kept_apart(site):
    for file, page in pages(site).items():
        simulated = file.parent.name in ("quickstart", "full_300k", "record_diagnosis")
        assert page.of("title")[0][1].startswith("SIMULATED DATA: ") == simulated, file
        warned = any("SIMULATED DATA" in text for _, text in page.of("p", **{"class": "warning"}))
        assert warned == (simulated or file.name == "data.html"), file
    index = (site / "index.html").read_text()
    real, simulated = index.split("On SIMULATED DATA", 1)
    assert "labels_flan/index.html" in real
    assert "quickstart/index.html" in simulated
    assert "quickstart/index.html" not in real


def test_the_index_has_leader_score_and_gain_and_finds_boards_by_their_labelers(site):
    page = (site / "index.html").read_text()
    rows = {row[0]: row for row in cells(page)}
    for name in BOARDS:
        board = read_board(LEADERBOARDS / name)
        first = board.of(board.main_comparison)[0]
        assert rows[name][1].startswith(f"{float(first['value']):.4f}")
        assert rows[name][2].startswith(f"{float(first['difference']):+.4f}")
    quickstart = read_board(LEADERBOARDS / "quickstart")
    first, *others = [row for row in quickstart.of(quickstart.main_comparison) if row["leading"] == "True"]
    assert rows["quickstart"][3] == f"{first['labeler']} and {len(others)} more"
    assert rows["labels_flan"][3] == "other raters (by number, not tested)"
    assert rows["record_diagnosis"][3] == "majority and 1 more (by number, not tested)"
    searched = {attributes["data-labeler"] for attributes, _ in Page(page).of("tr") if "data-labeler" in attributes}
    (quickstart,) = [text for text in searched if text.startswith("quickstart\n")]
    assert {row["labeler"] for row in read_board(LEADERBOARDS / "quickstart").standings} <= set(quickstart.split("\n"))


def test_a_data_card_has_name_hash_rows_and_classes(site):
    page = Page((site / "data.html").read_text())
    texts = [text for _, text in page.of("section")]
    (card,) = [text for text in texts if "twin:tulu_300k (12,000 rows)" in text]
    for fact in (
        "f3646ae6ea2b6782",
        "12,000 (population: all)",
        "gpt_scores, classes 0 to 5",
        "6.00 / 14.23",
        "quickstart",
    ):
        assert fact in card
    assert "full_300k" not in card


def test_the_suite_and_the_files_of_a_board_are_there(site):
    assert (site / "quickstart/suite.yaml").read_bytes() == (ROOT / "suites/quickstart.yaml").read_bytes()
    for name in ("scores.parquet", "pairs.parquet", "standings.csv"):
        assert (site / "quickstart" / name).read_bytes() == (LEADERBOARDS / "quickstart" / name).read_bytes()
    assert "splitter: nested" in Page((site / "quickstart/index.html").read_text()).of("pre")[1][1]


def test_every_table_of_a_page_has_its_csv(site):
    page = Page((site / "quickstart/index.html").read_text())
    saved = json.loads(page.of("script", id="csv-files")[0][1])
    buttons = {attributes["data-file"] for attributes, _ in page.of("button", **{"class": "save"})}
    assert buttons == {name for name in saved if name != "failures.csv"}
    rows = list(csv.DictReader(saved["leaderboard.csv"].splitlines()))
    standings = read_board(LEADERBOARDS / "quickstart").standings
    assert [(row["comparison"], row["labeler"]) for row in rows] == [(s["comparison"], s["labeler"]) for s in standings]
    assert [float(row["accuracy ↑"]) for row in rows] == pytest.approx([float(s["value"]) for s in standings])


def test_no_name_becomes_markup(tmp_path):
    write_board(
        tmp_path / "boards/one", {HOSTILE: [0.5, 0.6, 0.7], "b": [0.1, 0.2, 0.3]}, data=HOSTILE, command=HOSTILE
    )
    write_site(tmp_path / "boards", tmp_path / "public")
    for file, page in pages(tmp_path / "public").items():
        scripts = [attributes.get("type") for attributes, _ in page.of("script")]
        assert scripts in ([], ["application/json", None]), file
        assert not [key for attributes in page.attributes for key in attributes if key.startswith("on")]
        assert "\u202e" not in file.read_text()


def test_a_site_is_written_over_an_earlier_one_and_over_nothing_else(tmp_path):
    values = {"a": [0.5, 0.6, 0.7], "b": [0.1, 0.2, 0.3]}
    for name in ("one", "two"):
        write_board(tmp_path / "boards" / name, values)
    public = tmp_path / "public"
    assert write_site(tmp_path / "boards", public).boards == 2
    (public / "CNAME").write_text("example.org")
    before = (public / "one/index.html").read_bytes()
    assert write_site(tmp_path / "boards/one", public).boards == 1
    assert not (public / "two").exists()
    assert (public / "one/index.html").read_bytes() == before
    assert (public / "CNAME").read_text() == "example.org"
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("mine")
    with pytest.raises(HarnessError, match="holds files that are no site"):
        write_site(tmp_path / "boards", tmp_path / "other")
    with pytest.raises(HarnessError, match="is a file; name a folder"):
        write_site(tmp_path / "boards", tmp_path / "other/letter.txt")
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["letter.txt"]


def test_a_torn_board_writes_nothing(tmp_path):
    for name in ("one", "two"):
        write_board(tmp_path / "boards" / name, {"a": [0.5, 0.6, 0.7], "b": [0.1, 0.2, 0.3]})
    (tmp_path / "boards/two/scores.parquet").write_bytes(b"torn")
    with pytest.raises(HarnessError, match=r"two/scores\.parquet") as error:
        write_site(tmp_path / "boards", tmp_path / "public")
    assert len(error.value.problems) == 1
    assert not (tmp_path / "public").exists()
    with pytest.raises(HarnessError, match="no board in it"):
        write_site(tmp_path / "public", tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("suites/one.yaml", "{name: one, labelers: [majority]}", True),
        ("suites/one.yaml", "{name: other, labelers: [majority]}", False),
        ("suites/one.yaml", "{name: one, password: x}", False),
        ("suites/one.yaml", "{name: [", False),
        ("../one.yaml", "{name: one, labelers: [majority]}", False),
        ("suites/one.txt", "{name: one, labelers: [majority]}", False),
    ],
)
def test_a_site_takes_no_file_but_the_suite_of_the_board(tmp_path, file, text, found):
    root = tmp_path / "root"
    board = write_board(root / "leaderboards/one", {"a": [0.5], "b": [0.1]}, command=f"harness run {file} --threads 1")
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text(text)
    assert (find_suite(read_board(board)) is not None) == found


def test_a_full_report_is_taken_only_where_its_numbers_are_those_of_the_board(tmp_path):
    board = write_board(tmp_path / "boards/one", {"=a": [0.5, 0.6, 0.7], "b": [0.1, 0.2, 0.3]})
    link = '<a href="../../docs/glossary.md">docs/glossary.md</a>'
    (board / "report.html").write_text(f"<p>{link} <a href='#x'>x</a></p>")
    (board / "report").mkdir()

    def report(value):
        lines = [f'"{COMPARISON}",{csv_cell("=a")},{value}', f'"{COMPARISON}",b,0.2']
        (board / "report/leaderboard.csv").write_text("\n".join(["comparison,labeler,accuracy ↑", *lines, ""]))
        return write_site(tmp_path / "boards", tmp_path / "public")

    assert report("0.6").reports == ("one",)
    assert (tmp_path / "public/one/report.html").read_text() == "<p>docs/glossary.md <a href='#x'>x</a></p>"
    assert "report.html" in (tmp_path / "public/one/index.html").read_text()
    assert report("0.61").reports == ()
    assert not (tmp_path / "public/one/report.html").exists()
    assert "report.html" not in (tmp_path / "public/one/index.html").read_text()


def test_a_failed_labeler_stands_on_the_page_without_a_rank(tmp_path):
    write_board(tmp_path / "boards/one", {"a": [0.5, 0.6, 0.7], "broken": [], "b": [0.1, 0.2, 0.3]})
    write_site(Path(tmp_path / "boards"), tmp_path / "public")
    rows = cells((tmp_path / "public/one/index.html").read_text())
    assert ["–", "broken"] in [row[:2] for row in rows]


def test_a_ranking_over_data_sets_stands_on_top_with_its_numbers(tmp_path):
    values = {HOSTILE: [0.5, 0.6, 0.7], "b": [0.1, 0.2, 0.3], "c": [0.2, 0.1, 0.1]}
    folders = [write_board(tmp_path / "boards" / f"data_{i}", values) for i in range(7)]
    ranked = rank_boards([read_board(folder) for folder in folders])
    write_ranking(ranked, tmp_path / "boards/over_all", "harness ranking ...")
    assert write_site(tmp_path / "boards", tmp_path / "public").boards == 7
    index = Page((tmp_path / "public/index.html").read_text())
    (item,) = [text for _, text in index.of("li") if text.startswith("over_all")]
    assert item.startswith("over_all: SIMULATED DATA: 3 of 3 pairs are separated over 7 data sets; =x</script>")
    text = (tmp_path / "public/over_all/index.html").read_text()
    page, rows = Page(text), cells(text)
    assert page.of("title")[0][1] == "SIMULATED DATA: over_all"
    assert [attributes.get("type") for attributes, _ in page.of("script")] == ["application/json", None]
    first = ranked.ranking.interval[0]
    assert (
        next(row[2] for row in rows if row[1:2] == [printable(HOSTILE)]) == f"1.00 ({first[0]:.2f} to {first[1]:.2f})"
    )
    shutil.rmtree(tmp_path / "boards/over_all")
    write_site(tmp_path / "boards", tmp_path / "public")
    assert not (tmp_path / "public/over_all").exists()


GARBAGE = (b"", b"\xff\xfe\x00", b"a,b\n1,2\n", b"{}", b"[1]", b"comparison,labeler,rank,leading,value\nx,y,1,True,z\n")
NEEDED = ("board.json", "standings.csv", "scores.parquet", "pairs.parquet")
OTHERS = ("README.md", "timings.csv", "audit.csv", "report/leaderboard.csv")
PLOTS = ("plots/settings.csv", "plots/fits.csv", "plots/coverage.parquet", "plots/curves-1.svg")


def problems(boards, public):
    """Return the lines about boards that cannot be a site."""
    try:
        write_site(boards, public)
    except HarnessError as error:
        return error.problems
    return []


@pytest.mark.parametrize("name", [*NEEDED, *OTHERS, *PLOTS])
def test_a_damaged_file_is_one_line_with_its_name_or_is_done_without(tmp_path, name):
    board = tmp_path / "boards/record_diagnosis"
    shutil.copytree(LEADERBOARDS / "record_diagnosis", board)
    (board / "report").mkdir()
    (board / "report.html").write_text("<p>report</p>")
    for content in GARBAGE:
        (board / name).write_bytes(content)
        found = problems(tmp_path / "boards", tmp_path / "public")
        assert len(found) <= 1
        assert all(f"record_diagnosis/{name}" in line for line in found)
        assert found or name not in NEEDED, content
