"""Fill the table of cheats in docs/audit.md from the zoo of tests/audit/zoo.

python docs/scripts/zoo.py
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = re.compile(r"<!-- zoo -->\n.*?<!-- end of zoo -->", re.DOTALL)
KINDS = ("labeler", "embedder", "features", "data")


def table() -> str:
    """Return the table of all cheats, by kind, as Markdown."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from tests.audit.zoo import CHEATS

    lines = [
        "| kind | cheat | how | the audit alone | by | a confined worker |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for cheat in sorted(CHEATS, key=lambda cheat: KINDS.index(cheat.kind)):
        confined = "cannot" if cheat.needs_file else ""
        row = (cheat.kind, f"`{cheat.name}`", cheat.how, cheat.outcome, cheat.reason, confined)
        lines.append(f"| {' | '.join(row)} |")
    outcomes = [cheat.outcome for cheat in CHEATS]
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in dict.fromkeys(outcomes))
    return "\n".join([*lines, "", f"{len(CHEATS)} in all: {counts}."])


def with_table(page: str) -> str:
    """Return the page with the table as the zoo is now."""
    return TABLE.sub(lambda _: f"<!-- zoo -->\n{table()}\n<!-- end of zoo -->", page)


if __name__ == "__main__":
    page = ROOT / "docs" / "audit.md"
    page.write_text(with_table(page.read_text()))
