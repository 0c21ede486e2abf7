"""LightGBM on text features and on them beside an embedding: what its fast preset gains and what binning costs.

`pytest -s benchmarks/test_gbm.py`. The preset changes the answers: docs/suites.md says by how much.
"""

import time
from statistics import median

import numpy as np
import pytest

from harness import Block, Task
from harness_plugins.labelers._categories import Categories
from harness_plugins.labelers.gbm import GBM, _bin_rows

ROUNDS = 3
GROWN = 5  # rounds of boosting that are timed
USUAL = 300  # rounds that a cell grows


def task_of(rows: int, columns: int) -> Task:
    """Six classes from a noisy sum of some columns; one row to label."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows + 1, columns), np.float32)
    y = np.clip(np.round((X[:, :8].sum(axis=1) + 3 * rng.standard_normal(rows + 1)) / 3 + 2.5), 0, 5)
    return Task({"x": Block(X, "embedding")}, np.arange(rows), y[:rows], np.array([rows]), 6, seed=1)


def seconds(gbm: GBM, task: Task) -> tuple[float, float]:
    """Return the seconds for binning alone and for a round."""
    start = time.perf_counter()
    _bin_rows(task, "x", np.ones(len(task.y), bool), gbm._parameters(task), Categories())
    binning = time.perf_counter() - start
    start = time.perf_counter()
    gbm.label(task)
    return binning, (time.perf_counter() - start - binning) / gbm.rounds


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(("rows", "columns"), [(3_000, 63), (3_000, 1_087), (30_000, 63), (30_000, 1_087)])
def test_presets_in_turn(benchmark, rows, columns):
    task = task_of(rows, columns)
    presets = {name: GBM("x", rounds=GROWN, validation=0, preset=name) for name in ("record", "fast")}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in presets}

    def turn() -> None:
        for name, gbm in presets.items():
            taken[name].append(seconds(gbm, task))

    benchmark.pedantic(turn, rounds=ROUNDS)
    binning = {name: median(each[0] for each in times) for name, times in taken.items()}
    each_round = {name: median(each[1] for each in times) for name, times in taken.items()}
    ratio = (binning["record"] + USUAL * each_round["record"]) / (binning["fast"] + USUAL * each_round["fast"])
    benchmark.extra_info |= {
        "rows": rows,
        "columns": columns,
        "ratio over preset record": round(ratio, 2),
        **{f"ms per round, {name}": round(1e3 * value, 1) for name, value in each_round.items()},
        **{
            f"binning, share of {USUAL} rounds, {name}": round(value / (value + USUAL * each_round[name]), 4)
            for name, value in binning.items()
        },
        "target": None,
        "met": None,
    }
    print(f"\n{rows:,} x {columns:,}:", benchmark.extra_info)
