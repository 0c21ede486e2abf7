"""How good the labels are: a section of the card, Markdown."""

from collections.abc import Iterable

from harness.label.account import Account
from harness.label.quality import CalibrationErrors
from harness.label.refit import FEW_LABELS
from harness.report.markdown import escape, format_table
from harness.statistics.intervals import Interval


def section(account: Account) -> Iterable[str]:
    """Yield the paragraphs of the section."""
    yield "## How good the labels are"
    yield _method(account)
    yield _metric_table(account)
    yield _class_table(account)


def interval_text(interval: Interval | None) -> str:
    """Return an interval as text, a dash for none."""
    return "–" if interval is None else f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"


def _method(account: Account) -> str:
    q, rows = account.quality, f"{account.labelled:,} rows labelled"
    return (
        f"Measured on the {q.n:,} labelled rows, each answered for by a labeler that had not seen it "
        f"({account.provenance.folds} folds; groups are never parted), then carried over to the labeler of this file. "
        f"{_comparison(account)}It has learnt from more rows than those, so it should be a little better. It was "
        f"chosen: {escape(account.provenance.chosen)}.{_luck(account)} Each interval holds the truth of "
        + (
            f"as many rows like the labelled ones with 95 % confidence, and **the {rows} are not like these**."
            if account.shift.shifted
            else f"the {rows} with 95 % confidence, if these are like the labelled ones."
        )
    )


def _comparison(account: Account) -> str:
    q = account.quality
    if q.n < FEW_LABELS:
        return (
            f"With fewer than {FEW_LABELS} labels no number is shifted by what it differs from those; the spread "
            "between trainings widens the intervals. "
        )
    if not q.shared_rows:
        return "There were too few unlabelled rows to compare it with those, so the numbers are theirs. "
    return (
        "All have answered for unlabelled rows too. There the labeler of this file was made as sure of itself as those "
        f"are (temperature {account.postprocessor.temperature:.3f}), and by what it differs from them on "
        f"{q.shared_rows:,} rows the numbers are shifted; the part of the spread between trainings that this does not "
        f"explain ({q.unexplained:.0%}) widens the intervals. "
    )


def _luck(account: Account) -> str:
    """Return what the choice of the labeler has cost, as a sentence."""
    return "".join(
        f" Chosen on the same labels, it is taken to be {abs(luck):.4f} worse in {metric} than it seems, and this is "
        "taken off below."
        for metric, luck in account.quality.luck.items()
    )


def _metric_table(account: Account) -> str:
    q, options = account.quality, account.postprocessor.options

    def row(title: str, interval: Interval, name: str) -> list[str]:
        return [title, interval_text(interval), f"{q.out_of_fold[name]:.4f}"]

    rows = [
        row("Accuracy", q.accuracy, "accuracy"),
        row("Macro-F1", q.macro_f1, "macro_f1"),
        *([row("MAE", q.mae, "mae")] if account.classes.ordered else []),
        [f"Calibration error ({account.postprocessor.method})", "", _calibration(q.calibration)],
        row("Mean confidence − accuracy", q.overconfidence, "overconfidence"),
        row(f"Sets of {options.coverage:.4g} coverage that hold the truth", q.coverage, "coverage"),
        ["Classes in a set, mean", "", f"{q.width:.2f}"],
    ]
    measured = "For rows like the labelled ones" if account.shift.shifted else "Of these labels"
    header = ["Number", f"{measured} (95 % interval)", "Out of fold"]
    return format_table(header, rows, left_columns=("Number",))


def _calibration(errors: CalibrationErrors) -> str:
    return f"{errors.after:.4f} (at most {errors.at_most:.4f}); before {errors.before:.4f}"


def _class_table(account: Account) -> str:
    q = account.quality
    header = ["Class", "Gold rows", "Recall", "Precision", "Calibration error", "Set holds it"]
    rows = [
        [
            escape(account.classes.names[c]),
            f"{recall.n if recall else 0:,}",
            interval_text(recall),
            interval_text(q.precision[c]),
            _calibration(q.calibration_by_class[c]),
            interval_text(q.coverage_by_class[c]),
        ]
        for c, recall in q.recall.items()
    ]
    return (
        format_table(header, rows, left_columns=("Class",))
        + "\n\nA set's coverage is promised over all rows, not for each class."
    )
