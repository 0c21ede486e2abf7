"""Finished boards of several data sets as one ranking, its page and its plot."""

import csv
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.report.data_set_ranking import rank_boards
from harness.report.finished_board import difference_variances, primary_metric, read_board
from harness.report.ranking_page import markdown, verdict, write_ranking
from tests.boards import COMPARISON, write_board
from tests.conftest import ROOT

EFFECTS = {"best": 0.2, "=middle <b>": 0.1, "floor": 0.0}


def boards(folder, n, effects=EFFECTS, missing=(), **facts):
    """Write n boards whose labelers differ by their effects; `missing` has (data set, labeler)."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(n):
        level = rng.uniform(0.3, 0.6)
        values = {
            name: [] if (i, name) in missing else level + effect + rng.normal(0, 0.01, 3)
            for name, effect in effects.items()
        }
        made.append(read_board(write_board(folder / f"data_{i}", values, **facts)))
    return made


def test_planted_differences_are_found_and_the_page_has_them(tmp_path):
    ranked = rank_boards(boards(tmp_path, 8))
    assert ranked.labelers == tuple(EFFECTS)
    assert ranked.ranking.places.tolist() == [[1, 1], [2, 2], [3, 3]]
    page = write_ranking(ranked, tmp_path / "ranking", "harness ranking a b").read_text().replace("\u00a0", " ")
    assert "> **SIMULATED DATA" in page
    assert "3 of 3 pairs are separated over 8 data sets; best leads." in page
    assert "| 1 • | best | 1.00 (" in page
    assert "[data&#95;3](../data_3/README.md)" in page or "[data_3](../data_3/README.md)" in page
    with (tmp_path / "ranking/values.csv").open(newline="") as lines:
        values = list(csv.DictReader(lines))
    assert [row["labeler"] for row in values] == ["best", "'=middle <b>", "floor"]
    first = read_board(tmp_path / "data_0").of(COMPARISON)
    assert [row["data_0"] for row in values] == [row["value"] for row in first]
    with (tmp_path / "ranking/pairs.csv").open(newline="") as lines:
        assert [(row["won"], row["lost"], row["separated"]) for row in csv.DictReader(lines)] == [
            ("8", "0", "True")
        ] * 3


def test_few_data_sets_separate_nothing_and_the_page_begins_with_it(tmp_path):
    ranked = rank_boards(boards(tmp_path, 3))
    assert not ranked.ranking.separated.any()
    assert "Nothing can be separated: over 3 data sets" in verdict(ranked)
    assert "It takes 7 data sets." in verdict(ranked)
    assert ranked.ranking.places.tolist() == [[1, 3]] * 3
    assert "•" not in markdown(ranked, tmp_path / "ranking", "x").partition("## ")[0].partition("\n- ")[0]


def test_a_labeler_that_lacks_a_data_set_is_listed_apart_and_changes_nothing(tmp_path):
    whole = rank_boards(boards(tmp_path / "whole", 7, {"best": 0.2, "floor": 0.0}))
    ranked = rank_boards(boards(tmp_path / "part", 7, EFFECTS, missing={(2, "=middle <b>"), (5, "=middle <b>")}))
    assert ranked.labelers == ("best", "floor")
    assert ranked.incomplete == {"=middle <b>": ["data_2", "data_5"]}
    assert ranked.ranking.mean_rank.tolist() == whole.ranking.mean_rank.tolist() == [1.0, 2.0]
    page = markdown(ranked, tmp_path / "ranking", "x")
    apart = page.partition("## Labelers that lack a data set")[2]
    assert re.search(r"\| =middle &#60;b&#62; \| data_2, data_5 \|", apart)
    assert "middle" not in page.partition("## ")[0]


def test_lower_errors_are_better(tmp_path):
    ranked = rank_boards(boards(tmp_path, 8, metric="mae"))
    assert ranked.metric == "mae"
    assert ranked.labelers[ranked.ranking.order[0]] == "floor"


def test_only_the_named_labelers_are_one_question_of_fewer_pairs(tmp_path):
    made = boards(tmp_path, 6)
    assert not rank_boards(made).ranking.separated.any()
    assert rank_boards(made, labelers=["best", "floor"]).ranking.separated.all()


def test_the_errors_are_those_of_the_boards(tmp_path):
    (board, _) = boards(tmp_path, 2)
    labelers = ["floor", "best"]
    variance = difference_variances(board, COMPARISON, labelers)
    (pair,) = [row for row in board.pairs.to_pylist() if {row["labeler_a"], row["labeler_b"]} == set(labelers)]
    assert variance.tolist() == [[0, pair["se"] ** 2], [pair["se"] ** 2, 0]]
    assert pair["se"] > 0.01


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"data": "a.parquet"}, "data_0 and data_1 are boards of the same data, rows and target (a.parquet)"),
        ({"data": "a.parquet", "population": "flan"}, "of the same data"),
    ],
)
def test_the_same_data_count_once(tmp_path, facts, message):
    with pytest.raises(HarnessError, match=re.escape(message)):
        rank_boards(boards(tmp_path, 2, **facts))


def test_boards_of_one_file_are_named_as_dependent(tmp_path):
    one = boards(tmp_path / "one", 1, data="a.parquet", target="helpful")
    other = [read_board(write_board(tmp_path / "other", {name: [0.3, 0.4, 0.5] for name in EFFECTS}, data="a.parquet"))]
    ranked = rank_boards([*one, *other])
    assert ranked.related == ["data_0", "other"]
    assert "no independent data sets: data_0, other" in markdown(ranked, tmp_path, "x")


def test_mistakes_are_one_line(tmp_path):
    made = boards(tmp_path, 2)
    stranger = read_board(write_board(tmp_path / "stranger", {"best": [0.1, 0.2, 0.3], "other": [0.3, 0.2, 0.4]}))
    by_mae = read_board(write_board(tmp_path / "by_mae", {name: [0.1, 0.2, 0.3] for name in EFFECTS}, metric="mae"))
    cases = {
        "two boards or more": ([made[0]], {}),
        "no board ranks it; did you mean 'floor'?": (made, {"labelers": ["flor"]}),
        "data_0 by accuracy, by_mae by mae": ([made[0], by_mae], {}),
        "there is 1 (": ([made[0], stranger], {}),
        "has no comparison of it; its ratios: 0.1": (made, {"ratio": 0.2}),
    }
    for message, (given, options) in cases.items():
        with pytest.raises(HarnessError, match=re.escape(message)) as error:
            rank_boards(given, **options)
        assert len(error.value.problems) == 1


@pytest.mark.parametrize(
    ("name", "content"), [("scores.parquet", b"torn"), ("board.json", b"{"), ("standings.csv", b"a\n1\n")]
)
def test_a_torn_board_is_one_line_with_its_file(tmp_path, name, content):
    made = boards(tmp_path, 2)
    (tmp_path / "data_1" / name).write_bytes(content)
    with pytest.raises(HarnessError, match="data_1") as error:
        rank_boards([made[0], read_board(tmp_path / "data_1")])
    assert len(error.value.problems) == 1


def test_the_plot_has_every_labeler_and_a_bar_for_each_clique(tmp_path):
    for n in (8, 3):
        ranked = rank_boards(boards(tmp_path / str(n), n))
        write_ranking(ranked, tmp_path / f"ranking_{n}", "x")
        root = ElementTree.parse(tmp_path / f"ranking_{n}/critical_difference.svg").getroot()
        space = "{http://www.w3.org/2000/svg}"
        assert root.find(f"{space}title").text.startswith("SIMULATED DATA: ")
        texts = [element.text for element in root.iter(f"{space}text")]
        assert set(EFFECTS) <= set(texts)
        bars = [line for line in root.iter(f"{space}line") if line.get("stroke-width") == "4"]
        assert len(bars) == (0 if n == 8 else 1)


def test_committed_boards_are_read_with_the_metric_that_they_rank_by():
    board = read_board(ROOT / "leaderboards/quickstart")
    assert primary_metric(board, board.main_comparison) == "accuracy"
    assert board.facts["Data"].startswith("twin:tulu_300k (12,000 rows), SHA-256 ")
    names = [row["labeler"] for row in board.of(board.main_comparison)]
    assert (difference_variances(board, board.main_comparison, names) >= 0).all()
