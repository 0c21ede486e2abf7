"""The page over a list of suites: labelers ranked wherever they answered for the same rows, and one mixed list."""

from collections.abc import Iterator
from pathlib import Path

from harness.report.leaderboard_folder import find_differences, write_files
from harness.report.leaderboard_page import SIMULATED_NOTE, claims, target
from harness.report.markdown import escape, format_table, mean_std, number, place, span
from harness.run.runner import Options, Run
from harness.scoring.collection import JointLeaderboard, joint_leaderboards
from harness.scoring.leaderboard import CellResult, LeaderboardRow
from harness.statistics.metrics import DISPLAY_NAMES, LOWER_IS_BETTER
from harness.suite.collection import Collection

TOGETHER = "Labelers are ranked together where they answered for the same test rows under the same truth, nowhere else."
MIXED = (
    "Every line above in one list by its accuracy, as a record of experiments prints it. It ranks nothing: the lines "
    "differ in population, in test rows and in how many labels they had, and a larger number says nothing of a method."
)


def write_collection(collection: Collection, scored: list[tuple[Run, list[CellResult]]], options: Options) -> Path:
    """Write leaderboards/<name>/README.md from the finished cells of its suites; returns the file."""
    folder = options.output / "leaderboards" / str(collection.name)
    write_files(folder, collection_files(collection, scored))
    return folder / "README.md"


def outdated_files(collection: Collection, scored: list[tuple[Run, list[CellResult]]], options: Options) -> list[str]:
    """Return one line if the page on disk is not what the finished cells say now."""
    return list(
        find_differences(options.output / "leaderboards" / str(collection.name), collection_files(collection, scored))
    )


def collection_files(collection: Collection, scored: list[tuple[Run, list[CellResult]]]) -> dict[str, str]:
    """Return {name: text}."""
    return {"README.md": markdown(collection, [run for run, _ in scored], joint_leaderboards(scored))}


def markdown(collection: Collection, runs: list[Run], found: list[JointLeaderboard]) -> str:
    """Return the whole page."""
    simulated = any(run.simulated for run in runs)
    parts = [f"# {collection.name}", *([f"> **{SIMULATED_NOTE}**"] if simulated else []), _suites(runs), TOGETHER]
    for joint in found:
        parts += [f"## {escape(_where(joint))}", _circumstances(joint), _ranked(joint)]
        parts += ["\n".join(f"- {claim}" for claim in told)] if (told := list(claims(joint.leaderboard))) else []
    parts += ["## All lines, unranked", MIXED, _mixed(found)]
    parts += ["## Run it again", f"```\nharness run {collection.file}{_rows(runs)}\n```"]
    return "\n\n".join(parts) + "\n"


def _suites(runs: list[Run]) -> str:
    header = ["Suite", "Population", "Target", "Cells"]
    rows = []
    for run in runs:
        link = f"[{run.suite.name}](../{run.suite.name}/README.md)"
        rows.append([link, escape(str(run.suite.population)), escape(target(run)), str(len(run.cells))])
    return format_table(header, rows, left=("Suite", "Population", "Target"))


def _where(joint: JointLeaderboard) -> str:
    run = joint.runs[0]
    return f"{run.suite.population}; {target(run)}; {joint.leaderboard.title}"


def _circumstances(joint: JointLeaderboard) -> str:
    leaderboard = joint.leaderboard
    leaking = " Rows of this population are repeated, so train and test share rows." if _leaks(joint) else ""
    return f"Train {span(leaderboard.n_train)} rows, test {span(leaderboard.n_test)} rows.{leaking}"


def _leaks(joint: JointLeaderboard) -> bool:
    return any(run.dataset.oversampled for run in joint.runs)


def _ranked(joint: JointLeaderboard) -> str:
    primary = joint.runs[0].suite.metrics.primary
    metrics = [primary, *(metric for metric in ("accuracy", "macro_f1", "mae") if metric != primary)]
    rows = [
        [
            place(row),
            escape(row.title),
            *(mean_std(row.values.get(metric)) for metric in metrics),
            number(row.oracle_gap, signed=True),
            f"{row.ok}/{row.total}",
        ]
        for row in joint.leaderboard.rows
    ]
    return format_table(["Rank", "Labeler", *map(_arrowed, metrics), "Oracle gap", "Cells"], rows)


def _arrowed(metric: str) -> str:
    return f"{DISPLAY_NAMES[metric]} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def _mixed(found: list[JointLeaderboard]) -> str:
    lines = [(joint, row) for joint in found for row in joint.leaderboard.rows if "accuracy" in row.values]
    lines.sort(key=lambda pair: (-pair[1].values["accuracy"].mean, pair[1].title, _where(pair[0])))
    header = ["Labeler", DISPLAY_NAMES["accuracy"], DISPLAY_NAMES["macro_f1"], DISPLAY_NAMES["mae"], "Where"]
    return format_table(header, [list(_row(joint, row)) for joint, row in lines], left=("Labeler", "Where"))


def _row(joint: JointLeaderboard, row: LeaderboardRow) -> Iterator[str]:
    yield escape(row.title)
    yield from (mean_std(row.values.get(metric)) for metric in ("accuracy", "macro_f1", "mae"))
    yield escape(_where(joint) + (" (leaking by design)" if _leaks(joint) else ""))


def _rows(runs: list[Run]) -> str:
    options = runs[0].options
    threads = f" --threads {options.threads}" if options.threads else ""
    return threads + ("" if options.twin_rows is None else f" --twin-rows {options.twin_rows}")
