"""The Chromium that tests look at pages with."""

import shutil
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@contextmanager
def open_chromium():
    """Open the Chromium of the system, else playwright's own; skip the test where neither starts."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
    with sync_api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        executable = next((path for path in map(shutil.which, NAMES) if path), own)
        try:
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"no Chromium starts (install one, or `playwright install chromium`): {error.message[:200]}")
        yield browser
        browser.close()
