"""The journeys of docs/start.md: every command is given as it stands there, and what the page shows is what happens."""

import re
from pathlib import Path

import pytest

from tests.command_line import harness, ranks
from tests.tables import JOURNEYS

PAGE = (Path(__file__).parents[2] / "docs" / "start.md").read_text()
# The labelers of a suite learn less in a test, so that a journey takes seconds.
SMALLER = {
    "rounds: 300": "rounds: 5",
    r"(- mlp: \{on: .*)\}": r"\1, epochs: 1, validation: 0}",
    r"\[1, 2, 3\]\}": "[1]}",
}


def commands(name):
    """Return the commands of the journey that begins with a file."""
    (block,) = re.findall(rf"^```\n(harness init {re.escape(name)}\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return [line.split()[1:] for line in block.splitlines()]


@pytest.mark.parametrize("name", JOURNEYS)
def test_three_commands_lead_from_a_file_to_a_board(tmp_path, name):
    JOURNEYS[name](tmp_path)
    init, *others = commands(name)
    done = harness(*init, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    if f"<!-- printed: {name} -->" in PAGE:
        assert done.stdout == PAGE.partition(f"<!-- printed: {name} -->\n```\n")[2].partition("```")[0]
    stem = name.partition(".")[0]
    suite = tmp_path / f"{stem}.yaml"
    if f"<!-- suite: {suite.name} -->" in PAGE:
        assert suite.read_text() == PAGE.partition(f"<!-- suite: {suite.name} -->\n```yaml\n")[2].partition("```")[0]
    text = suite.read_text()
    for pattern, smaller in SMALLER.items():
        text, count = re.subn(pattern, smaller, text)
        assert count == 1, pattern
    suite.write_text(text)
    assert [command for command, *_ in others] == ["run", "report"]
    for command in others:
        done = harness(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    titles = ranks(tmp_path, stem)
    assert titles.keys() > {"majority", "prior"}
    assert len(titles) == (7 if "source_prior" in titles else 6)
    assert (tmp_path / "leaderboards" / stem / "report.html").stat().st_size > 10_000


def test_the_files_that_the_page_shows_are_those_of_the_journeys(tmp_path):
    shown = re.findall(r"^(?:r0000\d,|fair\t|good\t).*$", PAGE, re.MULTILINE)
    for name in ("reviews.csv", "opinions.tsv"):
        JOURNEYS[name](tmp_path)
    lines = {line for file in tmp_path.iterdir() for line in file.read_text().splitlines()}
    assert len(shown) == 4
    assert set(shown) <= lines


def test_every_option_of_init_is_on_the_page(tmp_path):
    help_text = harness("init", "--help", cwd=tmp_path).stdout
    options = set(re.findall(r"--[a-z]+", help_text)) - {"--help", "--output"}
    assert len(options) >= 10
    assert [option for option in sorted(options) if f"`{option}" not in PAGE] == []
