"""Execute a run: build missing blocks and neighbour lists, then run cells.

Every cell has a process of its own, which is given a spec and a Task and never a hidden label.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.data.tasks import make_task
from harness.errors import HarnessError, PluginError, describe_error, first_line
from harness.plugin.block import Block
from harness.plugin.needs import Among, needs
from harness.plugin.precomputed import PrecomputedNeighbors
from harness.plugin.protocols import iter_plugins
from harness.run.access import cell_access
from harness.run.answers import find_answer_error, read_answer
from harness.run.block_builder import build_block, clear_shards, default_slots
from harness.run.blocks import Recipe, open_block
from harness.run.compiled_loops import choose_cache, compile_once
from harness.run.estimates import CostHistory, cost_features, read_cell_costs
from harness.run.hardware import processor_kernels
from harness.run.neighbor_lists import find_lists
from harness.run.neighbor_plan import plan_searches
from harness.run.plan import Cell, EvaluationSplit
from harness.run.runner import Options, Run, block_widths, cache_of, preload_modules
from harness.run.scheduler import MemoryBudget, start_order
from harness.run.store import Store, write_suite_record
from harness.run.worker import References, label_in_worker
from harness.suite import spec
from harness.suite.candidates import Candidate
from harness.suite.catalog import Catalog
from harness.suite.suite import Suite
from harness.utils.confinement import landlock_version
from harness.utils.files import DISK_ERRORS, check_space, naming_file, remove_folder
from harness.utils.processes import LOG_FILE, Child, Processes, wait_any

MAX_KEPT_LOG = 100_000  # bytes of a cell's log that stay with it
SPARE_BYTES = 2**20  # that must be free beside the answer of a cell: facts, checkpoints, a log
Blocks = Mapping[str, Block]
NeighborLists = dict[EvaluationSplit, dict[tuple[tuple[str, ...], Among], PrecomputedNeighbors]]


@dataclass(frozen=True)
class Outcome:
    """How one cell ended: "ok", "failed" or "not applicable", and why."""

    cell: Cell
    status: str
    reason: str = ""
    seconds: float = 0.0


def warm_up(suites: Iterable[Suite], options: Options) -> None:
    """Import the workers' modules while the data are opened.

    Only for suites that have not run here: others may have no cell left to run.
    """
    fresh = [suite for suite in suites if not Store(options.output / "runs" / suite.name).cells.exists()]
    if fresh:
        make_processes([candidate for suite in fresh for candidate in suite.labelers], options).warm_up()


def make_processes(candidates: Iterable[Candidate], options: Options) -> Processes:
    """Return the server of workers for these labelers."""
    modules = ("harness.run.worker", "harness.run.neighbor_lists", *preload_modules(candidates))
    loops = cache_of(options) / "numba"
    choose_cache(loops)
    if "harness.search.kernels" in modules:
        compile_once(loops)
    return Processes(modules, options.hardware.threads, options.hardware.device, options.jobs)


def execute(
    run: Run,
    on_block: Callable[[Recipe, int, int], None],
    on_cell: Callable[[Outcome], None],
    on_list: Callable[[str, int, int], None] = lambda name, rows, total: None,
    blocks: Collection[str] = (),
) -> None:
    """Build the missing blocks and neighbour lists; run the unfinished cells.

    The `blocks` of these names are built even if no cell is left to run.
    The functions are called with the progress: finished rows and all rows, or how a cell ended. The caller holds the
    run's lock.
    """
    run.store.open()
    write_suite_record(run.store, run.suite.file, run.options.identity | {"kernels": processor_kernels()})
    todo = [cell for cell in run.cells if not run.store.has(cell.key)]
    missing = run.missing_blocks(blocks)
    if not todo and not missing:
        return
    try:
        processes = make_processes([cell.candidate for cell in todo], run.options)
        _build_blocks(run, missing, processes, on_block)
        names = {name for cell in todo for name in cell.blocks}
        opened = {name: open_block(run.recipes[name], run.cache) for name in names}
        lists = _find_lists(run, todo, opened, processes, on_list)
        _run_cells(run, todo, opened, lists, processes, on_cell)
    finally:
        run.store.save_fingerprints()


def _build_blocks(
    run: Run, missing: list[Recipe], processes: Processes, on_block: Callable[[Recipe, int, int], None]
) -> None:
    n_rows, cores = len(run.dataset), run.options.jobs * run.options.hardware.threads
    for recipe in run.recipes.values():
        clear_shards(recipe, run.cache)
    for recipe in missing:
        on_block(recipe, 0, n_rows)

        def progress(rows: int, recipe: Recipe = recipe) -> None:
            on_block(recipe, rows, n_rows)

        slots = default_slots(recipe, n_rows, cores)
        build_block(recipe, run.dataset.items, run.cache, processes, run.options.limits, progress, slots)


def _find_lists(
    run: Run, todo: list[Cell], blocks: Blocks, processes: Processes, on_list: Callable[[str, int, int], None]
) -> NeighborLists:
    """Find the neighbours that several cells need; return all lists on disk."""
    lists: NeighborLists = {}
    for shared in plan_searches(todo, blocks):
        if shared.is_worth_sharing(todo):
            threads = run.options.hardware.threads * run.options.jobs  # no cell runs meanwhile

            def progress(rows: int, total: int, name: str = "+".join(shared.on)) -> None:
                on_list(name, rows, total)

            # Without its list a cell searches by itself, and its own failure has the reason.
            with suppress(HarnessError):
                find_lists(shared, run.cache, processes, run.options.limits, threads, progress, run.options.engine)
        for request, neighbors in zip(shared.lists, shared.open_lists(run.cache), strict=True):
            if neighbors is not None:
                lists.setdefault(request.evaluation, {})[shared.on, shared.among] = neighbors
    return lists


def _run_cells(
    run: Run,
    todo: list[Cell],
    blocks: Blocks,
    lists: NeighborLists,
    processes: Processes,
    on_cell: Callable[[Outcome], None],
) -> None:
    """Run the cells and commit each as it ends; a failed one stops no other.

    A cell that does not fit in memory beside those that run lets later ones pass.
    """
    options, history, widths = run.options, CostHistory(read_cell_costs(run.cache.parent)), block_widths(run)
    expected = {cell.key: history.estimate(cell, widths, options.hardware.threads) for cell in todo}
    budget = MemoryBudget(options.memory_budget, {key: estimate.memory or 0 for key, estimate in expected.items()})
    # Labelers that differ only in their title have one key, and so one cell.
    unique = {cell.key: cell for cell in start_order(todo, expected, options.jobs)}
    waiting, running = list(unique.values())[::-1], dict[int, tuple[Cell, Child]]()
    ended: list[tuple[Cell, Child, str | None]] = []
    try:
        while waiting or running or ended:
            while len(running) < options.jobs and (
                cell := budget.take(waiting, [cell for cell, _ in running.values()])
            ):
                try:
                    child = _start(cell, run, blocks, lists, processes)
                except Exception as error:
                    on_cell(_fail_in_parent(cell, run, error, "could not be started"))
                else:
                    running[id(child)] = cell, child
            for cell, child, limit in ended:  # while others run: a commit waits for the disk
                try:
                    outcome = _commit_or_fail(cell, child, limit, run, blocks)
                except Exception as error:
                    outcome = _fail_in_parent(cell, run, error, "could not be stored", child.seconds)
                on_cell(outcome)
            stopped = wait_any([child for _, child in running.values()], options.limits, timeout=0.05)
            ended = [(*running.pop(id(child)), limit) for child, limit in stopped]
    finally:
        for _, child in running.values():
            child.kill()


def _start(cell: Cell, run: Run, blocks: Blocks, lists: NeighborLists, processes: Processes) -> Child:
    folder = run.store.scratch / cell.key
    remove_folder(folder)
    folder.mkdir()
    labeler = cell.candidate.labeler
    references = references_of(labeler, run.catalog)
    task = make_task(run.dataset, cell.evaluation.split, {name: blocks[name] for name in cell.blocks})
    on_disk = lists.get(cell.evaluation, {})
    declared = {(need.on, need.among) for need in needs(labeler)}
    unnamed = sorted({name for on, _ in declared for name in on} - set(cell.blocks))
    if unnamed:
        raise PluginError(f"needs() speaks of block {unnamed[0]!r}, which no field `on` names")
    neighbors, graphs = (
        {on: on_disk[on, among] for on, among in declared & on_disk.keys() if among == kind}
        for kind in ("labelled", "all")
    )
    task = replace(task, precomputed=neighbors, precomputed_graphs=graphs)
    arguments = (spec.to_spec(labeler), references, task, run.options.engine)
    return processes.start(label_in_worker, arguments, folder.absolute(), cell_access(labeler, task, run.catalog))


def references_of(labeler: Any, catalog: Catalog) -> References:
    """Return the classes of a labeler and those in it, for its worker."""
    return {plugin.name: catalog.of(plugin).reference() for plugin in iter_plugins(labeler)}


def _commit_or_fail(cell: Cell, child: Child, limit: str | None, run: Run, blocks: Blocks) -> Outcome:
    """Commit a worker's answer if it is sound, else record why there is none."""
    split, log = cell.evaluation.split, child.folder / LOG_FILE
    answer = None if limit else read_answer(child.folder)
    if answer is None:
        status, reason = "failed", limit or child.describe_exit()
    else:
        status, reason = answer["status"], answer["reason"]
    if status == "ok" and answer is not None:
        reason = find_answer_error(child.folder, len(split.test), run.dataset.n_classes, answer) or ""
        status = "failed" if reason else "ok"
    _shorten(log)
    if status != "ok" or answer is None:
        if status == "failed":  # a worker that could not write its answer is no failure of its labeler
            check_space(run.store.scratch, SPARE_BYTES + 8 * len(split.test) * run.dataset.n_classes)
        if log.exists():
            log.rename(run.store.failed / f"{cell.key}.log")
        return _fail(cell, run, status, reason, child.seconds)
    record = {
        "spec": spec.to_spec(cell.candidate.labeler),
        "split": [cell.evaluation.comparison, split.seed, split.ratio, split.fold],
        "parts": cell.parts,
        "facts": answer["facts"],
        "checkpoints": answer["checkpoints"],
    }
    cost = {
        "confined": landlock_version() > 0,
        "seconds": answer["seconds"],
        "wall": child.seconds,
        "memory": max(child.peak, answer["memory"]),
        "threads": run.options.hardware.threads,
        "searches": answer["searches"],
    }
    features = cost_features(cell, {name: block.array.shape[1] for name, block in blocks.items()})
    run.store.commit(cell.key, child.folder, record, cost | features)
    return Outcome(cell, "ok", "", child.seconds)


