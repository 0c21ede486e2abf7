"""Verdicts on the numbers of a reference file that a suite measures again."""

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
from harness.utils.files import replace_text

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
        """Our number - the published one."""
        return None if self.ours is None else self.ours.value - self.row.value


def judge_numbers(scored: Scored, files: Iterable[ReferenceFile], within: float) -> list[ReferenceVerdict]:
    """Judge every number of the sections that the suites name.

    A number has one verdict: of the suite that has most of it. It matches where it equals theirs at the precision
    printed there, or differs by at most `within`.
    """
    suites = [
        (run, ReferenceCells(run, cell_results)) for run, cell_results in scored if run.suite.reference is not None
    ]
    verdicts = []
    for row in (row for file in files for row in file.rows):
        by_suite = [
            _judge(row, run, cells, within)
            for run, cells in suites
            if run.suite.reference is not None and row.section in run.suite.reference.sections
        ]
        if by_suite:
            verdicts.append(min(by_suite, key=_sort_key))
    return verdicts


def counts(verdicts: Iterable[ReferenceVerdict]) -> dict[str, int]:
    """Return the number of verdicts of each outcome."""
    tally = Counter(verdict.outcome for verdict in verdicts)
    return {outcome: tally[outcome] for outcome in OUTCOMES}


def reasons(verdicts: Iterable[ReferenceVerdict]) -> dict[tuple[str, str], list[ReferenceVerdict]]:
    """Group the numbers that cannot be compared by (section, reason)."""
    groups: dict[tuple[str, str], list[ReferenceVerdict]] = {}
    for verdict in verdicts:
        if verdict.why:
            groups.setdefault((verdict.row.section, verdict.why), []).append(verdict)
    return groups


def write_reference_page(
    name: str, scored: Scored, files: list[ReferenceFile], within: float, verdicts: list[ReferenceVerdict]
) -> Path:
    """Write leaderboards/<name>/reference.md and .csv; return the page."""
    folder = scored[0][0].options.output / "leaderboards" / name
    simulated = any(run.simulated for run, _ in scored)
    replace_text(folder / "reference.csv", to_csv(rows(verdicts, simulated)))
    replace_text(folder / "reference.md", markdown(name, scored, files, within, verdicts))
    return folder / "reference.md"


def rows(verdicts: Iterable[ReferenceVerdict], simulated: bool) -> Iterator[Row]:
    """Yield one row a number, for programs."""
    for verdict in verdicts:
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
    name: str, scored: Scored, files: list[ReferenceFile], within: float, verdicts: list[ReferenceVerdict]
) -> str:
    """Return the whole page.

    It holds only values that do not change when the same suite runs again.
    """
    simulated = any(run.simulated for run, _ in scored)
    leaking = len(scored) == 1 and scored[0][0].dataset.oversampled
    parts = [f"# {name} against published numbers", *([f"> **{SIMULATED_NOTE}**"] if simulated else [])]
    parts += [f"> **{LEAKING_NOTE}**"] if leaking else []
    parts += ["\n".join(_data_lines(scored, files, within)), _summary(verdicts)]
    headings = {file.name: file.heading for file in files}
    for (file, section), group in _by_section(verdicts).items():
        body = [[escape(cell) for cell in lines(verdict)] for verdict in group if verdict.ours]
        if body:
            parts += [f"## {escape(file)}, section {escape(section)}", escape(headings[file])]
            parts.append(format_table(["Method", *HEADER], body, ("Method",)))
    if any(verdict.ours and verdict.ours.chosen for verdict in verdicts):
        parts.append(ORACLE_NOTE)
    if incomparable := reasons(verdicts):
        parts += ["## Cannot be compared", _reason_table(incomparable)]
    return "\n\n".join(filter(None, parts)) + "\n"


HEADER = ("Ratio", "Metric", "Class", "Theirs", "Ours", "Difference", "Chosen on test", "Honest", "Verdict")


