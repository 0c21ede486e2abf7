"""The folder of a leaderboard: its files, written or compared."""

import json
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.report import learning_curves, plots, profile_tables
from harness.report.csv_files import (
    TIMING_COLUMNS,
    pair_rows,
    standing_rows,
    timing_rows,
    to_csv,
)
from harness.report.headings import headings
from harness.report.leaderboard_page import command, markdown, target
from harness.report.parquet_files import (
    COLUMNS,
    PAIRS,
    SCORES,
    csv_copy,
    csv_name,
    has_same_rows,
    read_parquet,
    scores_to_parquet,
    to_parquet,
)
from harness.report.plot_files import svg_text
from harness.report.run_tables import write_tables
from harness.report.svg import Figure
from harness.report.tables import Table, to_csv_files
from harness.report.tuning import tuning_table
from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult, Leaderboard
from harness.scoring.profiles import RunProfile, profile_run
from harness.utils.files import replace_bytes, replace_text

BOARD_FILE = "board.json"  # the board's entry in the index
PLOTS_FOLDER = "plots"
SUFFIXES = (".svg", ".csv", ".parquet")
BOARD_TABLES = {*map(csv_name, COLUMNS), *COLUMNS}


def board_folder(run: Run) -> Path:
    """Return the folder of a run's leaderboard."""
    return run.options.output / "leaderboards" / run.suite.name


def write_leaderboard(
    run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard], csv: bool = False
) -> Path:
    """Write leaderboards/<suite>/ and the run's tables; return the page.

    With `csv` its long tables are also written as CSV.
    """
    folder = board_folder(run)
    files = leaderboard_files(run, cell_results, leaderboards)
    if csv:
        files |= csv_copies(files)
    write_files(folder, files | {"timings.csv": to_csv(timing_rows(run, cell_results), TIMING_COLUMNS)})
    for name in orphaned_files(folder, files):
        if name.startswith(f"{PLOTS_FOLDER}/") or name in BOARD_TABLES:  # other files are the reader's own
            (folder / name).unlink()
    write_tables(run, cell_results)
    return folder / "README.md"


def leaderboard_files(
    run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard]
) -> dict[str, str | bytes]:
    """Return {name: content} of the files that another run leaves as they are."""
    run_profile, titles = profile_run(run, cell_results, leaderboards), headings(run)
    curves = plots.learning_figures(run_profile, run.dataset.classes.names)
    confidence = {
        leaderboard.title: plots.confidence_figures(run_profile, leaderboard.title, i, titles[leaderboard.title])
        for i, leaderboard in enumerate(leaderboards, start=1)
    }
    figures = [figure for group in (*curves.values(), *confidence.values()) for figure in group]
    tuning = {
        leaderboard.title: table
        for leaderboard in leaderboards
        if (table := tuning_table(run, leaderboard)) is not None
    }
    fits, folder = learning_curves.fits_table(run_profile), board_folder(run) / PLOTS_FOLDER
    page = markdown(run, cell_results, leaderboards, _links(confidence), _links(curves), fits, tuning)
    return {
        "README.md": page,
        "standings.csv": to_csv(standing_rows(leaderboards)),
        SCORES: scores_to_parquet(cell_results),
        PAIRS: to_parquet(PAIRS, pair_rows(leaderboards)),
        BOARD_FILE: json.dumps(_board_record(run, leaderboards), indent=1, ensure_ascii=False) + "\n",
        **{f"{PLOTS_FOLDER}/{figure.name}.svg": svg_text(figure, run.simulated, folder) for figure in figures},
        **dict(_plot_files([*_plot_tables(run_profile, leaderboards), *tuning.values()])),
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
    """Return what to run first where no cell has run, else None.

    An empty board would replace one with numbers.
    """
    if any(result.status != "not run" for result in cell_results):
        return None
    folder = run.store.folder
    return f"no cell of {run.suite.name} has run in {folder}, with these options; run it first: {command(run)}"


def outdated_files(run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard]) -> list[str]:
    """Return a line for every file on disk that differs from the cells."""
    folder = board_folder(run)
    if not any(result.scores for result in cell_results):
        raise HarnessError(
            f"no cell of {run.suite.name} is finished in {run.store.folder}: there is nothing to check by; whether the "
            f"files of its board agree with each other says harness leaderboard {folder} --check"
        )
    files = leaderboard_files(run, cell_results, leaderboards)
    files |= {name: text for name, text in csv_copies(files).items() if (folder / name).is_file()}
    return [
        *find_differences(folder, files),
        *(f"{folder / name}: belongs to no board" for name in orphaned_files(folder, files)),
    ]


