"""Tables among a labeler's facts: where they are found, what is refused."""

import pytest

from harness.plugin.facts import find_table_error, iter_tables
from tests.command_line import board, cells, harness, write_labelers, write_suite

TABLE = {"columns": ["Feature", "Share", "Kind"], "rows": [["length", 0.5, "text"], ["lists", 2, None]]}


def test_tables_are_found_at_any_depth_with_the_keys_that_lead_to_them():
    facts = {
        "tables": {"Own": 1, "Other": 2},
        "base": {"tables": {"Inner": 3}, "base": {"tables": {"Innermost": 4}}},
        "members": [{"n": 5}, {"tables": {"Second": 6}}],
        "rows": [[1, 2], "tables"],
    }
    assert list(iter_tables(facts)) == [
        ("Own", 1),
        ("Other", 2),
        ("base: Inner", 3),
        ("base base: Innermost", 4),
        ("members 2: Second", 6),
    ]
    assert list(iter_tables({"parameters": 6150})) == []


@pytest.mark.parametrize("more", [{}, {"top": 1}, {"scored": True}, {"top": 99, "scored": False}, {"rows": []}])
def test_a_table_in_its_form_is_accepted(more):
    assert find_table_error({"tables": {"Importances": TABLE | more}}) is None
    assert find_table_error({"tables": {}}) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"titel": 1}, "must be {columns, rows}, and top or scored where wanted"),
        ({"columns": []}, "must have columns, a list of names"),
        ({"columns": ["a", "b", 3]}, "must have columns, a list of names"),
        ({"columns": ["a", "b", "b"]}, "must have columns of different names"),
        ({"rows": [["x", 1, 2], ["y", 1]]}, "must have rows, each a list of 3 cells"),
        ({"rows": {"x": 1}}, "must have rows, each a list of 3 cells"),
        ({"rows": [[0, 1, 2]]}, "must have rows that begin with their name, a string, got 0"),
        ({"rows": [["x", [1], 2]]}, "must hold strings, numbers and nulls alone, in row 'x' too"),
        ({"rows": [["x", True, 2]]}, "must hold strings, numbers and nulls alone, in row 'x' too"),
        ({"top": 0}, "got 0"),
        ({"top": True}, "got True"),
        ({"columns": ["a"], "rows": [["x"]], "top": 3}, "and a second column to order them by"),
        ({"scored": 1}, "must have true or false as scored, got 1"),
    ],
)
def test_any_other_form_is_refused_by_name(change, words):
    error = find_table_error({"base": {"tables": {"Importances": TABLE | change}}})
    assert error.startswith("the table 'base: Importances' among its facts must ")
    assert words in error


@pytest.mark.parametrize("table", [None, [1], "T", {"columns": ["a"]}])
def test_what_is_no_table_is_refused(table):
    wrong = "must be {columns, rows}, and top or scored where wanted"
    assert find_table_error({"tables": {"T": table}}) == f"the table 'T' among its facts {wrong}"


def test_tables_without_titles_are_refused():
    wrong = "must be {columns, rows}, and top or scored where wanted"
    assert find_table_error({"tables": [TABLE]}) == f"the table 'tables' among its facts {wrong}"


@pytest.mark.slow
def test_a_cell_with_a_table_that_no_page_can_show_fails_with_the_reason(tmp_path):
    write_labelers(
        tmp_path / "plugin.py",
        sound='return Predictions(uniform(task), {"tables": {"T": {"columns": ["a", "b"], "rows": [["x", 1]]}}})',
        unsound='return Predictions(uniform(task), {"tables": {"T": {"columns": ["a", "b"], "rows": [["x"]]}}})',
    )
    write_suite(tmp_path, ["sound", "unsound"])
    done = harness("run", "suite.yaml", "--threads", 1, "--plugin", "plugin.py", cwd=tmp_path)
    assert done.returncode == 1
    outcomes = {labeler: (row["status"], row["reason"]) for (labeler, _, _), row in cells(tmp_path).items()}
    assert outcomes["sound"] == ("ok", "")
    reason = "the table 'T' among its facts must have rows, each a list of 2 cells"
    assert outcomes["unsound"] == ("failed", reason)
    page = board(tmp_path)["README.md"].decode()
    assert "<summary>Inside sound</summary>\n\nT:\n\n| a | b |\n| --- | --: |\n| x | 1 |\n\n</details>" in page
