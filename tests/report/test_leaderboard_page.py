"""Pages and tables that no name can break, read back by parsers."""

import csv
import io
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.report.csv_files import to_csv
from harness.report.markdown import escape
from tests.command_line import board, cells, harness, scores, table, write_labelers, write_suite

HOSTILE = [
    "a|b",
    "a\nb",
    "a\r\n\r\n# b",
    "<script>alert(1)</script>",
    "<!-- | -->",
    "`code` | ``more``",
    "[x](https://example.org)",
    "![x](y)",
    "**bold** _so_ ~~gone~~",
    "a\\|b",
    "&#124; &lt;b&gt;",
    "https://example.org",
    "# heading",
    "- item",
    "1. item",
    "| --- |",
    "\x1b[31mred\x00",
    "\u202eright to left",
    "=HYPERLINK(0)",
    "+1",
    "-1",
    "@SUM(A1)",
    "",
    " ",
    "x" * 500,
]
PARSER = MarkdownIt("commonmark").enable("table").enable("strikethrough")


def read_tables(page):
    """Return the tables of a page as rows of cells.

    A cell is the list of its inline tokens.
    """
    tables = []
    tokens = PARSER.parse(page)
    for i, token in enumerate(tokens):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("th_open", "td_open"):
            tables[-1][-1].append(tokens[i + 1].children)
    return tables


def plain(tokens):
    """Return the text of inline tokens that hold nothing but text."""
    assert {token.type for token in tokens} <= {"text", "text_special"}, [token.type for token in tokens]
    return "".join(token.content for token in tokens)


FIVE_HUNDRED = settings(max_examples=500, deadline=None)
texts = st.one_of(st.text(), st.text("|`*_[]()<>!&#\\~-+=\n\r ax:/.\u202e\u2028"), st.sampled_from(HOSTILE))


@FIVE_HUNDRED
@given(texts, texts)
@example("\\", "|")
@example("`", "`")
@example("a*", "*b*")
def test_whatever_stands_in_a_table_is_text_in_its_own_cell(one, other):
    page = f"| {escape(one)} | {escape(other)} |\n| --- | --- |\n| {escape(other)} | {escape(one)} |"
    ((first, second),) = read_tables(page)
    assert len(first) == len(second) == 2
    assert plain(first[0]) == plain(second[1])
    assert plain(first[1]) == plain(second[0])


@FIVE_HUNDRED
@given(texts)
def test_escaping_keeps_what_can_be_read(text):
    shown = plain(PARSER.parseInline(f"x{escape(text)}")[0].children)[1:]
    readable = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(readable) <= 160:
        assert shown == readable
    else:
        assert len(shown) == 160
        assert readable.startswith(shown[:157])
        assert shown.endswith("...")


