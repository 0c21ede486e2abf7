"""How the labelled rows differ from the others: sections of the card."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.label.shift import ShiftTest
from harness.report.markdown import escape, format_table
from harness.statistics.label_shift import CorrectedShares

FOUND = {
    "labels": "the labels that the folds give to the pool have other shares",
    "confidence": "the folds are more or less sure of the pool",
    "sources": "the sources are mixed otherwise",
    "vectors": "the vectors have another mean",
    "far rows": "many rows are far from all labelled ones",
}


@dataclass(frozen=True)
class CardShift:
    """Differences between labelled and unlabelled rows."""

    measured: bool
    far: int
    expected: float  # share that would be far without any difference
    strange: int  # rows of a source with few labelled ones
    by_source: Mapping[str, Mapping[str, int]]  # source -> {"labelled": ..., "unlabelled": ..., "outside": ...}
    in_labelled_groups: int
    unseen_classes: tuple[int, ...]
    tests: Mapping[str, ShiftTest]
    shifted: bool
    corrected: CorrectedShares | None  # of the pool, where only the mix of classes has changed


def first_line(shift: CardShift) -> str:
    """Return what a card begins with where a shift is seen, one bold line."""
    reasons = "; ".join(FOUND[name] for name, test in shift.tests.items() if test.shifted)
    return (
        f"**Shift: the labelled rows are no random sample of the pool ({reasons}). What is measured holds for rows "
        "like the labelled ones, and for the others nothing is promised.** Labelled rows that depend on each other, "
        "such as answers to the same few questions, look the same where no `group` column says so."
    )


def section(shift: CardShift, m: int, classes: Sequence[str]) -> Iterable[str]:
    """Yield the paragraphs of the section, of m unlabelled rows."""
    yield "## Where this may not hold"
    if shift.tests:
        header = ["Labelled rows against the pool", "p", "Effect", ""]
        rows = [
            [name, f"{test.p:.2g}", f"{test.effect:.3f}", "**shift**" if test.shifted else "none seen"]
            for name, test in shift.tests.items()
        ]
        yield (
            "The labels that the folds give to the labelled rows, which they have not learnt from, and those that they "
            "give to the pool are alike where the labelled rows are a random sample of it:"
        )
        yield format_table(header, rows, left_columns=("Labelled rows against the pool", ""))
    if shift.measured:
        far = f"{shift.far:,} of {m:,} unlabelled rows ({shift.far / m:.2%})"
        yield (
            f"{far} are farther from the labelled rows than 99 % of those are from each other; of rows like the "
            f"labelled ones {shift.expected:.0%} would be."
        )
    else:
        yield "How far the unlabelled rows are from the labelled ones was not measured: too few labels, or no blocks."
    if shift.strange:
        yield f"{shift.strange:,} rows are of a source with fewer than ten labelled rows: nothing is known of these."
    if shift.in_labelled_groups:
        yield (
            f"{shift.in_labelled_groups:,} unlabelled rows are of a group that has labelled rows, which out of fold "
            "none was: for these the labels may be better than measured."
        )
    if shift.unseen_classes:
        unseen = escape(", ".join(classes[c] for c in shift.unseen_classes))
        yield f"**No labelled row is of class {unseen}**: no row can be labelled so."
    yield "Far rows and those of such a source are marked in `outside_support`."
    if shift.by_source:
        header = ["Source", "Labelled", "Unlabelled", "Outside"]
        by_source = [[escape(name), *(f"{n:,}" for n in counts.values())] for name, counts in shift.by_source.items()]
        yield format_table(header, by_source, left_columns=("Source",))


def pool_note(shift: CardShift, classes: Sequence[str]) -> Iterable[str]:
    """Yield what a shift means for the shares of the pool."""
    if not shift.shifted:
        return
    if shift.corrected is None:
        yield (
            "**The estimates above do not hold: the labelled rows are no random sample of the pool.** More than the "
            "mix of the classes has changed, or too little is known to say so, and no correction stands here."
        )
        return
    yield (
        "**The estimates above do not hold: the labelled rows are no random sample of the pool.** If nothing but the "
        f"mix of the classes has changed, which the labels do not contradict (p = {shift.corrected.p:.2f}), the shares "
        "of the unlabelled rows are (black box shift estimation, Lipton, Wang and Smola 2018):"
    )
    rows = [
        [escape(classes[c]), f"{share.value:.4f} ({share.low:.4f} to {share.high:.4f})"]
        for c, share in enumerate(shift.corrected.shares)
    ]
    yield format_table(["Class", "Share of the unlabelled rows (95 % interval)"], rows, left_columns=("Class",))
