"""What a run has before it: the time and memory of everything that is still to be made, and what will not fit."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.run import blocks as block_files
from harness.run.estimates import CostEstimate, CostHistory, estimate_block, estimate_list, read_cell_costs
from harness.run.neighbor_plan import plan_searches
from harness.run.plan import Cell
from harness.run.runner import Run, block_widths
from harness.run.scheduler import makespan
from harness.utils.memory import machine_memory


@dataclass(frozen=True)
class PendingArtifact:
    """A block or a neighbour list that is to be made before the cells."""

    kind: str  # "block", "list"
    name: str
    estimate: CostEstimate
    disk: int | None  # bytes


@dataclass(frozen=True)
class Forecast:
    """All that is to be done."""

    artifacts: tuple[PendingArtifact, ...]
    cells: dict[str, CostEstimate]  # of those to run, by key
    seconds: float  # of everything whose cost is known
    unknown: int  # how many cells and parts are not among it
    memory: int  # bytes, of the largest part or cell, or of as many cells as run at a time
    disk: int  # bytes that blocks, lists and answers will take
    misfits: tuple[str, ...]

    def by_labeler(self, cells: list[Cell]) -> dict[tuple[str, str], list[CostEstimate]]:
        """Return the estimates of the cells to run, by comparison and labeler."""
        found: dict[tuple[str, str], list[CostEstimate]] = {}
        for cell in cells:
            if cell.key in self.cells:
                key = cell.evaluation.comparison, cell.candidate.title
                found.setdefault(key, []).append(self.cells[cell.key])
        return found


def forecast(run: Run, finished: set[str]) -> Forecast:
    """Foretell what a run will cost from what earlier ones in the same output folder have cost."""
    todo = list({cell.key: cell for cell in run.cells if cell.key not in finished}.values())
    records, widths = CostHistory(read_cell_costs(run.cache.parent)), block_widths(run)
    hardware, jobs = run.options.hardware, run.options.jobs
    cells = {cell.key: records.estimate(cell, widths, hardware.threads) for cell in todo}
    parts = (*_blocks(run, todo, widths), *_lists(run, todo))
    known = sorted((each.seconds for each in cells.values() if each.seconds is not None), reverse=True)
    before = [part.estimate.seconds for part in parts]
    needs = sorted((each.memory or 0 for each in cells.values()), reverse=True)
    answers = sum(len(cell.evaluation.split.test) * (4 * run.dataset.n_classes + 1) for cell in todo)
    return Forecast(
        parts,
        cells,
        sum(each for each in before if each is not None) + makespan(known, jobs),
        len(cells) - len(known) + before.count(None),
        max([sum(needs[:jobs]), *(part.estimate.memory or 0 for part in parts)]),
        answers + sum(part.disk or 0 for part in parts),
        tuple(_misfits(run, todo, cells, parts, answers)),
    )


def _blocks(run: Run, todo: list[Cell], widths: dict[str, int]) -> Iterator[PendingArtifact]:
    wanted = {name for cell in todo for name in cell.blocks}
    for name, recipe in run.recipes.items():
        if name in wanted and not run.is_made(name):
            disk = 4 * len(run.dataset) * widths[name] if name in widths else None
            yield PendingArtifact("block", name, estimate_block(recipe.maker, len(run.dataset), run.cache), disk)


def _lists(run: Run, todo: list[Cell]) -> Iterator[PendingArtifact]:
    """Yield the searches for neighbours; of blocks that are not made, nothing can be said yet."""
    on_disk = {name: recipe for name, recipe in run.recipes.items() if run.is_made(name)}
    blocks = {name: block_files.open_block(recipe, run.cache) for name, recipe in on_disk.items()}
    for shared in plan_searches(todo, blocks):
        if shared.is_worth_sharing(todo) and None in shared.open_lists(run.cache):
            threads = run.options.hardware.threads * run.options.jobs
            disk = sum(8 * request.neighbors.k * request.query_count(shared.n_rows) for request in shared.lists)
            yield PendingArtifact("list", "+".join(shared.on), estimate_list(shared.cost, threads, run.cache), disk)


def _misfits(
    run: Run, todo: list[Cell], cells: dict[str, CostEstimate], parts: tuple[PendingArtifact, ...], answers: int
) -> Iterator[str]:
    """Yield a line for each thing that is expected to fail for want of memory, disk or time."""
    limits = run.options.limits
    for name in dict.fromkeys(cell.candidate.title for cell in todo):
        mine = [cells[cell.key] for cell in todo if cell.candidate.title == name]
        memory = max(each.memory or 0 for each in mine)
        if memory > limits.memory:
            yield f"{name}: needs about {format_gib(memory)}, a cell may use {format_gib(limits.memory)}"
        seconds = max(each.seconds or 0 for each in mine)
        if seconds > limits.timeout:
            yield f"{name}: takes about {seconds:,.0f} s, a cell may take {limits.timeout:,.0f} s"
    for part in parts:
        if (part.estimate.memory or 0) > limits.memory:
            yield (
                f"{part.kind} {part.name}: needs about {format_gib(part.estimate.memory or 0)}, may "
                f"use {format_gib(limits.memory)}"
            )
    needs = sorted((each.memory or 0 for each in cells.values()), reverse=True)[: run.options.jobs]
    if len(needs) > 1 and sum(needs) > run.options.memory_budget:
        have = format_gib(machine_memory())
        yield (
            f"{len(needs)} cells at once: about {format_gib(sum(needs))} of {have}; fewer will run while the largest do"
        )
    disk, free = answers + sum(part.disk or 0 for part in parts), _free(run.cache)
    if disk > free:
        yield f"disk: needs about {format_gib(disk)}, {format_gib(free)} are free"


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.absolute().parent
    return shutil.disk_usage(folder).free


def format_gib(size: int) -> str:
    """Write a number of bytes as a page shows it."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:,.0f} MiB"
