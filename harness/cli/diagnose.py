"""What the blocks of a suite know of its labels, before anything is trained on them."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from harness.cli.options import (
    Device,
    Engine,
    Json,
    Plugin,
    SuiteFile,
    Threads,
    TwinRows,
    load_suites,
    make_reporter,
    open_run,
)
from harness.errors import HarnessError, did_you_mean, printable

COLUMNS = ("block", "k", "kind", "group", "rows", "cosine", "match", "chance", "lift", "simulated")


def diagnose(
    suite: SuiteFile,
    block: Annotated[list[str] | None, typer.Option("--block", help="A block; all without it. Repeatable.")] = None,
    k: Annotated[int, typer.Option(min=1, help="Neighbours of a row.")] = 50,
    rows: Annotated[int | None, typer.Option(min=2, help="The first N rows of the population alone.")] = None,
    threads: Threads = 0,
    device: Device = "auto",
    engine: Engine = "auto",
    twin_rows: TwinRows = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="As elsewhere; leaderboards/NAME/diagnosis.csv is written too."),
    ] = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Say how near the labelled rows of one class lie in each block: the mean cosine to the nearest others, the share
    of these that have the row's label, and the share that chance would give it.

    All labelled rows count, whatever the splits. A lift of 1 is a block that knows nothing of the labels. Blocks that
    are not on disk are made.
    """
    from harness.run import runner
    from harness.search.engine import parse_engine
    from harness.utils.processes import Processes

    talk = make_reporter(as_json)
    options = runner.Options(
        output or Path(), 1, threads, device=device, twin_rows=twin_rows, engine=parse_engine(engine)
    )
    loaded, found = load_suites(suite, plugin)
    # They also set the threads of this process, which must be done before faiss is imported.
    processes = Processes(("harness.run.worker",), options.hardware.threads, options.hardware.device)
    for each in loaded.suites:
        names = _select_blocks(each, block)
        ready = open_run(talk, each, found, options)
        lines = [line for name in names for line in _diagnose_block(talk, ready, processes, name, k, rows)]
        if output is not None:
            file = output / "leaderboards" / each.name / "diagnosis.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, lines)
            talk.line(f"diagnosis: {file}")


def _select_blocks(suite: Any, names: list[str] | None) -> list[str]:
    if not suite.blocks:
        raise HarnessError(f"{suite.file}: has no blocks to diagnose")
    for name in names or ():
        if name not in suite.blocks:
            raise HarnessError(f"{suite.file}: no block is called {name!r}{did_you_mean(name, suite.blocks)}")
    return list(dict.fromkeys(names or suite.blocks))


def _diagnose_block(
    talk: Any, ready: Any, processes: Any, name: str, k: int, first: int | None
) -> list[dict[str, Any]]:
    """Diagnose one block and show it; returns its lines."""
    from harness.run import blocks
    from harness.run.block_builder import build_block
    from harness.search.engine import use_engine
    from harness.search.label_agreement import diagnose as look

    dataset, recipe = ready.dataset, ready.recipes[name]
    here = dataset.labelled < (first or len(dataset))
    labelled, y = dataset.labelled[here], dataset.y[here]
    sources = None if dataset.sources is None else dataset.sources[labelled]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=talk.aside, disable=talk.as_json or not talk.aside.is_terminal) as bar:

        def follow(what: str, total: int) -> Callable[[int], None]:
            task = bar.add_task(f"{what} {name}", total=total)
            return lambda done: bar.update(task, completed=done)

        if not ready.is_made(name):
            if bar.disable and not talk.as_json:
                talk.aside.print(f"making block {name} ({recipe.maker.name})", markup=False)
            told = follow("rows of block", len(dataset))
            build_block(recipe, dataset.items, ready.cache, processes, ready.options.limits, told)
        made = blocks.open_block(recipe, ready.cache)
        told = follow("neighbours in", len(labelled))
        with use_engine(ready.options.engine):
            groups = look(made, labelled, y, dataset.items.rows[labelled], sources, k, told)
    k = min(k, len(labelled) - 1)
    lines = [
        {"block": name, "k": k, "kind": group.kind, "group": group.name, "rows": group.rows}
        | {key: round(getattr(group, key), 6) for key in ("cosine", "match", "chance", "lift")}
        for group in groups
    ]
    _show(talk, ready, name, lines)
    return [line | {"simulated": talk.simulated} for line in lines]


def _show(talk: Any, ready: Any, name: str, lines: list[dict[str, Any]]) -> None:
    if talk.as_json:
        for line in lines:
            talk.event("neighborhood", suite=ready.suite.name, **line)
        return
    if talk.simulated:
        talk.line("SIMULATED DATA: nothing here says anything about real data.")
    what = f"{lines[0]['k']} nearest among {lines[0]['rows']:,} labelled rows"
    talk.line(f"{ready.suite.name}, block {name} ({ready.recipes[name].maker.name}): {what}")
    table = Table("Rows of", box=None)
    for head in ("Rows", "Cosine", "Match", "Chance", "Lift"):
        table.add_column(head, justify="right")
    for line in lines:
        whose = f"{line['kind']} {printable(line['group'])}".strip()
        shares = (f"{line[key]:.4f}" for key in ("cosine", "match", "chance"))
        table.add_row(Text(whose), f"{line['rows']:,}", *shares, f"{line['lift']:.2f}")
    talk.console.print(table)


def _write(file: Path, lines: Iterable[dict[str, Any]]) -> None:
    scratch = file.with_suffix(".partial")
    with scratch.open("w", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    scratch.replace(file)
