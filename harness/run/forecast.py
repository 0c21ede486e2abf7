"""Forecast the time, memory and disk that the rest of a run needs."""

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
    """A block or a neighbour list that is made before the cells."""

    kind: str  # "block", "list"
    name: str
    estimate: CostEstimate
    disk: int | None  # bytes


@dataclass(frozen=True)
class Forecast:
    """The expected cost of the rest of a run."""

    artifacts: tuple[PendingArtifact, ...]
    cells: dict[str, CostEstimate]  # of those to run, by key
    seconds: float  # of everything that has an estimate
    unknown: int  # number of cells and artifacts without one
    memory: int  # bytes, of the largest artifact, or of the largest cells that may run together
    disk: int  # bytes that blocks, lists and answers will take
    misfits: tuple[str, ...]  # a line for each thing that is expected to fail

    def by_labeler(self, cells: list[Cell]) -> dict[tuple[str, str], list[CostEstimate]]:
        """Return the estimates of the cells to run, by comparison and labeler."""
        estimates: dict[tuple[str, str], list[CostEstimate]] = {}
        for cell in cells:
            if cell.key in self.cells:
                key = cell.evaluation.comparison, cell.candidate.title
                estimates.setdefault(key, []).append(self.cells[cell.key])
        return estimates


def forecast(run: Run, finished: set[str]) -> Forecast:
    """Forecast the cost of all but the `finished` cells of a run.

    It is estimated from the records of earlier runs in the same output folder.
    """
    todo = list({cell.key: cell for cell in run.cells if cell.key not in finished}.values())
    records, widths = CostHistory(read_cell_costs(run.cache.parent)), block_widths(run)
    hardware, jobs = run.options.hardware, run.options.jobs
    cells = {cell.key: records.estimate(cell, widths, hardware.threads) for cell in todo}
    artifacts = (*_pending_blocks(run, todo, widths), *_pending_lists(run, todo))
    cell_seconds = sorted((each.seconds for each in cells.values() if each.seconds is not None), reverse=True)
    artifact_seconds = [artifact.estimate.seconds for artifact in artifacts]
    cell_memory = sorted((each.memory or 0 for each in cells.values()), reverse=True)
    answer_bytes = sum(len(cell.evaluation.split.test) * (4 * run.dataset.n_classes + 1) for cell in todo)
    return Forecast(
        artifacts,
        cells,
        sum(each for each in artifact_seconds if each is not None) + makespan(cell_seconds, jobs),
        len(cells) - len(cell_seconds) + artifact_seconds.count(None),
        max([sum(cell_memory[:jobs]), *(artifact.estimate.memory or 0 for artifact in artifacts)]),
        answer_bytes + sum(artifact.disk or 0 for artifact in artifacts),
        tuple(_misfits(run, todo, cells, artifacts, answer_bytes)),
    )


def _pending_blocks(run: Run, todo: list[Cell], widths: dict[str, int]) -> Iterator[PendingArtifact]:
    names = {name for cell in todo for name in cell.blocks}
    for name, recipe in run.recipes.items():
        if name in names and not run.is_made(name):
            disk = 4 * len(run.dataset) * widths[name] if name in widths else None
            yield PendingArtifact("block", name, estimate_block(recipe.maker, len(run.dataset), run.cache), disk)


def _pending_lists(run: Run, todo: list[Cell]) -> Iterator[PendingArtifact]:
    """Yield the searches on blocks that are on disk; others have no width yet."""
    on_disk = {name: recipe for name, recipe in run.recipes.items() if run.is_made(name)}
    blocks = {name: block_files.open_block(recipe, run.cache) for name, recipe in on_disk.items()}
    for shared in plan_searches(todo, blocks):
        if shared.is_worth_sharing(todo) and None in shared.open_lists(run.cache):
            threads = run.options.hardware.threads * run.options.jobs
            disk = sum(8 * request.neighbors.k * request.query_count(shared.n_rows) for request in shared.lists)
            yield PendingArtifact("list", "+".join(shared.on), estimate_list(shared.cost, threads, run.cache), disk)


def _misfits(
    run: Run,
    todo: list[Cell],
    cells: dict[str, CostEstimate],
    artifacts: tuple[PendingArtifact, ...],
    answer_bytes: int,
) -> Iterator[str]:
    """Yield a line for each thing expected to lack memory, disk or time."""
    limits = run.options.limits
    for name in dict.fromkeys(cell.candidate.title for cell in todo):
        estimates = [cells[cell.key] for cell in todo if cell.candidate.title == name]
        memory = max(each.memory or 0 for each in estimates)
        if memory > limits.memory:
            yield f"{name}: needs about {format_gib(memory)}, a cell may use {format_gib(limits.memory)}"
        seconds = max(each.seconds or 0 for each in estimates)
        if seconds > limits.timeout:
            yield f"{name}: takes about {seconds:,.0f} s, a cell may take {limits.timeout:,.0f} s"
    for artifact in artifacts:
        memory = artifact.estimate.memory or 0
        if memory > limits.memory:
            name, limit = f"{artifact.kind} {artifact.name}", format_gib(limits.memory)
            yield f"{name}: needs about {format_gib(memory)}, may use {limit}"
    largest = sorted((each.memory or 0 for each in cells.values()), reverse=True)[: run.options.jobs]
    if len(largest) > 1 and sum(largest) > run.options.memory_budget:
        together, total = format_gib(sum(largest)), format_gib(machine_memory())
        yield f"{len(largest)} cells at once: about {together} of {total}; fewer will run while the largest do"
    disk, free = answer_bytes + sum(artifact.disk or 0 for artifact in artifacts), _free_bytes(run.cache)
    if disk > free:
        yield f"disk: needs about {format_gib(disk)}, {format_gib(free)} are free"


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.absolute().parent
    return shutil.disk_usage(folder).free


def format_gib(size: int) -> str:
    """Format a number of bytes in GiB, or in MiB below .1 GiB."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:,.0f} MiB"
