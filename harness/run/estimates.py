"""Estimate seconds and peak memory of cells, blocks and neighbour lists.

The estimates are scaled from the records of finished ones.
"""

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

IDLE_WORKER_BYTES = 40 * 2**20  # of a worker that has done nothing yet
Record = dict[str, Any]


@dataclass(frozen=True)
class CostEstimate:
    """The expected cost of a cell, block or list; None without a record."""

    seconds: float | None = None
    memory: int | None = None  # bytes at the peak
    how: str = "unknown"  # "recorded": by equal cells; "scaled": from the nearest; "matrix": memory alone


def cost_features(cell: Cell, widths: Mapping[str, int]) -> Record:
    """Return what the cost of a cell depends on: labeler, n, m and d columns.

    It is stored with the cell. d is None where a block that the labeler names has no width yet, 0 where it names none.
    """
    labeler, split = cell.candidate.labeler, cell.evaluation.split
    on = block_names(labeler)
    d = sum(widths[name] for name in on) if all(name in widths for name in on) else None
    names = [plugin.name for plugin in iter_plugins(labeler)]
    return {"names": names, "spec": spec.to_spec(labeler), "n": len(split.train), "m": len(split.test), "d": d}


class CostHistory:
    """The costs of finished cells, by the names of their labelers."""

    def __init__(self, records: Iterator[Record]) -> None:
        self._records: dict[tuple[str, ...], list[Record]] = {}
        for record in records:
            if {"names", "spec", "n", "m", "d", "threads", "wall"} <= record.keys() and record["n"] + record["m"]:
                self._records.setdefault(tuple(map(str, record["names"])), []).append(record)

    def estimate(self, cell: Cell, widths: Mapping[str, int], threads: int) -> CostEstimate:
        """Estimate a cell from the nearest records.

        Near is first the same parameters, then the same threads, then a similar size. Seconds grow with rows times
        columns, or with the square of the rows where a labeler compares rows with each other; memory grows with rows
        times columns. Without a record, memory is that of the matrix that the labeler may read.
        """
        features = cost_features(cell, widths)
        records, rows = self._records.get(tuple(features["names"]), []), features["n"] + features["m"]
        if not records:
            return CostEstimate(None, IDLE_WORKER_BYTES + 4 * rows * (features["d"] or 0), "matrix")

        def distance(record: Record) -> tuple[bool, bool, float]:
            size_difference = abs(log(_size_ratio(record, features)))
            return record["spec"] != features["spec"], record["threads"] != threads, size_difference

        least = min(map(distance, records))
        nearest = [record for record in records if distance(record) == least]
        growth = _size_ratio(nearest[0], features)
        row_growth = rows / (nearest[0]["n"] + nearest[0]["m"]) if _is_pairwise(cell.candidate.labeler) else 1
        seconds = median(record["wall"] for record in nearest) * growth * row_growth
        memory = median(record["memory"] for record in nearest)
        memory += max(memory - IDLE_WORKER_BYTES, 0) * (growth - 1)
        how = "recorded" if least == (False, False, 0.0) else "scaled"
        return CostEstimate(seconds, int(memory), how)


def _size_ratio(record: Record, cell: Record) -> float:
    """Return the ratio of the numbers in a cell's matrix to a record's.

    Blocks of unknown width count as equally wide.
    """
    columns = cell["d"] / record["d"] if cell["d"] and record["d"] else 1.0
    return float((cell["n"] + cell["m"]) / (record["n"] + record["m"]) * columns)


def _is_pairwise(labeler: Any) -> bool:
    """Return True if a labeler or one inside it compares rows."""
    return any(hasattr(p, "needs") or getattr(p, "transductive", False) for p in iter_plugins(labeler))


def read_cell_costs(runs: Path) -> Iterator[Record]:
    """Yield the cost of every finished cell of every suite under `runs`."""
    for suite in _subfolders(runs):
        for cell in _subfolders(suite / "cells"):
            yield timing.read_timing(cell)


def estimate_block(maker: Any, rows: int, cache: Path) -> CostEstimate:
    """Estimate a block from the costs per row of others by the same maker.

    Those of the same parameters come first.
    """
    maker_spec = spec.to_spec(maker)
    name = next(iter(maker_spec))
    costs = [cost for folder in _subfolders(cache / "blocks") if (cost := timing.read_timing(folder)).get("rows")]
    costs = [cost for cost in costs if name in cost.get("spec", ())]
    if not costs:
        return CostEstimate()
    costs = [cost for cost in costs if cost["spec"] == maker_spec] or costs
    seconds = median(cost["seconds"] / cost["rows"] for cost in costs) * rows
    return CostEstimate(seconds, max(cost["memory"] for cost in costs), "scaled")


def estimate_list(work: float, threads: int, cache: Path) -> CostEstimate:
    """Estimate a search of `work` multiplications from the lists on disk."""
    costs = [cost for folder in _subfolders(cache / "lists") if (cost := timing.read_timing(folder)).get("work")]
    costs = [cost for cost in costs if "threads" in cost]
    if not costs:
        return CostEstimate()
    nearest = min(costs, key=lambda cost: abs(log(cost["work"] / work)))
    seconds = nearest["seconds"] * work / nearest["work"] * nearest["threads"] / threads
    return CostEstimate(seconds, nearest["memory"], "scaled")


def _subfolders(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from (Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return
