"""A board on disk against what its cells say, and the index over all boards."""

import json

import pytest

from harness.report import index
from tests.command_line import events, harness, write_suite


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boards")
    splits = [{"splitter": "prefix", "ratios": [0.25, 0.5], "seeds": [3]}]
    write_suite(folder, ["majority", {"knn": {"on": "embedding", "k": 7}}], splits=splits)
    assert harness("run", "suite.yaml", "--threads", 1, cwd=folder).returncode == 0
    return folder


def check(folder, *more):
    return harness("leaderboard", "suite.yaml", "--check", "--threads", 1, *more, cwd=folder)


@pytest.fixture
def board(folder):
    """The folder of the board, as it was before and after the test."""
    path = folder / "leaderboards"
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    yield path
    for file in [file for file in path.rglob("*") if file.is_file()]:
        file.unlink()
    for file, content in before.items():
        file.write_bytes(content)


def test_a_fresh_board_is_right(folder, board):
    done = check(folder)
    assert (done.returncode, done.stdout) == (0, "1 board and the index: as the finished cells say\n"), done.stderr


def test_each_stale_file_is_named_with_the_section(folder, board):
    page = board / "small" / "README.md"
    text = page.read_text()
    page.write_text(text.replace("| majority | 0.", "| majority | 1.", 2).replace("- Rows", "- rows"))
    (board / "small/plots/curves-1.svg").write_text("<svg/>")
    (board / "small/scores.csv").unlink()
    (board / "small/plots/old.svg").write_text("<svg/>")
    done = check(folder)
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        "leaderboards/small/README.md: is stale, above the first section",
        "leaderboards/small/plots/curves-1.svg: is stale",
        "leaderboards/small/scores.csv: is missing",
        "leaderboards/small/plots/old.svg: belongs to no board",
    ]
    page.write_text(text.replace("| majority | 0.", "| majority | 1.", 2))
    first, *_ = check(folder).stdout.splitlines()
    assert first == "leaderboards/small/README.md: is stale, from section 'prefix, 25 % labelled' on"
    page.write_text(text.rpartition("\n## ")[0])
    first, *_ = check(folder).stdout.splitlines()
    assert first == "leaderboards/small/README.md: is stale, from section 'Run it again' on"


def test_checking_writes_nothing_and_writing_makes_it_right(folder, board):
    (board / "README.md").write_text("old")
    (board / "small/plots/old.svg").write_text("<svg/>")
    done = check(folder, "--json")
    assert done.returncode == 3
    *_, told = events(done)
    assert told["stale"] == [
        "leaderboards/small/plots/old.svg: belongs to no board",
        "leaderboards/README.md: is stale, above the first section",
    ]
    assert (board / "README.md").read_text() == "old"
    assert harness("leaderboard", "suite.yaml", "--threads", 1, cwd=folder).returncode == 0
    assert check(folder).returncode == 0
    assert not (board / "small/plots/old.svg").exists()


def test_a_store_without_cells_is_no_measure(folder, board, tmp_path):
    write_suite(tmp_path, ["majority"])
    done = check(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no cell of small is finished in runs/small")


@pytest.mark.parametrize("command", ["leaderboard", "report"])
def test_a_board_of_nothing_takes_no_boards_place(tmp_path, command):
    write_suite(tmp_path, ["majority"])
    page = tmp_path / "leaderboards/small/README.md"
    page.parent.mkdir(parents=True)
    page.write_text("what another machine has found")
    done = harness(command, "suite.yaml", "--threads", 1, cwd=tmp_path)
    first = "error: no cell of small has run in runs/small, with these options; run it first: harness run suite.yaml"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{first} --threads 1\n")
    assert page.read_text() == "what another machine has found"
    assert [file.name for file in page.parent.iterdir()] == ["README.md"]


def test_the_index_names_every_board_that_speaks_for_itself(folder, board):
    page = (board / "README.md").read_text()
    assert "## On real data\n" in page
    (row,) = [line for line in page.splitlines() if line.startswith("| [small]")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == "[small](small/README.md)"
    assert cells[3:6] == ["score", "2", "prefix, 50 % labelled"]
    assert cells[6] == "knn(on=embedding, k=7)"
    assert cells[7] == "harness run suite.yaml --threads 1"
    about = json.loads((board / "small/board.json").read_text())
    (board / "a_twin").mkdir(exist_ok=True)
    (board / "a_twin/board.json").write_text(json.dumps(about | {"simulated": True, "leading": list("abcde")}))
    (board / "broken").mkdir(exist_ok=True)
    (board / "broken/board.json").write_text("{")
    text = index.index_files(board)["README.md"]
    assert (
        text.index("[small]")
        < text.index("## On SIMULATED DATA")
        < text.index("[a&#95;twin]" if "&#95;" in text else "[a_twin]")
    )
    assert "a; b; c and 2 more" in text
    assert "broken" not in text
    assert index.outdated_files(board)
