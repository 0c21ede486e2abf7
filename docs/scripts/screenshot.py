"""The picture of a report for the README: `python docs/scripts/screenshot.py REPORT.html docs/report.png`.

It takes playwright and a Chromium: the one of the system, else the one of `playwright install chromium`.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1440, 1900
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

if __name__ == "__main__":
    page, picture = (Path(name).resolve() for name in sys.argv[1:3])
    with sync_playwright() as playwright:
        found = next((path for path in map(shutil.which, NAMES) if path), None)
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        opened.goto(page.as_uri())
        # What stands between the heading and the open comparison is left out, so that a plot is in the picture.
        opened.evaluate(
            "for (const part of document.querySelectorAll('main > section'))"
            "  part.hidden = !part.querySelector('details[open]')"
        )
        opened.screenshot(path=picture)
        browser.close()
