"""Our numbers against published ones, and labelers or suites against each other."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from harness.cli.options import (
    EXIT_GATE,
    Device,
    Json,
    Output,
    Plugin,
    RequireReal,
    SuiteFile,
    Threads,
    TwinRows,
    load_suites,
    make_reporter,
    open_run,
)
from harness.errors import HarnessError


def compare(
    suite: SuiteFile,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="[SUITE]", help="A second suite: the labelers that both have, on its cells."),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="A CSV file, or the name of one that a plugin package brings. Repeatable."),
    ] = None,
    within: Annotated[float, typer.Option(min=0, help="Differences up to this match, whatever is printed.")] = 0,
    labelers: Annotated[
        tuple[str, str] | None, typer.Option(help="Two labelers: what the second has more than the first.")
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(help="Exit code 3 where the difference is beyond it: accuracy:-0.5pp, mae:+0.02. Repeatable."),
    ] = None,
    threads: Threads = 0,
    device: Device = "auto",
    require_real: RequireReal = False,
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Compare the finished cells of a suite with published numbers, two of its labelers, or two suites. Runs nothing.

    With one suite alone: its numbers beside those of --reference, or of published_results.csv, the record's. With
    --labelers or a second suite: differences on the same rows, with their intervals; see docs/statistics.md.
    """
    from harness.run import runner

    talk = make_reporter(as_json)
    options = runner.Options(output, 1, threads, device=device, require_real=require_real, twin_rows=twin_rows)
    if other is None and labelers is None:
        if fail_if:
            raise HarnessError("--fail-if is about two labelers or two suites: give --labelers A B, or a second suite")
        _published(talk, suite, reference, within, options, plugin)
        return
    if reference:
        raise HarnessError(
            "--reference is about one suite and its published numbers: leave out the second or --labelers"
        )
    _pairs(talk, [suite] if other is None else [suite, other], labelers, fail_if or [], options, plugin)


def _published(
    talk: Any, suite: Path, reference: list[str] | None, within: float, options: Any, plugin: list[Path] | None
) -> None:
    from harness.report import reference_page
    from harness.scoring import score_run
    from harness.suite import reference as suite_reference

    loaded, found = load_suites(suite, plugin)
    files = [
        suite_reference.read_reference(suite_reference.find_file(name, found))
        for name in reference or [suite_reference.DEFAULT]
    ]
    named = [each for each in loaded.suites if each.reference is not None]
    if not named:
        raise HarnessError(
            f"{suite}: has no section 'reference', such as {{sections: [\"4.7\"], dataset: tulu_30k}}; to compare two "
            "labelers give --labelers A B"
        )
    for each in named:
        suite_reference.check_known(each.reference, str(each.file), files)
    readies = [open_run(talk, each, found, options) for each in named]
    scored = [(ready, list(score_run.score_cells(ready))) for ready in readies]
    talk.simulated = any(ready.simulated for ready in readies)
    verdicts = reference_page.judge_numbers(scored, files, within)
    page = reference_page.write_reference_page(loaded.name or named[0].name, scored, files, within, verdicts)
    tally = reference_page.counts(verdicts)
    if talk.as_json:
        for row in reference_page.rows(verdicts, talk.simulated):
            talk.event("number", **{key: value for key, value in row.items() if key != "simulated"})
        talk.event("done", page=str(page), **tally)
        return
    _show(talk, verdicts)
    shown = ", ".join(f"{count} {outcome}" for outcome, count in tally.items())
    talk.line(f"{len(verdicts)} numbers: {shown}; page: {page}")


def _show(talk: Any, verdicts: list[Any]) -> None:
    from harness.report import reference_page
    from harness.report.leaderboard_page import SIMULATED_NOTE

    if talk.simulated:
        talk.console.print(SIMULATED_NOTE, style="bold yellow", markup=False)
    several = len({each.row.file for each in verdicts}) > 1
    table = Table("Section", "Method", *reference_page.HEADER, box=None)
    for each in verdicts:
        if each.ours is not None:
            section = f"{each.row.file} {each.row.section}" if several else each.row.section
            table.add_row(*map(Text, (section, *reference_page.lines(each))))
    if table.row_count:
        talk.console.print(table)
    for (section, why), group in reference_page.reasons(verdicts).items():
        talk.line(f"{section}: {len(group)} cannot be compared: {why}")


def _pairs(
    talk: Any,
    files: list[Path],
    labelers: tuple[str, str] | None,
    fail_if: list[str],
    options: Any,
    plugin: list[Path] | None,
) -> None:
    from harness.report import pairwise as report_pairwise
    from harness.scoring import pairwise, score_run

    gates = [pairwise.parse_gate(text) for text in fail_if]
    readies = []
    for file in files:
        loaded, found = load_suites(file, plugin)
        if loaded.name:
            raise HarnessError(f"{file}: lists suites; give one of them")
        readies.append(open_run(talk, loaded.suites[0], found, options))
    talk.simulated = any(ready.simulated for ready in readies)
    titles = [labelers] if labelers else [(title, title) for title in pairwise.common_labelers(readies[0], readies[-1])]
    named = {title for pair in titles for title in pair}
    readies = [replace(each, cells=[c for c in each.cells if c.candidate.title in named]) for each in readies]
    scored = [(ready, list(score_run.score_cells(ready))) for ready in readies]
    first, second = scored[0], scored[-1]
    metrics = None if len(titles) == 1 else {gate.metric for gate in gates}
    found = [match for pair in titles for match in pairwise.compare_pairs(first, second, pair, metrics)]
    if not found:
        raise HarnessError("nothing to compare: no split on the same rows that both have finished")
    _show_pairs(talk, report_pairwise.PairwiseReport(tuple(found), first[0].suite.metrics.primary))
    stopped = [
        (match, row) for gate in gates for match in found if (row := pairwise.find_violation(match, gate)) is not None
    ]
    for match, row in stopped:
        talk.notice(f"gate: {match.second}, {match.where}: {row.metric} {row.delta:+.4f}")
    if stopped:
        raise typer.Exit(EXIT_GATE)


def _show_pairs(talk: Any, found: Any) -> None:
    from harness.report.leaderboard_page import SIMULATED_NOTE

    if talk.as_json:
        for event in found.events():
            talk.event("difference", **event)
        for name, tally in found.tallies().items():
            talk.event("tally", labeler=name, wins=tally.wins, ties=tally.ties, losses=tally.losses, mean=tally.mean)
        return
    if talk.simulated:
        talk.console.print(SIMULATED_NOTE, style="bold yellow", markup=False)
    for title, header, rows in found.tables():
        table = Table(*header, title=title, title_justify="left", box=None)
        for row in rows:
            table.add_row(*map(Text, row))
        talk.console.print(table)
    for line in found.lines():
        talk.line(line)
