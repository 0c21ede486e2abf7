"""`harness compare`: published numbers, two labelers, or two suites."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    EXIT_GATE,
    SUITE_OPTIONS,
    SharedOptions,
    SuiteFile,
    load_suites,
    make_reporter,
    open_run,
    with_options,
)
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.cli.console import Reporter
    from harness.report.pairwise import PairwiseReport
    from harness.report.reference_page import ReferenceVerdict


@with_options(*SUITE_OPTIONS, "require_real")
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
    *,
    options: SharedOptions,
) -> None:
    """Compare the finished cells of a suite with published numbers, two of
    its labelers, or two suites. Runs nothing.

    With one suite alone: its numbers beside those of --reference, or of published_results.csv, the record's. With
    --labelers or a second suite: differences on the same rows, with their intervals; see docs/statistics.md.
    """
    reporter = make_reporter(options.as_json)
    if other is None and labelers is None:
        if fail_if:
            raise HarnessError("--fail-if is about two labelers or two suites: give --labelers A B, or a second suite")
        _compare_with_published(reporter, suite, reference, within, options)
        return
    if reference:
        raise HarnessError(
            "--reference is about one suite and its published numbers: leave out the second or --labelers"
        )
    _compare_labelers(reporter, [suite] if other is None else [suite, other], labelers, fail_if or [], options)


def _compare_with_published(
    reporter: "Reporter", file: Path, reference: list[str] | None, within: float, options: SharedOptions
) -> None:
    from harness.report import reference_page
    from harness.scoring import score_run
    from harness.suite.reference import DEFAULT, check_known, find_file, read_reference

    collection, plugins = load_suites(file, options.plugin)
    reference_files = [read_reference(find_file(name, plugins)) for name in reference or [DEFAULT]]
    suites = [suite for suite in collection.suites if suite.reference is not None]
    if not suites:
        raise HarnessError(
            f"{file}: has no section 'reference', such as {{sections: [\"4.7\"], dataset: tulu_30k}}; to compare two "
            "labelers give --labelers A B"
        )
    for suite in suites:
        if suite.reference is not None:
            check_known(suite.reference, str(suite.file), reference_files)
    run_options = options.to_run_options()
    runs = [open_run(reporter, suite, plugins, run_options) for suite in suites]
    scored = [(run, list(score_run.score_cells(run))) for run in runs]
    reporter.simulated = any(run.simulated for run in runs)
    verdicts = reference_page.judge_numbers(scored, reference_files, within)
    name = collection.name or suites[0].name
    page = reference_page.write_reference_page(name, scored, reference_files, within, verdicts)
    counts = reference_page.counts(verdicts)
    if reporter.as_json:
        for row in reference_page.rows(verdicts, reporter.simulated):
            reporter.event("number", **{key: value for key, value in row.items() if key != "simulated"})
        reporter.event("done", page=str(page), **counts)
        return
    _show_verdicts(reporter, verdicts, page)
    tally = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    reporter.line(f"{len(verdicts)} numbers: {tally}; page: {page}")


def _show_verdicts(reporter: "Reporter", verdicts: "list[ReferenceVerdict]", page: Path) -> None:
    from harness.report import reference_page
    from harness.report.tables import Table, columns
    from harness.report.terminal import Layout

    reporter.show_simulated_note()
    has_several_files = len({verdict.row.file for verdict in verdicts}) > 1
    rows = []
    for verdict in verdicts:
        if verdict.ours is not None:
            section = f"{verdict.row.file} {verdict.row.section}" if has_several_files else verdict.row.section
            rows.append((section, *reference_page.lines(verdict)))
    if rows:
        optional = ("Ratio", "Class", "Section", "Honest", "Chosen on test")
        layout = Layout(("Method",), optional, words=("Section", "Metric", "Chosen on test", "Verdict"))
        table = Table("", "", columns(("Section", "Method", *reference_page.HEADER)), tuple(rows))
        reporter.tables([table], layout, str(page))
    for (section, reason), group in reference_page.reasons(verdicts).items():
        reporter.line(f"{section}: {len(group)} cannot be compared: {reason}")


def _compare_labelers(
    reporter: "Reporter",
    files: list[Path],
    labelers: tuple[str, str] | None,
    fail_if: list[str],
    options: SharedOptions,
) -> None:
    from harness.report.pairwise import PairwiseReport
    from harness.scoring import pairwise, score_run

    gates = [pairwise.parse_gate(text) for text in fail_if]
    run_options = options.to_run_options()
    runs = []
    for file in files:
        collection, plugins = load_suites(file, options.plugin)
        if collection.name:
            raise HarnessError(f"{file}: lists suites; give one of them")
        runs.append(open_run(reporter, collection.suites[0], plugins, run_options))
    reporter.simulated = any(run.simulated for run in runs)
    pairs = [labelers] if labelers else [(title, title) for title in pairwise.common_labelers(runs[0], runs[-1])]
    titles = {title for pair in pairs for title in pair}
    runs = [replace(run, cells=[cell for cell in run.cells if cell.candidate.title in titles]) for run in runs]
    scored = [(run, list(score_run.score_cells(run))) for run in runs]
    metrics = None if len(pairs) == 1 else {gate.metric for gate in gates}
    comparisons = [
        comparison for pair in pairs for comparison in pairwise.compare_pairs(scored[0], scored[-1], pair, metrics)
    ]
    if not comparisons:
        raise HarnessError("nothing to compare: no split on the same rows that both have finished")
    _show_differences(reporter, PairwiseReport(tuple(comparisons), runs[0].suite.metrics.primary))
    violations = [
        (comparison, row)
        for gate in gates
        for comparison in comparisons
        if (row := pairwise.find_violation(comparison, gate)) is not None
    ]
    for comparison, row in violations:
        reporter.notice(f"gate: {comparison.second}, {comparison.where}: {row.metric} {row.delta:+.4f}")
    if violations:
        raise typer.Exit(EXIT_GATE)


def _show_differences(reporter: "Reporter", report: "PairwiseReport") -> None:
    from harness.report.terminal import Layout

    if reporter.as_json:
        for event in report.events():
            reporter.event("difference", **event)
        for name, tally in report.tallies().items():
            counts = {"wins": tally.wins, "ties": tally.ties, "losses": tally.losses}
            reporter.event("tally", labeler=name, **counts, mean=tally.mean)
        return
    reporter.show_simulated_note()
    layout = Layout(("Of", "Where", "Labeler", "Split"), ("p", "Rows"), ("Metric",))
    reporter.tables(report.tables(), layout, "--json")
    for line in report.lines():
        reporter.line(line)
