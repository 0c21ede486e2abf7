"""Tables of a run's profile: confidence, confusion, errors, costs."""

from collections.abc import Iterable, Sequence
from math import floor, log10
from typing import Any

from harness.report.tables import Column, Table, columns, comparison_context
from harness.scoring.leaderboard import DECIMALS
from harness.scoring.profiles import ErrorOverlap, LabelerProfile
from harness.statistics.costs import Prices, cost
from harness.statistics.metrics import CALIBRATION_BINS
from harness.statistics.selective import COVERAGE_STEPS


def confusion_table(profile: LabelerProfile, classes: Sequence[str]) -> Table:
    """Return the confusion matrix of one labeler, counts over its cells.

    `classes` are the names of the classes.
    """
    predicted = [Column(f"called {name}", 0, shade="row") for name in classes]
    rows = [(name, *map(int, row)) for name, row in zip(classes, profile.confusion, strict=True)]
    context = (*comparison_context(profile.comparison), ("labeler", profile.title))
    return Table("confusion", profile.title, (Column("True class", 0), *predicted), tuple(rows), context)


def confidence_table(profiles: list[LabelerProfile], target: float) -> Table:
    """Return coverage at the target and calibration of each labeler."""
    rows = []
    for profile in profiles:
        accepted = [threshold for threshold in profile.accepted if threshold.coverage]
        accuracies = [threshold.accuracy or 0 for threshold in accepted]
        rows.append(
            (
                profile.title,
                profile.coverage,
                sum(accuracies) / len(accuracies) if accuracies else None,
                min((threshold.bound for threshold in accepted), default=None),
                max((threshold.confidence or 0 for threshold in accepted), default=None),
                len(accepted),
                profile.cells,
                profile.aurc,
                profile.calibration_error,
            )
        )
    of = f"at {target:g}"
    names = ("Labeler", f"Coverage {of}", f"Accuracy {of}", "Least bound", "Least confidence", f"Cells {of}", "Cells")
    notes = (
        f"Coverage {of}: the largest share of rows, the surest first, whose accuracy is at least {target:g} by a lower "
        "bound (95 %, for all 20 coverages that are tried at once; rows of one group count as dependent). 0 where no "
        "share is.",
        "Least confidence: the threshold that a row must reach; over several cells the highest. AURC: area under the "
        "risk-coverage curve, lower is better.",
    )
    header = columns((*names, "AURC", "Calibration error"))
    return Table("confidence", "Confidence", header, tuple(rows), comparison_context(profiles[0].comparison), notes)


def coverage_table(profiles: list[LabelerProfile]) -> Table:
    """Return the accuracy of the surest rows of each labeler."""
    rows = [
        (profile.title, (step + 1) / COVERAGE_STEPS, float(accuracy))
        for profile in profiles
        for step, accuracy in enumerate(profile.accuracies)
    ]
    header = (Column("Labeler"), Column("Coverage", 2), Column("Accuracy"))
    context = comparison_context(profiles[0].comparison)
    return Table("coverage", "Coverage and accuracy", header, tuple(rows), context)


def reliability_table(profiles: list[LabelerProfile]) -> Table:
    """Return mean confidence and accuracy in each bin of confidence."""
    rows = [
        (
            profile.title,
            i / CALIBRATION_BINS,
            (i + 1) / CALIBRATION_BINS,
            part.rows,
            part.confidence / part.rows,
            part.hits / part.rows,
        )
        for profile in profiles
        for i, part in enumerate(profile.bins)
        if part.rows
    ]
    header = columns(("Labeler", "From", "To", "Rows", "Confidence", "Accuracy"))
    context = comparison_context(profiles[0].comparison)
    return Table("reliability", "Confidence and accuracy", header, tuple(rows), context)


def shared_error_table(overlap: ErrorOverlap) -> Table:
    """Return the errors that two labelers have in common."""
    rows = [
        (overlap.titles[i], overlap.titles[j], errors.both, errors.chance, errors.same)
        for (i, j), errors in overlap.shared.items()
    ]
    header = columns(("First", "Second", "Both err", "By chance", "Same wrong label"))
    notes = ("Shares of the rows. By chance: where their errors had nothing to do with each other.",)
    context = comparison_context(overlap.comparison)
    return Table("shared_errors", "Errors in common", header, tuple(rows), context, notes)


def ensemble_table(overlap: ErrorOverlap) -> Table:
    """Return the gain by each labeler in the mean of all probabilities."""
    rows = [
        (title, gain.alone, gain.without, gain.together - gain.without)
        for title, gain in zip(overlap.titles, overlap.gains, strict=True)
    ]
    header = (Column("Labeler"), Column("Alone"), Column("All but it"), Column("It adds", signed=True))
    together = f"{overlap.gains[0].together:.{DECIMALS}f}"
    notes = (f"Accuracy of the plain mean of the probabilities of all {len(rows)}: {together}.",)
    return Table("ensemble", "What each adds", header, tuple(rows), comparison_context(overlap.comparison), notes)


def cost_table(profiles: list[LabelerProfile], target: float, prices: Prices) -> Table:
    """Return the cost of the labels that are accepted at the target."""
    rows: list[tuple[Any, ...]] = []
    for profile in profiles:
        if profile.seconds is None:
            continue
        accepted = profile.coverage * profile.rows
        per_label = cost(profile.seconds, round(profile.train), round(profile.rows), accepted, prices)
        money = [per_label.compute] * (prices.hour is not None)
        money += [per_label.total, per_label.saved] * (prices.label is not None)
        pace = 1000 * profile.seconds / profile.rows
        rows.append((profile.title, profile.seconds, pace, round(accepted), per_label.seconds, *money))
    names = ["Labeler", "Seconds", "Seconds per 1,000 labels", f"Accepted at {target:g}", "Seconds per accepted label"]
    names += ["Computing per accepted label"] * (prices.hour is not None)
    names += ["With its train labels", "Saved"] * (prices.label is not None)
    notes = ["Seconds of learning and labelling, means over the cells, on the machine that ran them."]
    if prices.label is not None:
        notes.append(
            f"A bought label costs {prices.label:g}. With its train labels: their price spread over the accepted ones. "
            "Saved: share of the price of buying all labels when only those not accepted are bought."
        )
    decimals = {"Seconds": 2, "Seconds per accepted label": 6}
    if prices.hour is not None:
        decimals["Computing per accepted label"] = _money_decimals(row[5] for row in rows)
    header = tuple(Column(name, decimals.get(name, DECIMALS)) for name in names)
    return Table("costs", "Costs", header, tuple(rows), comparison_context(profiles[0].comparison), tuple(notes))


def _money_decimals(amounts: Iterable[float | None]) -> int:
    """Return the decimals that show two digits of the smallest amount."""
    smallest = min((amount for amount in amounts if amount), default=1.0)
    return max(DECIMALS, 1 - floor(log10(smallest)))
