"""Boards of an earlier version in today's form: the same numbers, and no claim that one seed made."""

import csv
import json
import runpy
from pathlib import Path

import pytest

from harness.report.page_consistency import read_leaderboards
from harness.report.parquet_files import PAIRS, read_parquet, to_parquet

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "docs" / "scripts" / "reshape_boards.py"))
SEED = "seed 3 (one split: no spread)."
SEEDS = "seeds 1, 2, 3 (mean ± standard deviation over the splits)."
PAGE = """# old

- Protocol: honest

## prefix, 10 % labelled

Train 10 rows, test 90 rows; {seeds}

| Rank | Labeler | Accuracy ↑ | 95 % interval | vs majority | Macro-F1 ↑ | 0 (n=80) | 1 (n=9, few) | Gap | Cells |
| --: | --- | --: | --: | --: | --: | --: | --: | --: | --: |
| 1 • | a&#124;b | 0.9000 | 0.8000 to 0.9500 | +0.4000 (+0.3000 to +0.5000) | 0.8000 | 0.99 | 0.50 | +0.0100 | 1/1 |
| 2-3 | majority | 0.5000 | 0.4000 to 0.6000 | +0.0000 | 0.3000 | 1.00 | 0.00 |  | 1/1 |
| 2-3 | prior | 0.5000 | 0.4000 to 0.6000 | +0.0000 (-0.1000 to +0.1000) | 0.3000 | 1.00 | 0.00 |  | 1/1 |

- Ranks are intervals: 1 + the number of labelers significantly better, to the number ranked - those worse.
- Smallest detectable difference: 0.0100 among all pairs, 0.0100 for one pair that is the only question.
- Intervals are 95 % each for itself, over the draw of the test groups alone: one seed, so nothing is claimed.
- A class with fewer than 30 test rows (few) is shown; nothing is ranked on it.

## Run it again

labelharness 0.1.0, numpy 2.
"""
STANDINGS = """\
comparison,labeler,rank,rank_low,rank_high,leading,value,low,high,difference,difference_low,difference_high
"prefix, 10 % labelled",a|b,1,1,1,True,0.9,0.8,0.95,0.4,0.3,0.5
"prefix, 10 % labelled",majority,2-3,2,3,False,0.5,0.4,0.6,0.0,,
"prefix, 10 % labelled",prior,2-3,2,3,False,0.50001,0.4,0.6,-0.00001,-0.1,0.1
"""


@pytest.fixture
def board(tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "standings.csv").write_text(STANDINGS)
    numbers = {"difference": -0.4, "se": 0.1, "low": -0.5, "high": -0.3, "p": 0.001, "p_holm": 0.003}
    pair = {"comparison": "prefix, 10 % labelled", "labeler_a": "majority", "labeler_b": "a|b", **numbers}
    (folder / PAIRS).write_bytes(to_parquet(PAIRS, [pair | {"separated": True}]))
    record = {"name": "old", "comparison": "prefix, 10 % labelled", "leading": ["a|b"]}
    (folder / "board.json").write_text(json.dumps(record))
    return folder


def test_what_one_seed_claimed_is_taken_back(board):
    (board / "README.md").write_text(PAGE.format(seeds=SEED))
    assert SCRIPT["reshape"](board)
    page = (board / "README.md").read_text()
    lines = list(read_leaderboards(page))
    assert [(ranks["Rank"], rest["Labeler"]) for _, ranks, rest in lines] == [
        ("1", "a&#124;b"),
        ("2=", "majority"),
        ("2=", "prior"),
    ]
    assert lines[0][1]["Accuracy ↑ (95 % CI)"] == "0.9000 (0.8000 to 0.9500)"
    assert lines[0][2]["vs majority"] == "+0.4000 (+0.3000 to +0.5000)"
    assert "\n> one seed: ranks are not tested\n" in page
    assert "over the draw of the test groups alone: another seed would change more" in page
    assert "- `=` marks ties: " in page
    assert "(few)" not in page
    assert "| test rows | 80 | 9 |" in page
    assert not any(old in page for old in ("Ranks are intervals", "Smallest detectable", "•"))
    assert "what one seed had claimed to separate is taken back." in page
    with (board / "standings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["rank_low"], row["leading"], row["difference"]) for row in rows] == [
        ("1", "", "False", "0.4"),
        ("2=", "", "False", "0.0"),
        ("2=", "", "False", "-0.00001"),
    ]
    (pair,) = read_parquet(PAIRS, board / PAIRS).to_pylist()
    assert (pair["separated"], pair["p"], pair["p_holm"], pair["difference"]) == (False, None, None, -0.4)
    record = json.loads((board / "board.json").read_text())
    assert (record["leading"], record["value"], record["low"], record["gain"]) == (["a|b"], 0.9, None, 0.4)
    assert not SCRIPT["reshape"](board), "it has today's form"
    assert (board / "README.md").read_text() == page


def test_the_ranks_of_three_seeds_stay(board):
    (board / "README.md").write_text(PAGE.format(seeds=SEEDS))
    before = (board / "standings.csv").read_bytes(), (board / PAIRS).read_bytes()
    assert SCRIPT["reshape"](board)
    page = (board / "README.md").read_text()
    assert [ranks["Rank"] for _, ranks, _ in read_leaderboards(page)] == ["1 •", "2-3", "2-3"]
    assert "- Ranks are intervals: " in page
    assert "taken back" not in page
    assert ((board / "standings.csv").read_bytes(), (board / PAIRS).read_bytes()) == before
    record = json.loads((board / "board.json").read_text())
    assert (record["leading"], record["low"], record["high"]) == (["a|b"], 0.8, 0.95)
