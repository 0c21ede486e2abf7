"""A leaderboard as a folder of files: which there are, writing them, and whether those on disk are still right."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.pages import figures, fits, plots, sheets
from harness.pages.detail import details
from harness.pages.figures import Figure
from harness.pages.portrait import Portrait, portray
from harness.pages.render import command, markdown, target
from harness.pages.settings import tried
from harness.pages.tables import pair_rows, scores_csv, standing_rows, to_csv, write_csvs, write_tables
from harness.rank import Comparison, Ending
from harness.run import Run

ABOUT = "board.json"  # what the index says of a board
PLOTS = "plots"


def write(run: Run, ended: list[Ending], comparisons: list[Comparison]) -> Path:
    """Write leaderboards/<suite>/ and the run's tables; returns the Markdown file."""
    folder = run.options.output / "leaderboards" / run.suite.name
    made = files(run, ended, comparisons)
    put(folder, made)
    write_csvs(folder, run, ended)
    for name in _strangers(folder, made):
        (folder / name).unlink()
    write_tables(run, ended)
    return folder / "README.md"


def files(run: Run, ended: list[Ending], comparisons: list[Comparison]) -> dict[str, str]:
    """Return {name: text} of what does not change when the suite runs again, but for scores.csv, which may be long."""
    portrait = portray(run, ended, comparisons)
    learning = plots.learning(portrait)
    trusted = {
        each.title: plots.trusted(portrait, each.title, place) for place, each in enumerate(comparisons, start=1)
    }
    drawn = [figure for group in (*learning.values(), *trusted.values()) for figure in group]
    tables = {each.title: table for each in comparisons if (table := tried(run, each)) is not None}
    page = markdown(run, comparisons, details(ended), _links(trusted), _links(learning), fits.fits(portrait), tables)
    tabled = [*_plotted(portrait, comparisons), *tables.values()]
    return {
        "README.md": page,
        "standings.csv": to_csv(standing_rows(comparisons)),
        "pairs.csv": to_csv(pair_rows(comparisons)),
        ABOUT: json.dumps(_about(run, comparisons), indent=1, ensure_ascii=False) + "\n",
        **{f"{PLOTS}/{figure.name}.svg": figures.svg(figure, run.simulated) for figure in drawn},
        **{f"{PLOTS}/{name}": text for name, text in sheets.twins(tabled).items()},
    }


def unbegun(run: Run, ended: list[Ending]) -> str | None:
    """Say what is missing where no cell has run: a board of nothing would take the place of one that says something."""
    if any(ending.status != "not run" for ending in ended):
        return None
    folder = run.store.folder
    return f"no cell of {run.suite.name} has run in {folder}, with these options; run it first: {command(run)}"


def stale(run: Run, ended: list[Ending], comparisons: list[Comparison]) -> list[str]:
    """Return one line for every file of the board on disk that is not what the finished cells say now."""
    folder = run.options.output / "leaderboards" / run.suite.name
    if not any(ending.scores for ending in ended):
        raise HarnessError(
            f"no cell of {run.suite.name} is finished in {run.store.folder}: there is nothing to check by; whether the "
            f"files of its board agree with each other says harness leaderboard {folder} --check"
        )
    made = files(run, ended, comparisons) | {"scores.csv": scores_csv(ended)}
    return [*differences(folder, made), *(f"{folder / name}: belongs to no board" for name in _strangers(folder, made))]


def differences(folder: Path, made: Mapping[str, str]) -> Iterator[str]:
    """Yield one line for every file in a folder that is missing or differs; of a page, which part differs first."""
    for name, text in made.items():
        file = folder / name
        if not file.is_file():
            yield f"{file}: is missing"
            continue
        found = file.read_bytes()
        if found != text.encode():
            yield f"{file}: is stale{_part(found.decode(errors='replace'), text) if name.endswith('.md') else ''}"


def put(folder: Path, made: Mapping[str, str]) -> None:
    """Write files, each at once: a reader sees the old one or the new one."""
    for name, text in made.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_name(f"{file.name}.{os.getpid()}.part")  # two runs may write the index at a time
        scratch.write_bytes(text.encode())
        scratch.replace(file)


def _part(found: str, made: str) -> str:
    one, other = (text.split("\n## ") for text in (found, made))
    first = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
    if first == 0:
        return ", above the first section"
    parts = other if first < len(other) else one
    return f", from section {parts[first].partition(chr(10))[0]!r} on"


def _strangers(folder: Path, made: Mapping[str, str]) -> list[str]:
    """Return the plots, and tables of plots, that the board does not have any more."""
    there = sorted(f"{PLOTS}/{file.name}" for file in (folder / PLOTS).glob("*") if file.suffix in (".svg", ".csv"))
    return [name for name in there if name not in made]


def _links(drawn: Mapping[str, list[Figure]]) -> dict[str, list[tuple[str, str]]]:
    return {of: [(figure.title, f"{PLOTS}/{figure.name}.svg") for figure in group] for of, group in drawn.items()}


def _plotted(portrait: Portrait, comparisons: list[Comparison]) -> Iterator[sheets.Sheet]:
    if portrait.curves:
        yield fits.points(portrait.curves)
        yield fits.fits(portrait)
    for comparison in comparisons:
        profiles = portrait.of(comparison.title)
        if profiles:
            yield sheets.coverage(profiles)
            yield sheets.reliability(profiles)


def _about(run: Run, comparisons: list[Comparison]) -> dict[str, object]:
    """Return what the index says: of the comparison with the most labels, who leads."""
    most = max(comparisons, key=lambda comparison: max(comparison.n_train))
    return {
        "name": run.suite.name,
        "data": run.dataset.table.shown,
        "simulated": run.simulated,
        "population": str(run.suite.population),
        "target": target(run),
        "labelers": len({line.title for comparison in comparisons for line in comparison.lines}),
        "comparison": most.title,
        "leading": [line.title for line in most.ahead],
        "command": command(run),
    }
