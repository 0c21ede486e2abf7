"""What a rule has made of new rows, and how far these are from its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.table import DataTable
from harness.label import label_file
from harness.label.out_of_distribution import FAR_SHARE
from harness.label.rule_file import SavedRule
from harness.label.shift import ShiftTest, judge, judge_far
from harness.report.leaderboard_page import SIMULATED_NOTE
from harness.report.markdown import escape, format_table
from harness.statistics.homogeneity import compare_shares
from harness.statistics.intervals import Numbers
from harness.utils.hashing import digest

FOUND = {
    "labels": "the labels have other shares than those of the rule's own rows",
    "far rows": "many rows are far from all that the rule learnt from",
}
METRICS = {"accuracy": "Accuracy", "macro_f1": "Macro-F1", "mae": "MAE", "coverage": "Coverage of the sets"}


@dataclass(frozen=True)
class Applied:
    """The labels of a file of new rows by a rule."""

    file: str  # that was written
    data: str
    sha256: str  # of the new rows
    labeler: str
    rule: str  # folder
    rule_sha256: str
    run_id: str
    simulated: bool
    rows: int
    accepted: int
    by_label: Mapping[str, int]  # rows of each label
    measured: bool  # whether there was anything to measure distances from
    far: int
    expected: float  # share that would be far without any difference
    strange: int  # rows of a source with few labelled ones
    by_source: Mapping[str, Mapping[str, int]]  # source -> {"labelled": ..., "new": ..., "outside": ...}
    tests: Mapping[str, ShiftTest]
    shifted: bool

    @property
    def warnings(self) -> list[str]:
        """What must be read before any number, a line each."""
        if not self.shifted:
            return []
        reasons = "; ".join(FOUND[name] for name, test in self.tests.items() if test.shifted)
        return [
            f"**Shift: the new rows are unlike those that the rule was measured on ({reasons}). What was measured "
            "holds for rows like those, and for these nothing is promised.**"
        ]


def judge_rows(
    saved: SavedRule,
    table: DataTable,
    label: Numbers,
    accepted: Numbers,
    far: Numbers,
    strange: Numbers,
    sources: NDArray[Any] | None,
    simulated: bool,
    file: str,
) -> Applied:
    """Compare the new rows (m,) with those that the rule was measured on."""
    m, names, support = len(label), saved.classes.names, saved.measured.support
    counts = np.bincount(label, minlength=len(names))
    own = np.repeat(np.arange(len(names)), saved.measured.label_counts)
    compared = compare_shares(own, label)
    tests = {} if compared is None else {"labels": judge(compared)}
    if support.vectors is not None:
        tests["far rows"] = judge_far(float(far.mean()), support.calibrated, m)
    by_source = dict(_by_source(support.sources, sources, far | strange))
    return Applied(
        file,
        table.display_name,
        table.sha256,
        saved.record.title,
        saved.folder.name,
        saved.sha256,
        digest("applied", saved.sha256, table.sha256)[:16],
        simulated,
        m,
        int(accepted.sum()),
        {name: int(count) for name, count in zip(names, counts, strict=True)},
        support.vectors is not None,
        int(far.sum()),
        FAR_SHARE,
        int(strange.sum()),
        by_source,
        tests,
        any(test.shifted for test in tests.values()),
    )


def _by_source(
    labelled: Mapping[str, int] | None, sources: NDArray[Any] | None, outside: Numbers
) -> Iterator[tuple[str, dict[str, int]]]:
    if labelled is None or sources is None:
        return
    names, code = np.unique(sources, return_inverse=True)
    rows = np.bincount(code.reshape(-1), minlength=len(names))
    rows_outside = np.bincount(code.reshape(-1), outside, len(names))
    for name, new, out in zip(names, rows, rows_outside, strict=True):
        yield str(name), {"labelled": labelled.get(str(name), 0), "new": int(new), "outside": int(out)}


def render_card(applied: Applied, saved: SavedRule) -> str:
    """Return the card of labels by a rule as Markdown."""
    origin = saved.record.origin
    sections = [
        f"# {escape(applied.file)}",
        *([f"> **{SIMULATED_NOTE}**"] if applied.simulated else []),
        *applied.warnings,
        f"{applied.rows:,} rows of {escape(applied.data)}, labelled by {escape(applied.labeler)}: a rule that was "
        f"learnt from {origin['labelled']:,} labelled rows of {escape(origin['data'])} and saved. `proxy_label` is its "
        "guess, not the truth, and nothing has learnt from these rows.",
        *_measured(saved),
        *_distance(applied, saved),
        "## Which rows are accepted",
        f"{applied.accepted:,} of {applied.rows:,} rows, by what was asked for when the rule was saved.",
        "## The columns",
        f"{', '.join(f'`{name}`' for name in label_file.column_names(saved.classes))}: as `harness label` writes them. "
        "`is_gold` is false, because no label of these rows was read.",
        "## Where it comes from",
        _provenance(applied, saved),
    ]
    return "\n\n".join(sections) + "\n"


def _measured(saved: SavedRule) -> Iterator[str]:
    """Yield the paragraphs on what was measured when the rule was saved."""
    origin, quality = saved.record.origin, saved.account["quality"]
    yield "## How good the labels are"
    yield (
        f"Nothing was measured on these rows. When the rule was saved, this was measured on the {quality['n']:,} "
        f"labelled rows of {escape(origin['data'])}, each answered for by a labeler that had not seen it "
        f"({origin['folds']} folds), and it holds for rows like those. `card.md` in the folder of the rule has it all."
    )
    rows = [
        [title, f"{value['value']:.4f}", f"{value['low']:.4f} to {value['high']:.4f}"]
        for name, title in METRICS.items()
        if (value := quality.get(name)) is not None
    ]
    yield format_table(["Number", "Measured", "95 % interval"], rows, left_columns=("Number",))
    if saved.account["shift"]["shifted"]:
        yield (
            "**Even then the labelled rows were no random sample of the pool, so what was measured may hold for few "
            "other rows.**"
        )


def _distance(applied: Applied, saved: SavedRule) -> Iterator[str]:
    """Yield the paragraphs on how far the new rows are from the rule's."""
    yield "## How far these rows are from those"
    if applied.measured:
        yield (
            f"{applied.far:,} of {applied.rows:,} rows ({applied.far / applied.rows:.2%}) are farther from the "
            f"labelled rows than 99 % of those are from each other; of rows like them {applied.expected:.0%} would be."
        )
    else:
        yield "How far they are was not measured: too few labels, or no blocks."
    if applied.strange:
        yield f"{applied.strange:,} rows are of a source with fewer than ten labelled rows: nothing is known of these."
    yield "Far rows and those of such a source are marked in `outside_support`."
    counts = saved.measured.label_counts
    shares = [
        [escape(name), f"{count / max(1, counts.sum()):.4f}", f"{new / applied.rows:.4f}"]
        for count, (name, new) in zip(counts, applied.by_label.items(), strict=True)
    ]
    yield format_table(["Label", "Share of the rule's pool", "Share of these rows"], shares, left_columns=("Label",))
    if applied.tests:
        tests = [
            [name, f"{test.p:.2g}", f"{test.effect:.3f}", "**shift**" if test.shifted else "none seen"]
            for name, test in applied.tests.items()
        ]
        yield format_table(
            ["These rows against the rule's", "p", "Effect", ""], tests, ("These rows against the rule's", "")
        )
    if applied.by_source:
        rows = [[escape(name), *(f"{n:,}" for n in row.values())] for name, row in applied.by_source.items()]
        yield format_table(["Source", "Labelled", "New", "Outside"], rows, left_columns=("Source",))


def _provenance(applied: Applied, saved: SavedRule) -> str:
    origin = saved.record.origin
    rows = [
        ["New rows", f"{applied.data}, SHA-256 {applied.sha256}"],
        ["Rule", f"{applied.rule}, SHA-256 {applied.rule_sha256}"],
        ["Learnt from", f"{origin['data']}, SHA-256 {origin['sha256']}"],
        ["Run", applied.run_id],
        ["Run of the rule", origin["run_id"]],
        ["labelharness", saved.record.version],
        ["Licence of the source", origin["licence"]],
    ]
    return format_table(["What", "Which"], [[name, escape(value)] for name, value in rows], ("What", "Which"))
