"""Our numbers against published ones."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from harness.commands.options import (
    Device,
    Json,
    Output,
    Plugin,
    RequireReal,
    SuiteFile,
    Threads,
    TwinRows,
    load,
    make_ready,
    talk_to,
)
from harness.errors import HarnessError


def compare(
    suite: SuiteFile,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="A CSV file, or the name of one that a plugin package brings. Repeatable."),
    ] = None,
    within: Annotated[float, typer.Option(min=0, help="Differences up to this match, whatever is printed.")] = 0,
    threads: Threads = 0,
    device: Device = "auto",
    require_real: RequireReal = False,
    twin_rows: TwinRows = None,
    output: Output = Path(),
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Compare the finished cells of a suite with published numbers, one by one. Runs nothing.

    Without --reference, with published_results.csv, the numbers of the record.
    """
    from harness import reference as references
    from harness import run as runs
    from harness import verdict

    talk = talk_to(as_json)
    loaded, found = load(suite, plugin)
    files = [references.read(references.find(name, found)) for name in reference or [references.DEFAULT]]
    named = [each for each in loaded.suites if each.reference is not None]
    if not named:
        raise HarnessError(f"{suite}: has no section 'reference', such as {{sections: [\"4.7\"], dataset: tulu_30k}}")
    for each in named:
        references.refuse_unknown(each.reference, str(each.file), files)
    options = runs.Options(output, 1, threads, device=device, require_real=require_real, twin_rows=twin_rows)
    readies = [make_ready(talk, each, found, options) for each in named]
    scored = [(ready, list(runs.endings(ready))) for ready in readies]
    talk.simulated = any(ready.simulated for ready in readies)
    verdicts = verdict.verdicts(scored, files, within)
    page = verdict.write(loaded.name or named[0].name, scored, files, within, verdicts)
    tally = verdict.counts(verdicts)
    if as_json:
        for row in verdict.rows(verdicts, talk.simulated):
            talk.event("number", **{key: value for key, value in row.items() if key != "simulated"})
        talk.event("done", page=str(page), **tally)
        return
    _show(talk, verdicts)
    shown = ", ".join(f"{count} {outcome}" for outcome, count in tally.items())
    talk.line(f"{len(verdicts)} numbers: {shown}; page: {page}")


def _show(talk: Any, verdicts: list[Any]) -> None:
    from harness import verdict
    from harness.render import SIMULATED

    if talk.simulated:
        talk.console.print(SIMULATED, style="bold yellow", markup=False)
    several = len({each.row.file for each in verdicts}) > 1
    table = Table("Section", "Method", *verdict.HEADER, box=None)
    for each in verdicts:
        if each.ours is not None:
            section = f"{each.row.file} {each.row.section}" if several else each.row.section
            table.add_row(*map(Text, (section, *verdict.lines(each))))
    if table.row_count:
        talk.console.print(table)
    for (section, why), group in verdict.reasons(verdicts).items():
        talk.line(f"{section}: {len(group)} cannot be compared: {why}")
