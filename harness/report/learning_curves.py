"""Tables of learning curves: points, power laws, labels for a target."""

from collections.abc import Iterable
from math import isinf
from typing import Any

from harness.report.tables import IntervalCell, Table, columns
from harness.scoring.profiles import LearningCurve, RunProfile
from harness.statistics.learning_curve import MAX_EXTRAPOLATION, LabelsNeeded, Refusal
from harness.statistics.metrics import DISPLAY_NAMES


def points_table(curves: Iterable[LearningCurve]) -> Table:
    """Return every point of every learning curve."""
    rows = [
        (curve.family, curve.title, curve.metric, curve.label_class, point.labels, point.value, point.value.n)
        for curve in curves
        for point in curve.points
    ]
    names = ("Splits", "Labeler", "Metric", "Class", "Labels", "Value", "Cells")
    return Table("curves", "Learning curves", columns(names), tuple(rows))


def fits_table(run_profile: RunProfile) -> Table:
    """Return the power law through each curve and the labels for the target."""
    rows: list[tuple[Any, ...]] = []
    for curve in run_profile.curves:
        fit, needed = curve.fit, curve.needed
        if fit is None:
            continue
        name = (curve.family, curve.title, DISPLAY_NAMES.get(curve.metric, curve.metric))
        if isinstance(fit, Refusal):
            rows.append((*name, None, None, fit.reason, None, None, None, None))
            continue
        ends = fit.interval("c")
        asymptote = IntervalCell(*ends) if ends else None
        labels = round(needed.n) if isinstance(needed, LabelsNeeded) else None
        reason = needed.reason if isinstance(needed, Refusal) else fit.why
        rows.append((*name, labels, _labels_interval(needed), reason, fit.a, fit.b, fit.c, asymptote))
    labels_for = f"Labels for accuracy {run_profile.target:g}"
    names = ("Splits", "Labeler", "Of", labels_for, "Labels interval", "Why not", "a", "b", "c", "c interval")
    notes = (
        "error = a · labels^-b + c, the error being 1 - accuracy, 1 - macro-F1, or the MAE; c is what no number of "
        "labels goes below. Intervals are 95 %, over the seeds.",
        f"No number is given beyond the fitted asymptote, nor beyond {MAX_EXTRAPOLATION:.0f} times the "
        "largest train set.",
    )
    return Table("fits", "Fitted curves", columns(names), tuple(rows), notes=notes)


def refusal_reason(fits: Table) -> str:
    """Return the one reason why no curve is fitted.

    "" where there are fits, or several reasons.
    """
    curves = [dict(zip(fits.names, row, strict=True)) for row in fits.rows]
    reasons = {curve["Why not"] for curve in curves if curve["a"] is None}
    return str(*reasons) if len(reasons) == 1 and all(curve["a"] is None for curve in curves) else ""


def _labels_interval(needed: LabelsNeeded | Refusal | None) -> IntervalCell | None:
    if not isinstance(needed, LabelsNeeded) or needed.low is None or needed.high is None:
        return None
    low, high = (end if isinf(end) else round(end) for end in (needed.low, needed.high))
    return IntervalCell(low, high)
