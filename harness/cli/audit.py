"""`harness audit`: whether the leaderboard of a suite can be trusted."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    EXIT_GATE,
    RUN_OPTIONS,
    SharedOptions,
    SuiteFile,
    make_reporter,
    open_runs,
    with_options,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from harness.audit.audit import Audit
    from harness.cli.console import Reporter
    from harness.run.runner import Run
    from harness.utils.processes import Processes


@dataclass(frozen=True)
class AuditOptions(SharedOptions):
    """The shared options, of questions to labelers instead of cells."""

    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Questions at a time.")] = 1
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a question may take.")] = 3600
    memory: Annotated[float, typer.Option(min=0, help="GiB a question may use. 0: four fifths of the machine's.")] = 0


@with_options(*RUN_OPTIONS)
def audit(
    suite: SuiteFile,
    full: Annotated[bool, typer.Option("--full", help="Ask every labeler about whole splits; takes long.")] = False,
    *,
    options: AuditOptions,
) -> None:
    """Look for leaks: rows and prompts on both sides of a split, shifted
    populations, labelers that know what they must not know; and say how far the finished cells hold under other truths
    and seeds.

    Writes leaderboards/NAME/audit.md, and the board again with a column of verdicts. A leak takes its labeler off the
    ranking; exit code 3 where there is one. Nothing has to have been run.
    """
    from harness.run.runner import preload_modules
    from harness.utils.processes import Processes

    reporter = make_reporter(options.as_json)
    _, runs = open_runs(reporter, suite, options)
    modules = dict.fromkeys(module for run in runs for module in preload_modules(cell.candidate for cell in run.cells))
    hardware = options.to_run_options().hardware
    # This also sets the threads of this process, which must be done before faiss is imported.
    processes = Processes(("harness.audit.probe", *modules), hardware.threads, hardware.device, options.jobs)
    has_leaks = [_audit_suite(reporter, run, processes, options.jobs, full) for run in runs]
    if any(has_leaks):
        raise typer.Exit(EXIT_GATE)


def _audit_suite(reporter: "Reporter", run: "Run", processes: "Processes", jobs: int, full: bool) -> bool:
    """Audit one suite and write its pages; return True if there is a leak."""
    from harness.audit.audit import audit_run
    from harness.audit.page import write_audit
    from harness.report.leaderboard_folder import write_leaderboard
    from harness.scoring import score_run
    from harness.utils.locks import hold_lock

    with hold_lock(run.store.folder / "lock", wait=False), reporter.bar() as bar:
        result = audit_run(run, processes, jobs, full, _StepProgress(reporter, bar).update)
    page = write_audit(result)
    _show(reporter, result, page)
    if any(run.store.has(cell.key) for cell in run.cells):
        cell_results = list(score_run.score_cells(run))
        write_leaderboard(run, cell_results, score_run.leaderboards_of(run, cell_results))
    return bool(result.leaks)


class _StepProgress:
    """The progress of an audit: a bar a step; without a terminal, a line."""

    def __init__(self, reporter: "Reporter", bar: "Progress") -> None:
        self.reporter, self.bar = reporter, bar
        self.tasks: dict[str, TaskID] = {}

    def update(self, step: str, done: int, total: int) -> None:
        if step not in self.tasks:
            self.tasks[step] = self.bar.add_task(step, total=total)
            if self.bar.disable and not self.reporter.as_json:
                self.reporter.stderr.print(f"{step}: {total:,}", markup=False)
        self.bar.update(self.tasks[step], completed=done, total=total)


def _show(reporter: "Reporter", result: "Audit", page: Path) -> None:
    from harness.audit.page import summary
    from harness.report.tables import Table, columns
    from harness.report.terminal import Layout

    suite = result.run.suite.name
    if reporter.as_json:
        for remark in result.remarks:
            reporter.event("remark", suite=suite, kind=remark.kind, text=remark.text)
        for verdict in result.verdicts:
            judgement, reasons = verdict.judgement, list(verdict.reasons)
            reporter.event("verdict", suite=suite, labeler=verdict.title, verdict=judgement, reasons=reasons)
        reporter.event("audited", suite=suite, page=str(page), leaks=result.leaks)
        return
    reporter.show_simulated_note()
    for remark in result.remarks:
        reporter.line(f"{remark.kind}: {remark.text}")
    rows = tuple((verdict.judgement, verdict.title, "; ".join(verdict.reasons)) for verdict in result.verdicts)
    layout = Layout(("Labeler",), words=("Audit",), prose=("Why",))
    reporter.tables([Table("", "", columns(("Audit", "Labeler", "Why")), rows)], layout, str(page))
    reporter.line(f"{suite}: {summary(result)} Page: {page}")
