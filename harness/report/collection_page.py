"""The pages over a list of suites, labelers of the same rows together."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.report.claims import rank_claims
from harness.report.headings import headings
from harness.report.leaderboard_folder import find_differences, write_files
from harness.report.leaderboard_page import SIMULATED_NOTE, run_options, target, untested_note
from harness.report.leaderboard_parts import AGAINST, split_leaderboard
from harness.report.leaderboard_tables import BOARD_METRICS, board_table
from harness.report.markdown import escape, format_table, span
from harness.report.reference_page import ReferenceVerdict, judge_numbers
from harness.report.section_pages import FOLDER as SECTIONS
from harness.report.section_pages import TABLE_NOTE, section_pages, section_table
from harness.report.tables import Column, Table, to_markdown
from harness.run.runner import Options, Run
from harness.scoring.collection import JointLeaderboard, joint_leaderboards
from harness.scoring.leaderboard import CellResult
from harness.statistics.metrics import DISPLAY_NAMES
from harness.suite.collection import Collection
from harness.suite.reference import DEFAULT, find_file, read_reference

RANKS = "ranks"  # the folder of the pages with ranks
MAX_STEM = 80  # characters of a file's name
LINES = "lines.md"
BASELINE = "majority"  # of joint leaderboards
TOGETHER = "Labelers are ranked together where they answered for the same test rows under the same truth, nowhere else."
MIXED = (
    "Every line of every comparison in one list by its accuracy, as a record of experiments prints it. It ranks "
    "nothing: the lines differ in population, in test rows and in how many labels they had, and a larger number says "
    "nothing of a method."
)
PARTLY_SIMULATED_NOTE = "SIMULATED DATA in part: what is marked as simulated says nothing about real data."

Scored = list[tuple[Run, list[CellResult]]]


@dataclass(frozen=True)
class Scope:
    """Rows and truth that suites share: their labelers are on one page."""

    population: str
    target: str
    simulated: bool

    def __str__(self) -> str:
        return f"{self.population}; {self.target}{'; simulated' if self.simulated else ''}"


@dataclass(frozen=True)
class SuiteLine:
    """What the page of a collection has of one suite."""

    name: str
    scope: Scope
    cells: int


@dataclass(frozen=True)
class Comparison:
    """One comparison of a scope; its texts but for the heading are Markdown."""

    scope: Scope
    heading: str
    above: tuple[str, ...]  # the lines above the board
    board: Table
    claims: tuple[str, ...]


@dataclass(frozen=True)
class CollectionPages:
    """All that the pages of a collection are drawn from."""

    name: str
    suites: tuple[SuiteLine, ...]
    comparisons: tuple[Comparison, ...]
    lines: str  # the table of all lines
    verdicts: tuple[ReferenceVerdict, ...]
    reproduction: str

    def files(self) -> dict[str, str]:
        """Return {name: text}."""
        pages = self._page_names()
        ranked = {suite.name: (str(suite.scope), pages[suite.scope]) for suite in self.suites if suite.scope in pages}
        lines = [f"# {self.name}: all lines, unranked", *self._warnings(self._scopes()), MIXED, self.lines]
        return {
            "README.md": "\n\n".join(self._overview()) + "\n",
            **{name: "\n\n".join(self._ranks(scope)) + "\n" for scope, name in pages.items()},
            **dict(section_pages(self.name, self.verdicts, ranked)),
            LINES: "\n\n".join(lines) + "\n",
        }

    def _scopes(self) -> list[Scope]:
        return list(dict.fromkeys(comparison.scope for comparison in self.comparisons))

    def _page_names(self) -> dict[Scope, str]:
        """Return the file of each scope's page, from the folder of the pages."""
        names: dict[Scope, str] = {}
        for scope in self._scopes():
            stem = re.sub("[^a-z0-9]+", "-", str(scope).lower()).strip("-")[:MAX_STEM]
            same = sum(re.fullmatch(rf"{RANKS}/{stem}(-\d+)?\.md", name) is not None for name in names.values())
            names[scope] = f"{RANKS}/{stem}{f'-{same + 1}' if same else ''}.md"
        return names

    def _warnings(self, scopes: Sequence[Scope]) -> list[str]:
        simulated = {scope.simulated for scope in scopes}
        note = PARTLY_SIMULATED_NOTE if False in simulated else SIMULATED_NOTE
        return [f"> **{note}**"] if True in simulated else []

    def _overview(self) -> Iterator[str]:
        yield f"# {self.name}"
        yield from self._warnings(self._scopes())
        if self.verdicts:
            yield from (section_table(self.verdicts), TABLE_NOTE)
        yield from ("## Ranked together", f"{TOGETHER} All lines in one list, unranked: [{LINES}]({LINES}).")
        rows = []
        for scope, name in self._page_names().items():
            own = [comparison for comparison in self.comparisons if comparison.scope == scope]
            labelers = {labeler for comparison in own for labeler in _labelers(comparison.board)}
            rows.append([f"[{escape(str(scope))}]({name})", str(len(own)), str(len(labelers))])
        yield format_table(["Rows and truth", "Comparisons", "Labelers"], rows, ("Rows and truth",))
        yield "## Suites"
        header = ["Suite", "Population", "Target", "Data", "Cells"]
        body = [
            [
                f"[{escape(suite.name)}](../{suite.name}/README.md)",
                *(escape(text) for text in (suite.scope.population, suite.scope.target)),
                "simulated" if suite.scope.simulated else "real",
                f"{suite.cells:,}",
            ]
            for suite in self.suites
        ]
        yield format_table(header, body, header[:-1])
        yield from ("## Run it again", self.reproduction)

    def _ranks(self, scope: Scope) -> Iterator[str]:
        """Yield the page of one scope."""
        yield f"# {self.name}: {escape(str(scope))}"
        yield from self._warnings([scope])
        suites = [suite.name for suite in self.suites if suite.scope == scope]
        links = ", ".join(f"[{escape(suite)}](../../{suite}/README.md)" for suite in suites)
        yield f"Labelers of {links}. {TOGETHER} All pages: [README.md](../README.md)."
        for comparison in self.comparisons:
            if comparison.scope == scope:
                yield f"## {escape(comparison.heading)}"
                yield from comparison.above
                yield from split_leaderboard(comparison.board).markdown()
                if comparison.claims:
                    yield "\n".join(f"- {claim}" for claim in comparison.claims)