def _fail(cell: Cell, run: Run, status: str, reason: str, seconds: float) -> Outcome:
    """Record why a cell has no result; remove its worker's folder."""
    remove_folder(run.store.scratch / cell.key)
    run.store.fail(cell.key, {"status": status, "reason": reason, "seconds": seconds})
    return Outcome(cell, status, reason, seconds)


def _fail_in_parent(cell: Cell, run: Run, error: Exception, step: str, seconds: float = 0.0) -> Outcome:
    """Turn an exception about one cell into its failure; no other stops.

    A full or broken disk is no fault of a cell: that exception is raised again.
    """
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        with naming_file(Path(error.filename or run.store.cells)):
            raise error
    reason = str(error) if isinstance(error, HarnessError) else f"{step}: {describe_error(error)}"
    return _fail(cell, run, "failed", first_line(reason), seconds)


def _shorten(log: Path) -> None:
    """Cut a log to its end; remove what a labeler put in its place."""
    if log.is_symlink() or (log.exists() and not log.is_file()):
        remove_folder(log) if log.is_dir() and not log.is_symlink() else log.unlink()
    if log.exists() and log.stat().st_size > MAX_KEPT_LOG:
        with log.open("r+b") as file:
            file.seek(-MAX_KEPT_LOG, 2)
            tail = file.read()
            file.seek(0)
            file.write(b"... (shortened)\n" + tail)
            file.truncate()
