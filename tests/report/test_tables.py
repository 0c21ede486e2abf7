"""One table in all its forms: texts, Markdown, CSV, the terminal."""

import csv
import io
import math

import pytest

from harness.report.markdown import breakable
from harness.report.tables import (
    Column,
    Estimate,
    IntervalCell,
    PartialMean,
    Table,
    columns,
    format_value,
    to_csv_files,
    to_markdown,
)
from harness.scoring.leaderboard import MeanStd


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a|b", "a|b"),
        (1234, "1,234"),
        (0.12345, "0.123"),
        (-1e-9, "0.000"),
        (1234.5, "1,234.500"),
        (MeanStd(0.5, None, 1), "0.500"),
        (MeanStd(0.5, 0.25, 3), "0.500 ± 0.250"),
        (IntervalCell(-0.1, 0.1), "-0.100 to 0.100"),
        (IntervalCell(0.1, math.inf), "0.100 to out of reach"),
        (Estimate(0.5, IntervalCell(0.25, 0.75)), "0.500 (0.250 to 0.750)"),
        (PartialMean(0.5, 2, 3), "0.500 (2/3)"),
    ],
)
def test_a_value_is_written_as_its_column_has_it(value, text):
    assert format_value(Column("x", 3), value) == text


def test_signs_are_written_in_a_signed_column():
    column = Column("x", 2, signed=True)
    value = Estimate(0.0, IntervalCell(-0.5, 0.25))
    assert format_value(column, value) == "+0.00 (-0.50 to +0.25)"


TABLE = Table(
    "t",
    "Title",
    (Column("Labeler"), Column("Value", 2), Column("More", signed=True)),
    (("one", MeanStd(0.5, 0.25, 3), Estimate(0.1, IntervalCell(0.0, 0.2))), ("a|b", None, None)),
    (("comparison", "c"),),
)


def test_the_csv_has_every_value_in_a_column_of_its_own():
    rows = list(csv.DictReader(io.StringIO(to_csv_files([TABLE, TABLE])["t.csv"])))
    assert len(rows) == 4
    names = ("comparison", "labeler", "value", "value sd", "more", "more low", "more high")
    assert tuple(rows[0][name] for name in names) == ("c", "one", "0.5", "0.25", "0.1", "0.0", "0.2")
    assert tuple(rows[1][name] for name in names) == ("c", "a|b", *[""] * 5)
    partial = Table("p", "", columns(["A"]), ((PartialMean(0.5, 2, 3),),))
    assert to_csv_files([partial])["p.csv"] == "a,a cells\n0.5,2\n"
    empty = Table("e", "", columns(["A", "B"]), (), (("comparison", "c"),))
    assert to_csv_files([empty])["e.csv"] == "comparison,a,b\n,,\n"


def test_markdown_has_escaped_cells_and_aligned_columns():
    drawn = to_markdown(TABLE)
    assert "0.50\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.25" in drawn
    assert breakable(drawn).splitlines() == [
        "| Labeler | Value | More |",
        "| --- | --: | --: |",
        "| one | 0.50 ± 0.25 | +0.1000 (+0.0000 to +0.2000) |",
        "| a&#124;b |  |  |",
    ]


def test_columns_are_left_out_and_added():
    table = Table("", "", columns(["Name", "A", "B"]), (("x", 1, None), ("y", 2, None)))
    assert table.empty == (Column("B"),)
    assert table.without(table.empty).rows == (("x", 1), ("y", 2))
    more = table.with_values({"B": {"y": 5}, "C": {"x": 7}, "Name": {"x": "never"}})
    assert more.names == ("Name", "A", "B", "C")
    assert more.rows == (("x", 1, None, 7), ("y", 2, 5, None))
    assert table.names == ("Name", "A", "B")
