"""Whether methods were tuned alike: the settings of each on a board, and what the best of them owes to their number."""

from typing import Any

import numpy as np

from harness.plugin.protocols import block_names, iter_plugins
from harness.report.markdown import span
from harness.report.tables import Column, Table
from harness.run.runner import Run
from harness.scoring.leaderboard import Leaderboard
from harness.statistics.metrics import DISPLAY_NAMES, LOWER_IS_BETTER
from harness.statistics.selection_bias import selection_effect

NOTES = (
    "Chosen on half: the setting that is best on one half of the test rows, measured on the other half (mean over "
    "random halves): what a method's best is worth without the luck of having been chosen. At random: the mean of its "
    "settings.",
)


def tuning_table(run: Run, leaderboard: Leaderboard) -> Table | None:
    """Return every method of a comparison with its settings; None where none has several, or no error is known.

    A method is a labeler, with those it holds, on certain blocks: its settings are all that differ in the other
    parameters and are ranked.
    """
    standings = leaderboard.standings
    if standings is None or standings.evidence.measured is None or not standings.has_enough_rows:
        return None
    place = {title: i for i, title in enumerate(standings.evidence.titles)}
    methods: dict[str, dict[int, None]] = {}
    for cell in run.cells:
        title = cell.candidate.title
        if cell.evaluation.comparison == leaderboard.title and title in place:
            methods.setdefault(_method(cell.candidate.labeler), {})[place[title]] = None
    if all(len(settings) == 1 for settings in methods.values()):
        return None
    primary = run.suite.metrics.primary
    lower = primary in LOWER_IS_BETTER
    rows = []
    for method, settings in methods.items():
        found = selection_effect(standings.evidence.measured, np.array([*settings]), lower)
        title = standings.evidence.titles[found.best]
        typical = found.typical if found.settings > 1 else None
        rows.append((method, found.settings, title, found.value, found.apart, typical))
    rows.sort(key=lambda row: (row[4] if lower else -row[4], row[0]))
    names = ("Method", "Settings", "Best", f"Best's {DISPLAY_NAMES[primary]}", "Chosen on half", "At random")
    about = (("comparison", leaderboard.title),)
    return Table("settings", "Settings tried", tuple(map(Column, names)), tuple(rows), about, NOTES)


def headline(table: Table) -> str:
    """Say in a few words how unequal the chances were."""
    return f"Settings tried of each method: {span(row[1] for row in table.rows)}"


def _method(labeler: Any) -> str:
    """Name a labeler without its settings: "cleanlab(mlp) on bge+text".

    >>> from harness_plugins.labelers.majority import Majority
    >>> _method(Majority())
    'majority'
    """
    outer, *inner = (str(plugin.name) for plugin in iter_plugins(labeler))
    on = block_names(labeler)
    return outer + (f"({', '.join(inner)})" if inner else "") + (f" on {'+'.join(on)}" if on else "")
