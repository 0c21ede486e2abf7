"""The sections of a reference file: one line each, and a page of its own."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.report.markdown import escape, format_table
from harness.report.reference_page import (
    HEADER,
    ORACLE_NOTE,
    SIMULATED_REASON,
    ReferenceVerdict,
    counts,
    lines,
    reasons,
)

FOLDER = "sections"
TABLE_NOTE = (
    "Of each section one number: the record's highest accuracy, else its first number; ours is that of the same "
    "method, inputs and share of labels. The verdict counts all numbers of the section; its page has them."
)
WORDS = {"matches": "match", "differs": "differ", "cannot be compared": "cannot be compared"}


def by_section(verdicts: Iterable[ReferenceVerdict]) -> dict[str, list[ReferenceVerdict]]:
    """Group verdicts by section, in their order."""
    groups: dict[str, list[ReferenceVerdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.row.section, []).append(verdict)
    return groups


def section_table(verdicts: Sequence[ReferenceVerdict]) -> str:
    """Return the table of all sections, each with a link to its page."""
    body = []
    for section, group in by_section(verdicts).items():
        best = _best(group)
        _, _, _, _, theirs, ours, *_ = lines(best) if best.ours else (*[""] * 4, best.row.text, "–")
        about = f"{best.row.metric} of {best.row.title}"
        about += "" if best.row.label_class is None else f", class {best.row.label_class}"
        about += "" if best.row.ratio is None else f", {best.row.ratio * 100:.4g} % labelled"
        body.append([f"[{escape(section)}]({page_name(section)}): {escape(about)}", theirs, ours, verdict_text(group)])
    return format_table(["Section", "Record", "Ours", "Verdict"], body, ("Section", "Verdict"))


def page_name(section: str) -> str:
    """Return the file of a section's page, from the folder of the record."""
    return f"{FOLDER}/{re.sub(r'[^A-Za-z0-9.-]+', '-', section)}.md"


def verdict_text(group: Sequence[ReferenceVerdict]) -> str:
    """Return how many numbers match, differ, and cannot be compared.

    The reason is added where all have the same one.
    """
    parts = [f"{count} {WORDS[outcome]}" for outcome, count in counts(group).items() if count]
    whys = {verdict.why for verdict in group if verdict.why}
    return ", ".join(parts) + (f": {escape(*whys)}" if len(whys) == 1 else "")


def section_pages(
    name: str, verdicts: Sequence[ReferenceVerdict], ranked: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Yield (file, text) of the page of every section.

    `ranked` has title and file of the page on which the labelers of a suite are ranked, by suite.
    """
    for section, group in by_section(verdicts).items():
        yield page_name(section), _page(name, section, group, ranked)


def _page(name: str, section: str, group: Sequence[ReferenceVerdict], ranked: Mapping[str, tuple[str, str]]) -> str:
    parts = [f"# {escape(name)}, section {escape(section)}"]
    if simulated := sum(verdict.why == SIMULATED_REASON for verdict in group):
        which = "every number of ours" if simulated == len(group) else f"{simulated} of {len(group)} numbers of ours"
        parts.append(f"> **SIMULATED DATA: {which} on this page; they say nothing about real data.**")
    suites = dict.fromkeys(verdict.suite for verdict in group)
    links = [f"[{escape(suite)}](../../{suite}/README.md)" for suite in suites]
    pages = dict.fromkeys(ranked[suite] for suite in suites if suite in ranked)
    facts = [f"Verdict: {verdict_text(group)}", f"Measured by: {', '.join(links)}"]
    facts += [f"Ranked together with other suites: [{escape(title)}](../{file})" for title, file in pages]
    parts.append("\n".join(f"- {fact}" for fact in (*facts, "All sections: [README.md](../README.md)")))
    if body := [lines(verdict) for verdict in group if verdict.ours]:
        parts.append(_number_table(body))
    if any(verdict.ours and verdict.ours.chosen for verdict in group):
        parts.append(ORACLE_NOTE)
    if incomparable := reasons(group):
        tally = Counter({why: len(some) for (_, why), some in incomparable.items()})
        methods = {why: dict.fromkeys(verdict.row.title for verdict in some) for (_, why), some in incomparable.items()}
        rows = [[escape(why), str(count), "; ".join(map(escape, methods[why]))] for why, count in tally.items()]
        parts += ["## Cannot be compared", format_table(["Why", "Numbers", "Methods"], rows, ("Why", "Methods"))]
    return "\n\n".join(parts) + "\n"


def _number_table(body: Sequence[Sequence[str]]) -> str:
    """Return the numbers of a section, without columns that are empty."""
    header = ["Method", *HEADER]
    places = [i for i in range(len(header)) if any(row[i] for row in body)]
    rows = [[escape(row[i]) for i in places] for row in body]
    return format_table([header[i] for i in places], rows, ("Method", "Metric", "Chosen on test", "Verdict"))


def _best(group: Sequence[ReferenceVerdict]) -> ReferenceVerdict:
    """Return the number of a section that its line has."""
    measured = [verdict for verdict in group if verdict.ours] or group
    scores = [verdict for verdict in measured if verdict.row.metric == "accuracy" and verdict.row.label_class is None]
    return max(scores, key=lambda verdict: verdict.row.value) if scores else measured[0]
