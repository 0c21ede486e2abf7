"""The page over a list of suites: labelers ranked wherever they answered for the same rows, and one mixed list."""

from collections.abc import Iterator
from pathlib import Path

from harness.report.leaderboard_folder import differences, put
from harness.report.leaderboard_page import SIMULATED, claims, target
from harness.report.markdown import escape, number, place, span, spread, table
from harness.run.runner import Options, Run
from harness.scoring.collection import Contest, contests
from harness.scoring.leaderboard import Ending, Line
from harness.statistics.metrics import DISPLAY_NAMES, LOWER_IS_BETTER
from harness.suite.collection import Collection

TOGETHER = "Labelers are ranked together where they answered for the same test rows under the same truth, nowhere else."
MIXED = (
    "Every line above in one list by its accuracy, as a record of experiments prints it. It ranks nothing: the lines "
    "differ in population, in test rows and in how many labels they had, and a larger number says nothing of a method."
)


def write(collection: Collection, scored: list[tuple[Run, list[Ending]]], options: Options) -> Path:
    """Write leaderboards/<name>/README.md from the finished cells of its suites; returns the file."""
    folder = options.output / "leaderboards" / str(collection.name)
    put(folder, files(collection, scored))
    return folder / "README.md"


def stale(collection: Collection, scored: list[tuple[Run, list[Ending]]], options: Options) -> list[str]:
    """Return one line if the page on disk is not what the finished cells say now."""
    return list(differences(options.output / "leaderboards" / str(collection.name), files(collection, scored)))


def files(collection: Collection, scored: list[tuple[Run, list[Ending]]]) -> dict[str, str]:
    """Return {name: text}."""
    return {"README.md": markdown(collection, [run for run, _ in scored], contests(scored))}


def markdown(collection: Collection, runs: list[Run], found: list[Contest]) -> str:
    """Return the whole page."""
    simulated = any(run.simulated for run in runs)
    parts = [f"# {collection.name}", *([f"> **{SIMULATED}**"] if simulated else []), _suites(runs), TOGETHER]
    for contest in found:
        parts += [f"## {escape(_where(contest))}", _circumstances(contest), _ranked(contest)]
        parts += ["\n".join(f"- {claim}" for claim in told)] if (told := list(claims(contest.comparison))) else []
    parts += ["## All lines, unranked", MIXED, _mixed(found)]
    parts += ["## Run it again", f"```\nharness run {collection.file}{_rows(runs)}\n```"]
    return "\n\n".join(parts) + "\n"


def _suites(runs: list[Run]) -> str:
    header = ["Suite", "Population", "Target", "Cells"]
    rows = []
    for run in runs:
        link = f"[{run.suite.name}](../{run.suite.name}/README.md)"
        rows.append([link, escape(str(run.suite.population)), escape(target(run)), str(len(run.cells))])
    return table(header, rows, left=("Suite", "Population", "Target"))


def _where(contest: Contest) -> str:
    run = contest.runs[0]
    return f"{run.suite.population}; {target(run)}; {contest.comparison.title}"


def _circumstances(contest: Contest) -> str:
    comparison = contest.comparison
    leaking = " Rows of this population are repeated, so train and test share rows." if _leaks(contest) else ""
    return f"Train {span(comparison.n_train)} rows, test {span(comparison.n_test)} rows.{leaking}"


def _leaks(contest: Contest) -> bool:
    return any(run.dataset.oversampled for run in contest.runs)


def _ranked(contest: Contest) -> str:
    primary = contest.runs[0].suite.metrics.primary
    metrics = [primary, *(metric for metric in ("accuracy", "macro_f1", "mae") if metric != primary)]
    rows = [
        [
            place(line),
            escape(line.title),
            *(spread(line.values.get(metric)) for metric in metrics),
            number(line.oracle_gap, signed=True),
            f"{line.ok}/{line.total}",
        ]
        for line in contest.comparison.lines
    ]
    return table(["Rank", "Labeler", *map(_arrowed, metrics), "Oracle gap", "Cells"], rows)


def _arrowed(metric: str) -> str:
    return f"{DISPLAY_NAMES[metric]} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def _mixed(found: list[Contest]) -> str:
    lines = [(contest, line) for contest in found for line in contest.comparison.lines if "accuracy" in line.values]
    lines.sort(key=lambda pair: (-pair[1].values["accuracy"].mean, pair[1].title, _where(pair[0])))
    header = ["Labeler", DISPLAY_NAMES["accuracy"], DISPLAY_NAMES["macro_f1"], DISPLAY_NAMES["mae"], "Where"]
    return table(header, [list(_row(contest, line)) for contest, line in lines], left=("Labeler", "Where"))


def _row(contest: Contest, line: Line) -> Iterator[str]:
    yield escape(line.title)
    yield from (spread(line.values.get(metric)) for metric in ("accuracy", "macro_f1", "mae"))
    yield escape(_where(contest) + (" (leaking by design)" if _leaks(contest) else ""))


def _rows(runs: list[Run]) -> str:
    options = runs[0].options
    threads = f" --threads {options.threads}" if options.threads else ""
    return threads + ("" if options.twin_rows is None else f" --twin-rows {options.twin_rows}")
