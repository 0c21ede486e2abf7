"""Boards checked without cells: an altered file contradicts another."""

import csv
import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.report import index
from harness.report.consistency import find_boards, find_contradictions
from harness.report.markdown import breakable
from harness.report.parquet_files import COLUMNS, read_parquet, to_parquet
from tests.command_line import harness, long_rows

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
BOARDS = find_boards(LEADERBOARDS)


@pytest.mark.slow
def test_the_committed_boards_and_their_index_agree():
    assert len(BOARDS) >= 30
    assert [line for board in BOARDS for line in find_contradictions(board)] == []
    assert index.outdated_files(LEADERBOARDS) == []


@pytest.fixture
def board(tmp_path):
    """A copy of the board of the quickstart."""
    copied = tmp_path / "quickstart"
    shutil.copytree(LEADERBOARDS / "quickstart", copied)
    return copied


def rewrite(file, pattern, change):
    """Change the group of a pattern's first match in a file; return the old text and the new one."""
    text = breakable(file.read_text())
    found = re.search(pattern, text, re.MULTILINE)
    old, new = found[1], change(found[1])
    file.write_text(text[: found.start(1)] + new + text[found.end(1) :])
    return old, new


def other_digit(text):
    """Return a number, or a text that ends with one, with another last digit."""
    return f"{text[:-1]}{(int(text[-1]) + 1) % 10}"


def altered(board, name, row, column, value):
    """Alter one field of a table."""
    if name in COLUMNS:
        rows = read_parquet(name, board / name).to_pylist()
        rows[row][column] = value
        (board / name).write_bytes(to_parquet(name, rows))
        return
    with (board / name).open(newline="") as lines:
        header, *rows = list(csv.reader(lines))
    rows[row][header.index(column)] = value
    with (board / name).open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *rows])


SPREAD = r"0\.\d{4} ± 0\.\d{4}"


@pytest.mark.parametrize(
    ("pattern", "change", "said"),
    [
        (r"^\| (\d-\d)(?= • \|)", other_digit, "Rank is '{new} •', by the other files it is '{old} •'"),
        (r"^\| (\d-\d •) \|", lambda rank: rank[:3], "Rank is '{new}', by the other files it is '{old}'"),
        (rf"^\| [^|]* \| ({SPREAD}) \|", other_digit, "Accuracy ↑ is '{new}'"),
        (r"\((0\.\d{4} to 0\.\d{4})\)", other_digit, "Accuracy ↑ (95 % CI) is"),
        (r"\| (\+0\.\d{4}) \|", other_digit, "Gain is '{new}', by the other files it is '{old}'"),
        (r"\| (\+0\.\d{4}) \(", other_digit, "vs majority is '{new} ("),
        (r"\| \+0\.\d{4} \| (0\.\d{4}) \|", other_digit, "Macro-F1 ↑ is '{new}', by the other files it is '{old}'"),
        (rf"\+0\.\d{{4}} \([^|]*\) \| ({SPREAD}) \|", other_digit, "Macro-F1 ↑ is '{new}'"),
        (r"\| (3/3) \|", lambda _: "2/3", "Cells is '2/3', by the other files it is '3/3'"),
        (
            rf"^\| (source_prior) \| {SPREAD}",
            lambda _: "source_p",
            "no line of 'source_prior', which stands in standings.csv",
        ),
        (
            r"\| (source_prior) \| 0\.\d{4} \(",
            lambda _: "source_p",
            "Labeler is 'source_p', which is not short for it",
        ),
        (r"\| mlp\(on=(embedding)… \|", lambda _: "text", "Labeler is 'mlp(on=text…', which is not short for it"),
        (r"^()!\[What confidence", lambda _: "![Another](plots/gone.svg)\n\n", "plots/gone.svg: is missing"),
    ],
)
def test_an_altered_page_contradicts_the_other_files(board, pattern, change, said):
    old, new = rewrite(board / "README.md", pattern, change)
    contradictions = list(find_contradictions(board))
    assert any(said.format(old=old, new=new) in line for line in contradictions), contradictions


@pytest.mark.parametrize(
    ("name", "row", "column", "value", "said"),
    [
        ("standings.csv", 0, "value", "0.6", "do not differ by the"),
        (
            "standings.csv",
            0,
            "rank_high",
            "5",
            "fusion-mlp last epoch: the rank 1 to 5 does not follow from pairs.",
        ),
        ("standings.csv", 8, "leading", "False", "leads nested(test=0.5), 40 % labelled, standings.csv does not"),
        ("pairs.parquet", 0, "separated", False, "does not follow from pairs.parquet"),
        ("pairs.parquet", 0, "difference", -0.09, "majority and source_prior do not differ by the -0.09 of pairs."),
        ("pairs.parquet", 0, "difference", None, "is not as `harness leaderboard` writes it: TypeError"),
        ("scores.parquet", 0, "value", 0.31, "majority: Accuracy ↑ is"),
        ("scores.parquet", 0, "value", None, "majority: Accuracy ↑ is"),
        ("scores.parquet", 0, "labeler", "=majority", "majority: Accuracy ↑ is"),
    ],
)
def test_an_altered_table_contradicts_the_other_files(board, name, row, column, value, said):
    altered(board, name, row, column, value)
    contradictions = list(find_contradictions(board))
    assert any(said in line for line in contradictions), contradictions


