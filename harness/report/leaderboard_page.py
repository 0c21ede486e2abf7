"""Ranked comparisons as Markdown, CSV and a table on the terminal. The Markdown holds only values that do not change
when the same suite runs again: no time, no host, no count of reused cells."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

import harness
from harness.report.labeler_tables import LabelerTable
from harness.report.learning_curves import refusal_reason
from harness.report.markdown import LEADER_MARK, escape, format_table, interval, mean_std, number, place, sentence, span
from harness.report.tables import Table
from harness.report.tuning import headline
from harness.run.runner import Run
from harness.scoring import audit_verdicts
from harness.scoring.leaderboard import Leaderboard, LeaderboardRow
from harness.statistics.metrics import DISPLAY_NAMES, LOWER_IS_BETTER
from harness.statistics.significance import MIN_UNITS
from harness.utils.hashing import library_versions

CURVE_NOTE = (
    "The ratios of one splitter are one curve, not independent trials: their train sets are nested and their test rows "
    "shared. `harness compare SUITE --labelers A B` compares curves by one summary a seed, the mean over the ratios."
)
SIMULATED_NOTE = "SIMULATED DATA: nothing on this page says anything about real data."
LEAKING_NOTE = "LEAKING BY DESIGN: rows of this population are repeated, so train and test share rows."
REASONS_HEADER = ("Splits", "Labeler", "Of", "Why not")  # columns of the fits that hold words

Links = Mapping[str, list[tuple[str, str]]]
"""(title, file) of the plots of a comparison, or of a kind of split."""


def markdown(
    run: Run,
    leaderboards: list[Leaderboard],
    details: Mapping[tuple[str, str], list[LabelerTable]],
    plots: Links,
    curves: Links,
    fits: Table,
    tuning: Mapping[str, Table],
) -> str:
    """Return the whole page; `details` has the details of (comparison, labeler), `curves` the plots over train sizes,
    `tuning` of a comparison whether its methods were tuned alike.
    """
    parts = [f"# {run.suite.name}", *(f"> **{warning}**" for warning in warnings(run)), _about(run)]
    for leaderboard in leaderboards:
        parts += [f"## {escape(leaderboard.title)}", circumstances(leaderboard), _leaderboard(run, leaderboard)]
        parts += list(_notes(run, leaderboard))
        if leaderboard.title in tuning:
            tried = tuning[leaderboard.title]
            parts.append(f"<details>\n<summary>{headline(tried)}</summary>")
            parts += [*_table(tried, left=("Method", "Best")), "</details>"]
        parts += list(_by_source(leaderboard))
        parts += _pictures(plots.get(leaderboard.title, []))
        parts += [
            _details(row, tables) for row in leaderboard.rows if (tables := details.get((leaderboard.title, row.title)))
        ]
    if curves:
        parts += ["## Learning curves", *(part for each in curves.values() for part in _pictures(each)), *_fits(fits)]
    if any(_splitter(one) == _splitter(other) for one, other in combinations(leaderboards, 2)):
        parts.append(CURVE_NOTE)
    parts += ["## Run it again", _reproduction(run)]
    return "\n\n".join(parts) + "\n"


def _pictures(links: list[tuple[str, str]]) -> list[str]:
    return [f"![{escape(title)}]({file})" for title, file in links]


def _table(table: Table, left: tuple[str, ...]) -> Iterator[str]:
    rows = [[escape(table.format_cell(i, cell)) for i, cell in enumerate(row)] for row in table.rows]
    yield format_table([escape(column.name) for column in table.columns], rows, left=left)
    yield "\n".join(f"- {sentence(note)}" for note in table.notes)


def _fits(fits: Table) -> Iterator[str]:
    """Yield the fits of accuracy; those of the other scores are in their CSV."""
    chosen = replace(fits, rows=tuple(row for row in fits.rows if row[2] == DISPLAY_NAMES["accuracy"]))
    why = refusal_reason(chosen)
    yield from [f"No curve is fitted: {escape(why)}."] if why else _table(chosen, REASONS_HEADER)
    yield "Every point and every fit is in `plots/curves.parquet` and `plots/fits.csv`."


def print_leaderboards(run: Run, leaderboards: list[Leaderboard], console: Console) -> None:
    """Print one table for each comparison."""
    for warning in warnings(run):
        console.print(warning, style="bold yellow", markup=False)
    for leaderboard in leaderboards:
        columns = list(zip(*_rows(run, leaderboard), strict=True))
        widths = [max(map(len, column)) + 3 for column in columns]
        # Where the terminal is narrow, the classes go first, then what stands furthest to the right.
        order = sorted(range(len(columns)), key=lambda i: ("(n=" in columns[i][0], i))
        kept = sorted(i for place, i in enumerate(order) if sum(widths[j] for j in order[: place + 1]) < console.width)
        board = RichTable(title=leaderboard.title, title_justify="left", header_style="bold")
        for i in kept:
            board.add_column(columns[i][0], justify="left" if columns[i][0] == "Labeler" else "right", no_wrap=True)
        for row in zip(*(columns[i][1:] for i in kept), strict=True):
            board.add_row(*map(Text, row))
        console.print(board)


def _splitter(leaderboard: Leaderboard) -> str:
    return leaderboard.title.rpartition(", ")[0]


def warnings(run: Run) -> list[str]:
    """Return what every page of this run is headed by."""
    found = [SIMULATED_NOTE] if run.simulated else []
    if run.dataset.oversampled:
        found.append(LEAKING_NOTE)
    if run.suite.protocol == "record":
        found.append("ORACLE NUMBERS (protocol: record): the best checkpoint was chosen on the test rows.")
    return found


def about(run: Run) -> list[tuple[str, str]]:
    """Return what was asked about: data, rows, target, shares of the classes, protocol."""
    dataset = run.dataset
    shares = np.bincount(dataset.y, minlength=dataset.n_classes) / len(dataset.y)
    return [
        ("Data", f"{dataset.table.display_name}, SHA-256 {dataset.table.sha256[:16]}"),
        ("Rows", f"{len(dataset):,} (population: {run.suite.population}), {len(dataset.labelled):,} of them labelled"),
        ("Target", f"{target(run)}, classes 0 to {dataset.n_classes - 1}"),
        ("Class shares", " / ".join(f"{share * 100:.2f}" for share in shares) + " %"),
        ("Protocol", run.suite.protocol),
    ]


def target(run: Run) -> str:
    """Name the target: its column, or how it is fused."""
    asked = run.suite.data.target
    return asked if isinstance(asked, str) else f"{asked.fuse} of {', '.join(asked.of)}"


def _about(run: Run) -> str:
    return "\n".join(f"- {name}: {escape(value)}" for name, value in about(run))


def circumstances(leaderboard: Leaderboard) -> str:
    """Say how many rows train and test, and over which splits the numbers are means."""
    seeds = ", ".join(str(seed) for seed in leaderboard.seeds)
    means = "mean ± standard deviation over the splits" if len(leaderboard.n_test) > 1 else "one split: no spread"
    return (
        f"Train {span(leaderboard.n_train)} rows, test {span(leaderboard.n_test)} rows; "
        f"seed{'s' if len(leaderboard.seeds) > 1 else ''} {seeds} ({means})."
    )


def _leaderboard(run: Run, leaderboard: Leaderboard) -> str:
    header, *rows = _rows(run, leaderboard)
    return format_table([escape(cell) for cell in header], [[escape(cell) for cell in row] for row in rows])


def _rows(run: Run, leaderboard: Leaderboard) -> Iterator[list[str]]:
    """Yield the header, then one row for each labeler."""
    columns = list(_columns(run, leaderboard))
    yield [header for header, _ in columns]
    for row in leaderboard.rows:
        yield [shown(row) for _, shown in columns]


def _columns(run: Run, leaderboard: Leaderboard) -> Iterator[tuple[str, Callable[[LeaderboardRow], str]]]:
    """Yield every column: its header, and what it shows of a line."""
    primary = run.suite.metrics.primary
    yield "Rank", place
    yield "Labeler", lambda row: row.title
    yield _arrowed(primary), lambda row: mean_std(row.values.get(primary))
    if any(row.standing for row in leaderboard.rows):
        yield "95 % interval", lambda row: interval(row.standing.interval if row.standing else None)
    yield f"vs {run.suite.metrics.baseline}", _against
    for metric in (m for m in ("accuracy", "macro_f1", "mae") if m != primary):
        yield _arrowed(metric), lambda row, metric=metric: mean_std(row.values.get(metric))  # type: ignore[misc]
    for c, counts in leaderboard.support.items():
        few = ", few" if min(counts) < MIN_UNITS else ""
        yield f"{c} (n={span(counts)}{few})", lambda row, c=c: number(row.by_class.get(c), 2)  # type: ignore[misc]
    yield "Oracle gap", lambda row: number(row.oracle_gap, signed=True)
    yield "Cells", lambda row: f"{row.ok}/{row.total}"
    verdicts = _verdicts(run, leaderboard)
    if verdicts:
        yield "Audit", lambda row: verdicts.get(row.title, "–")


def _arrowed(metric: str) -> str:
    return f"{DISPLAY_NAMES[metric]} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def _against(row: LeaderboardRow) -> str:
    against = row.standing.against if row.standing else None
    if against is None:
        return number(row.difference, signed=True)
    return f"{number(against.value, signed=True)} ({interval(against.interval, signed=True)})"


def _verdicts(run: Run, leaderboard: Leaderboard) -> dict[str, str]:
    """Return what an audit has said of each labeler, where it has seen all of the labeler's cells as they are."""
    known = audit_verdicts.read_verdicts(run.store.folder)
    keys: dict[str, set[str]] = {}
    for cell in run.cells if known else ():
        if cell.evaluation.comparison == leaderboard.title:
            keys.setdefault(cell.candidate.title, set()).add(cell.key)
    return {title: known[min(mine)].judgement for title, mine in keys.items() if mine <= known.keys()}


