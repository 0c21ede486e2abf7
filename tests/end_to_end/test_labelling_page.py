"""The page on labels: its tables, options and columns are up to date."""

import re
import runpy
from pathlib import Path

import typer.main

from harness.cli.app import app
from harness.label.label_file import COLUMN_NAMES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "labelling.md").read_text()


def test_the_tables_are_made_from_the_numbers():
    script = runpy.run_path(str(ROOT / "docs" / "scripts" / "labelling.py"))
    assert script["with_tables"](PAGE, ROOT) == PAGE
    assert sorted(re.findall(r"<!-- table: (\w+) -->\n\|", PAGE)) == [
        *("cards", "draws", "needed", "promises", "replay", "runs")
    ]


def test_every_column_is_explained():
    section = PAGE.split("## The columns")[1].split("\n## ")[0]
    assert [name for name in COLUMN_NAMES if f"`{name}`" not in section] == []


def test_every_option_that_the_page_names_is_one():
    options = {name for each in typer.main.get_command(app).commands["label"].params for name in each.opts}
    named = set(re.findall(r"`(--?[a-z][a-z-]*)", PAGE))
    assert len(named) > 12
    assert named <= options
