"""A board on disk against its cells, and the index over all boards."""

import csv
import json
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.report import index
from harness.report.consistency import find_contradictions
from harness.report.parquet_files import COLUMNS, read_parquet, to_parquet
from tests.command_line import events, harness, long_rows, write_suite

pytestmark = pytest.mark.slow


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


def standings(board):
    with (board / "small/standings.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_fresh_board_is_right(folder, board):
    done = check(folder)
    assert (done.returncode, done.stdout) == (0, "1 board and the index: as the finished cells say\n"), done.stderr


def test_its_files_agree_with_each_other(folder, board):
    assert list(find_contradictions(board / "small")) == []
    page = board / "small" / "README.md"
    page.write_text(page.read_text().replace("| 2 | majority |", "| 3 | majority |", 1))
    (line,) = find_contradictions(board / "small")
    assert line == f"{page}: prefix, 25 % labelled, majority: Rank is '3', by the other files it is '2'"


def test_the_glossary_is_linked_where_it_is(folder, board):
    page = board / "small/README.md"
    assert "\n- Words: docs/glossary.md\n" in page.read_text()
    glossary = folder / "docs/glossary.md"
    glossary.parent.mkdir()
    glossary.write_text("# Words\n")
    for command in ("leaderboard", "report"):
        assert harness(command, "suite.yaml", "--threads", 1, cwd=folder).returncode == 0
    (link,) = re.findall(r"^- Words: \[docs/glossary.md\]\((.*)\)$", page.read_text(), re.MULTILINE)
    assert (page.parent / link).resolve() == glossary.resolve()
    assert f'<a href="{link}">docs/glossary.md</a>' in (board / "small/report.html").read_text()
    shutil.rmtree(glossary.parent)


def test_each_stale_file_is_named_with_the_section(folder, board):
    page = board / "small" / "README.md"
    text = page.read_text()
    page.write_text(text.replace("| majority | 0.", "| majority | 1.", 2).replace("- Rows", "- rows"))
    (board / "small/plots/curves-1.svg").write_text("<svg/>")
    (board / "small/scores.parquet").unlink()
    pairs = board / "small/pairs.parquet"
    pairs.write_bytes(pairs.read_bytes()[:-9])
    (board / "small/plots/old.svg").write_text("<svg/>")
    (board / "small/more.parquet").write_bytes(b"")
    done = check(folder)
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        "leaderboards/small/README.md: is stale, above the first section",
        "leaderboards/small/scores.parquet: is missing",
        "leaderboards/small/pairs.parquet: is stale",
        "leaderboards/small/plots/curves-1.svg: is stale",
        "leaderboards/small/plots/old.svg: belongs to no board",
        "leaderboards/small/more.parquet: belongs to no board",
    ]
    page.write_text(text.replace("| majority | 0.", "| majority | 1.", 2))
    first, *_ = check(folder).stdout.splitlines()
    section = "25 % labelled (60 rows), test: all other rows"
    assert first == f"leaderboards/small/README.md: is stale, from section {section!r} on"
    page.write_text(text.rpartition("\n## ")[0])
    first, *_ = check(folder).stdout.splitlines()
    assert first == "leaderboards/small/README.md: is stale, from section 'Run it again' on"


def test_checking_writes_nothing_and_writing_makes_it_right(folder, board):
    (board / "README.md").write_text("old")
    (board / "small/plots/old.svg").write_text("<svg/>")
    done = check(folder, "--json")
    assert done.returncode == 3
    *_, checked = events(done)
    assert checked["stale"] == [
        "leaderboards/small/plots/old.svg: belongs to no board",
        "leaderboards/README.md: is stale, above the first section",
    ]
    assert (board / "README.md").read_text() == "old"
    assert harness("leaderboard", "suite.yaml", "--threads", 1, cwd=folder).returncode == 0
    assert check(folder).returncode == 0
    assert not (board / "small/plots/old.svg").exists()


@pytest.mark.parametrize("name", COLUMNS)
def test_a_changed_number_in_a_long_table_is_stale(folder, board, name):
    file = board / "small" / name
    rows = read_parquet(name, file).to_pylist()
    column = next(column for column, value in rows[-1].items() if isinstance(value, float))
    rows[-1][column] = float(np.nextafter(rows[-1][column], 9))
    file.write_bytes(to_parquet(name, rows))
    assert check(folder).stdout.splitlines() == [f"leaderboards/small/{name}: is stale"]


def test_the_same_numbers_as_other_bytes_are_right(folder, board):
    file = board / "small/scores.parquet"
    pq.write_table(pq.read_table(file), file, compression="none")
    assert check(folder).returncode == 0


def test_csv_copies_are_written_where_they_are_wanted(folder, board):
    assert not list(board.rglob("scores.csv"))
    assert harness("leaderboard", "suite.yaml", "--csv", "--threads", 1, cwd=folder).returncode == 0
    for name in COLUMNS:
        with (board / "small" / name).with_suffix(".csv").open(newline="") as lines:
            assert list(csv.DictReader(lines)) == long_rows(board / "small" / name, name)
    assert check(folder).returncode == 0
    copy = board / "small/scores.csv"
    copy.write_text(copy.read_text().replace("majority", "minority", 1))
    assert check(folder).stdout == "leaderboards/small/scores.csv: is stale\n"
    assert harness("leaderboard", "suite.yaml", "--threads", 1, cwd=folder).returncode == 0
    assert not any((board / "small" / name).with_suffix(".csv").exists() for name in COLUMNS)
    done = check(folder, "--csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --csv writes files and --check writes nothing: give one of them\n"


def test_what_somebody_has_put_beside_a_board_stays(folder, board):
    (board / "small/notes.parquet").write_bytes(b"mine")
    assert harness("leaderboard", "suite.yaml", "--threads", 1, cwd=folder).returncode == 0
    assert (board / "small/notes.parquet").read_bytes() == b"mine"


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
    rows = [line for line in page.splitlines() if line.startswith("| [small]")]
    leaders, scope = ([cell.strip() for cell in row.strip("|").split("|")] for row in rows)
    assert leaders[0] == scope[0] == "[small](small/README.md)"
    first = next(row for row in standings(board) if row["comparison"] == "prefix, 50 % labelled")
    assert leaders[1:] == [
        first["labeler"],
        f"Accuracy {float(first['value']):.4f}",
        f"{float(first['difference']):+.4f}",
    ]
    assert first["labeler"] == "knn(on=embedding, k=7)"
    assert scope[3:] == ["score", "2", "prefix, 50 % labelled", "harness run suite.yaml --threads 1"]
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
