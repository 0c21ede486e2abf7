"""Tables on terminals of any width, and as Markdown where stdout is no terminal."""

import io
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console

from harness.errors import printable
from harness.report.tables import Column, Table, columns
from harness.report.terminal import MAX_NAME, Layout, fit, print_table, to_rich, to_text

PARSER = MarkdownIt("commonmark").enable("table")
TEXTS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "Cc"]), max_size=40)
LAYOUT = Layout(("Labeler",), ("Gain", "Macro-F1", "Class 0"))
NAMES = ("Rank", "Labeler", "Accuracy", "Macro-F1", "Class 0", "Gain")


def board(titles):
    rows = tuple((f"{i}", title, 1 / (i + 1), 0.5, 0.25, -1 / (i + 2)) for i, title in enumerate(dict.fromkeys(titles)))
    return Table("", "", (*columns(NAMES[:-1]), Column("Gain", signed=True)), rows)


def drawn(table, layout, width):
    console = Console(width=width, file=io.StringIO())
    console.print(to_rich(table, layout))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@given(st.lists(st.text("abc=,(1 ", min_size=1, max_size=70), min_size=1, max_size=6), st.integers(30, 220))
@settings(deadline=None)
def test_rank_name_and_score_are_on_every_width(titles, width):
    table = board(titles)
    fitted = fit(table, LAYOUT, width)
    assert set(fitted.table.names) | {column.name for column in fitted.hidden} == set(NAMES)
    assert fitted.table.names[:3] == NAMES[:3]
    lines = drawn(fitted.table, LAYOUT, width)
    assert len(lines) == 1 + len(table.rows), "no cell is broken"
    assert max(map(cell_len, lines)) <= width
    for row, line in zip(table.rows, lines[1:], strict=True):
        assert re.match(rf" *{row[0]} ", line)
        assert f" {row[2]:.4f}" in line, "no number is cut"
    names = [row[1] for row in fitted.table.rows]
    assert len(set(names)) == len(names)
    longest = max(map(len, names))
    assert longest <= MAX_NAME
    assert fitted.shortened == any(len(title) > longest for title in titles)


@given(st.integers(1, 60), st.integers(30, 160))
@settings(deadline=None)
def test_a_column_is_left_out_only_where_it_has_no_room(length, width):
    fitted = fit(board(["x" * length, "y"]), LAYOUT, width)
    rest = width - max(map(len, drawn(fitted.table, LAYOUT, width)))
    hidden = [column.name for column in fitted.hidden]
    assert hidden == [name for name in LAYOUT.optional if name in hidden]
    assert all(rest < 2 + max(len(name), len("-0.5000")) for name in hidden)
    if width >= 80:
        assert hidden == [], "they fit beside names of 24 letters"


def test_prose_is_broken_into_lines_and_names_are_not():
    table = Table("", "", columns(("Name", "What it is")), (("a name of a thing", "word " * 40),))
    layout = Layout(("Name",), prose=("What it is",))
    fitted = fit(table, layout, 60)
    assert (fitted.shortened, fitted.hidden) == (False, ())
    lines = drawn(fitted.table, layout, 60)
    assert lines[1].startswith("a name of a thing  word word")
    assert len(lines) > 4
    assert " ".join(lines[1:]).count("word") == 40


def cells(text):
    """Return the texts of the cells of a Markdown table, row by row, as a page shows them."""
    rows = []
    for token in PARSER.parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            assert {child.type for child in token.children} <= {"text", "text_special", "code_inline", "softbreak"}
            rows[-1].append("".join(child.content for child in token.children))
    return rows


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
@example([("a|b", "*c* <d> _e_ ~~f~~"), ("[g](h) ![i](j)", "\\| &amp; \\_"), ("[k][l]", "[m]: n")])
@example([("1\n2", "# x"), ("- y", "> z")])
@settings(deadline=None)
def test_markdown_has_every_cell_and_no_markup(rows):
    """Backticks alone mark up: what is between them is shown as code."""
    rows = [tuple(text.replace("`", "") for text in row) for row in rows]
    table = Table("", "", columns(("Labeler", "B")), tuple(rows))
    text = to_text(table, {"Labeler"})
    assert len(set(map(cell_len, text.splitlines()))) == 1, "columns stand below each other"
    parsed = cells(text)
    assert parsed[0] == ["Labeler", "B"]
    assert len(parsed) == 1 + len(rows)
    for row, shown in zip(rows, parsed[1:], strict=True):
        for value, cell in zip(row, shown, strict=True):
            assert "".join(cell.split()) == "".join("".join(map(printable, value.split("\n"))).split())


@pytest.mark.parametrize("width", [40, 80, 400])
def test_what_is_no_terminal_gets_all_columns_and_whole_names(width):
    console = Console(width=width, file=io.StringIO())
    table = board([f"{'name ' * 30}{i}" for i in range(3)])
    fitted = print_table(console, table, LAYOUT)
    assert (fitted.hidden, fitted.shortened) == ((), False)
    parsed = cells(console.file.getvalue())
    assert parsed[0] == list(NAMES)
    assert [row[1] for row in parsed[1:]] == [row[1] for row in table.rows]
    assert [float(row[5]) for row in parsed[1:]] == pytest.approx([row[5] for row in table.rows], abs=5e-5)


def test_a_terminal_takes_names_as_they_are():
    table = Table("", "", columns(["Labeler", "[red]"]), (("[link]", 0.5), (":smile:", 0.5)))
    text = "\n".join(drawn(table, LAYOUT, 80))
    assert all(name in text for name in ("[red]", "[link]", ":smile:", "0.5000"))
