"""The page and the CSV file of an audit.

Both hold only values that do not change when it is repeated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.audit.audit import Audit
from harness.audit.duplicates import NEAR_DUPLICATE_COSINE, DuplicateRows
from harness.audit.probe import SHUFFLES
from harness.audit.robustness import RobustnessTable
from harness.audit.shift import ALPHA, MIN_EFFECT_SIZE
from harness.report.csv_files import to_csv
from harness.report.leaderboard_page import SIMULATED_NOTE
from harness.report.markdown import escape, format_table, number, sentence
from harness.scoring.leaderboard import DECIMALS
from harness.utils.files import replace_text

SHARES = ("by_place", "by_row", "by_half", "by_seed", "by_threads")
LABELER_COLUMNS = (
    *("Audit", "Labeler", "Accuracy", "Shuffled labels", "Places"),
    *("One row", "Half the rows", "Seed", "Threads"),
)


def write_audit(audit: Audit) -> Path:
    """Write leaderboards/<suite>/audit.md and audit.csv; returns the page."""
    folder = audit.run.options.output / "leaderboards" / audit.run.suite.name
    page = folder / "audit.md"
    replace_text(folder / "audit.csv", to_csv(_csv_rows(audit)))
    replace_text(page, render_page(audit))
    return page


def render_page(audit: Audit) -> str:
    """Return the page as Markdown."""
    parts = [f"# Audit of {escape(audit.run.suite.name)}"]
    parts += [f"> **{SIMULATED_NOTE}**"] if audit.run.simulated else []
    parts += [summary(audit), *_data_section(audit), *_labeler_section(audit)]
    comparison = ""
    for table in audit.tables:
        if table.comparison != comparison:
            comparison = table.comparison
            parts.append(f"## {escape(comparison)}")
        parts += [f"### {escape(table.title)}", _robustness_table(table), table.note]
    return "\n\n".join(parts) + "\n"


def summary(audit: Audit) -> str:
    """Return the result in one line."""
    verdicts = [verdict.judgement for verdict in audit.verdicts]
    remarks = [remark.kind for remark in audit.remarks]
    labelers = [
        f"{verdicts.count(kind)} {kind}" for kind in ("clean", "transductive", "warning", "leak") if kind in verdicts
    ]
    data = [
        f"{remarks.count(kind)} {kind}" + ("s" if remarks.count(kind) > 1 else "")
        for kind in ("leak", "warning", "note")
        if kind in remarks
    ]
    return f"Labelers: {', '.join(labelers) or 'none'}. Data: {', '.join(data) or 'nothing to remark'}."


def _data_section(audit: Audit) -> Iterator[str]:
    yield "## The data"
    if audit.remarks:
        yield "\n".join(f"- **{remark.kind}**: {sentence(remark.text)}" for remark in audit.remarks)
    if audit.duplicates:
        yield _duplicate_table(audit.duplicates)
        yield (
            f"Test rows that a train row shows already; near: a cosine above {NEAR_DUPLICATE_COSINE:g}. In brackets "
            "the test rows that were searched, where they are not all."
        )
    if audit.shifts:
        rows = [
            [
                escape(s.samples),
                s.by,
                f"{s.rows:,}",
                f"{s.others:,}",
                escape(s.chance.removeprefix("= ")),
                f"{s.w:.3f}",
                "yes" if s.shifted else "no",
            ]
            for s in audit.shifts
        ]
        yield format_table(["Rows", "By", "n", "Others", "p", "w", "Shifted"], rows, left_columns=("Rows", "By"))
        yield (
            "p: Pearson's chi-square. w: Cohen's effect size, .1 small, .3 middling, .5 large. Shifted: p below "
            f"{ALPHA:g} and w of {MIN_EFFECT_SIZE:g} or more."
        )


def _duplicate_table(duplicates: tuple[DuplicateRows, ...]) -> str:
    kinds = list(dict.fromkeys(kind for splits in duplicates for kind in splits.masks))
    rows = []
    for split_rows in duplicates:
        split = split_rows.evaluation.split
        cells = []
        for kind in kinds:
            examined = split_rows.examined(kind)
            searched = "" if examined == len(split.test) else f" ({examined:,})"
            cells.append(f"{split_rows.masks[kind].sum():,}{searched}")
        rows.append([escape(str(split_rows.evaluation)), f"{len(split.train):,}", f"{len(split.test):,}", *cells])
    return format_table(["Split", "Train", "Test", *map(escape, map(str.capitalize, kinds))], rows, ("Split",))


def _labeler_section(audit: Audit) -> Iterator[str]:
    yield "## The labelers"
    sizes = {answers.rows: answers.reduced == "" for answers in audit.labelers.values()}
    for (train, test), complete in sizes.items():
        titles = [title for title, answers in audit.labelers.items() if answers.rows == (train, test)]
        of_rows = f"about {test:,} test rows of {audit.run.cells[0].evaluation}, with {train:,} train rows"
        if complete:
            count = "All" if len(sizes) == 1 else f"{len(titles):,} of {len(audit.labelers):,}"
            yield f"{count} labelers were asked {of_rows}, as in their cells."
            continue
        reasons = [f"{escape(title)} ({audit.labelers[title].reduced})" for title in titles]
        yield f"Asked {of_rows}, fewer than in their cells, which a labeler could notice: {', '.join(reasons)}."
    rows = []
    for verdict in audit.verdicts:
        finding = audit.labelers[verdict.title].finding
        shares = [number(getattr(finding, name)) for name in SHARES]
        rows.append(
            [verdict.judgement, escape(verdict.title), number(finding.accuracy), number(finding.shuffled), *shares]
        )
    yield format_table(list(LABELER_COLUMNS), rows, left_columns=("Audit", "Labeler"))
    yield (
        "Shuffled labels: accuracy after training on them; where the first shuffle beat the commonest class, the least "
        f"of {SHUFFLES}. Places: share of answers that did not go along when the rows to label changed places. One "
        "row: share of other answers that moved when one test row was set to a million. Half the rows: share of "
        "answers that moved when only other rows were changed. Seed, threads: share of labels that another seed (on "
        "the same train rows) and a second thread change."
    )
    reasons = [
        f"- {escape(v.title)}: {v.judgement}: {sentence(reason)}" for v in audit.verdicts for reason in v.reasons
    ]
    if reasons:
        yield "\n".join(reasons)


def _robustness_table(table: RobustnessTable) -> str:
    ranks = [_ranks([values[column] for _, values in table.rows]) for column in range(len(table.columns))]
    rows = []
    for row, (labeler, values) in enumerate(table.rows):
        cells = [number(value) for value in values]
        if table.ranked:
            cells = [f"{cell} ({ranks[column][row]})" if cell else "" for column, cell in enumerate(cells)]
        rows.append([escape(labeler), *cells])
    return format_table(["Labeler", *map(escape, table.columns)], rows)


def _ranks(values: list[float | None]) -> list[int]:
    """Return the rank of each value, the largest first.

    Values that are printed alike share a rank; of None it is 0.
    """
    printed = [None if value is None else round(value, DECIMALS) for value in values]
    return [0 if value is None else 1 + sum(v is not None and v > value for v in printed) for value in printed]


def _csv_rows(audit: Audit) -> Iterator[dict[str, Any]]:
    """Yield a row for every number.

    Its columns are the check, the comparison or data it is of, the labeler, what was measured, and the value.
    """

    def row(check: str, of: str, labeler: str, measure: str, value: Any) -> dict[str, Any]:
        return {"check": check, "of": of, "labeler": labeler, "what": measure, "value": value}

    for remark in audit.remarks:
        yield row("remark", "data", "", remark.kind, remark.text)
    for verdict in audit.verdicts:
        yield row("verdict", "labeler", verdict.title, verdict.judgement, "; ".join(verdict.reasons))
        finding = audit.labelers[verdict.title].finding
        for name in ("accuracy", "shuffled", "chance", *SHARES):
            yield row("probe", "labeler", verdict.title, name, getattr(finding, name))
    for rows in audit.duplicates:
        for kind, mask in rows.masks.items():
            yield row("shown", str(rows.evaluation), "", kind, int(mask.sum()))
            yield row("shown", str(rows.evaluation), "", f"{kind}: searched", rows.examined(kind))
    for shift in audit.shifts:
        yield row("shift", shift.samples, "", f"{shift.by}: p", shift.p)
        yield row("shift", shift.samples, "", f"{shift.by}: w", shift.w)
    for table in audit.tables:
        for labeler, values in table.rows:
            for column, value in zip(table.columns, values, strict=True):
                yield row(table.title, table.comparison, labeler, column, value)
