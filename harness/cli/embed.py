"""Embeddings alone: the blocks of a suite before it runs, or an array for a data file."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import Json, Plugin, RequireReal, TwinRows, load_suites, make_reporter, open_run
from harness.errors import DataError, HarnessError, did_you_mean, first_few
from harness.suite import catalog


def embed(
    target: Annotated[str, typer.Argument(metavar="SUITE|FILE", help="A suite (.yaml), or data to embed.")],
    block: Annotated[list[str] | None, typer.Option(help="Of a suite: only this block. Repeatable.")] = None,
    embedder: Annotated[str | None, typer.Option(help="Of data: 'reward_model: {model: OWNER/NAME}'.")] = None,
    text: Annotated[str | None, typer.Option(help="Of data: the column with the conversations or texts.")] = None,
    id: Annotated[str | None, typer.Option(help="Of data: the column with the ids; else the row numbers.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Of data: the .npy to write. Of a suite: where runs/ is.")
    ] = None,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Only the I-th of N contiguous parts.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Parts made at once. 0: one a GPU; one on the CPU.")] = 0,
    device: Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Threads a worker. 0: all cores, at most 8.")] = 0,
    memory: Annotated[float, typer.Option(min=0, help="GiB a worker may use. 0: four fifths of the machine's.")] = 0,
    require_real: RequireReal = False,
    twin_rows: TwinRows = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Make the embeddings of a suite, or of a data file: on one GPU, on several, or in shards on several machines.

    Interrupt it at any time and give the same command again: it goes on. However it was cut, the bytes are the same.
    """
    from harness.run import runner, shards
    from harness.run.store import last_run
    from harness.utils.processes import visible_gpus

    part = None if shard is None else shards.parse_shard(shard)
    if part is not None and workers:
        raise HarnessError("--shard is one part, --workers makes all of them at once: give one of the two")
    is_suite = Path(target).suffix in (".yaml", ".yml") or "file" in last_run(Path(target))
    for_data = {"--embedder": embedder, "--text": text, "--id": id}
    for name, value in for_data.items() if is_suite else {"--block": block}.items():
        if value:
            raise HarnessError(f"{name} is for {'data' if is_suite else 'a suite'}, and {target} is not that")
    if device == "auto":
        device = "cuda" if Path("/dev/nvidiactl").exists() and visible_gpus() else "cpu"
    folder = (output or Path()) if is_suite else Path()
    options = runner.Options(folder, 1, threads, float("inf"), memory, device, require_real, twin_rows)
    talk = make_reporter(as_json)
    if is_suite:
        todo = _of_suite(talk, Path(target), plugin, options, block)
        _make(talk, todo, options, part, workers)
        return
    file = _array_file(output)
    todo = [_of_data(talk, target, plugin, options, _given("--embedder", embedder), text, id)]
    _make(talk, todo, options, part, workers)
    _write(talk, *todo[0], file)


def _of_suite(
    talk: Any, file: Path, plugin: list[Path] | None, options: Any, names: list[str] | None
) -> list[tuple[Any, Any, Path]]:
    """Return (recipe, items, cache) of the blocks that are asked for: of all embedders, where none is named."""
    loaded, found = load_suites(file, plugin)
    readies = [open_run(talk, suite, found, options) for suite in loaded.suites]
    known = {name for ready in readies for name in ready.recipes}
    for name in names or ():
        if name not in known:
            raise HarnessError(f"{file}: no block is called {name!r}{did_you_mean(name, known)}")
    chosen: dict[str, tuple[Any, Any, Path]] = {}
    for ready in readies:
        for name, recipe in ready.recipes.items():
            if name in names if names else recipe.kind == "embedding":
                chosen[recipe.key] = recipe, ready.dataset.items, ready.cache
    return list(chosen.values())


def _of_data(
    talk: Any, target: str, plugin: list[Path] | None, options: Any, embedder: str, text: str | None, id: str | None
) -> tuple[Any, Any, Path]:
    """Return (recipe, items, cache) of all rows of a data file."""
    from harness.data.dataset import load_items
    from harness.data.table import open_table
    from harness.run import blocks
    from harness.run.runner import cache_of
    from harness.suite.spec import Reader
    from harness.utils import yaml_file

    found = catalog.discover(tuple(plugin or ()))
    reader = Reader(yaml_file.parse(embedder, "--embedder"), found.find)
    maker = reader.read_plugin("embedders", reader.document.value, ())
    reader.finish()
    cache = cache_of(options)
    table = open_table(target, (Path.cwd(),), cache, "error", options.twin_rows)
    if table.simulated and options.require_real:
        raise DataError(f"{target} is simulated, and --require-real was given")
    if table.simulated:
        talk.notice("SIMULATED DATA: these are the rows of the simulated twin")
        talk.simulated = True
    if text is None and getattr(maker, "text_only", False):
        raise HarnessError(f"--text is missing: the column of {target} to embed, one of {', '.join(table.columns)}")
    items = load_items(table, text, id)
    return blocks.recipe("embedding", maker, items, found, cache / "digests"), items, cache