@pytest.mark.parametrize(("name", "column"), [("value", "value"), ("low", "low"), ("gain", "difference")])
def test_an_altered_score_in_the_index_contradicts_the_standings(board, name, column):
    record = json.loads((board / "board.json").read_text())
    with (board / "standings.csv").open(newline="") as lines:
        first = next(row for row in csv.DictReader(lines) if row["comparison"] == record["comparison"])
    assert record[name] == float(first[column])
    (board / "board.json").write_text(json.dumps(record | {name: 0.99}))
    (line,) = find_contradictions(board)
    leader = record["leading"][0]
    assert line.endswith(f"says that the {name} of {leader} is 0.99, standings.csv has {first[column]}")


def test_a_missing_or_broken_file_is_one_line(board):
    (board / "standings.csv").write_text("comparison,labeler_a\nx,y\n")
    (line,) = find_contradictions(board)
    assert line.startswith(f"{board}: is not as `harness leaderboard` writes it: KeyError")
    (board / "pairs.parquet").unlink()
    (board / "board.json").unlink()
    (line,) = find_contradictions(board)
    assert line == f"{board}: board.json, pairs.parquet missing; write it again with harness leaderboard SUITE"
    for name in ("scores.parquet", "standings.csv"):  # no more than the page is left: still no board that is in order
        assert find_boards(board.parent) == find_boards(board) == [board]
        (board / name).unlink()


@pytest.mark.parametrize("name", COLUMNS)
def test_a_torn_or_missing_table_is_one_line(board, name):
    content = (board / name).read_bytes()
    (board / name).write_bytes(content[: len(content) // 2])
    (line,) = find_contradictions(board)
    assert line.startswith(f"{board / name}: cannot be read: ")
    assert line.endswith("; write it again with harness leaderboard SUITE")
    assert "\n" not in line
    (board / name).write_bytes(b"")
    (line,) = find_contradictions(board)
    assert line.startswith(f"{board / name}: cannot be read: ")
    (board / name).unlink()
    (line,) = find_contradictions(board)
    assert line in (
        f"{board / name}: is missing",
        f"{board}: {name} missing; write it again with harness leaderboard SUITE",
    )


@pytest.mark.parametrize("name", COLUMNS)
def test_a_byte_altered_on_disk_is_found(board, name):
    content = bytearray((board / name).read_bytes())
    ends = [each for each in range(len(content)) if each % 97 == 50]
    for place in ends[: len(ends) * 3 // 4 : max(1, len(ends) // 12)]:
        content[place] ^= 0x10
        (board / name).write_bytes(bytes(content))
        assert list(find_contradictions(board)), place
        content[place] ^= 0x10


def test_a_table_of_other_columns_is_one_line(board):
    file = board / "pairs.parquet"
    table = pq.read_table(file)
    pq.write_table(table.drop_columns(["p_holm"]), file)
    (line,) = find_contradictions(board)
    assert line.startswith(f"{file}: has the columns comparison: string; labeler_a: string; ")
    pq.write_table(table.set_column(3, "difference", table["difference"].cast(pa.float32())), file)
    (line,) = find_contradictions(board)
    assert "difference: float; se: double" in line


@pytest.mark.parametrize(
    "name", ["plots/old.svg", "plots/old.parquet", "plots/scores.csv", "more.parquet", "plots/curves-2.svg"]
)
def test_a_file_that_belongs_to_no_board_is_one_line(board, name):
    shutil.copy(board / "plots/curves-1.svg", board / name)
    assert list(find_contradictions(board)) == [f"{board / name}: belongs to no board"]


def test_csv_copies_are_written_without_cells_and_checked(board):
    done = harness("leaderboard", "quickstart", "--csv", cwd=board.parent)
    assert (done.returncode, done.stdout) == (0, "1 board: the parquet tables have CSV copies now\n"), done.stderr
    assert list(find_contradictions(board)) == []
    with (board / "scores.csv").open(newline="") as lines:
        assert list(csv.DictReader(lines)) == long_rows(board / "scores.parquet")
    altered(board, "pairs.csv", 0, "difference", "-0.09")
    assert list(find_contradictions(board)) == [f"{board / 'pairs.csv'}: is stale"]
    (board / "scores.parquet").write_bytes(b"PAR1")
    done = harness("leaderboard", "quickstart", "--csv", cwd=board.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: quickstart/scores.parquet: cannot be read: ")


def test_the_command_checks_a_folder_of_boards_or_one_of_them(board):
    folder = board.parent
    index.write_index(folder)
    done = harness("leaderboard", "--check", ".", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 board and the index: agree with each other\n", "")
    old, new = rewrite(board / "README.md", r"\| (\d-\d) • \|", other_digit)
    rewrite(folder / "README.md", "(fusion-mlp)", lambda _: "mlp")
    done = harness("leaderboard", "--check", ".", cwd=folder)
    assert done.returncode == 3
    said = (
        f"nested(test=0.5), 10 % labelled, fusion-mlp last epoch: Rank is '{new} •', by the other files it is '{old} •'"
    )
    assert done.stdout == f"quickstart/README.md: {said}\nREADME.md: is stale, from section 'On SIMULATED DATA' on\n"
    assert harness("leaderboard", "--check", "quickstart", cwd=folder).stdout == f"quickstart/README.md: {said}\n"
