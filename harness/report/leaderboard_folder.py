"""A leaderboard as a folder of files: which there are, writing them, and whether those on disk are still right."""

import json
import os
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.report import learning_curves, plots, svg
from harness.report import tables as report_tables
from harness.report.csv_files import (
    TIMING_COLUMNS,
    pair_rows,
    score_rows,
    standing_rows,
    timing_rows,
    to_csv,
    write_tables,
)
from harness.report.labeler_tables import labeler_tables
from harness.report.leaderboard_page import command, markdown, target
from harness.report.parquet_files import (
    COLUMNS,
    PAIRS,
    SCORES,
    csv_copy,
    csv_name,
    has_same_rows,
    read_parquet,
    to_parquet,
)
from harness.report.svg import Figure
from harness.report.tuning import tuning_table
from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult, Leaderboard
from harness.scoring.profiles import RunProfile, profile_run

BOARD_FILE = "board.json"  # what the index says of a board
PLOTS_FOLDER = "plots"
SUFFIXES = (".svg", ".csv", ".parquet")
BOARD_TABLES = {*map(csv_name, COLUMNS), *COLUMNS}


def write_leaderboard(
    run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard], csv: bool = False
) -> Path:
    """Write leaderboards/<suite>/ and the run's tables; return the page.

    With `csv` the long tables have CSV copies beside them.
    """
    folder = run.options.output / "leaderboards" / run.suite.name
    made = leaderboard_files(run, cell_results, leaderboards)
    if csv:
        made |= csv_copies(made)
    write_files(folder, made | {"timings.csv": to_csv(timing_rows(run, cell_results), TIMING_COLUMNS)})
    for name in orphaned_files(folder, made):
        if name.startswith(f"{PLOTS_FOLDER}/") or name in BOARD_TABLES:  # what else lies here, somebody has put here
            (folder / name).unlink()
    write_tables(run, cell_results)
    return folder / "README.md"


def leaderboard_files(
    run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard]
) -> dict[str, str | bytes]:
    """Return {name: content} of what does not change when the suite runs again."""
    run_profile = profile_run(run, cell_results, leaderboards)
    learning = plots.learning_figures(run_profile)
    trusted = {
        each.title: plots.confidence_figures(run_profile, each.title, place)
        for place, each in enumerate(leaderboards, start=1)
    }
    drawn = [figure for group in (*learning.values(), *trusted.values()) for figure in group]
    tables = {each.title: table for each in leaderboards if (table := tuning_table(run, each)) is not None}
    fits = learning_curves.fits_table(run_profile)
    page = markdown(run, leaderboards, labeler_tables(cell_results), _links(trusted), _links(learning), fits, tables)
    return {
        "README.md": page,
        "standings.csv": to_csv(standing_rows(leaderboards)),
        SCORES: to_parquet(SCORES, score_rows(cell_results)),
        PAIRS: to_parquet(PAIRS, pair_rows(leaderboards)),
        BOARD_FILE: json.dumps(_about(run, leaderboards), indent=1, ensure_ascii=False) + "\n",
        **{f"{PLOTS_FOLDER}/{figure.name}.svg": svg.draw_svg(figure, run.simulated) for figure in drawn},
        **dict(_plot_files([*_plot_tables(run_profile, leaderboards), *tables.values()])),
    }


def copy(folder: Path) -> None:
    """Write CSV copies of the long tables of a board."""
    for name in COLUMNS:
        if (file := folder / name).is_file():
            try:
                write_files(folder, {csv_name(name): csv_copy(read_parquet(name, file))})
            except ValueError as error:
                raise HarnessError(f"{file}: {error}") from None


def csv_copies(files: Mapping[str, str | bytes]) -> dict[str, str]:
    """Return {name: text} of the CSV copies of the long tables."""
    long = {name: content for name, content in files.items() if isinstance(content, bytes)}
    return {csv_name(name): csv_copy(read_parquet(name, content)) for name, content in long.items()}


def missing_cells_message(run: Run, cell_results: list[CellResult]) -> str | None:
    """Say what is missing where no cell has run: a board of nothing would take the place of one that says something."""
    if any(cell_result.status != "not run" for cell_result in cell_results):
        return None
    folder = run.store.folder
    return f"no cell of {run.suite.name} has run in {folder}, with these options; run it first: {command(run)}"


