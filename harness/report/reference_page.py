"""Theirs and ours side by side: a verdict on every number of a reference file that a suite measures again."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.report.csv_files import Row, to_csv
from harness.report.leaderboard_page import LEAKING_NOTE, SIMULATED_NOTE
from harness.report.markdown import escape, format_table
from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult
from harness.scoring.reference_cells import NOT_RUN_REASON, OTHER_POPULATION_REASON, OwnNumber, ReferenceCells
from harness.scoring.reference_data import NoOwnNumber
from harness.suite.reference import PublishedNumber, ReferenceFile

Outcome = Literal["matches", "differs", "cannot be compared"]
OUTCOMES: tuple[Outcome, ...] = ("matches", "differs", "cannot be compared")
SIMULATED_REASON = "the data are the simulated twin"
ORACLE_NOTE = (
    "Chosen on test: the checkpoint that is best on the test rows, as the record chose its epochs and weights. Ours is "
    "then its number, and Honest what the labeler answered without looking."
)
Scored = list[tuple[Run, list[CellResult]]]


@dataclass(frozen=True)
class ReferenceVerdict:
    """One number of a reference file against ours."""

    row: PublishedNumber
    suite: str
    ours: OwnNumber | None
    outcome: Outcome
    why: str = ""  # of what cannot be compared

    @property
    def difference(self) -> float | None:
        """Ours - theirs."""
        return None if self.ours is None else self.ours.value - self.row.value


def judge_numbers(scored: Scored, files: Iterable[ReferenceFile], within: float) -> list[ReferenceVerdict]:
    """Judge every number of the sections that the suites speak of, once: by the suite that can say most of it.

    A number matches where it equals theirs at the precision printed there, or differs by at most `within`.
    """
    suites = [
        (run, ReferenceCells(run, cell_results)) for run, cell_results in scored if run.suite.reference is not None
    ]
    found = []
    for row in (row for file in files for row in file.rows):
        each = [
            _verdict(row, run, ours, within)
            for run, ours in suites
            if run.suite.reference is not None and row.section in run.suite.reference.sections
        ]
        if each:
            found.append(min(each, key=_sort_key))
    return found


def counts(found: Iterable[ReferenceVerdict]) -> dict[str, int]:
    """Return how many verdicts there are of each outcome."""
    tally = Counter(verdict.outcome for verdict in found)
    return {outcome: tally[outcome] for outcome in OUTCOMES}


def reasons(found: Iterable[ReferenceVerdict]) -> dict[tuple[str, str], list[ReferenceVerdict]]:
    """Group what cannot be compared by (section, reason)."""
    groups: dict[tuple[str, str], list[ReferenceVerdict]] = {}
    for verdict in found:
        if verdict.why:
            groups.setdefault((verdict.row.section, verdict.why), []).append(verdict)
    return groups


def write_reference_page(
    name: str, scored: Scored, files: list[ReferenceFile], within: float, found: list[ReferenceVerdict]
) -> Path:
    """Write leaderboards/<name>/reference.md and reference.csv; returns the Markdown file."""
    folder = scored[0][0].options.output / "leaderboards" / name
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "reference.md"
    simulated = any(run.simulated for run, _ in scored)
    for file, text in (
        (folder / "reference.csv", to_csv(rows(found, simulated))),
        (page, markdown(name, scored, files, within, found)),
    ):
        scratch = file.with_suffix(".part")
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(file)
    return page


def rows(found: Iterable[ReferenceVerdict], simulated: bool) -> Iterator[Row]:
    """Yield one row a number, for programs."""
    for verdict in found:
        row, ours = verdict.row, verdict.ours
        yield {
            "reference": row.file,
            "line": row.line,
            "section": row.section,
            "method": row.method,
            "dataset": row.dataset,
            "inputs": " ".join(row.inputs),
            "train_ratio": row.ratio,
            "metric": row.metric,
            "label_class": row.label_class,
            "theirs": row.value,
            "ours": None if ours is None else ours.value,
            "difference": verdict.difference,
            "honest": None if ours is None else ours.honest,
            "chosen_on_test": "" if ours is None else ours.chosen,
            "verdict": verdict.outcome,
            "why": verdict.why,
            "suite": verdict.suite,
            "simulated": simulated,
        }


def markdown(
    name: str, scored: Scored, files: list[ReferenceFile], within: float, found: list[ReferenceVerdict]
) -> str:
    """Return the whole page. It holds only values that do not change when the same suite runs again."""
    simulated = any(run.simulated for run, _ in scored)
    leaking = len(scored) == 1 and scored[0][0].dataset.oversampled
    parts = [f"# {name} against published numbers", *([f"> **{SIMULATED_NOTE}**"] if simulated else [])]
    parts += [f"> **{LEAKING_NOTE}**"] if leaking else []
    parts += ["\n".join(_about(scored, files, within)), _summary(found)]
    headings = {file.name: file.heading for file in files}
    for place in dict.fromkeys((verdict.row.file, verdict.row.section) for verdict in found):
        here = [verdict for verdict in found if (verdict.row.file, verdict.row.section) == place and verdict.ours]
        if here:
            header = ["Method", *HEADER]
            body = [[escape(cell) for cell in line] for line in (lines(each) for each in here)]
            parts += [f"## {escape(place[0])}, section {escape(place[1])}", escape(headings[place[0]])]
            parts.append(format_table(header, body, left=("Method",)))
    if any(verdict.ours and verdict.ours.chosen for verdict in found):
        parts.append(ORACLE_NOTE)
    silent = reasons(found)
    if silent:
        parts += ["## Cannot be compared", _silent(silent)]
    return "\n\n".join(filter(None, parts)) + "\n"


HEADER = ("Ratio", "Metric", "Class", "Theirs", "Ours", "Difference", "Chosen on test", "Honest", "Verdict")


def lines(verdict: ReferenceVerdict) -> list[str]:
    """Return the cells of one number, for people: its method and inputs, then those of HEADER."""
    row, ours = verdict.row, verdict.ours
    assert ours is not None
    return [
        " ".join((row.method, *row.inputs)),
        "" if row.ratio is None else f"{row.ratio:.4g}",
        row.metric,
        "" if row.label_class is None else str(row.label_class),
        row.text if row.text[-1] in "KM" else f"{row.value:,.{row.decimals}f}",
        _shown(ours.value, row),
        _shown(ours.value - row.value, row, "+"),
        ours.chosen,
        "" if ours.honest is None else _shown(ours.honest, row),
        verdict.outcome,
    ]


def _verdict(row: PublishedNumber, run: Run, counterparts: ReferenceCells, within: float) -> ReferenceVerdict:
    try:
        ours = counterparts.of(row)
    except NoOwnNumber as reason:
        return ReferenceVerdict(row, run.suite.name, None, "cannot be compared", str(reason))
    if run.simulated:
        return ReferenceVerdict(row, run.suite.name, ours, "cannot be compared", SIMULATED_REASON)
    near = max(row.step / 2, within) * (1 + 1e-9)  # half a digit is what printing takes away
    return ReferenceVerdict(row, run.suite.name, ours, "matches" if abs(ours.value - row.value) <= near else "differs")


def _sort_key(verdict: ReferenceVerdict) -> tuple[bool, bool, bool, bool]:
    other = verdict.why.startswith(OTHER_POPULATION_REASON)
    return verdict.outcome == "cannot be compared", verdict.ours is None, other, verdict.why == NOT_RUN_REASON


def _about(scored: Scored, files: list[ReferenceFile], within: float) -> Iterator[str]:
    for run, _ in scored:
        reference, shown = run.suite.reference, run.dataset.table
        if reference is not None:
            what = f"{len(run.dataset):,} rows of {shown.display_name} (population: {run.suite.population})"
            leaks = "; rows are repeated, so train and test share rows" if run.dataset.oversampled else ""
            yield f"- {escape(run.suite.name)}: stands for {escape(reference.dataset)}; {escape(what)}{leaks}"
    for file in files:
        yield f"- Reference: {escape(file.name)}, SHA-256 {file.sha256[:16]}"
    near = f", or at most {within:g} away" if within else ""
    yield f"- Matches: equal at the precision that the reference prints{near}. Several seeds: their mean."


def _summary(found: list[ReferenceVerdict]) -> str:
    places = dict.fromkeys((verdict.row.file, verdict.row.section) for verdict in found)
    body = []
    for place in places:
        tally = counts(each for each in found if (each.row.file, each.row.section) == place)
        body.append([escape(place[0]), escape(place[1]), str(sum(tally.values())), *map(str, tally.values())])
    total = counts(found)
    body.append(["all", "", str(len(found)), *map(str, total.values())])
    header = ["Reference", "Section", "Numbers", "Matches", "Differs", "Cannot be compared"]
    return format_table(header, body, left=("Reference", "Section"))


def _silent(groups: dict[tuple[str, str], list[ReferenceVerdict]]) -> str:
    body = []
    for (section, why), each in groups.items():
        methods = dict.fromkeys(" ".join((verdict.row.method, *verdict.row.inputs)) for verdict in each)
        body.append([escape(section), escape(why), str(len(each)), "; ".join(map(escape, methods))])
    return format_table(["Section", "Why", "Numbers", "Methods"], body, left=("Section", "Why", "Methods"))


def _shown(value: float, row: PublishedNumber, sign: str = "") -> str:
    """Write a number of ours as finely as theirs; a difference finely enough that it is not rounded away."""
    decimals = row.decimals if not sign or row.step >= 1 else max(row.decimals, 4)
    if row.step >= 1 and not value.is_integer():
        decimals = 1  # the mean over seeds of a count
    return f"{round(value, decimals) + 0.0:{sign},.{decimals}f}"  # + 0.0: never -0.0000
