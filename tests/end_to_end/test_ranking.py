"""harness ranking, as a command, on suites and boards."""

import csv

import pytest

from harness.report.consistency import find_boards
from tests.boards import COMPARISON, write_board
from tests.command_line import events, harness, table, write_suite

VALUES = {"knn(on=embedding, k=5)": (0.6, 0.62, 0.61), "majority": (0.3, 0.3, 0.3), "shares": (0.31, 0.3, 0.3)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two suites with boards over different data, and a list of them."""
    folder = tmp_path_factory.mktemp("ranking")
    for name in ("first", "second"):
        (folder / name).mkdir()
        write_suite(folder / name, ["majority"], table(30), name=name)
        write_board(folder / "leaderboards" / name, VALUES)
    (folder / "both.yaml").write_text("{version: 1, name: both, suites: [first/suite.yaml, second/suite.yaml]}")
    return folder


def test_a_list_of_suites_and_their_boards_give_the_same_ranking(folder):
    result = harness("ranking", "both.yaml", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "Nothing can be separated: over 2 data sets" in result.stdout
    page = folder / "leaderboards/ranking"
    files = {file.name: file.read_bytes() for file in page.iterdir()}
    assert files.keys() == {"README.md", "ranking.csv", "values.csv", "pairs.csv", "critical_difference.svg"}
    again = harness("ranking", "leaderboards/first", "leaderboards/second", "--name", "again", "--json", cwd=folder)
    *lines, done = events(again)
    assert [line["labeler"] for line in lines] == [
        row["labeler"] for row in csv.DictReader(files["ranking.csv"].decode().splitlines())
    ]
    assert (done["event"], done["data_sets"]) == ("done", 2)
    assert (folder / "leaderboards/again/values.csv").read_bytes() == files["values.csv"]
    assert find_boards(folder / "leaderboards") == [folder / "leaderboards/first", folder / "leaderboards/second"]


def test_the_page_has_the_command_that_makes_it_again(folder):
    assert harness("ranking", "both.yaml", "--ratio", 0.1, "--name", "few", cwd=folder).returncode == 0
    page = (folder / "leaderboards/few/README.md").read_text()
    assert COMPARISON in page
    assert "harness ranking both.yaml --ratio 0.1 --name few" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing.yaml",), "nothing.yaml: no such board, suite or list of suites"),
        (("first/suite.yaml",), "takes two boards or more"),
        (("both.yaml", "--name", "first"), "is the board of a suite; choose another name"),
        (("both.yaml", "--name", "../x"), "without a slash"),
        (("both.yaml", "--ratio", 0.3), "first has no comparison of it; its ratios: 0.1"),
        (("both.yaml", "-o", "elsewhere"), "first/suite.yaml: no board in elsewhere/leaderboards/first"),
    ],
)
def test_mistakes_are_one_line(folder, words, message):
    result = harness("ranking", *words, cwd=folder)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
