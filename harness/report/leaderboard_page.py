"""The Markdown page of a leaderboard.

It holds only values that do not change when the same suite runs again: no time, no host, no count of reused cells.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

import harness
from harness.report.claims import rank_claims
from harness.report.headings import headings
from harness.report.labeler_tables import labeler_tables
from harness.report.leaderboard_parts import split_leaderboard
from harness.report.leaderboard_tables import board_table, source_table
from harness.report.learning_curves import refusal_reason
from harness.report.markdown import escape, sentence, span
from harness.report.settling import settling_claim
from harness.report.tables import Table, to_markdown
from harness.report.tuning import headline
from harness.run.block_checks import block_remarks
from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult, Leaderboard, LeaderboardRow
from harness.statistics.metrics import DISPLAY_NAMES
from harness.statistics.significance import MIN_UNITS
from harness.utils.hashing import library_versions

CURVE_NOTE = (
    "The ratios of one splitter are one curve, not independent trials: their train sets are nested and their test rows "
    "shared. `harness compare SUITE --labelers A B` compares curves by one summary a seed, the mean over the ratios."
)
SIMULATED_NOTE = "SIMULATED DATA: nothing on this page says anything about real data."
LEAKING_NOTE = "LEAKING BY DESIGN: rows of this population are repeated, so train and test share rows."
ORACLE_NOTE = "ORACLE NUMBERS (protocol: record): the best checkpoint was chosen on the test rows."
FIT_TEXT_COLUMNS = ("Splits", "Labeler", "Of", "Why not")  # of the table of fits
GLOSSARY = "docs/glossary.md"

Links = Mapping[str, list[tuple[str, str]]]
"""(title, file) of the plots of a comparison, or of a kind of split."""


def markdown(
    run: Run,
    cell_results: list[CellResult],
    leaderboards: list[Leaderboard],
    plots: Links,
    curves: Links,
    fits: Table,
    tuning: Mapping[str, Table],
) -> str:
    """Return the whole page.

    `plots` has the plots of a comparison, `curves` those of a kind of split over train sizes, and `tuning` of a
    comparison the settings tried of each method.
    """
    words = f"[{GLOSSARY}]({link})" if (link := glossary_link(run)) else GLOSSARY
    parts = [f"# {run.suite.name}", *(f"> **{warning}**" for warning in warnings(run))]
    facts = [*about(run), *_workers(cell_results)]
    parts += [f"> {remark[0].upper()}{sentence(remark[1:])}." for remark in (*run.data_remarks, *block_remarks(run))]
    parts.append("\n".join([*(f"- {name}: {escape(value)}" for name, value in facts), f"- Words: {words}"]))
    tables, titles = labeler_tables(cell_results, run.dataset.classes.names), headings(run)
    settling = {
        leaderboard.title: settling_claim(r for r in cell_results if r.cell.evaluation.comparison == leaderboard.title)
        for leaderboard in leaderboards
    }
    for leaderboard in leaderboards:
        parts += [f"## {escape(titles[leaderboard.title])}", comparison_line(leaderboard), *untested_note(leaderboard)]
        parts += [
            *split_leaderboard(board_table(run, leaderboard)).markdown(),
            *_notes(run, leaderboard, settling.get(leaderboard.title)),
        ]
        if (settings := tuning.get(leaderboard.title)) is not None:
            parts.append(f"<details>\n<summary>{headline(settings)}</summary>")
            parts += [to_markdown(settings, ("Method", "Best")), _list(map(sentence, settings.notes)), "</details>"]
        if (sources := source_table(leaderboard)) is not None:
            parts.append(f"{sources.title}:\n\n{to_markdown(sources)}")
        parts += _pictures(plots.get(leaderboard.title, []))
        for row in leaderboard.rows:
            if (leaderboard.title, row.title) in tables:
                parts += _details(row, tables[leaderboard.title, row.title])
    if curves:
        parts += ["## Learning curves", *(part for links in curves.values() for part in _pictures(links)), *_fits(fits)]
    splitters = [leaderboard.title.rpartition(", ")[0] for leaderboard in leaderboards]
    if any(first == second for first, second in combinations(splitters, 2)):
        parts.append(CURVE_NOTE)
    parts += ["## Run it again", *_reproduction(run)]
    return "\n\n".join(parts) + "\n"


def warnings(run: Run) -> list[str]:
    """Return the warnings that head every page of a run."""
    lines = {
        SIMULATED_NOTE: run.simulated,
        LEAKING_NOTE: run.dataset.oversampled,
        ORACLE_NOTE: run.suite.protocol == "record",
    }
    return [line for line, applies in lines.items() if applies]


def about(run: Run) -> list[tuple[str, str]]:
    """Return (name, text) of data, rows, target, class shares, protocol."""
    dataset = run.dataset
    shares = np.bincount(dataset.y, minlength=dataset.n_classes) / len(dataset.y)
    return [
        ("Data", f"{dataset.table.display_name}, SHA-256 {dataset.table.sha256[:16]}"),
        ("Rows", f"{len(dataset):,} (population: {run.suite.population}), {len(dataset.labelled):,} of them labelled"),
        ("Target", f"{target(run)}, classes {dataset.classes}"),
        ("Class shares", " / ".join(f"{share * 100:.2f}" for share in shares) + " %"),
        ("Protocol", run.suite.protocol),
    ]


def _workers(cell_results: list[CellResult]) -> Iterator[tuple[str, str]]:
    """Yield whether the workers of the finished cells were confined."""
    confined = {bool(result.timing["confined"]) for result in cell_results if "confined" in result.timing}
    if confined:
        texts = {
            True: "confined to their task by the kernel",
            False: "not confined: a hostile labeler could read labels",
        }
        yield "Workers", " and ".join(texts[value] for value in sorted(confined, reverse=True))


def target(run: Run) -> str:
    """Return the name of the target: its column, or how it is fused."""
    column = run.suite.data.target
    return column if isinstance(column, str) else f"{column.fuse} of {', '.join(column.of)}"


def glossary_link(run: Run) -> str:
    """Return the address of the glossary from a board's folder.

    "" where the folder of the leaderboards has no docs beside it.
    """
    return f"../../{GLOSSARY}" if (run.options.output / GLOSSARY).is_file() else ""


def comparison_line(leaderboard: Leaderboard) -> str:
    """Return the line below a heading, which begins with the comparison."""
    return f"Splits: {escape(leaderboard.title)}. {circumstances(leaderboard)}"


def untested_note(leaderboard: Leaderboard) -> list[str]:
    """Return the line above a table whose ranks are not tested."""
    why = leaderboard.standings.untested if leaderboard.standings else None
    return [f"> {why}: ranks are not tested"] if why else []


def circumstances(leaderboard: Leaderboard) -> str:
    """Return a line on rows and seeds."""
    seeds = ", ".join(str(seed) for seed in leaderboard.seeds)
    means = "mean ± standard deviation over the seeds" if len(leaderboard.seeds) > 1 else "one seed: no spread"
    return (
        f"Train {span(leaderboard.n_train)} rows, test {span(leaderboard.n_test)} rows; "
        f"seed{'s' if len(leaderboard.seeds) > 1 else ''} {seeds} ({means})."
    )


def command(run: Run) -> str:
    """Return the command that runs the suite again."""
    file = run.suite.file.absolute()
    name = str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else file.name
    return f"harness run {name}{run_options(run)}"


def run_options(run: Run) -> str:
    """Return the options of a run that can change its numbers."""
    threads = f" --threads {run.options.threads}" if run.options.threads else ""
    return threads + ("" if run.options.twin_rows is None else f" --twin-rows {run.options.twin_rows}")


def made_with(run: Run) -> str:
    """Return the versions and the hardware behind the numbers."""
    hardware = run.options.hardware
    libraries = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    threads = "1 thread" if hardware.threads == 1 else f"{hardware.threads} threads"
    return f"labelharness {harness.__version__}, {libraries}; device {hardware.device}, {threads} a cell."


def _list(lines: Iterator[str] | list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _pictures(links: list[tuple[str, str]]) -> list[str]:
    return [f"![{escape(title)}]({file})" for title, file in links]


def _notes(run: Run, leaderboard: Leaderboard, settling: str | None) -> Iterator[str]:
    """Yield the notes below the ranks, and why a labeler has none."""
    remarks = run.remarks.get(leaderboard.title, [])
    classes = run.dataset.classes
    claims = rank_claims(leaderboard, classes.names)
    notes = [*(f"{remark[0].upper()}{remark[1:]}." for remark in remarks), *claims]
    if len(classes) == 2:
        notes.append(f"AUC and average precision are of class {escape(classes.names[1])}.")
    if settling:
        notes.append(settling)
    if any("=" in row.rank for row in leaderboard.rows):
        notes.append("`=` marks ties: equal to the printed precision.")
    if any(min(counts) < MIN_UNITS for counts in leaderboard.support.values()):
        notes.append(f"A class with fewer than {MIN_UNITS} test rows is shown; nothing is ranked on it.")
    if any(row.oracle_gap is not None for row in leaderboard.rows):
        notes.append("Oracle gap: what choosing the best checkpoint on the test rows would add; no labeler may do so.")
    if notes:
        yield _list(notes)
    reasons = [f"{escape(row.title)}: {escape(reason)}" for row in leaderboard.rows for reason in _unranked(row)]
    if reasons:
        yield f"Not ranked:\n\n{_list(reasons)}"


def _unranked(row: LeaderboardRow) -> list[str]:
    """Return the reasons why a labeler has no rank."""
    if row.leak is not None:
        return [f"leak: {row.leak}"]
    if row.not_applicable is not None:
        return [f"not applicable: {row.not_applicable}"]
    if row.failures:
        return [f"failed: {reason}" for reason in row.failures]
    return [] if row.rank else ["not all of its cells have run"]


def _details(row: LeaderboardRow, tables: list[Table]) -> Iterator[str]:
    """Yield the tables of one labeler, folded away."""
    means = f", means of {row.ok} cells" if row.ok > 1 else ""
    yield f"<details>\n<summary>Inside {escape(row.title)}{means}</summary>"
    for table in tables:
        yield f"{escape(table.title)}:"
        yield to_markdown(table, table.names[:1])
        yield from map(sentence, table.notes)
    yield "</details>"


def _fits(fits: Table) -> Iterator[str]:
    """Yield the fits of accuracy; those of the other scores are in the CSV."""
    accuracy = replace(fits, rows=tuple(row for row in fits.rows if row[2] == DISPLAY_NAMES["accuracy"]))
    if reason := refusal_reason(accuracy):
        yield f"No curve is fitted: {escape(reason)}."
    else:
        yield to_markdown(accuracy, FIT_TEXT_COLUMNS)
        yield _list(map(sentence, accuracy.notes))
    yield "Every point and every fit is in `plots/curves.parquet` and `plots/fits.csv`."


def _reproduction(run: Run) -> Iterator[str]:
    """Yield the command, the versions, and the files with the numbers."""
    yield f"```\n{command(run)}\n```"
    yield made_with(run)
    yield (
        "Every number is in `scores.parquet`, where each labeler stands in `standings.csv`, every pair in "
        "`pairs.parquet`; how long the cells took is in `timings.csv`. "
        f"`harness leaderboard {command(run).split()[2]} --csv` writes the parquet files as CSV too."
    )
