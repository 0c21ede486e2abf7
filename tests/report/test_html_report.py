"""The report of a run, read back by an HTML parser and a CSV reader."""

import csv
import io
import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import printable
from harness.report import html_report, svg
from harness.report.csv_files import to_csv
from harness.report.html_report import as_json
from harness.report.html_tables import to_html
from harness.report.index import index_files
from harness.report.svg import Figure, Panel, Series
from harness.report.tables import Column, IntervalCell, Table, to_csv_files, to_markdown
from harness.scoring.leaderboard import MeanStd
from tests.command_line import harness, scores, table, write_labelers, write_suite
from tests.report.test_leaderboard_page import HOSTILE, PARSER, plain, read_tables

pytestmark = pytest.mark.slow

SURE = """
proba = np.full((len(task.to_label), task.n_classes), 0.1)
proba[np.arange(len(proba)), (task.to_label + len(self.word)) % task.n_classes] = 0.5
return proba
"""
WORDS = ("<script>alert('1')</script> $x$ _y_ | \u202eright", "=HYPERLINK(0)")
RATIOS = [0.1, 0.2, 0.3, 0.4]
COMPARISONS, LABELERS = len(RATIOS), 3 + len(WORDS)  # with majority, knn and one that breaks
VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """The elements of a page: tags in their order, attributes, texts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        self.texts.append("")
        if tag not in VOID:
            self.open.append(len(self.tags) - 1)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        place = self.open.pop()
        assert self.tags[place] == tag, f"<{self.tags[place]}> is closed by </{tag}>"

    def handle_data(self, data):
        for place in self.open:
            self.texts[place] += data

    def of(self, tag, **required):
        """Return the (attributes, text) of the elements of a tag."""
        elements = [(a, text) for t, a, text in zip(self.tags, self.attributes, self.texts, strict=True) if t == tag]
        return [(a, text) for a, text in elements if all(a.get(key) == value for key, value in required.items())]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run with curves, a failure and hostile names."""
    folder = tmp_path_factory.mktemp("run")
    file = write_labelers(
        folder / "plugin.py", sure=SURE, breaks="raise RuntimeError('</script><script>alert(1)</script>')"
    )
    file.write_text(file.read_text().replace("k: int = 0", 'word: str = "x"'))
    labelers = [
        "majority",
        {"knn": {"on": "embedding", "k": 7}},
        *({"sure": {"word": word}} for word in WORDS),
        "breaks",
    ]
    splits = [{"splitter": "nested", "test": 0.5, "ratios": RATIOS, "seeds": [1, 2, 3]}]
    write_suite(folder, labelers, table(400), splits=splits)
    result = harness("run", "suite.yaml", "--plugin", "plugin.py", "-j", 2, "--threads", 1, cwd=folder)
    assert result.returncode == 1, result.stderr
    prices = ("--price-per-label", 0.01, "--price-per-hour", 2, "--target", 0.3)
    done = harness("report", "suite.yaml", "--plugin", "plugin.py", "--threads", 1, *prices, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def page(run):
    return Page((run / "leaderboards/small/report.html").read_text())


def saved_table(run, name):
    """Return the rows of a CSV file beside the report."""
    with (run / "leaderboards/small/report" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_asks_for_nothing(page):
    ((policy, _),) = page.of("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; ")
    addresses = [
        value
        for attributes in page.attributes
        for key, value in attributes.items()
        if key in ("src", "href", "xlink:href", "action", "data", "poster", "srcset")
    ]
    assert addresses
    assert all(address.startswith(("#", "data:,")) for address in addresses)
    styles = "".join(text for _, text in page.of("style"))
    assert not re.search(r"url\((?!#)|@import", styles)


def test_no_name_becomes_markup(page):
    assert [attributes.get("type") for attributes, _ in page.of("script")] == ["application/json", None]
    assert not [key for attributes in page.attributes for key in attributes if key.startswith("on")]
    heads = [text.strip() for _, text in page.of("th", scope="row")]
    assert {f"sure(word={printable(word)})" for word in WORDS} <= set(heads)
    assert "\u202e" not in (text := "".join(page.texts))
    assert "RuntimeError: </script><script>alert(1)</script>" in text


def test_every_table_can_be_sorted_and_is_named(page):
    assert len(page.of("table", **{"class": "sortable"})) >= 5 * COMPARISONS
    assert all(text.strip() for _, text in page.of("caption"))
    sortable = [attributes for attributes, _ in page.of("th", scope="col") if "aria-sort" in attributes]
    assert {attributes["aria-sort"] for attributes in sortable} == {"none"}
    regions = page.of("div", role="group")
    assert len(regions) == len(page.of("table")) + len(page.of("svg", role="img"))
    assert all(attributes["tabindex"] == "0" and attributes["aria-label"] for attributes, _ in regions)


def test_every_plot_has_a_text_and_ids_of_its_own(page):
    plots = page.of("svg", role="img")
    assert len(plots) == COMPARISONS + 2
    ids = [attributes["id"] for attributes in page.attributes if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes, _ in plots:
        for name in attributes["aria-labelledby"].split():
            assert name in ids
    addresses = [address for a in page.attributes for key, address in a.items() if key == "href"]
    referred = {address[1:] for address in addresses if address.startswith("#")}
    assert referred <= set(ids)


def test_every_table_has_its_csv_in_the_page_and_beside_it(run, page):
    ((_, text),) = page.of("script", type="application/json")
    saved = json.loads(text)
    assert saved == {file.name: file.read_bytes().decode() for file in (run / "leaderboards/small/report").iterdir()}
    buttons = {attributes["data-file"] for attributes, _ in page.of("button", **{"class": "save"})}
    assert buttons == set(saved)
    assert {row["labeler"] for row in saved_table(run, "leaderboard.csv")} >= {f"sure(word={word})" for word in WORDS}


def test_the_numbers_are_those_of_the_board(run):
    means = {}
    for row in scores(run):
        if (row["metric"], row["class"], row["source"], row["oracle"]) == ("accuracy", "", "", "False"):
            means.setdefault((row["comparison"], row["labeler"]), []).append(float(row["value"]))
    board = saved_table(run, "leaderboard.csv")
    assert len(board) == COMPARISONS * LABELERS
    for row in board:
        if row["labeler"] == "breaks":
            assert row["accuracy ↑"] == ""
        else:
            assert float(row["accuracy ↑"]) == np.mean(means[row["comparison"], row["labeler"]])
    for row in saved_table(run, "curves.csv"):
        if (row["metric"], row["class"]) == ("accuracy", ""):
            share = f"{int(row['labels']) / 4:.4g} % labelled"
            (mean,) = [np.mean(v) for (where, who), v in means.items() if who == row["labeler"] and share in where]
            assert float(row["value"]) == mean


def test_the_page_begins_with_who_leads(run, page):
    ((_, said),) = page.of("p", **{"class": "leaders"})
    (first, *_) = [row for row in saved_table(run, "leaderboard.csv") if row["comparison"].endswith("40 % labelled")]
    assert "•" in first["rank"]
    value = float(first["accuracy ↑"])
    assert said == f"40 % labelled (160 rows), fixed test set: {first['labeler']} ({value:.4f}) is ahead of all others."


def test_the_settings_of_each_method_are_counted(run):
    rows = [row for row in saved_table(run, "settings.csv") if row["comparison"].endswith("40 % labelled")]
    assert {row["method"]: int(row["settings"]) for row in rows} == {
        "sure": len(WORDS),
        "knn on embedding": 1,
        "majority": 1,
    }
    sure = next(row for row in rows if row["method"] == "sure")
    assert float(sure["at random"]) == pytest.approx(float(sure["best's accuracy"])), "they all answer alike"
    board = (run / "leaderboards/small/README.md").read_text()
    assert f"<summary>Settings tried of each method: 1-{len(WORDS)}</summary>" in board
    assert (run / "leaderboards/small/plots/settings.csv").is_file()


def test_confusions_add_up_to_the_rows(run):
    rows = [row for row in saved_table(run, "confusion.csv") if row["labeler"] == "majority"]
    counts = [[int(row[f"called {c}"]) for c in range(6)] for row in rows]
    assert np.sum(counts) == COMPARISONS * 3 * 200  # seeds, test rows


def test_fits_and_costs_say_what_they_refuse(run, page):
    fits = [row for row in saved_table(run, "fits.csv") if row["of"] == "Accuracy"]
    assert {row["labeler"] for row in fits} == {row["labeler"] for row in saved_table(run, "costs.csv")}
    assert {bool(row["labels for accuracy 0.3"]) != bool(row["why not"]) for row in fits} == {True}
    costs = {row["labeler"]: row for row in saved_table(run, "costs.csv")}
    assert costs["knn(on=embedding, k=7)"].keys() >= {"computing per accepted label", "with its train labels", "saved"}
    failed = [row for row in saved_table(run, "failures.csv") if row["labeler"] == "breaks"]
    assert [(row["status"], row["cells"]) for row in failed] == [("failed", "3")] * COMPARISONS
    assert "Not audited" in "".join(page.texts)


def test_what_an_audit_found_is_shown(tmp_path):
    file = tmp_path / "audit.csv"
    assert html_report.audit_table(file) is None
    rows = [
        {"check": "verdict", "of": "labeler", "labeler": "knn", "what": "leak", "value": "<b>it knows</b>"},
        {"check": "probe", "of": "labeler", "labeler": "knn", "what": "seed", "value": 0.5},
        {"check": "remark", "of": "data", "labeler": "", "what": "warning", "value": "rows repeat"},
    ]
    file.write_text(to_csv(iter(rows)))
    findings = html_report.audit_table(file).rows
    assert findings == (("leak", "knn", "<b>it knows</b>"), ("warning", "the data", "rows repeat"))


@cache
def grid():
    """Return the template of a table on a page."""
    from jinja2 import Environment

    source = (Path(html_report.__file__).parent / "html" / "grid.html").read_text()
    macro = re.search(r"\{%- macro grid.*?endmacro %\}", source, re.DOTALL)[0]
    return Environment(autoescape=True).from_string(macro + "{{ grid(table) }}")


texts = st.one_of(st.text(), st.text("|`*_[]()<>!&#\\~-+=$\n\r ax:/.\u202e\u2028"), st.sampled_from(HOSTILE))


@settings(max_examples=500, deadline=None)
@given(texts, texts, st.floats(allow_nan=False, allow_infinity=False))
def test_five_hundred_hostile_names_break_no_page(name, other, number):
    """One table in all its forms: on the page, as CSV and in Markdown."""
    columns = (Column("Labeler"), Column(other), Column("Interval"))
    table = Table(
        "x", name, columns, ((name, MeanStd(number, 1.0, 2), IntervalCell(number, number)),), (("comparison", other),)
    )
    made = grid().render(table=to_html(table))
    page = Page(made)
    assert {"script", "img", "b", "a"}.isdisjoint(page.tags)
    assert [text.strip() for _, text in page.of("th", scope="row")] == [printable(name).strip()]
    assert page.of("caption")[0][1] == printable(name)
    assert not any(c in made for c in "\u202e\u2028\x1b")
    ((header, row),) = read_tables(to_markdown(table))
    assert len(header) == len(row) == 3
    for cell in (*header, *row):
        plain(cell)
    assert json.loads(as_json({"text": name})) == {"text": name}
    assert not set("<>&\u2028") & set(as_json({"text": name}))
    if {other.lower(), f"{other} sd".lower()}.isdisjoint({"comparison", "labeler", "interval low", "interval high"}):
        header, row = csv.reader(io.StringIO(to_csv_files([table])["x.csv"], newline=""))
        cells = dict(zip(header, row, strict=True))
        assert float(cells["interval low"]) == number
        assert cells["labeler"].replace("\r", "\n") in (name.replace("\r", "\n"), "'" + name.replace("\r", "\n"))
        assert not cells["labeler"].startswith(("=", "+", "-", "@", "\t"))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts, texts)
def test_hostile_names_break_no_index(tmp_path, name, other):
    boards = tmp_path
    (boards / "one").mkdir(exist_ok=True)
    about = {"data": name, "simulated": False, "population": other, "leading": [name, other] * 3, "command": name}
    (boards / "one" / "board.json").write_text(json.dumps(about))
    tables = read_tables(index_files(boards)["README.md"])
    assert [(len(header), len(row)) for header, row in tables] == [(4, 4), (7, 7)]
    for _, row in tables:
        for cell in row[1:]:
            plain(cell)


@settings(max_examples=25, deadline=None)
@given(st.lists(texts, min_size=1, max_size=9, unique_by=printable))
def test_hostile_names_break_no_plot(names):
    names = tuple(names)
    series = tuple(Series(name, (1.0, 2.0), (0.1 * i, 0.5), (0.1, None), (name, name)) for i, name in enumerate(names))
    drawn = svg.draw_svg(Figure("f-1", names[0], names[-1], (Panel("A", "x", "y", series, log=True),), names), True)
    root = ElementTree.fromstring(drawn)
    assert not [e for e in root.iter() if e.tag.rpartition("}")[2] in ("script", "image", "foreignObject", "a")]
    marks = [e.text or "" for e in root.iter(f"{{{svg.SVG}}}title")]
    assert marks[0] == f"SIMULATED DATA: {printable(names[0])}"
    assert marks[1:] == [printable(name) for name in names for _ in range(2)]
    legend = [e.text or "" for e in root.iter(f"{{{svg.SVG}}}text")]
    assert {svg.shorten(name) for name in names} - {""} <= set(legend)


def test_a_plot_is_the_same_every_time_and_moves_with_its_values():
    series = Series("a", (10.0, 100.0), (0.25, 0.5), texts=("first", "second"))
    figure = Figure("f-1", "T", "D", (Panel("A", "x", "y", (series,), level=0.4, diagonal=True),), ("a",))
    drawn = svg.draw_svg(figure, False)
    assert drawn == svg.draw_svg(figure, False)
    moved = replace(figure, panels=(replace(figure.panels[0], series=(replace(series, y=(0.25, 0.4)),)),))
    assert drawn != svg.draw_svg(moved, False)
    assert "prefers-color-scheme" in drawn
    assert "prefers-color-scheme" not in svg.embed_svg(drawn, "f-1")


def test_the_board_stays_readable_as_text(run):
    board = (run / "leaderboards/small/README.md").read_text()
    linked = re.findall(r"^!\[(.*)\]\((plots/.*\.svg)\)$", board, re.MULTILINE)
    assert len(linked) == COMPARISONS + 2
    for title, file in linked:
        root = ElementTree.parse(run / "leaderboards/small" / file).getroot()
        assert root.find(f"{{{svg.SVG}}}title").text == title
    tables = read_tables(board)
    fits = next(rows for rows in tables if plain(rows[0][0]) == "Splits")
    assert len(fits) == LABELERS  # the header, and all but the one that breaks
    html = [token.content for token in PARSER.parse(board) if token.type == "html_block"]
    assert not [text for text in html if "script" in text]
