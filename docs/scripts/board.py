"""Copy the first board of each page that README.md names into it, without what is folded: `python
docs/scripts/board.py`."""

import re
from pathlib import Path

BOARD = re.compile(r"<!-- board: (?P<file>\S+) -->\n.*?<!-- end of board -->", re.DOTALL)


def first_comparison(page: str) -> str:
    """Return the heading, the circumstances, the ranks and the classes of a page's first comparison."""
    heading, circumstances, *parts = page.split("\n## ")[1].split("\n\n")
    end = next(i for i, part in enumerate(parts) if part.startswith(("<details>", "- ")))
    return "\n\n".join([f"**{heading}**: {circumstances}", *parts[:end]])


def with_boards(readme: str, root: Path) -> str:
    """Return the text with every board as its file has it now."""

    def fill(found: re.Match[str]) -> str:
        file = found["file"]
        return f"<!-- board: {file} -->\n{first_comparison((root / file).read_text())}\n<!-- end of board -->"

    return BOARD.sub(fill, readme)


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    readme = root / "README.md"
    readme.write_text(with_boards(readme.read_text(), root))