def _make(talk: Any, todo: list[tuple[Any, Any, Path]], options: Any, part: Any, workers: int) -> None:
    """Make blocks, or one shard of each, one block after the other."""
    from harness.run import block_builder, blocks, shards
    from harness.utils.processes import Processes

    hardware = options.hardware  # refuses a device that is not there
    for recipe, _, _ in todo:
        if part is not None and not shards.can_be_sharded(recipe):
            raise HarnessError(
                f"--shard: block {recipe.name!r} cannot be made in shards, {recipe.maker.name!r} must see all rows; "
                "make it in one go, or choose others with --block"
            )
    slots = shards.gpu_slots(workers, hardware.device, single=part is not None)
    processes = Processes(("harness.run.block_writer",), hardware.threads, hardware.device, len(slots))
    for recipe, items, cache in todo:
        if not blocks.is_made(recipe, cache):
            start, stop = (0, len(items)) if part is None else part.span(len(items))
            total = stop - start
            with talk.making() as making:

                def progress(rows: int, recipe: Any = recipe, total: int = total, making: Any = making) -> None:
                    making.block(recipe, rows, total)

                progress(0)
                try:
                    if part is None:
                        block_builder.build_block(recipe, items, cache, processes, options.limits, progress, slots)
                    else:
                        block_builder.build_shards(
                            [part], recipe, items, cache, processes, options.limits, progress, slots
                        )
                except KeyboardInterrupt:
                    talk.notice("interrupted: the same command goes on from the rows that are there")
                    raise
        _report(talk, recipe, items, cache, part)


def _report(talk: Any, recipe: Any, items: Any, cache: Path, part: Any) -> None:
    """Say what there is now."""
    from harness.run import block_builder, blocks

    if blocks.is_made(recipe, cache):
        rows, columns = blocks.open_block(recipe, cache).array.shape
        if talk.as_json:
            talk.event("made", block=recipe.name, maker=recipe.maker.name, rows=rows, columns=columns)
        talk.line(f"block {recipe.name} ({recipe.maker.name}): {rows:,} rows of {columns:,} numbers")
        return
    lacking = [f"{each.number}/{each.count}" for each in block_builder.missing_shards(recipe, items, cache, part.count)]
    if talk.as_json:
        talk.event(
            "shard", block=recipe.name, maker=recipe.maker.name, shard=f"{part.number}/{part.count}", missing=lacking
        )
    talk.line(
        f"block {recipe.name} ({recipe.maker.name}): shard {part.number}/{part.count} is made; "
        f"{len(lacking):,} of {part.count:,} are missing: {first_few(lacking)}; the last to be made joins them"
    )


def _write(talk: Any, recipe: Any, items: Any, cache: Path, file: Path) -> None:
    """Write a finished block and its ids beside each other, as the embedder `npy` reads them."""
    import numpy as np

    from harness.run import blocks

    if not blocks.is_made(recipe, cache):
        return
    ids = file.with_name(f"{file.stem}_ids.npy")
    plain = items.ids if items.ids.dtype.kind in "iu" else np.array(items.ids.tolist(), dtype=np.str_)
    with (partial := ids.with_suffix(".partial")).open("wb") as out:
        np.save(out, plain, allow_pickle=False)
    partial.replace(ids)
    shutil.copyfile(blocks.array_file(recipe, cache), partial := file.with_suffix(".partial"))
    partial.replace(file)
    if talk.as_json:
        talk.event("written", path=str(file), ids=str(ids))
    talk.line(f"{file} and {ids} are written; in a suite: {{embedder: npy, path: {file}, ids: {ids}}}")


def _array_file(output: Path | None) -> Path:
    if output is None or output.suffix != ".npy":
        raise HarnessError(f"--output {output or 'is missing'}: the .npy file to write, such as '-o embeddings.npy'")
    output.parent.mkdir(parents=True, exist_ok=True)
    return output


def _given(name: str, value: str | None) -> str:
    if value is None:
        raise HarnessError(f"{name} is missing: such as {name} 'sentence_transformer: {{model: OWNER/NAME}}'")
    return value
