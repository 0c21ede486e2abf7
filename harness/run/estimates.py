"""What a cell, a block or a neighbour list will cost, told from what such have cost before."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log
from pathlib import Path
from statistics import median
from typing import Any

from harness.plugin.protocols import block_names, iter_plugins
from harness.run import timing
from harness.run.plan import Cell
from harness.suite import spec

IDLE_WORKER_BYTES = 40 * 2**20  # bytes that a worker has before it does anything
Record = dict[str, Any]


@dataclass(frozen=True)
class CostEstimate:
    """What something will cost. Nothing is guessed: what no record tells of is None."""

    seconds: float | None = None
    memory: int | None = None  # bytes at the peak
    how: str = "unknown"  # "recorded": of its like; "scaled": of the nearest of its kind; "matrix": memory alone


def cost_features(cell: Cell, widths: Mapping[str, int]) -> Record:
    """Return what the cost of a cell depends on, as it is noted beside it: its labeler, n, m, and d columns.

    d is None where a block that the labeler names has no width yet, 0 where it names none.
    """
    labeler, split = cell.candidate.labeler, cell.evaluation.split
    on = block_names(labeler)
    d = sum(widths[name] for name in on) if all(name in widths for name in on) else None
    names = [plugin.name for plugin in iter_plugins(labeler)]
    return {"names": names, "spec": spec.to_spec(labeler), "n": len(split.train), "m": len(split.test), "d": d}


class CostHistory:
    """What finished cells have cost, by the names of their labelers."""

    def __init__(self, records: Iterator[Record]) -> None:
        self._known: dict[tuple[str, ...], list[Record]] = {}
        for record in records:
            if {"names", "spec", "n", "m", "d", "threads", "wall"} <= record.keys():
                self._known.setdefault(tuple(record["names"]), []).append(record)

    def estimate(self, cell: Cell, widths: Mapping[str, int], threads: int) -> CostEstimate:
        """Estimate a cell from the nearest records: of the same parameters, then threads, then size.

        Seconds grow with rows times columns, those of a labeler that compares rows with each other with the square of
        the rows; memory grows with rows times columns. Without a record, memory is that of the matrix it may ask for.
        """
        wanted = cost_features(cell, widths)
        known, rows = self._known.get(tuple(wanted["names"]), []), wanted["n"] + wanted["m"]
        if not known:
            return CostEstimate(None, IDLE_WORKER_BYTES + 4 * rows * (wanted["d"] or 0), "matrix")

        def far(record: Record) -> tuple[bool, bool, float]:
            return (
                record["spec"] != wanted["spec"],
                record["threads"] != threads,
                abs(log(_size_ratio(record, wanted))),
            )

        least = min(map(far, known))
        nearest = [record for record in known if far(record) == least]
        growth = _size_ratio(nearest[0], wanted)
        more = rows / (nearest[0]["n"] + nearest[0]["m"]) if _is_pairwise(cell.candidate.labeler) else 1
        seconds = median(record["wall"] for record in nearest) * growth * more
        memory = median(record["memory"] for record in nearest)
        memory += max(memory - IDLE_WORKER_BYTES, 0) * (growth - 1)
        how = "recorded" if least == (False, False, 0.0) else "scaled"
        return CostEstimate(seconds, int(memory), how)


def _size_ratio(record: Record, cell: Record) -> float:
    """Return how many times as many numbers a cell has as one that is recorded; blocks of unknown width count as
    equally wide."""
    columns = cell["d"] / record["d"] if cell["d"] and record["d"] else 1.0
    return float((cell["n"] + cell["m"]) / (record["n"] + record["m"]) * columns)


def _is_pairwise(labeler: Any) -> bool:
    return any(hasattr(p, "needs") or getattr(p, "transductive", False) for p in iter_plugins(labeler))


def read_cell_costs(runs: Path) -> Iterator[Record]:
    """Yield what every finished cell of every suite in the folder `runs` has cost."""
    for suite in _folders(runs):
        for cell in _folders(suite / "cells"):
            yield timing.read_timing(cell)


def estimate_block(maker: Any, rows: int, cache: Path) -> CostEstimate:
    """Estimate a block from others by the same maker, row by row: first of the same parameters."""
    what = spec.to_spec(maker)
    kind = next(iter(what))
    known = [cost for folder in _folders(cache / "blocks") if (cost := timing.read_timing(folder)).get("rows")]
    known = [cost for cost in known if kind in cost["spec"]]
    same = [cost for cost in known if cost["spec"] == what]
    if not known:
        return CostEstimate()
    seconds = median(cost["seconds"] / cost["rows"] for cost in same or known) * rows
    return CostEstimate(seconds, max(cost["memory"] for cost in same or known), "scaled")


def estimate_list(work: float, threads: int, cache: Path) -> CostEstimate:
    """Estimate a neighbour search of `work` multiplications from the lists that are there."""
    known = [cost for folder in _folders(cache / "lists") if (cost := timing.read_timing(folder)).get("work")]
    if not known:
        return CostEstimate()
    nearest = min(known, key=lambda cost: abs(log(cost["work"] / work)))
    seconds = nearest["seconds"] * work / nearest["work"] * nearest["threads"] / threads
    return CostEstimate(seconds, nearest["memory"], "scaled")


def _folders(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from (Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return
