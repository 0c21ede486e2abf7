"""`harness embed`: make the blocks of a suite, or embed a data file."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import SharedOptions, make_reporter, open_runs, target_file, with_options
from harness.errors import DataError, HarnessError, did_you_mean, first_few
from harness.suite import catalog

if TYPE_CHECKING:
    from harness.cli.console import Reporter
    from harness.data.table import DataTable
    from harness.plugin.items import Items
    from harness.run.blocks import Recipe
    from harness.run.shards import Shard

    Job = tuple[Recipe, Items, Path, DataTable]  # a block to make, the folder of the cache, and the data


@with_options("require_real", "twin_rows", "output", "plugin", "as_json")
def embed(
    target: Annotated[str, typer.Argument(metavar="SUITE|FILE", help="A suite (.yaml), or data to embed.")],
    block: Annotated[list[str] | None, typer.Option(help="Of a suite: only this block. Repeatable.")] = None,
    embedder: Annotated[str | None, typer.Option(help="Of data: 'reward_model: {model: OWNER/NAME}'.")] = None,
    text: Annotated[str | None, typer.Option(help="Of data: the column with the conversations or texts.")] = None,
    id: Annotated[str | None, typer.Option(help="Of data: the column with the ids; else the row numbers.")] = None,
    out: Annotated[Path | None, typer.Option("--to", help="Of data: the .npy file to write.")] = None,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Only the I-th of N contiguous parts.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Parts made at once. 0: one a GPU; one on the CPU.")] = 0,
    device: Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Threads a worker. 0: all cores, at most 8.")] = 0,
    memory: Annotated[float, typer.Option(min=0, help="GiB a worker may use. 0: four fifths of the machine's.")] = 0,
    *,
    options: SharedOptions,
) -> None:
    """Make the embeddings of a suite, or of a data file: on one GPU, on
    several, or in shards on several machines.

    Interrupt it at any time and give the same command again: it goes on. However it was cut, the bytes are the same.
    """
    from harness.run.shards import parse_shard
    from harness.run.store import last_run
    from harness.utils.processor import visible_gpus

    part = None if shard is None else parse_shard(shard)
    if part is not None and workers:
        raise HarnessError("--shard is one part, --workers makes all of them at once: give one of the two")
    is_suite = Path(target).suffix in (".yaml", ".yml") or "file" in last_run(Path(target))
    of_data = {"--to": out, "--embedder": embedder, "--text": text, "--id": id}
    for name, value in of_data.items() if is_suite else {"--block": block}.items():
        if value:
            raise HarnessError(f"{name} is for {'data' if is_suite else 'a suite'}, and {target} is not that")
    if device == "auto":
        device = "cuda" if Path("/dev/nvidiactl").exists() and visible_gpus() else "cpu"
    options = replace(options, timeout=float("inf"), memory=memory, device=device, threads=threads)
    reporter = make_reporter(options.as_json)
    if is_suite:
        _make(reporter, _suite_jobs(reporter, Path(target), options, block), options, part, workers)
        return
    file = target_file(out, options.output, ".npy")
    if file.suffix != ".npy":
        raise HarnessError(f"--to {file}: must end in .npy")
    file.parent.mkdir(parents=True, exist_ok=True)
    if embedder is None:
        raise HarnessError("--embedder is missing: such as --embedder 'sentence_transformer: {model: OWNER/NAME}'")
    job = _data_job(reporter, target, options, embedder, text, id)
    _make(reporter, [job], options, part, workers)
    _write(reporter, job, file)


def _suite_jobs(reporter: "Reporter", file: Path, options: SharedOptions, names: list[str] | None) -> "list[Job]":
    """Return the blocks of the given names, by default of all embedders."""
    _, runs = open_runs(reporter, file, options)
    all_names = {name for run in runs for name in run.recipes}
    for name in names or ():
        if name not in all_names:
            raise HarnessError(f"{file}: no block is called {name!r}{did_you_mean(name, all_names)}")
    jobs: dict[str, Job] = {}
    for run in runs:
        for name, recipe in run.recipes.items():
            if name in names if names else recipe.kind == "embedding":
                jobs[recipe.key] = recipe, run.dataset.items, run.cache, run.dataset.table
    return list(jobs.values())


def _data_job(
    reporter: "Reporter", target: str, options: SharedOptions, embedder: str, text: str | None, id: str | None
) -> "Job":
    """Return the block of all rows of a data file."""
    from harness.data.dataset import load_items
    from harness.data.table import open_table
    from harness.run.blocks import recipe
    from harness.run.locations import naming_user_files
    from harness.run.runner import cache_of
    from harness.suite.spec import Reader
    from harness.utils import yaml_file

    plugins = catalog.discover(tuple(options.plugin or ()))
    reader = Reader(yaml_file.parse(embedder, "--embedder"), plugins.find)
    maker = reader.read_plugin("embedders", reader.document.value, ())
    reader.finish()
    cache = cache_of(options.to_run_options())
    table = open_table(target, (Path.cwd(),), cache, "error", options.twin_rows)
    if table.simulated and options.require_real:
        raise DataError(f"{target} is simulated, and --require-real was given")
    if table.simulated:
        reporter.notice("SIMULATED DATA: these are the rows of the simulated twin")
        reporter.simulated = True
    if text is None and getattr(maker, "text_only", False):
        raise HarnessError(f"--text is missing: the column of {target} to embed, one of {', '.join(table.columns)}")
    items = load_items(table, text, id)
    with naming_user_files(table, items):
        return recipe("embedding", maker, items, plugins, cache / "digests"), items, cache, table


def _make(reporter: "Reporter", jobs: "list[Job]", options: SharedOptions, part: "Shard | None", workers: int) -> None:
    """Make blocks, or one shard of each, one block after the other."""
    from harness.cli.progress import BlockProgress
    from harness.run import block_builder
    from harness.run.blocks import is_made
    from harness.run.locations import naming_user_files
    from harness.run.shards import can_be_sharded, gpu_slots
    from harness.utils.processes import Processes

    run_options = options.to_run_options()
    hardware, limits = run_options.hardware, run_options.limits  # raises DataError without the device
    for recipe, *_ in jobs:
        if part is not None and not can_be_sharded(recipe):
            raise HarnessError(
                f"--shard: block {recipe.name!r} cannot be made in shards, {recipe.maker.name!r} must see all rows; "
                "make it in one go, or choose others with --block"
            )
    slots = gpu_slots(workers, hardware.device, single=part is not None)
    processes = Processes(("harness.run.block_writer",), hardware.threads, hardware.device, len(slots))
    for recipe, items, cache, table in jobs:
        block_builder.clear_shards(recipe, cache)
        if not is_made(recipe, cache):
            start, stop = (0, len(items)) if part is None else part.span(len(items))
            with reporter.bar() as bar, naming_user_files(table, items):
                progress = partial(BlockProgress(reporter, bar).block, recipe, total=stop - start)
                progress(0)
                try:
                    if part is None:
                        block_builder.build_block(recipe, items, cache, processes, limits, progress, slots)
                    else:
                        block_builder.build_shards([part], recipe, items, cache, processes, limits, progress, slots)
                except KeyboardInterrupt:
                    reporter.notice("interrupted: the same command goes on from the rows that are there")
                    raise
        _report(reporter, (recipe, items, cache, table), part)


def _report(reporter: "Reporter", job: "Job", part: "Shard | None") -> None:
    """Print the size of a block, or which of its shards are missing."""
    from harness.run.block_builder import missing_shards
    from harness.run.blocks import is_made, open_block

    recipe, items, cache, _ = job
    subject = {"block": recipe.name, "maker": recipe.maker.name}
    if part is None or is_made(recipe, cache):
        rows, columns = open_block(recipe, cache).array.shape
        if reporter.as_json:
            reporter.event("made", **subject, rows=rows, columns=columns)
        reporter.line(f"block {recipe.name} ({recipe.maker.name}): {rows:,} rows of {columns:,} numbers")
        return
    shard = f"{part.number}/{part.count}"
    missing = [f"{other.number}/{other.count}" for other in missing_shards(recipe, items, cache, part.count)]
    if reporter.as_json:
        reporter.event("shard", **subject, shard=shard, missing=missing)
    reporter.line(
        f"block {recipe.name} ({recipe.maker.name}): shard {shard} is made; "
        f"{len(missing):,} of {part.count:,} are missing: {first_few(missing)}; the last to be made joins them"
    )


def _write(reporter: "Reporter", job: "Job", file: Path) -> None:
    """Write a finished block and its ids, as the embedder `npy` reads them."""
    import numpy as np

    from harness.run.blocks import array_file, is_made
    from harness.utils.files import replacing

    recipe, items, cache, _ = job
    if not is_made(recipe, cache):
        return
    ids_file = file.with_name(f"{file.stem}_ids.npy")
    ids = items.ids if items.ids.dtype.kind in "iu" else np.array(items.ids.tolist(), dtype=np.str_)
    with replacing(ids_file) as scratch, scratch.open("wb") as out:
        np.save(out, ids, allow_pickle=False)
    with replacing(file) as scratch:
        shutil.copyfile(array_file(recipe, cache), scratch)
    if reporter.as_json:
        reporter.event("written", path=str(file), ids=str(ids_file))
    reporter.line(f"{file} and {ids_file} are written; in a suite: {{embedder: npy, path: {file}, ids: {ids_file}}}")
