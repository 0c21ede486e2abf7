"""What the tests in a real browser share: Chromium, and axe-core's rules where they are installed."""

import os
from pathlib import Path

import pytest

from tests.browser import open_chromium
from tests.conftest import ROOT


@pytest.fixture(scope="package")
def browser():
    with open_chromium() as opened:
        yield opened


@pytest.fixture(scope="package")
def violations():
    """Return a function: the rules of axe-core that a page breaks, each with its first place."""
    folder = Path(os.environ.get("AXE_CORE", ROOT / "node_modules" / "axe-core"))
    if not (folder / "axe.min.js").is_file():
        pytest.skip("no axe-core (npm install --no-save axe-core, or AXE_CORE=its folder)")
    rules = (folder / "axe.min.js").read_text(encoding="utf-8")

    def run(page):
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        page.evaluate(rules)
        found = page.evaluate("axe.run()")["violations"]
        return [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found]

    return run