@FIVE_HUNDRED
@given(st.lists(texts, min_size=1), st.lists(st.one_of(st.none(), st.floats(), st.integers()), min_size=1))
def test_a_csv_is_read_back_and_runs_no_formula(names, numbers):
    rows = [{"name": name, "number": number} for name, number in zip(names, numbers, strict=False)]
    header, *read = csv.reader(io.StringIO(to_csv(iter(rows)), newline=""))
    assert header == ["name", "number"]
    for (name, number), row in zip(read, rows, strict=True):
        same = row["name"].replace("\r", "\n")
        assert name.replace("\r", "\n") in (same, f"'{same}")
        assert name[:1] not in ("=", "+", "-", "@") or not name
        assert number == ("" if row["number"] is None else repr(row["number"]))  # exact, above 2^53 too


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run in which everything has hostile names."""
    folder = tmp_path_factory.mktemp("run")
    names = [name for name in HOSTILE if "\x00" not in name]
    data = table(300)
    sources = np.resize(names, 300).tolist()
    column = "sco|re\n# `b`"
    data = data.set_column(2, "source", pa.array(sources)).rename_columns(
        ["row_id", "messages", "source", column, "embeddings"]
    )
    file = write_labelers(
        folder / "plugin.py",
        says="raise RuntimeError(self.word)",
        refuses="raise NotApplicable(self.word)",
        good="""
            rows = {self.word: task.to_label > 9, f"{self.word} in {self.word}": task.to_label > 9}
            table = {"columns": [self.word, "n" + self.word], "rows": [[self.word, 1], [self.word, self.word]]}
            facts = {"tables": {self.word: table | {"scored": True}}}
            return Predictions(uniform(task), facts, {self.word: (task.to_label % 6).astype(np.uint8)}, rows)
        """,
    )
    file.write_text(file.read_text().replace("k: int = 0", 'word: str = "x"'))
    labelers = [{name: {"word": word}} for word in HOSTILE[:9] for name in ("says", "refuses", "good")]
    section = {"path": "data.parquet", "target": column, "source": "source", "classes": 6}
    write_suite(folder, labelers, data, data=section, blocks=None)
    result = harness("run", "suite.yaml", "--threads", 1, "--plugin", "plugin.py", "-j", 2, cwd=folder)
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    return folder, result


def test_hostile_names_break_no_table_of_a_board(run):
    folder, _ = run
    page = board(folder)["README.md"].decode()
    lines, classes, rest, settings, by_source, *inside = read_tables(page)
    assert len(lines) == len(rest) == len(classes) - 1 == 1 + 27 + 1  # with the baseline
    assert {len(row) for row in lines} == {6}
    assert len({len(row) for row in rest}) == len({len(row) for row in classes}) == 1
    assert len({plain(row[1]) for row in lines}) == len(lines), "short names are distinct"
    assert len({len(row) for row in by_source}) == 1
    assert len(by_source[0]) == 1 + len({name for name in HOSTILE if "\x00" not in name})
    titles = [plain(row[0]) for row in rest[1:]]
    methods = [[plain(cell) for cell in row] for row in settings[1:]]
    assert [(row[0], row[1]) for row in methods] == [("majority", "1"), ("good", "7")]
    assert methods[1][2] in titles
    assert "good(word=a|b)" in titles
    assert "says(word=<script>alert(1)</script>)" in titles
    assert "refuses(word=[x](https://example.org))" in titles
    assert len([line for line in titles if line.startswith("good")]) == 9
    assert len(inside) == 7, "two give their rows names with control characters, and fail"
    for labeler_table in inside:
        (name, _, adopted, *_), one, other = ([plain(cell) for cell in row] for row in labeler_table)
        assert adopted == f"Accuracy of {name}"
        assert (one[0], other[:2]) == (name, [f"{name} (2)", name])
        assert one[3].startswith("0.")
    assert page.count("\n<details>\n<summary>Inside good") == page.count("\n</details>\n") - 2 == 7
    html = [token.content for token in PARSER.parse(page) if token.type == "html_block"]
    assert len(html) == 18
    assert all(text.count("<") == text.count(">") in (1, 3) for text in html)
    for row in (
        *lines,
        *classes,
        *rest,
        *settings,
        *by_source,
        *(row for labeler_table in inside for row in labeler_table),
    ):
        for cell in row:
            plain(cell)
    kinds = {child.type for token in PARSER.parse(page) for child in token.children or ()}
    assert kinds <= {"text", "text_special", "softbreak", "code_inline", "image"}
    pictures = [child for token in PARSER.parse(page) for child in token.children or () if child.type == "image"]
    assert pictures, "the plots of the board"
    assert all(re.fullmatch(r"plots/[\w.-]+\.svg", picture.attrs["src"]) for picture in pictures)
    assert page.count("\n# ") + page.startswith("# ") == 1
    assert "\x1b" not in page
    assert len([token for token in PARSER.parse(page) if token.type == "heading_open"]) == 3


def test_a_terminal_is_not_taken_over(run):
    _, result = run
    assert "\x1b" not in result.stdout + result.stderr


def test_files_for_programs_keep_every_name(run):
    folder, _ = run
    titles = {row["labeler"] for row in scores(folder)}
    assert {f"good(word={word})" for word in HOSTILE[:9]} <= titles
    sources = {row["source"] for row in scores(folder)}
    assert {"'=HYPERLINK(0)", "'+1", "'-1", "'@SUM(A1)", "a|b", "a\nb"} <= sources
    assert len(cells(folder)) == 28
    metrics = pq.read_table(folder / "runs/small/tables/metrics.parquet")
    assert "=HYPERLINK(0)" in metrics["source"].to_pylist(), "only a spreadsheet needs the apostrophe"


def test_a_board_is_written_again_byte_for_byte(run):
    folder, _ = run
    before = board(folder)
    for name in before:
        (folder / "leaderboards" / "small" / name).unlink()
    result = harness("leaderboard", "suite.yaml", "--plugin", "plugin.py", "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert board(folder) == before
    assert all(json.loads(line) for line in result.stdout.splitlines())
