"""An audit as a page and as a file for programs. Both hold only values that do not change when it is done again."""

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

PER_CENT = ("by_row", "by_half", "by_seed", "by_threads")
HEADER = ("Audit", "Labeler", "Accuracy", "Shuffled labels", "One row", "Half the rows", "Seed", "Threads")


def write_audit(audit: Audit) -> Path:
    """Write leaderboards/<suite>/audit.md and audit.csv; returns the page."""
    folder = audit.run.options.output / "leaderboards" / audit.run.suite.name
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("audit.csv", to_csv(_rows(audit))), ("audit.md", markdown(audit))):
        scratch = folder / f"{name}.part"
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(folder / name)
    return folder / "audit.md"


def markdown(audit: Audit) -> str:
    """Return the whole page."""
    parts = [f"# Audit of {escape(audit.run.suite.name)}"]
    parts += [f"> **{SIMULATED_NOTE}**"] if audit.run.simulated else []
    parts += [summary(audit), *_data(audit), *_labelers(audit)]
    comparison = ""
    for each in audit.tables:
        if each.comparison != comparison:
            comparison = each.comparison
            parts.append(f"## {escape(comparison)}")
        parts += [f"### {escape(each.title)}", _table(each), each.about]
    return "\n\n".join(parts) + "\n"


def summary(audit: Audit) -> str:
    """Say in one line what was found."""
    kinds = [verdict.judgement for verdict in audit.verdicts]
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("clean", "transductive", "warning", "leak") if kind in kinds]
    data = [remark.kind for remark in audit.remarks]
    about = [
        f"{data.count(kind)} {kind}" + ("s" if data.count(kind) > 1 else "")
        for kind in ("leak", "warning", "note")
        if kind in data
    ]
    return f"Labelers: {', '.join(counts) or 'none'}. Data: {', '.join(about) or 'nothing to remark'}."


def _data(audit: Audit) -> Iterator[str]:
    yield "## The data"
    if audit.remarks:
        yield "\n".join(f"- **{remark.kind}**: {sentence(remark.text)}" for remark in audit.remarks)
    if audit.duplicates:
        yield _shown_table(audit.duplicates)
        yield (
            f"Test rows that a train row shows already; near: a cosine above {NEAR_DUPLICATE_COSINE:g}. "
            "In brackets the test rows that "
            "were searched, where they are not all."
        )
    if audit.shifts:
        rows = [
            [
                escape(s.what),
                s.by,
                f"{s.rows:,}",
                f"{s.others:,}",
                escape(s.chance.removeprefix("= ")),
                f"{s.w:.3f}",
                "yes" if s.shifted else "no",
            ]
            for s in audit.shifts
        ]
        yield format_table(["Rows", "By", "n", "Others", "p", "w", "Shifted"], rows, left=("Rows", "By"))
        yield (
            "p: Pearson's chi-square. w: Cohen's effect size, .1 small, .3 middling, .5 large. Shifted: p below "
            f"{ALPHA:g} and w of {MIN_EFFECT_SIZE:g} or more."
        )


def _shown_table(shown: tuple[DuplicateRows, ...]) -> str:
    kinds = list(dict.fromkeys(what for each in shown for what in each.masks))
    rows = []
    for each in shown:
        cells = []
        for what in kinds:
            searched = "" if each.examined(what) == len(each.evaluation.split.test) else f" ({each.examined(what):,})"
            cells.append(f"{each.masks[what].sum():,}{searched}")
        rows.append(
            [
                escape(str(each.evaluation)),
                f"{len(each.evaluation.split.train):,}",
                f"{len(each.evaluation.split.test):,}",
                *cells,
            ]
        )
    return format_table(["Split", "Train", "Test", *map(escape, map(str.capitalize, kinds))], rows, left=("Split",))


def _labelers(audit: Audit) -> Iterator[str]:
    train, test = audit.rows
    yield "## The labelers"
    yield f"Each was asked about {test:,} test rows of {audit.run.cells[0].evaluation}, with {train:,} train rows."
    rows = []
    for verdict in audit.verdicts:
        finding = audit.findings[verdict.title]
        shares = [number(getattr(finding, name)) for name in PER_CENT]
        rows.append(
            [verdict.judgement, escape(verdict.title), number(finding.accuracy), number(finding.shuffled), *shares]
        )
    yield format_table(list(HEADER), rows, left=("Audit", "Labeler"))
    yield (
        "Shuffled labels: accuracy after training on them; where the first shuffle beat the commonest class, the least "
        f"of {SHUFFLES}. One row: share of other answers that moved when one test row was set to a million. Half the "
        "rows: share of answers that moved when only other rows were changed. Seed, threads: share of labels that "
        "another seed (on the same train rows) and a second thread change."
    )
    said = [f"- {escape(v.title)}: {v.judgement}: {sentence(reason)}" for v in audit.verdicts for reason in v.reasons]
    if said:
        yield "\n".join(said)


def _table(table: RobustnessTable) -> str:
    places = [_ranks([values[column] for _, values in table.rows]) for column in range(len(table.columns))]
    rows = []
    for row, (labeler, values) in enumerate(table.rows):
        cells = [number(value) for value in values]
        if table.ranked:
            cells = [f"{cell} ({places[column][row]})" if cell else "" for column, cell in enumerate(cells)]
        rows.append([escape(labeler), *cells])
    return format_table(["Labeler", *map(escape, table.columns)], rows)


def _ranks(values: list[float | None]) -> list[int]:
    """Return the rank of each value, the largest first; equal printed values share one."""
    printed = [None if value is None else round(value, DECIMALS) for value in values]
    return [0 if mine is None else 1 + sum(v is not None and v > mine for v in printed) for mine in printed]


def _rows(audit: Audit) -> Iterator[dict[str, Any]]:
    """Yield every number: the check, the comparison or what is compared, the labeler, what was measured, its value."""

    def row(check: str, of: str, labeler: str, what: str, value: Any) -> dict[str, Any]:
        return {"check": check, "of": of, "labeler": labeler, "what": what, "value": value}

    for remark in audit.remarks:
        yield row("remark", "data", "", remark.kind, remark.text)
    for verdict in audit.verdicts:
        yield row("verdict", "labeler", verdict.title, verdict.judgement, "; ".join(verdict.reasons))
        finding = audit.findings[verdict.title]
        for name in ("accuracy", "shuffled", "chance", *PER_CENT):
            yield row("probe", "labeler", verdict.title, name, getattr(finding, name))
    for shown in audit.duplicates:
        for what, mask in shown.masks.items():
            yield row("shown", str(shown.evaluation), "", what, int(mask.sum()))
            yield row("shown", str(shown.evaluation), "", f"{what}: searched", shown.examined(what))
    for shift in audit.shifts:
        yield row("shift", shift.what, "", f"{shift.by}: p", shift.p)
        yield row("shift", shift.what, "", f"{shift.by}: w", shift.w)
    for each in audit.tables:
        for labeler, values in each.rows:
            for column, value in zip(each.columns, values, strict=True):
                yield row(each.title, each.comparison, labeler, column, value)
