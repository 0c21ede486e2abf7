"""Whether the leaderboard of a suite can be trusted."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
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


def audit(
    suite: SuiteFile,
    full: Annotated[bool, typer.Option("--full", help="Ask about whole splits, not 1,000 rows; takes long.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Questions at a time.")] = 1,
    threads: Threads = 0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a question may take.")] = 3600,
    memory: Annotated[float, typer.Option(min=0, help="GiB a question may use. 0: four fifths of the machine's.")] = 0,
    device: Device = "auto",
    require_real: RequireReal = False,
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Look for leaks: rows and prompts on both sides of a split, shifted populations, labelers that know what they must
    not know; and say how far the finished cells hold under other truths and seeds.

    Writes leaderboards/NAME/audit.md, and the board again with a column of verdicts. A leak takes its labeler off the
    ranking; exit code 3 where there is one. Nothing has to have been run.
    """
    from harness.run import runner
    from harness.utils.processes import Processes

    talk = make_reporter(as_json)
    options = runner.Options(output, jobs, threads, timeout, memory, device, require_real, twin_rows)
    loaded, found = load_suites(suite, plugin)
    readies = [open_run(talk, each, found, options) for each in loaded.suites]
    # They also set the threads of this process, which must be done before faiss is imported.
    modules = [module for ready in readies for module in runner.preload_modules(cell.candidate for cell in ready.cells)]
    hardware = options.hardware
    processes = Processes(("harness.audit.probe", *dict.fromkeys(modules)), hardware.threads, hardware.device, jobs)
    leaks = [_audit_one(talk, ready, processes, jobs, full) for ready in readies]
    if any(leaks):
        raise typer.Exit(EXIT_GATE)


def _audit_one(talk: Any, ready: Any, processes: Any, jobs: int, full: bool) -> bool:
    from harness.audit import page as audit_page
    from harness.audit.audit import audit_run as look
    from harness.utils.locks import hold_lock

    with hold_lock(ready.store.folder / "audit.lock", wait=False), _progress(talk) as told:
        found = look(ready, processes, jobs, full, told)
    page = audit_page.write_audit(found)
    _show(talk, ready, found, page)
    if any(ready.store.has(cell.key) for cell in ready.cells):
        _write_board(ready)
    return bool(found.leaks)


def _write_board(ready: Any) -> None:
    from harness.report import leaderboard_folder
    from harness.scoring import score_run

    cell_results = list(score_run.score_cells(ready))
    leaderboard_folder.write_leaderboard(ready, cell_results, score_run.leaderboards_of(ready, cell_results))


class _progress:  # noqa: N801 - reads as a function where it is used
    """Show what an audit is doing: a bar for each step on a terminal, a line elsewhere."""

    def __init__(self, talk: Any) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.talk = talk
        self.bar = Progress(*columns, console=talk.aside, disable=talk.as_json or not talk.aside.is_terminal)
        self.tasks: dict[str, Any] = {}

    def __enter__(self) -> Any:
        self.bar.start()
        return self.tell

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def tell(self, what: str, done: int, total: int) -> None:
        if what not in self.tasks:
            self.tasks[what] = self.bar.add_task(what, total=total)
            if self.bar.disable and not self.talk.as_json:
                self.talk.aside.print(f"{what}: {total:,}", markup=False)
        self.bar.update(self.tasks[what], completed=done, total=total)


def _show(talk: Any, ready: Any, found: Any, page: Path) -> None:
    from harness.audit import page as audit_page
    from harness.report.leaderboard_page import SIMULATED_NOTE

    if talk.as_json:
        for remark in found.remarks:
            talk.event("remark", suite=ready.suite.name, kind=remark.kind, text=remark.text)
        for verdict in found.verdicts:
            told = {"labeler": verdict.title, "verdict": verdict.judgement, "reasons": list(verdict.reasons)}
            talk.event("verdict", suite=ready.suite.name, **told)
        talk.event("audited", suite=ready.suite.name, page=str(page), leaks=found.leaks)
        return
    if talk.simulated:
        talk.console.print(SIMULATED_NOTE, style="bold yellow", markup=False)
    for remark in found.remarks:
        talk.line(f"{remark.kind}: {remark.text}")
    table = Table("Audit", "Labeler", "Why", box=None)
    for verdict in found.verdicts:
        table.add_row(verdict.judgement, Text(verdict.title), Text("; ".join(verdict.reasons)))
    talk.console.print(table)
    talk.line(f"{ready.suite.name}: {audit_page.summary(found)} Page: {page}")
