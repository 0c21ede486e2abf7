"""The card of a file of labels: origin, quality, and limits of both."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.label import card_learning_curve
from harness.label.learning_curve import Growth
from harness.label.postprocess import Postprocessor
from harness.label.quality import CalibrationErrors, Pool, Quality
from harness.label.truth import TruthScore
from harness.report.leaderboard_page import SIMULATED_NOTE
from harness.report.markdown import escape, format_table
from harness.statistics.intervals import Interval
from harness.statistics.prediction_powered import PoolEstimate

JSON_KEYS = {"shared_rows": "panel", "full": "whole"}  # attribute -> its older name, which the JSON file keeps
SIZE_CATEGORIES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))


@dataclass(frozen=True)
class Provenance:
    """The origin of the labels."""

    file: str
    suite: str
    labeler: str
    spec: Mapping[str, Any]
    chosen: str  # how the labeler was chosen
    data: str
    sha256: str
    target: str
    run_id: str
    folds: int
    licence: str
    version: str
    simulated: bool


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


@dataclass(frozen=True)
class Account:
    """The origin, quality and limits of a file of labels."""

    provenance: Provenance
    rows: int
    gold: int
    labelled: int  # by the labeler
    accepted: int  # of these
    postprocessor: Postprocessor
    quality: Quality
    pool: Pool
    shift: CardShift
    growth: Growth | None = None  # if an accuracy was given for it
    truth: TruthScore | None = None  # if a column was given for it


def to_json(account: Account) -> dict[str, Any]:
    """Return the account as JSON values, for programs."""
    postprocessor = account.postprocessor
    values: dict[str, Any] = {
        "provenance": asdict(account.provenance),
        "rows": {key: getattr(account, key) for key in ("rows", "gold", "labelled", "accepted")},
        "rules": {
            "wish": asdict(postprocessor.options),
            "calibration": postprocessor.method,
            "temperature": postprocessor.temperature,
            "thresholds": [asdict(threshold) for threshold in postprocessor.thresholds],
        },
        "quality": _json_values(account.quality),
        "pool": asdict(account.pool),
        "shift": asdict(account.shift),
    }
    if account.growth is not None:
        values["growth"] = _json_values(account.growth)
    if account.truth is not None:
        values["truth"] = asdict(account.truth)
    return values


def _json_values(part: Quality | Growth) -> dict[str, Any]:
    """Return a part of the account by the keys of the JSON file."""
    return asdict(part, dict_factory=lambda items: {JSON_KEYS.get(name, name): value for name, value in items})


def render_card(account: Account) -> str:
    """Return the card as Markdown.

    It has the front matter of a data set on the Hugging Face hub.
    """
    origin = account.provenance
    sections = [
        _front_matter(account),
        f"# {escape(origin.file)}",
        *([f"> **{SIMULATED_NOTE}**"] if origin.simulated else []),
        _introduction(account),
        "## How good the labels are",
        _method(account),
        _metric_table(account),
        _class_table(account),
        *([] if account.truth is None else _truth(account.truth)),
        "## Which rows are accepted",
        _acceptance(account),
        "## The whole pool",
        _pool_table(account),
        *([] if account.growth is None else card_learning_curve.card_section(account.growth)),
        "## Where this may not hold",
        *_shift(account),
        "## The columns",
        _column_table(account),
        "## Where it comes from",
        _provenance(origin),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(account: Account) -> str:
    origin = account.provenance
    size = next((name for limit, name in SIZE_CATEGORIES if account.rows < limit), "n>10M")
    lines = [
        f"license: {origin.licence}",
        f"pretty_name: {_quoted(f'{origin.file}: proxy labels of {origin.target}')}",
        "tags:\n- proxy-labels\n- labelharness",
        f"size_categories:\n- {size}",
        f"configs:\n- config_name: default\n  data_files: {_quoted(origin.file)}",
    ]
    return "---\n" + "\n".join(lines) + "\n---"


def _introduction(account: Account) -> str:
    origin = account.provenance
    return (
        f"{account.rows:,} rows of {escape(origin.data)}. {account.gold:,} of them have a label in the column "
        f"{escape(origin.target)}; the labeler {escape(origin.labeler)} learnt from all of these and labelled "
        f"{account.labelled:,} others. `proxy_label` is its guess, not the truth."
    )


def _method(account: Account) -> str:
    q = account.quality
    compared = (
        "All have answered for unlabelled rows too. There the labeler of this file was made as sure of itself as those "
        f"are (temperature {account.postprocessor.temperature:.3f}), and by what it differs from them on "
        f"{q.shared_rows:,} rows the numbers are shifted; the part of the spread between trainings that this does not "
        f"explain ({q.unexplained:.0%}) widens the intervals. "
        if q.shared_rows
        else "There were too few unlabelled rows to compare it with those, so the numbers are theirs. "
    )
    return (
        f"Measured on the {q.n:,} labelled rows, each answered for by a labeler that had not seen it "
        f"({account.provenance.folds} folds; groups are never parted), then carried over to the labeler of this file. "
        f"{compared}It has learnt from more rows than those, so it should be a little better. It was chosen: "
        f"{escape(account.provenance.chosen)}. Each interval holds the truth of the {account.labelled:,} rows labelled "
        "with 95 % confidence, if these are like the labelled ones."
    )


def _metric_table(account: Account) -> str:
    q, options = account.quality, account.postprocessor.options

    def row(title: str, interval: Interval, name: str) -> list[str]:
        return [title, _interval(interval), f"{q.out_of_fold[name]:.4f}"]

    rows = [
        row("Accuracy", q.accuracy, "accuracy"),
        row("Macro-F1", q.macro_f1, "macro_f1"),
        row("MAE", q.mae, "mae"),
        [f"Calibration error ({account.postprocessor.method})", "", _calibration(q.calibration)],
        row("Mean confidence − accuracy", q.overconfidence, "overconfidence"),
        row(f"Sets of {options.coverage:.4g} coverage that hold the truth", q.coverage, "coverage"),
        ["Classes in a set, mean", "", f"{q.width:.2f}"],
    ]
    return format_table(["Number", "Of these labels (95 % interval)", "Out of fold"], rows, left_columns=("Number",))


def _calibration(errors: CalibrationErrors) -> str:
    return f"{errors.after:.4f} (at most {errors.at_most:.4f}); before {errors.before:.4f}"


def _class_table(account: Account) -> str:
    q = account.quality
    header = ["Class", "Gold rows", "Recall", "Precision", "Calibration error", "Set holds it"]
    rows = [
        [
            str(c),
            f"{recall.n if recall else 0:,}",
            _interval(recall),
            _interval(q.precision[c]),
            _calibration(q.calibration_by_class[c]),
            _interval(q.coverage_by_class[c]),
        ]
        for c, recall in q.recall.items()
    ]
    return (
        format_table(header, rows, left_columns=("Class",))
        + "\n\nA set's coverage is promised over all rows, not for each class."
    )


def _truth(score: TruthScore) -> Iterable[str]:
    yield "## Against the truth of the file"
    yield (
        f"{score.rows:,} of the labelled rows have a truth in the column {escape(score.column)}. Nothing has learnt "
        "from it, and nothing else on this page rests on it."
    )
    rows = [["Accuracy", score.accuracy], ["Macro-F1", score.macro_f1], ["MAE", score.mae]]
    table = [[name, f"{value:.4f}"] for name, value in rows]
    yield format_table(["Number", "On these rows"], table, left_columns=("Number",))


def _acceptance(account: Account) -> str:
    options, q = account.postprocessor.options, account.quality
    share = account.accepted / account.labelled if account.labelled else 0.0
    count = f"{account.accepted:,} of the {account.labelled:,} labelled rows are accepted ({share:.2%})"
    right = _interval(q.accepted_right) if q.accepted_right else "none was accepted out of fold"
    if options.selects:
        selection = (
            f"labels from {options.at_least} on"
            if options.top is None
            else f"the top {options.top:.4g} by `proxy_score`"
        )
        return f"Selected: {selection}. {count}. Expected precision, a true score of {options.good} or more: {right}."
    if options.target is None:
        return f"No accuracy was asked for, so every row is accepted. {count}."
    lines = [f"Accuracy asked for: {options.target:.4g}. {count}; expected accuracy of these: {right}."]
    thresholds = account.postprocessor.thresholds if options.by_class else account.postprocessor.thresholds[:1]
    for c, threshold in enumerate(thresholds):
        rows = f"Label {c}" if options.by_class else "All labels"
        if threshold.confidence is None:
            lines.append(f"- {rows}: **cannot be reached**; the most that can be promised is {threshold.bound:.4f}.")
        else:
            lines.append(
                f"- {rows}: confidence from {threshold.confidence:.4f} on, accuracy over {threshold.bound:.4f}."
            )
    if options.keep:
        lines.append(f"- Of each label at least {options.keep:.2%} of the rows are accepted, whatever their accuracy.")
    return "\n".join(lines)


def _pool_table(account: Account) -> str:
    def row(title: str, estimate: PoolEstimate) -> list[str]:
        return [title, _interval(estimate.powered), _interval(estimate.labelled), f"{estimate.naive:.4f}"]

    pool = account.pool
    rows = [row(f"Share of class {c}", estimate) for c, estimate in pool.shares.items()]
    rows += [row(f"Share of {c} or more", estimate) for c, estimate in pool.at_least.items()]
    rows.append(row("Mean score", pool.score))
    header = ["Mean over the pool", "Labels and proxies", "Labels alone", "As if proxies were true"]
    note = (
        "Estimates from labels and proxy labels together (prediction-powered inference) take for granted that the "
        "labelled rows are a random sample of the pool. The last column counts proxy labels as the truth: its bias is "
        "not known, and it stands here to be compared."
    )
    return f"{note}\n\n{format_table(header, rows, left_columns=('Mean over the pool',))}"


def _shift(account: Account) -> Iterable[str]:
    shift, m = account.shift, account.labelled
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
        yield f"**No labelled row is of class {', '.join(map(str, shift.unseen_classes))}**: no row can be labelled so."
    yield "Far rows and those of such a source are marked in `outside_support`."
    if shift.by_source:
        header = ["Source", "Labelled", "Unlabelled", "Outside"]
        rows = [[escape(name), *(f"{n:,}" for n in counts.values())] for name, counts in shift.by_source.items()]
        yield format_table(header, rows, left_columns=("Source",))


def _column_table(account: Account) -> str:
    options = account.postprocessor.options
    rows = [
        ("proxy_label", "the labeler's guess; on gold rows the out-of-fold one"),
        ("proxy_score", "expected class under proxy_probs"),
        ("proxy_probs", "calibrated probability of each class"),
        ("confidence", "calibrated probability that proxy_label is right"),
        (
            "label_low, label_high",
            f"the classes from the one to the other hold the truth in {options.coverage:.4g} of rows",
        ),
        ("accepted", "what to use; a gold row counts by its own label"),
        ("is_gold", f"the row has a label in {account.provenance.target}"),
        ("outside_support", "the row is unlike the labelled ones"),
        ("proxy_labeler, run_id", "the labeler that gave the label, and the run"),
    ]
    return format_table(["Column", "Meaning"], [[escape(a), escape(b)] for a, b in rows], ("Column", "Meaning"))


def _provenance(origin: Provenance) -> str:
    unknown = "not known; labels made from data under a licence are bound by it"
    rows = [
        ["Suite", origin.suite],
        ["Data", f"{origin.data}, SHA-256 {origin.sha256}"],
        ["Run", origin.run_id],
        ["labelharness", origin.version],
        ["Licence of the source", unknown if origin.licence == "unknown" else origin.licence],
    ]
    spec = json.dumps(origin.spec, indent=1, sort_keys=True)
    table = format_table(["What", "Which"], [[name, escape(value)] for name, value in rows], ("What", "Which"))
    return f"{table}\n\nThe labeler:\n\n```json\n{spec}\n```"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _interval(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"
