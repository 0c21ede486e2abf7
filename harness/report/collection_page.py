"""The page over a list of suites, labelers of the same rows together."""

from pathlib import Path

from harness.report.claims import rank_claims
from harness.report.headings import headings
from harness.report.leaderboard_folder import find_differences, write_files
from harness.report.leaderboard_page import SIMULATED_NOTE, run_options, target
from harness.report.leaderboard_tables import BOARD_METRICS, board_metrics, metric_header, rank_text
from harness.report.markdown import escape, format_table, span
from harness.report.tables import Column, Table, to_markdown
from harness.run.runner import Options, Run
from harness.scoring.collection import JointLeaderboard, joint_leaderboards
from harness.scoring.leaderboard import CellResult
from harness.statistics.metrics import DISPLAY_NAMES
from harness.suite.collection import Collection

TOGETHER = "Labelers are ranked together where they answered for the same test rows under the same truth, nowhere else."
MIXED = (
    "Every line above in one list by its accuracy, as a record of experiments prints it. It ranks nothing: the lines "
    "differ in population, in test rows and in how many labels they had, and a larger number says nothing of a method."
)


def write_collection(collection: Collection, scored: list[tuple[Run, list[CellResult]]], options: Options) -> Path:
    """Write leaderboards/<name>/README.md; return the file."""
    folder = options.output / "leaderboards" / str(collection.name)
    write_files(folder, collection_files(collection, scored))
    return folder / "README.md"


def outdated_files(collection: Collection, scored: list[tuple[Run, list[CellResult]]], options: Options) -> list[str]:
    """Return one line if the page on disk differs from the finished cells."""
    folder = options.output / "leaderboards" / str(collection.name)
    return list(find_differences(folder, collection_files(collection, scored)))


def collection_files(collection: Collection, scored: list[tuple[Run, list[CellResult]]]) -> dict[str, str]:
    """Return {name: text}."""
    return {"README.md": markdown(collection, [run for run, _ in scored], joint_leaderboards(scored))}


def markdown(collection: Collection, runs: list[Run], leaderboards: list[JointLeaderboard]) -> str:
    """Return the whole page."""
    simulated = any(run.simulated for run in runs)
    parts = [f"# {collection.name}", *([f"> **{SIMULATED_NOTE}**"] if simulated else []), _suites(runs), TOGETHER]
    for joint in leaderboards:
        parts += [f"## {escape(_heading(joint))}", _circumstances(joint), to_markdown(_ranked(joint))]
        claims = list(rank_claims(joint.leaderboard, runs[0].dataset.classes.names))
        parts += ["\n".join(f"- {claim}" for claim in claims)] if claims else []
    parts += ["## All lines, unranked", MIXED, to_markdown(_unranked(leaderboards), ("Labeler", "Where"))]
    parts += ["## Run it again", f"```\nharness run {collection.file}{run_options(runs[0])}\n```"]
    return "\n\n".join(parts) + "\n"


def _suites(runs: list[Run]) -> str:
    header = ["Suite", "Population", "Target", "Cells"]
    rows = []
    for run in runs:
        link = f"[{run.suite.name}](../{run.suite.name}/README.md)"
        rows.append([link, escape(str(run.suite.population)), escape(target(run)), str(len(run.cells))])
    return format_table(header, rows, header[:-1])


def _heading(joint: JointLeaderboard) -> str:
    run = joint.runs[0]
    return f"{run.suite.population}; {target(run)}; {headings(run)[joint.leaderboard.title]}"


def _circumstances(joint: JointLeaderboard) -> str:
    leaderboard = joint.leaderboard
    leaking = " Rows of this population are repeated, so train and test share rows." if _leaks(joint) else ""
    rows = f"Train {span(leaderboard.n_train)} rows, test {span(leaderboard.n_test)} rows.{leaking}"
    return f"Splits: {escape(leaderboard.title)}. {rows}"


def _leaks(joint: JointLeaderboard) -> bool:
    return any(run.dataset.oversampled for run in joint.runs)


def _ranked(joint: JointLeaderboard) -> Table:
    """Return the labelers of one comparison, ranked."""
    metrics = board_metrics(joint.runs[0])
    rows = tuple(
        (rank_text(row), row.title, *map(row.values.get, metrics), row.oracle_gap, f"{row.ok}/{row.total}")
        for row in joint.leaderboard.rows
    )
    scores = map(Column, ("Rank", "Labeler", *map(metric_header, metrics)))
    return Table("", joint.leaderboard.title, (*scores, Column("Oracle gap", signed=True), Column("Cells")), rows)


def _unranked(leaderboards: list[JointLeaderboard]) -> Table:
    """Return all labelers of all comparisons, sorted by accuracy."""
    lines = []
    for joint in leaderboards:
        where = _heading(joint) + (" (leaking by design)" if _leaks(joint) else "")
        for row in joint.leaderboard.rows:
            if "accuracy" in row.values:
                key = (-row.values["accuracy"].mean, row.title, where)
                lines.append((key, (row.title, *map(row.values.get, BOARD_METRICS), where)))
    lines.sort(key=lambda line: line[0])
    names = ("Labeler", *(DISPLAY_NAMES[metric] for metric in BOARD_METRICS), "Where")
    return Table("", "All lines, unranked", tuple(map(Column, names)), tuple(row for _, row in lines))