def outdated_files(run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard]) -> list[str]:
    """Return one line for every file of the board on disk that is not what the finished cells say now."""
    folder = run.options.output / "leaderboards" / run.suite.name
    if not any(cell_result.scores for cell_result in cell_results):
        raise HarnessError(
            f"no cell of {run.suite.name} is finished in {run.store.folder}: there is nothing to check by; whether the "
            f"files of its board agree with each other says harness leaderboard {folder} --check"
        )
    made = leaderboard_files(run, cell_results, leaderboards)
    made |= {name: text for name, text in csv_copies(made).items() if (folder / name).is_file()}
    return [
        *find_differences(folder, made),
        *(f"{folder / name}: belongs to no board" for name in orphaned_files(folder, made)),
    ]


def find_differences(folder: Path, files: Mapping[str, str | bytes]) -> Iterator[str]:
    """Yield one line for every file in a folder that is missing or differs; of a page, which part differs first."""
    for name, content in files.items():
        file = folder / name
        if not file.is_file():
            yield f"{file}: is missing"
            continue
        found = file.read_bytes()
        if isinstance(content, bytes):
            if not has_same_rows(name, found, content):
                yield f"{file}: is stale"
        elif found != content.encode():
            yield f"{file}: is stale{_part(found.decode(errors='replace'), content) if name.endswith('.md') else ''}"


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files, each at once: a reader sees the old one or the new one."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_name(f"{file.name}.{os.getpid()}.part")  # two runs may write the index at a time
        scratch.write_bytes(content.encode() if isinstance(content, str) else content)
        scratch.replace(file)


def _part(found: str, made: str) -> str:
    one, other = (text.split("\n## ") for text in (found, made))
    first = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
    if first == 0:
        return ", above the first section"
    parts = other if first < len(other) else one
    return f", from section {parts[first].partition(chr(10))[0]!r} on"


def orphaned_files(folder: Path, names: Container[str]) -> list[str]:
    """Return the plots and long tables that are not among a board's files."""
    plotted = sorted(
        f"{PLOTS_FOLDER}/{file.name}" for file in (folder / PLOTS_FOLDER).glob("*") if file.suffix in SUFFIXES
    )
    long = sorted(file.name for file in folder.iterdir() if file.suffix == ".parquet" or file.name in BOARD_TABLES)
    return [name for name in (*plotted, *long) if name not in names]


def _links(drawn: Mapping[str, list[Figure]]) -> dict[str, list[tuple[str, str]]]:
    return {
        of: [(figure.title, f"{PLOTS_FOLDER}/{figure.name}.svg") for figure in group] for of, group in drawn.items()
    }


def _plot_tables(run_profile: RunProfile, leaderboards: list[Leaderboard]) -> Iterator[report_tables.Table]:
    if run_profile.curves:
        yield learning_curves.points_table(run_profile.curves)
        yield learning_curves.fits_table(run_profile)
    for leaderboard in leaderboards:
        profiles = run_profile.of(leaderboard.title)
        if profiles:
            yield report_tables.coverage_table(profiles)
            yield report_tables.reliability_table(profiles)


def _plot_files(tables: list[report_tables.Table]) -> Iterator[tuple[str, str | bytes]]:
    """Yield (name, content) of the tables of the plots."""
    for stem in dict.fromkeys(table.file for table in tables):
        alike = [table for table in tables if table.file == stem]
        if (name := f"{PLOTS_FOLDER}/{stem}.parquet") in COLUMNS:
            yield name, to_parquet(name, (row for table in alike for row in table.records()))
        else:
            yield from ((f"{PLOTS_FOLDER}/{file}", text) for file, text in report_tables.to_csv_files(alike).items())


def _about(run: Run, leaderboards: list[Leaderboard]) -> dict[str, object]:
    """Return what the index says: of the comparison with the most labels, who leads."""
    most = max(leaderboards, key=lambda leaderboard: max(leaderboard.n_train))
    return {
        "name": run.suite.name,
        "data": run.dataset.table.display_name,
        "simulated": run.simulated,
        "population": str(run.suite.population),
        "target": target(run),
        "labelers": len({row.title for leaderboard in leaderboards for row in leaderboard.rows}),
        "comparison": most.title,
        "leading": [row.title for row in most.leaders],
        "command": command(run),
    }