def find_differences(folder: Path, files: Mapping[str, str | bytes]) -> Iterator[str]:
    """Yield a line for every file in a folder that is missing or differs.

    Of a page it names the first section that differs.
    """
    for name, content in files.items():
        file = folder / name
        if not file.is_file():
            yield f"{file}: is missing"
            continue
        on_disk = file.read_bytes()
        if isinstance(content, bytes):
            if not has_same_rows(name, on_disk, content):
                yield f"{file}: is stale"
        elif on_disk != content.encode():
            where = _differing_section(on_disk.decode(errors="replace"), content) if name.endswith(".md") else ""
            yield f"{file}: is stale{where}"


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files, each at once: a reader sees the old one or the new one."""
    for name, content in files.items():
        if isinstance(content, str):
            replace_text(folder / name, content)
        else:
            replace_bytes(folder / name, content)


def _differing_section(on_disk: str, page: str) -> str:
    old, new = (text.split("\n## ") for text in (on_disk, page))
    first = next((i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), len(old))
    if first == 0:
        return ", above the first section"
    sections = new if first < len(new) else old
    return f", from section {sections[first].partition(chr(10))[0]!r} on"


def orphaned_files(folder: Path, names: Container[str]) -> list[str]:
    """Return the plots and long tables that are not among a board's files."""
    plotted = sorted(
        f"{PLOTS_FOLDER}/{file.name}" for file in (folder / PLOTS_FOLDER).glob("*") if file.suffix in SUFFIXES
    )
    long = sorted(file.name for file in folder.iterdir() if file.suffix == ".parquet" or file.name in BOARD_TABLES)
    return [name for name in (*plotted, *long) if name not in names]


def _links(figures: Mapping[str, list[Figure]]) -> dict[str, list[tuple[str, str]]]:
    return {
        name: [(figure.title, f"{PLOTS_FOLDER}/{figure.name}.svg") for figure in group]
        for name, group in figures.items()
    }


def _plot_tables(run_profile: RunProfile, leaderboards: list[Leaderboard]) -> Iterator[Table]:
    if run_profile.curves:
        yield learning_curves.points_table(run_profile.curves)
        yield learning_curves.fits_table(run_profile)
    for leaderboard in leaderboards:
        profiles = run_profile.of(leaderboard.title)
        if profiles:
            yield profile_tables.coverage_table(profiles)
            yield profile_tables.reliability_table(profiles)


def _plot_files(tables: list[Table]) -> Iterator[tuple[str, str | bytes]]:
    """Yield (name, content) of the tables of the plots."""
    for stem in dict.fromkeys(table.file for table in tables):
        group = [table for table in tables if table.file == stem]
        if (name := f"{PLOTS_FOLDER}/{stem}.parquet") in COLUMNS:
            yield name, to_parquet(name, (row for table in group for row in table.records()))
        else:
            yield from ((f"{PLOTS_FOLDER}/{file}", text) for file, text in to_csv_files(group).items())


def _board_record(run: Run, leaderboards: list[Leaderboard]) -> dict[str, object]:
    """Return the board's entry in the index.

    It names the leaders of the comparison with the most labels, with the score of the first: an interval only where
    ranks are tested.
    """
    most = max(leaderboards, key=lambda leaderboard: max(leaderboard.n_train))
    first = most.leaders[0] if most.leaders else None
    metric = run.suite.metrics.primary
    ends = first.standing.interval if first and first.standing and first.standing.leading else None
    low, high = ends or (None, None)
    return {
        "name": run.suite.name,
        "data": run.dataset.table.display_name,
        "simulated": run.simulated,
        "population": str(run.suite.population),
        "target": target(run),
        "labelers": len({row.title for leaderboard in leaderboards for row in leaderboard.rows}),
        "comparison": most.title,
        "leading": [row.title for row in most.leaders],
        "metric": metric,
        "value": first.values[metric].mean if first else None,
        "low": low,
        "high": high,
        "gain": first.difference if first else None,
        "command": command(run),
    }
