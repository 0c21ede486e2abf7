"""The settings tried of each method, and the gain of the best by chance."""

from harness.report.markdown import span
from harness.report.tables import Table, columns, comparison_context
from harness.run.runner import Run
from harness.scoring.leaderboard import Leaderboard
from harness.scoring.tuning import selection_effects, settings_by_method
from harness.statistics.metrics import DISPLAY_NAMES, LOWER_IS_BETTER

NOTES = (
    "Chosen on half: the setting that is best on one half of the test rows, measured on the other half (mean over "
    "random halves): what a method's best is worth without the luck of having been chosen. At random: the mean of its "
    "settings.",
)


def tuning_table(run: Run, leaderboard: Leaderboard) -> Table | None:
    """Return the methods of a comparison and their settings.

    None where no method has several, or the metric has no known error.
    """
    standings, primary = leaderboard.standings, run.suite.metrics.primary
    if standings is None:
        return None
    lower = primary in LOWER_IS_BETTER
    cells = (cell for cell in run.cells if cell.evaluation.comparison == leaderboard.title)
    effects = selection_effects(standings, settings_by_method(cell.candidate for cell in cells), lower)
    if all(effect.settings == 1 for effect in effects.values()):
        return None
    rows = [
        (
            method,
            effect.settings,
            standings.evidence.titles[effect.best],
            effect.value,
            effect.apart,
            effect.typical if effect.settings > 1 else None,
        )
        for method, effect in effects.items()
    ]
    rows.sort(key=lambda row: (row[4] if lower else -row[4], row[0]))
    names = ("Method", "Settings", "Best", f"Best's {DISPLAY_NAMES[primary]}", "Chosen on half", "At random")
    context = comparison_context(leaderboard.title)
    return Table("settings", "Settings tried", columns(names), tuple(rows), context, NOTES)


def headline(table: Table) -> str:
    """Return a heading with the range of the numbers of settings."""
    return f"Settings tried of each method: {span(row[1] for row in table.rows)}"