def lines(verdict: ReferenceVerdict) -> list[str]:
    """Return the cells of one number, for people.

    The first one has its method and inputs, the others are those of HEADER.
    """
    row, ours = verdict.row, verdict.ours
    assert ours is not None
    return [
        " ".join((row.method, *row.inputs)),
        "" if row.ratio is None else f"{row.ratio:.4g}",
        row.metric,
        "" if row.label_class is None else str(row.label_class),
        row.text if row.text[-1] in "KM" else f"{row.value:,.{row.decimals}f}",
        _number_text(ours.value, row),
        _number_text(ours.value - row.value, row, "+"),
        ours.chosen,
        "" if ours.honest is None else _number_text(ours.honest, row),
        verdict.outcome,
    ]


def _judge(row: PublishedNumber, run: Run, cells: ReferenceCells, within: float) -> ReferenceVerdict:
    try:
        ours = cells.of(row)
    except NoOwnNumber as reason:
        return ReferenceVerdict(row, run.suite.name, None, "cannot be compared", str(reason))
    if run.simulated:
        return ReferenceVerdict(row, run.suite.name, ours, "cannot be compared", SIMULATED_REASON)
    near = max(row.step / 2, within) * (1 + 1e-9)  # half a digit is what printing takes away
    return ReferenceVerdict(row, run.suite.name, ours, "matches" if abs(ours.value - row.value) <= near else "differs")


def _sort_key(verdict: ReferenceVerdict) -> tuple[bool, bool, bool, bool]:
    """Sort the verdicts of several suites on one number, the best first."""
    is_elsewhere = verdict.why.startswith(OTHER_POPULATION_REASON)
    return verdict.outcome == "cannot be compared", verdict.ours is None, is_elsewhere, verdict.why == NOT_RUN_REASON


def _data_lines(scored: Scored, files: list[ReferenceFile], within: float) -> Iterator[str]:
    for run, _ in scored:
        reference, table = run.suite.reference, run.dataset.table
        if reference is not None:
            data = f"{len(run.dataset):,} rows of {table.display_name} (population: {run.suite.population})"
            leaks = "; rows are repeated, so train and test share rows" if run.dataset.oversampled else ""
            yield f"- {escape(run.suite.name)}: stands for {escape(reference.dataset)}; {escape(data)}{leaks}"
    for file in files:
        yield f"- Reference: {escape(file.name)}, SHA-256 {file.sha256[:16]}"
    near = f", or at most {within:g} away" if within else ""
    yield f"- Matches: equal at the precision that the reference prints{near}. Several seeds: their mean."


def _by_section(verdicts: list[ReferenceVerdict]) -> dict[tuple[str, str], list[ReferenceVerdict]]:
    """Group verdicts by (reference file, section)."""
    groups: dict[tuple[str, str], list[ReferenceVerdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.row.file, verdict.row.section), []).append(verdict)
    return groups


def _summary(verdicts: list[ReferenceVerdict]) -> str:
    body = []
    for (file, section), group in _by_section(verdicts).items():
        body.append([escape(file), escape(section), str(len(group)), *map(str, counts(group).values())])
    body.append(["all", "", str(len(verdicts)), *map(str, counts(verdicts).values())])
    header = ["Reference", "Section", "Numbers", "Matches", "Differs", "Cannot be compared"]
    return format_table(header, body, ("Reference", "Section"))


def _reason_table(groups: dict[tuple[str, str], list[ReferenceVerdict]]) -> str:
    body = []
    for (section, reason), group in groups.items():
        methods = dict.fromkeys(" ".join((verdict.row.method, *verdict.row.inputs)) for verdict in group)
        body.append([escape(section), escape(reason), str(len(group)), "; ".join(map(escape, methods))])
    return format_table(["Section", "Why", "Numbers", "Methods"], body, ("Section", "Why", "Methods"))


def _number_text(value: float, row: PublishedNumber, sign: str = "") -> str:
    """Write our number as finely as the published one.

    A difference has at least four decimals, so that it is not rounded away.
    """
    decimals = row.decimals if not sign or row.step >= 1 else max(row.decimals, 4)
    if row.step >= 1 and not value.is_integer():
        decimals = 1  # the mean over seeds of a count
    return f"{round(value, decimals) + 0.0:{sign},.{decimals}f}"  # + 0.0: never -0.0000