def write_collection(collection: Collection, scored: Scored, options: Options) -> Path:
    """Write the pages of a collection; return the first."""
    folder = options.output / "leaderboards" / str(collection.name)
    files = collection_files(collection, scored)
    write_files(folder, files)
    for name in _orphans(folder, files):
        (folder / name).unlink()
    return folder / "README.md"


def outdated_files(collection: Collection, scored: Scored, options: Options) -> list[str]:
    """Return a line for each page on disk that differs from the cells."""
    folder = options.output / "leaderboards" / str(collection.name)
    files = collection_files(collection, scored)
    orphans = [f"{folder / name}: belongs to no page" for name in _orphans(folder, files)]
    return [*find_differences(folder, files), *orphans]


def collection_files(collection: Collection, scored: Scored) -> dict[str, str]:
    """Return {name: text}."""
    runs = [run for run, _ in scored]
    leaderboards = joint_leaderboards(scored)
    reproduction = f"```\nharness run {collection.file}{run_options(runs[0])}\n```"
    pages = CollectionPages(
        str(collection.name),
        tuple(SuiteLine(run.suite.name, _scope(run), len(run.cells)) for run in runs),
        tuple(map(_comparison, leaderboards)),
        to_markdown(_unranked(leaderboards), ("Labeler", "Where")),
        tuple(_verdicts(scored)),
        reproduction,
    )
    return pages.files()


def _verdicts(scored: Scored) -> list[ReferenceVerdict]:
    """Return the verdicts on the numbers that the suites measure again."""
    runs = [run for run, _ in scored if run.suite.reference is not None]
    return judge_numbers(scored, [read_reference(find_file(DEFAULT, runs[0].catalog))], 0) if runs else []


def _orphans(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return the pages in the collection's folders that it no longer has."""
    pages = [file for name in (SECTIONS, RANKS) for file in sorted((folder / name).glob("*.md"))]
    return [name for file in pages if (name := file.relative_to(folder).as_posix()) not in files]


def _labelers(board: Table) -> list[str]:
    return [row[board.names.index("Labeler")] for row in board.rows]


def _scope(run: Run) -> Scope:
    return Scope(str(run.suite.population), target(run), run.simulated)


def _comparison(joint: JointLeaderboard) -> Comparison:
    run, leaderboard = joint.runs[0], joint.leaderboard
    leaking = " Rows of this population are repeated, so train and test share rows." if _leaks(joint) else ""
    rows = f"Train {span(leaderboard.n_train)} rows, test {span(leaderboard.n_test)} rows.{leaking}"
    table = board_table(run, leaderboard)
    header = tuple(
        replace(column, name=AGAINST + BASELINE) if column.name.startswith(AGAINST) else column
        for column in table.columns
    )
    return Comparison(
        _scope(run),
        headings(run)[leaderboard.title],
        (f"Splits: {escape(leaderboard.title)}. {rows}", *untested_note(leaderboard)),
        replace(table, columns=header),
        tuple(rank_claims(leaderboard, run.dataset.classes.names)),
    )


def _leaks(joint: JointLeaderboard) -> bool:
    return any(run.dataset.oversampled for run in joint.runs)


def _unranked(leaderboards: list[JointLeaderboard]) -> Table:
    """Return all labelers of all comparisons, sorted by accuracy."""
    lines = []
    for joint in leaderboards:
        run = joint.runs[0]
        where = f"{_scope(run)}; {headings(run)[joint.leaderboard.title]}"
        where += " (leaking by design)" if _leaks(joint) else ""
        for row in joint.leaderboard.rows:
            if "accuracy" in row.values:
                key = (-row.values["accuracy"].mean, row.title, where)
                lines.append((key, (row.title, *map(row.values.get, BOARD_METRICS), where)))
    lines.sort(key=lambda line: line[0])
    names = ("Labeler", *(DISPLAY_NAMES[metric] for metric in BOARD_METRICS), "Where")
    return Table("", "All lines, unranked", tuple(map(Column, names)), tuple(row for _, row in lines))
