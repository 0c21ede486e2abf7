"""Order cells and share memory between those that run together."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.plugin.protocols import iter_plugins
from harness.run.estimates import CostEstimate
from harness.run.plan import Cell


def start_order(cells: list[Cell], estimates: Mapping[str, CostEstimate], jobs: int) -> list[Cell]:
    """Return the cells in the order in which they start.

    It is that of the plan where one runs at a time, else the longest first. Cells without an estimate come before: any
    of them may be the longest. Of these, first is the one with the most labelers inside, then the one with the most
    rows to learn from.
    """
    if jobs == 1:
        return list(cells)

    def priority(cell: Cell) -> tuple[bool, float, int]:
        seconds = estimates[cell.key].seconds
        n_labelers = sum(1 for _ in iter_plugins(cell.candidate.labeler))
        return seconds is not None, -(n_labelers if seconds is None else seconds), -len(cell.evaluation.split.train)

    return sorted(cells, key=priority)


@dataclass(frozen=True)
class MemoryBudget:
    """The memory that cells share; one that needs more runs alone."""

    memory: int  # bytes
    needed: Mapping[str, int]  # key -> bytes a cell is expected to need

    def take(self, waiting: list[Cell], running: list[Cell]) -> Cell | None:
        """Take the next cell that fits beside those that run; None if none does.

        It is removed from `waiting`, whose last cell is the first in line.
        """
        free = self.memory - sum(self.needed.get(cell.key, 0) for cell in running)
        for i in reversed(range(len(waiting))):
            if not running or self.needed.get(waiting[i].key, 0) <= free:
                return waiting.pop(i)
        return None


def makespan(seconds: Iterable[float], jobs: int) -> float:
    """Return the time that tasks of these durations take, `jobs` at a time.

    They start in the order given, each as soon as a worker is free.
    """
    workers = [0.0] * jobs  # when each is free
    for duration in seconds:
        heapq.heapreplace(workers, workers[0] + duration)
    return max(workers)
