"""`harness diagnose`: how often near rows of each block share a label."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    SUITE_OPTIONS,
    SharedOptions,
    SuiteFile,
    load_suites,
    make_reporter,
    open_run,
    with_options,
)
from harness.errors import HarnessError, did_you_mean, printable

if TYPE_CHECKING:
    from harness.cli.console import Reporter
    from harness.run.runner import Run
    from harness.search.label_agreement import Neighborhood
    from harness.suite.suite import Suite
    from harness.utils.processes import Processes

COLUMNS = ("block", "k", "kind", "group", "rows", "cosine", "match", "chance", "lift", "simulated")
MEASURES = ("cosine", "match", "chance", "lift")
DECIMALS = 6

Row = dict[str, str | int | float]
"""One line of diagnosis.csv."""


@dataclass(frozen=True)
class DiagnoseOptions(SharedOptions):
    """The shared options; the file is written only where --output is given."""

    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="As elsewhere; leaderboards/NAME/diagnosis.csv is written too."),
    ] = None


@with_options(*SUITE_OPTIONS, "engine")
def diagnose(
    suite: SuiteFile,
    block: Annotated[list[str] | None, typer.Option("--block", help="A block; all without it. Repeatable.")] = None,
    k: Annotated[int, typer.Option(min=1, help="Neighbours of a row.")] = 50,
    rows: Annotated[int | None, typer.Option(min=2, help="The first N rows of the population alone.")] = None,
    *,
    options: DiagnoseOptions,
) -> None:
    """Measure how near the labelled rows of one class lie in each block:
    the mean cosine to the nearest others, the share of these that have the row's label, and the share that chance
    would give it.

    All labelled rows count, whatever the splits. A lift of 1 is a block that knows nothing of the labels. Blocks that
    are not on disk are made.
    """
    from harness.utils.processes import Processes

    reporter = make_reporter(options.as_json)
    run_options = options.to_run_options()
    collection, plugins = load_suites(suite, options.plugin)
    hardware = run_options.hardware
    # This also sets the threads of this process, which must be done before faiss is imported.
    processes = Processes(("harness.run.worker",), hardware.threads, hardware.device)
    for loaded in collection.suites:
        names = _select_blocks(loaded, block)
        try:
            run = open_run(reporter, loaded, plugins, run_options)
            table = [row for name in names for row in _diagnose_block(reporter, run, processes, name, k, rows)]
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise HarnessError(
                f"--engine {options.engine} needs torch, which is not installed; --engine faiss works without it"
            ) from None
        if options.output is not None:
            file = options.output / "leaderboards" / loaded.name / "diagnosis.csv"
            _write(file, table)
            reporter.line(f"diagnosis: {file}")


def _select_blocks(suite: "Suite", names: list[str] | None) -> list[str]:
    if not suite.blocks:
        raise HarnessError(f"{suite.file}: has no blocks to diagnose")
    for name in names or ():
        if name not in suite.blocks:
            raise HarnessError(f"{suite.file}: no block is called {name!r}{did_you_mean(name, suite.blocks)}")
    return list(dict.fromkeys(names or suite.blocks))


def _diagnose_block(
    reporter: "Reporter", run: "Run", processes: "Processes", name: str, k: int, first: int | None
) -> list[Row]:
    """Diagnose one block, made if necessary, and print its rows; return them."""
    from harness.run.block_builder import build_block
    from harness.run.blocks import open_block
    from harness.search import label_agreement
    from harness.search.engine import use_engine

    dataset, recipe = run.dataset, run.recipes[name]
    in_first = dataset.labelled < (first or len(dataset))
    labelled, y = dataset.labelled[in_first], dataset.y[in_first]
    sources = None if dataset.sources is None else dataset.sources[labelled]
    with reporter.bar() as bar:

        def start_task(noun: str, total: int) -> Callable[[int], None]:
            task = bar.add_task(f"{noun} {name}", total=total)
            return lambda done: bar.update(task, completed=done)

        if not run.is_made(name):
            if bar.disable and not reporter.as_json:
                reporter.stderr.print(f"making block {name} ({recipe.maker.name})", markup=False)
            progress = start_task("rows of block", len(dataset))
            build_block(recipe, dataset.items, run.cache, processes, run.options.limits, progress)
        block = open_block(recipe, run.cache)
        progress = start_task("neighbours in", len(labelled))
        with use_engine(run.options.engine):
            groups = label_agreement.diagnose(block, labelled, y, dataset.items.rows[labelled], sources, k, progress)
    k = min(k, len(labelled) - 1)
    rows = [_to_row(name, k, group, dataset.classes.names) for group in groups]
    _show(reporter, run, name, rows)
    return [row | {"simulated": reporter.simulated} for row in rows]


def _to_row(block: str, k: int, group: "Neighborhood", classes: Sequence[str]) -> Row:
    named = classes[int(group.name)] if group.kind == "class" else group.name
    measures: Row = {name: round(getattr(group, name), DECIMALS) for name in MEASURES}
    return {"block": block, "k": k, "kind": group.kind, "group": named, "rows": group.rows, **measures}


def _show(reporter: "Reporter", run: "Run", name: str, rows: list[Row]) -> None:
    from harness.report.tables import Column, Table
    from harness.report.terminal import Layout

    if reporter.as_json:
        for row in rows:
            reporter.event("neighborhood", suite=run.suite.name, **row)
        return
    if reporter.simulated:
        reporter.line("SIMULATED DATA: nothing here says anything about real data.")
    count = f"{rows[0]['k']} nearest among {rows[0]['rows']:,} labelled rows"
    reporter.line(f"{run.suite.name}, block {name} ({run.recipes[name].maker.name}): {count}")
    header = (*map(Column, ("Rows of", "Rows", "Cosine", "Match", "Chance")), Column("Lift", 2))
    lines = (
        (f"{row['kind']} {printable(str(row['group']))}".strip(), row["rows"], *(row[name] for name in MEASURES))
        for row in rows
    )
    reporter.tables([Table("", "", header, tuple(lines))], Layout(("Rows of",)), "--json")


def _write(file: Path, rows: list[Row]) -> None:
    from harness.utils.files import replace_text

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(file, text.getvalue())
