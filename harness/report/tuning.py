"""The settings tried of each method, and the gain of the best by chance."""

from typing import Any

import numpy as np

from harness.plugin.protocols import block_names, iter_plugins
from harness.report.markdown import span
from harness.report.tables import Table, columns, comparison_context
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
    """Return the methods of a comparison and their settings.

    None where no method has several, or the metric has no known error. A method is a labeler, with those it holds, on
    certain blocks; its settings are the ranked labelers that differ in the other parameters alone.
    """
    standings = leaderboard.standings
    if standings is None or standings.evidence.measured is None or not standings.has_enough_rows:
        return None
    places = {title: i for i, title in enumerate(standings.evidence.titles)}
    methods: dict[str, dict[int, None]] = {}
    for cell in run.cells:
        title = cell.candidate.title
        if cell.evaluation.comparison == leaderboard.title and title in places:
            methods.setdefault(_method(cell.candidate.labeler), {})[places[title]] = None
    if all(len(settings) == 1 for settings in methods.values()):
        return None
    primary = run.suite.metrics.primary
    lower = primary in LOWER_IS_BETTER
    rows = []
    for method, settings in methods.items():
        effect = selection_effect(standings.evidence.measured, np.array([*settings]), lower)
        best = standings.evidence.titles[effect.best]
        typical = effect.typical if effect.settings > 1 else None
        rows.append((method, effect.settings, best, effect.value, effect.apart, typical))
    rows.sort(key=lambda row: (row[4] if lower else -row[4], row[0]))
    names = ("Method", "Settings", "Best", f"Best's {DISPLAY_NAMES[primary]}", "Chosen on half", "At random")
    context = comparison_context(leaderboard.title)
    return Table("settings", "Settings tried", columns(names), tuple(rows), context, NOTES)


def headline(table: Table) -> str:
    """Return a heading with the range of the numbers of settings."""
    return f"Settings tried of each method: {span(row[1] for row in table.rows)}"


def _method(labeler: Any) -> str:
    """Return a labeler's name without its settings: "cleanlab(mlp) on bge".

    >>> from harness_plugins.labelers.majority import Majority
    >>> _method(Majority())
    'majority'
    """
    outer, *inner = (str(plugin.name) for plugin in iter_plugins(labeler))
    blocks = block_names(labeler)
    return outer + (f"({', '.join(inner)})" if inner else "") + (f" on {'+'.join(blocks)}" if blocks else "")
