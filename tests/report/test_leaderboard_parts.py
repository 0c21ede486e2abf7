"""The board of a page in parts: which column is where, and what its cells are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.report.leaderboard_parts import split_leaderboard
from harness.report.markdown import NO_BREAK_SPACE, breakable, unbroken
from harness.report.page_consistency import read_leaderboards
from harness.report.page_width import PAGE_WIDTH, column_width, shorten_names, text_width
from harness.report.tables import Column, Estimate, IntervalCell, Table
from harness.scoring.leaderboard import MeanStd

NAMES = ("fusion-mlp", "majority")
CLASSES = ("0 (n=354)", "1 (n=1,818-1,820)", "bad (n=3, few)")


def board(metrics, names=NAMES, classes=CLASSES, sd=0.01, tested=True):
    """Return a board with these metrics, the first of them primary."""
    gain = Estimate(0.2, IntervalCell(0.1, 0.3))
    values = {
        Column("Rank"): [f"{i + 1} •" for i, _ in enumerate(names)],
        Column("Labeler"): list(names),
        Column(metrics[0]): [MeanStd(0.5, sd, 3)] * len(names),
        **({Column("95 % interval"): [IntervalCell(-0.4, 0.6)] * len(names)} if tested else {}),
        Column("vs majority", signed=True): [gain] * (len(names) - 1) + [0.0],
        **{Column(metric): [MeanStd(0.4, sd, 3)] * len(names) for metric in metrics[1:]},
        **{Column(name, 2, shade="value"): [0.25] * len(names) for name in classes},
        Column("Oracle gap", signed=True): [None] * len(names),
        Column("Cells"): ["3/3"] * len(names),
    }
    return Table("", "", tuple(values), tuple(zip(*values.values(), strict=True)))


def test_six_columns_come_first_and_the_rest_is_complete():
    parts = split_leaderboard(board(["Accuracy ↑", "Macro-F1 ↑", "MAE ↓"]))
    assert parts.ranks.names == ("Rank", "Labeler", "Accuracy ↑ (95 % CI)", "Gain", "Macro-F1 ↑", "MAE ↓")
    assert parts.ranks.rows[0] == ("1 •", "fusion-mlp", "0.5000 (-0.4000 to 0.6000)", "+0.2000", "0.4000", "0.4000")
    assert parts.rest.names == ("Labeler", "Accuracy ↑", "vs majority", "Macro-F1 ↑", "MAE ↓", "Cells")
    spread = "0.4000 ± 0.0100"
    assert parts.rest.rows[0][1:] == ("0.5000 ± 0.0100", "+0.2000 (+0.1000 to +0.3000)", spread, spread, "3/3")
    (classes,) = parts.classes
    assert classes.names == ("Labeler", "0", "1", "bad")
    assert classes.rows == (("test rows", "354", "≥1,818", "3"), *((name, "0.25", "0.25", "0.25") for name in NAMES))


@pytest.mark.parametrize(
    ("metrics", "shown", "folded"),
    [
        (["Macro-F1 ↑", "Accuracy ↑", "MAE ↓"], ["Macro-F1 ↑ (95 % CI)", "Accuracy ↑", "MAE ↓"], []),
        (["MAE ↓", "Accuracy ↑", "Macro-F1 ↑"], ["MAE ↓ (95 % CI)", "Accuracy ↑", "Macro-F1 ↑"], []),
        (
            ["Accuracy ↑", "Macro-F1 ↑", "AUC ↑", "Average precision ↑"],
            ["Accuracy ↑ (95 % CI)", "Macro-F1 ↑", "AUC ↑"],
            ["Average precision ↑"],
        ),
        (
            ["Quadratic kappa ↑", "Accuracy ↑", "Macro-F1 ↑", "MAE ↓"],
            ["Quadratic kappa ↑ (95 % CI)", "Accuracy ↑", "Macro-F1 ↑"],
            ["MAE ↓"],
        ),
    ],
)
def test_the_primary_metric_is_first_and_macro_f1_always_there(metrics, shown, folded):
    parts = split_leaderboard(board(metrics, sd=None))
    assert [name for name in parts.ranks.names if name not in ("Rank", "Labeler", "Gain")] == shown
    assert parts.rest.names == ("Labeler", "vs majority", *folded, "Cells")


def test_without_an_interval_the_deviation_is_shown():
    parts = split_leaderboard(board(["Accuracy ↑", "Macro-F1 ↑"], tested=False))
    assert parts.ranks.names[2] == "Accuracy ↑"
    assert parts.ranks.rows[0][2] == "0.5000 ± 0.0100"
    assert "Accuracy ↑" not in parts.rest.names


def test_a_page_is_read_back_with_full_names_of_classes_and_labelers():
    names = [f"self_training(oversample(mlp(on=text, hidden={h})), rounds={r})" for h in (64, 512) for r in (1, 5)]
    classes = [f"{name} (n=40)" for name in ("Labeler", "Rank", "a" * 50 + "1", "a" * 50 + "2")]
    parts = split_leaderboard(board(["Accuracy ↑", "Macro-F1 ↑"], names, classes))
    page = "# x\n\n## 10 % labelled\n\n" + "\n\n".join(parts.markdown())
    assert "full names, " in page
    lines = list(read_leaderboards(page))
    assert [rest["Labeler"] for _, _, rest in lines] == names
    assert {comparison for comparison, _, _ in lines} == {"10 % labelled"}
    short = [ranks["Labeler"] for _, ranks, _ in lines]
    assert len(set(short)) == len(names)
    assert all("…" in name for name in short)
    (table,) = parts.classes
    assert table.names[:3] == ("Labeler", "Labeler", "Rank")
    assert len(set(table.names[3:])) == 2
    assert [row[0] for row in table.rows[1:]] == short


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("mlpWknn(on=text, k=5)…方 ", min_size=1, max_size=60), min_size=1, max_size=12, unique=True))
def test_short_names_are_distinct_and_have_room(names):
    room = 220.0
    short = shorten_names(names, room)
    assert len(set(short)) == len(names)
    assert column_width("", short) <= max(room, column_width("", ["m" * 12]))
    assert column_width("", short) < PAGE_WIDTH / 2


def test_numbers_stay_on_one_line_and_words_do_not():
    for text in (
        "0.5163 (0.4885 to 0.5326)",
        "+0.1 (-0.2 to out of reach)",
        "1-3 •",
        "0.5 ± 0.1",
        "0.5 (1/3)",
        "≥1,818",
    ):
        assert " " not in unbroken(text)
        assert breakable(unbroken(text)) == text
    for text in ("best of 2; 0.5106 when chosen on other rows", "epoch 20", "to be", "leak"):
        assert unbroken(text) == text
    assert text_width(NO_BREAK_SPACE) == text_width(" ")
