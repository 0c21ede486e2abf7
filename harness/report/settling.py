"""Labelers whose training had not settled, from their facts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from harness.plugin.facts import TABLES_KEY
from harness.report.markdown import escape
from harness.scoring.leaderboard import CellResult

SETTLED_KEY = "settled"  # a fact at any depth: false where training ended before it had converged


def settling_claim(cell_results: Iterable[CellResult]) -> str | None:
    """Return a line that names the labelers of unsettled cells, or None."""
    unsettled: Counter[str] = Counter()
    finished: Counter[str] = Counter()
    for result in cell_results:
        if result.scores is not None:
            finished[result.cell.candidate.title] += 1
            unsettled[result.cell.candidate.title] += is_unsettled(result.scores.facts)
    names = [
        escape(title) + ("" if count == finished[title] else f" ({count} of {finished[title]} cells)")
        for title, count in unsettled.items()
        if count
    ]
    if not names:
        return None
    return (
        f"Training had not settled: {', '.join(names)}. Its loss still fell, or it stopped at its limit of steps: "
        "more steps may give other numbers."
    )


def is_unsettled(facts: Any) -> bool:
    """Return True if SETTLED_KEY is false at any depth."""
    if isinstance(facts, list):
        return any(map(is_unsettled, facts))
    if not isinstance(facts, Mapping):
        return False
    return facts.get(SETTLED_KEY) is False or any(
        is_unsettled(value) for key, value in facts.items() if key != TABLES_KEY
    )
