"""Learning curves as tables: their points, the laws through them, and the labels that a target takes."""

from collections.abc import Iterable
from math import isinf
from typing import Any

from harness.report.tables import IntervalCell, Table, columns
from harness.scoring.profiles import LearningCurve, RunProfile
from harness.statistics.learning_curve import MAX_EXTRAPOLATION, LabelsNeeded, Refusal
from harness.statistics.metrics import DISPLAY_NAMES


def points_table(found: Iterable[LearningCurve]) -> Table:
    """Return every point of every learning curve."""
    rows = [
        (curve.family, curve.title, curve.metric, curve.label_class, point.labels, point.value, point.value.n)
        for curve in found
        for point in curve.points
    ]
    names = ("Splits", "Labeler", "Metric", "Class", "Labels", "Value", "Cells")
    return Table("curves", "Learning curves", columns(names), tuple(rows))


def fits_table(run_profile: RunProfile) -> Table:
    """Return the power law through each curve, and the labels that the target takes."""
    rows: list[tuple[Any, ...]] = []
    for curve in run_profile.curves:
        fit, needed = curve.fit, curve.needed
        if fit is None:
            continue
        about = (curve.family, curve.title, DISPLAY_NAMES.get(curve.metric, curve.metric))
        if isinstance(fit, Refusal):
            rows.append((*about, None, None, fit.reason, None, None, None, None))
            continue
        interval = fit.interval("c")
        labels = round(needed.n) if isinstance(needed, LabelsNeeded) else None
        why = needed.reason if isinstance(needed, Refusal) else fit.why
        limit = IntervalCell(*interval) if interval else None
        rows.append((*about, labels, _range(needed), why, fit.a, fit.b, fit.c, limit))
    wanted = f"Labels for accuracy {run_profile.target:g}"
    names = ("Splits", "Labeler", "Of", wanted, "Labels interval", "Why not", "a", "b", "c", "c interval")
    notes = (
        "error = a · labels^-b + c, the error being 1 - accuracy, 1 - macro-F1, or the MAE; c is what no number of "
        "labels goes below. Intervals are 95 %, over the seeds.",
        f"No number is given beyond the fitted asymptote, nor beyond {MAX_EXTRAPOLATION:.0f} times the "
        "largest train set.",
    )
    return Table("fits", "Fitted curves", columns(names), tuple(rows), notes=notes)


def refusal_reason(fitted: Table) -> str:
    """Return the one reason why no curve is fitted at all; "" where there are fits, or several reasons."""
    curves = [dict(zip((column.name for column in fitted.columns), row, strict=True)) for row in fitted.rows]
    reasons = {curve["Why not"] for curve in curves if curve["a"] is None}
    return str(*reasons) if len(reasons) == 1 and all(curve["a"] is None for curve in curves) else ""


def _range(needed: LabelsNeeded | Refusal | None) -> IntervalCell | None:
    if not isinstance(needed, LabelsNeeded) or needed.low is None or needed.high is None:
        return None
    return IntervalCell(_whole(needed.low), _whole(needed.high))


def _whole(value: float) -> float:
    return value if isinf(value) else round(value)
