"""Order cells and share memory between those that run together."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.plugin.protocols import iter_plugins
from harness.run.estimates import CostEstimate
from harness.run.plan import Cell


def start_order(cells: list[Cell], estimates: Mapping[str, CostEstimate], jobs: int) -> list[Cell]:
    """Return the order in which cells start: that of the plan, or, where several run at a time, the longest first.

    Those of which nothing is known come before: any of them may be the longest. Of them the one that holds the most
    labelers comes first, then the one with the most rows to learn from.
    """
    if jobs == 1:
        return list(cells)

    def last(cell: Cell) -> tuple[bool, float, int]:
        seconds = estimates[cell.key].seconds
        inside = sum(1 for _ in iter_plugins(cell.candidate.labeler))
        return seconds is not None, -(inside if seconds is None else seconds), -len(cell.evaluation.split.train)

    return sorted(cells, key=last)


@dataclass(frozen=True)
class MemoryBudget:
    """The memory that cells share. One that needs more than there is runs alone."""

    memory: int  # bytes
    needed: Mapping[str, int]  # key -> bytes a cell is expected to need

    def take(self, waiting: list[Cell], running: list[Cell]) -> Cell | None:
        """Take from `waiting`, last first, the next cell that has room beside those that run; None if none has."""
        free = self.memory - sum(self.needed.get(cell.key, 0) for cell in running)
        for place in reversed(range(len(waiting))):
            if not running or self.needed.get(waiting[place].key, 0) <= free:
                return waiting.pop(place)
        return None


def makespan(seconds: Iterable[float], jobs: int) -> float:
    """Return how long it takes to run these one after the other, each as soon as one of `jobs` hands is free."""
    hands = [0.0] * jobs
    for each in seconds:
        heapq.heapreplace(hands, hands[0] + each)
    return max(hands)