def _notes(run: Run, leaderboard: Leaderboard) -> Iterator[str]:
    notes = list(claims(leaderboard))
    if any("=" in row.rank for row in leaderboard.rows):
        notes.append("`=` marks ties: equal to the printed precision.")
    if any(min(counts) < MIN_UNITS for counts in leaderboard.support.values()):
        notes.append(f"A class with fewer than {MIN_UNITS} test rows (few) is shown; nothing is ranked on it.")
    if any(row.oracle_gap is not None for row in leaderboard.rows):
        notes.append("Oracle gap: what choosing the best checkpoint on the test rows would add; no labeler may do so.")
    if notes:
        yield "\n".join(f"- {note}" for note in notes)
    faults = [f"- {escape(row.title)}: {escape(why)}" for row in leaderboard.rows for why in _reasons(row)]
    if faults:
        yield "Not ranked:\n\n" + "\n".join(faults)


def claims(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield what the ranks of a comparison claim and what they do not."""
    found = leaderboard.standings
    if found is None or not found.pairs:
        if found is not None and found.evidence.why and len(found.evidence.titles) > 1:
            yield f"Ranks are by the numbers alone: {found.evidence.why}."
        return
    unit = found.evidence.unit
    if not found.has_enough_rows:
        yield f"Fewer than {MIN_UNITS} test {unit}: no labeler is told from another."
        return
    leading = f"; `{LEADER_MARK}` marks the leading group, which nobody beats significantly"
    yield (
        "Ranks are intervals: 1 + the number of labelers significantly better, to the number ranked - those "
        f"significantly worse{leading if any(standing.leading for standing in found.by_title.values()) else ''}. "
        f"{len(found.pairs):,} pair{'s' if len(found.pairs) > 1 else ''} on the same test {unit}, at most 5 % false "
        "separations together (Holm)."
    )
    yield (
        f"Smallest detectable difference: {number(found.detectable)} among all pairs, {number(found.planned)} for one "
        "pair that is the only question (found in four of five such runs)."
    )
    yield (
        f"Intervals are 95 % each for itself, over the draw of the test {unit} "
        + (
            f"and of the {found.seeds} seeds."
            if found.seeds > 1
            else "alone: one seed, so nothing is claimed of what another seed would change."
        )
    )
    if found.evidence.classes is not None:
        listed = ", ".join(map(str, found.evidence.classes))
        yield f"Macro-F1 is ranked, and intervals and differences are, over the classes {listed} alone."


def _reasons(row: LeaderboardRow) -> list[str]:
    if row.leak is not None:
        return [f"leak: {row.leak}"]
    if row.not_applicable is not None:
        return [f"not applicable: {row.not_applicable}"]
    if row.failures:
        return [f"failed: {reason}" for reason in row.failures]
    return [] if row.rank else ["not all of its cells have run"]


def _by_source(leaderboard: Leaderboard) -> Iterator[str]:
    sources = sorted({source for row in leaderboard.rows for source in row.by_source})
    if 1 < len(sources) <= 30:
        rows = [
            [escape(row.title), *(number(row.by_source.get(source)) for source in sources)]
            for row in leaderboard.rows
            if row.by_source
        ]
        yield "Accuracy by source:\n\n" + format_table(["Labeler", *map(escape, sources)], rows)


def _details(row: LeaderboardRow, tables: list[LabelerTable]) -> str:
    """Return the details of one labeler, folded away."""
    means = f", means of {row.ok} cells" if row.ok > 1 else ""
    parts = [f"<details>\n<summary>Inside {escape(row.title)}{means}</summary>"]
    for labeler_table in tables:
        header, rows = [*map(escape, labeler_table.columns)], [[*map(escape, row)] for row in labeler_table.rows]
        parts += [
            f"{escape(labeler_table.title)}:",
            format_table(header, rows, left=header[:1]),
            *map(sentence, labeler_table.notes),
        ]
    return "\n\n".join([*parts, "</details>"])


def command(run: Run) -> str:
    """Return the command that runs it again."""
    threads = f" --threads {run.options.threads}" if run.options.threads else ""
    rows = threads + ("" if run.options.twin_rows is None else f" --twin-rows {run.options.twin_rows}")
    return f"harness run {_shown(run.suite.file)}{rows}"


def made_with(run: Run) -> str:
    """Name the versions and the hardware that the numbers were made with."""
    hardware = run.options.hardware
    used = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    threads = "1 thread" if hardware.threads == 1 else f"{hardware.threads} threads"
    return f"labelharness {harness.__version__}, {used}; device {hardware.device}, {threads} a cell."


def _reproduction(run: Run) -> str:
    return (
        f"```\n{command(run)}\n```\n\n{made_with(run)}\n\n"
        "Every number is in `scores.parquet`, where each labeler stands in `standings.csv`, every pair in "
        "`pairs.parquet`; how long the cells took is in `timings.csv`. "
        f"`harness leaderboard {command(run).split()[2]} --csv` writes the parquet files as CSV too."
    )


def _shown(file: Path) -> str:
    absolute = file.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else file.name
