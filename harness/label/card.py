"""The card of a file of labels: origin, quality, and limits of both."""

import json

from harness.label import card_learning_curve, card_quality, card_shift, label_file
from harness.label.account import Account, Provenance
from harness.label.card_quality import interval_text
from harness.report.leaderboard_page import SIMULATED_NOTE
from harness.report.markdown import escape, format_table
from harness.statistics.prediction_powered import PoolEstimate

FEW = 100  # labels that make a line at the top
SIZE_CATEGORIES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))


def render_card(account: Account) -> str:
    """Return the card as Markdown.

    It has the front matter of a data set on the Hugging Face hub.
    """
    origin = account.provenance
    sections = [
        _front_matter(account),
        f"# {escape(origin.file)}",
        *([f"> **{SIMULATED_NOTE}**"] if origin.simulated else []),
        *warnings_of(account),
        _introduction(account),
        *([] if account.chosen is None else account.chosen.section(account)),
        *card_quality.section(account),
        *([] if account.truth is None else account.truth.section()),
        "## Which rows are accepted",
        _acceptance(account),
        "## The whole pool",
        _pool_table(account),
        *card_shift.pool_note(account.shift, account.classes.names),
        *([] if account.growth is None else card_learning_curve.card_section(account.growth, account.classes.names)),
        *card_shift.section(account.shift, account.labelled, account.classes.names),
        "## The columns",
        _column_table(account),
        "## Where it comes from",
        _provenance(origin),
    ]
    return "\n\n".join(sections) + "\n"


def warnings_of(account: Account) -> list[str]:
    """Return what must be read before any number, a bold line each."""
    lines = [card_shift.first_line(account.shift)] if account.shift.shifted else []
    if account.chosen is not None:
        lines.append(
            f"**{account.chosen.rows:,} labels are of rows that were chosen, not drawn at random: the labeler learns "
            "from them, and nothing is measured on them.**"
        )
    if account.gold < FEW:
        lines.append(
            f"**Fewer than {FEW} labels: {account.gold} rows measure everything here, so the intervals are wide, and "
            "single classes are hardly measured at all.**"
        )
    return lines


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
    origin, cuts = account.provenance, ", ".join(f"{cut:.6g}" for cut in account.classes.cuts)
    chosen = account.chosen
    others = "" if chosen is None else f", {chosen.rows:,} more have one in {escape(', '.join(chosen.files))}"
    return (
        f"{account.rows:,} rows of {escape(origin.data)}. {account.gold:,} of them have a label in the column "
        f"{escape(origin.target)}{others}; the labeler {escape(origin.labeler)} learnt from all of these and labelled "
        f"{account.labelled:,} others. `proxy_label` is its guess, not the truth."
        + (f" The classes are cut at the scores {cuts}." if cuts else "")
    )


def _acceptance(account: Account) -> str:
    options, q, names = account.postprocessor.options, account.quality, account.classes.names
    share = account.accepted / account.labelled if account.labelled else 0.0
    count = f"{account.accepted:,} of the {account.labelled:,} labelled rows are accepted ({share:.2%})"
    right = interval_text(q.accepted_right) if q.accepted_right else "none was accepted out of fold"
    if options.selects:
        selection = (
            f"labels from {names[options.at_least or 0]} on"
            if options.top is None
            else f"the top {options.top:.4g} by `proxy_score`"
        )
        good = f"a true score of {names[options.good]} or more"
        return f"Selected: {selection}. {count}. Expected precision, {good}: {right}."
    if options.target is None:
        return f"No accuracy was asked for, so every row is accepted. {count}."
    lines = [f"Accuracy asked for: {options.target:.4g}. {count}; expected accuracy of these: {right}."]
    thresholds = account.postprocessor.thresholds if options.by_class else account.postprocessor.thresholds[:1]
    for c, threshold in enumerate(thresholds):
        rows = f"Label {names[c]}" if options.by_class else "All labels"
        if threshold.confidence is None:
            lines.append(f"- {rows}: **cannot be reached**; for the surest {threshold.bound:.4f} can be promised.")
        else:
            lines.append(
                f"- {rows}: confidence from {threshold.confidence:.4f} on, which keeps {options.target:.4g}; out of "
                f"fold {threshold.accuracy:.4f} of {threshold.coverage:.2%} of the rows were right."
            )
    if options.keep:
        lines.append(f"- Of each label at least {options.keep:.2%} of the rows are accepted, whatever their accuracy.")
    return "\n".join(lines)


def _pool_table(account: Account) -> str:
    def row(title: str, estimate: PoolEstimate) -> list[str]:
        return [title, interval_text(estimate.powered), interval_text(estimate.labelled), f"{estimate.naive:.4f}"]

    pool, names = account.pool, account.classes.names
    rows = [row(f"Share of class {escape(names[c])}", estimate) for c, estimate in pool.shares.items()]
    if account.classes.ordered:
        rows += [row(f"Share of {escape(names[c])} or more", estimate) for c, estimate in pool.at_least.items()]
        rows.append(row("Mean score" if account.classes.are_numbered else "Mean class number, from 0", pool.score))
    header = ["Mean over the pool", "Labels and proxies", "Labels alone", "As if proxies were true"]
    note = (
        "Estimates from labels and proxy labels together (prediction-powered inference) take for granted that the "
        "labelled rows are a random sample of the pool. The last column counts proxy labels as the truth: its bias is "
        "not known, and it stands here to be compared."
    )
    return f"{note}\n\n{format_table(header, rows, left_columns=('Mean over the pool',))}"


def _column_table(account: Account) -> str:
    options = account.postprocessor.options
    given = "" if account.chosen is None else " or was given one"
    rows = [
        ("proxy_label", "the labeler's guess; on gold rows the out-of-fold one"),
        ("proxy_score", "expected class under proxy_probs"),
        ("proxy_probs", _probabilities_meaning(account)),
        ("confidence", "calibrated probability that proxy_label is right"),
        (
            "label_low, label_high",
            f"the classes from the one to the other hold the truth in {options.coverage:.4g} of rows",
        ),
        ("label_set", f"these classes hold the truth in {options.coverage:.4g} of rows"),
        ("accepted", "what to use; a gold row counts by its own label"),
        ("is_gold", f"the row has a label in {account.provenance.target}{given}"),
        ("outside_support", "the row is unlike the labelled ones"),
        ("proxy_labeler, run_id", "the labeler that gave the label, and the run"),
        ("gold_label, is_chosen", "the row's own label, and whether the row was chosen to be labelled"),
    ]
    present = label_file.column_names(account.classes)
    if account.chosen is not None:
        present += label_file.GOLD_COLUMNS
    rows = [row for row in rows if row[0].partition(",")[0] in present]
    return format_table(["Column", "Meaning"], [[escape(a), escape(b)] for a, b in rows], ("Column", "Meaning"))


def _probabilities_meaning(account: Account) -> str:
    meaning = "calibrated probability of each class"
    return meaning if account.classes.are_numbered else f"{meaning}: {', '.join(account.classes.names)}"


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
