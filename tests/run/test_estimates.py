"""Estimates follow earlier records; the longest cells start first."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plugin.protocols import Split
from harness.run import runner
from harness.run.estimates import (
    IDLE_WORKER_BYTES,
    CostEstimate,
    CostHistory,
    cost_features,
    estimate_block,
    estimate_list,
)
from harness.run.executor import execute
from harness.run.plan import Cell, EvaluationSplit
from harness.run.scheduler import MemoryBudget, makespan, start_order
from harness.run.timing import write_timing
from harness.suite.candidates import Candidate
from harness.suite.catalog import discover
from harness.suite.suite import load_suite
from harness_plugins.features.text_v1 import TextV1
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.majority import Majority
from harness_plugins.networks.plugins import MLP
from harness_plugins.wrappers.oversample import Oversample
from tests.command_line import events, harness, write_labelers, write_suite

WIDTHS = {"bge": 8, "text": 3}


def cell(labeler, n=100, m=900, key="a"):
    rows = np.arange(n + m)
    split = Split(rows[:n], rows[n:], rows[:0], seed=1)
    return Cell(key, Candidate("it", labeler), EvaluationSplit("prefix", split), ("bge", "text"))


def record(labeler, wall, n=100, m=900, memory=IDLE_WORKER_BYTES, threads=1):
    return cost_features(cell(labeler, n, m), WIDTHS) | {
        "wall": wall,
        "seconds": wall,
        "memory": memory,
        "threads": threads,
    }


def estimate(records, *cell_arguments, threads=1, widths=WIDTHS):
    return CostHistory(iter(records)).estimate(cell(*cell_arguments), widths, threads)


def test_a_cell_costs_what_equal_cells_have_cost():
    equal = [record(MLP(on="bge"), wall, memory=IDLE_WORKER_BYTES + wall) for wall in (2, 9, 4)]
    other = [record(MLP(on="bge", hidden=8), 50), record(KNN(on="bge"), 70), {"seconds": 1, "memory": 2}]
    assert estimate(equal + other, MLP(on="bge")) == CostEstimate(4, IDLE_WORKER_BYTES + 4, "recorded")


def test_it_is_scaled_from_the_nearest_size_by_rows_and_columns():
    records = [
        record(MLP(on="bge"), 4, memory=IDLE_WORKER_BYTES + 100),
        record(MLP(on="bge"), 4000, n=100_000, memory=2**30),
    ]
    assert estimate(records, MLP(on="bge"), 500, 1500) == CostEstimate(8, IDLE_WORKER_BYTES + 200, "scaled")
    assert estimate(records, MLP(on=("bge", "text"))) == CostEstimate(
        4 * 11 / 8, int(IDLE_WORKER_BYTES + 100 * 11 / 8), "scaled"
    )
    assert estimate(records, MLP(on="bge"), widths={}) == CostEstimate(4, IDLE_WORKER_BYTES + 100, "recorded")


def test_labelers_that_compare_rows_take_the_square_of_the_rows():
    records = [record(KNN(on="bge"), 4, memory=IDLE_WORKER_BYTES + 100)]
    assert estimate(records, KNN(on="bge"), 200, 1800) == CostEstimate(16, IDLE_WORKER_BYTES + 200, "scaled")
    assert estimate(records, KNN(on="bge", k=99), 200, 1800) == CostEstimate(16, IDLE_WORKER_BYTES + 200, "scaled")


def test_the_same_parameters_come_before_the_same_threads():
    records = [record(KNN(on="bge", k=3), 5, threads=1), record(KNN(on="bge"), 7, threads=2)]
    assert estimate(records, KNN(on="bge")).seconds == 7
    assert estimate([*records, record(KNN(on="bge"), 9)], KNN(on="bge")).seconds == 9


def test_without_a_record_only_the_matrix_is_estimated():
    within = [record(Oversample(base=MLP(on="bge")), 5)]
    assert estimate(within, MLP(on=("bge", "text"))) == CostEstimate(None, IDLE_WORKER_BYTES + 4 * 1000 * 11, "matrix")
    assert estimate([], Majority()) == CostEstimate(None, IDLE_WORKER_BYTES, "matrix")


def test_blocks_and_lists_are_scaled_from_those_on_disk(tmp_path):
    assert estimate_block(TextV1(), 500, tmp_path) == estimate_list(1e9, 1, tmp_path) == CostEstimate()
    for key, kind, rows in (("a", "text_v1", 1_000), ("b", "column", 10)):
        (tmp_path / "blocks" / key).mkdir(parents=True)
        write_timing(tmp_path / "blocks" / key, seconds=20, memory=rows, rows=rows, spec={kind: {}})
    (tmp_path / "blocks" / "older").mkdir()
    assert estimate_block(TextV1(), 500, tmp_path) == CostEstimate(10, 1_000, "scaled")
    (tmp_path / "lists" / "a").mkdir(parents=True)
    write_timing(tmp_path / "lists" / "a", seconds=3, memory=7, work=1e9, threads=2)
    assert estimate_list(4e9, 1, tmp_path) == CostEstimate(24, 7, "scaled")


def test_the_longest_cell_starts_first_and_one_without_an_estimate_before_it():
    cells = [cell(MLP(on="bge"), key="short"), cell(MLP(on="bge"), key="long"), cell(KNN(on="bge"), key="new")]
    cells.append(cell(Oversample(base=KNN(on="bge")), key="new and nested"))
    estimates = {
        "short": CostEstimate(1),
        "long": CostEstimate(9),
        "new": CostEstimate(),
        "new and nested": CostEstimate(),
    }
    assert [each.key for each in start_order(cells, estimates, 2)] == ["new and nested", "new", "long", "short"]
    assert start_order(cells, estimates, 1) == cells


def test_makespan_of_several_workers():
    assert makespan([], 2) == 0
    assert makespan([3, 1, 1, 1], 1) == 6
    assert makespan([3, 1, 1, 1], 2) == 3
    assert makespan([1, 1, 1, 3], 2) == 4  # why the longest starts first


@given(st.lists(st.floats(0, 1e3), max_size=30), st.integers(1, 5))
def test_makespan_is_near_the_least_possible(seconds, jobs):
    least = max([sum(seconds) / jobs, *seconds])
    assert least - 1e-6 <= makespan(sorted(seconds, reverse=True), jobs) <= 2 * least + 1e-6


@given(st.lists(st.integers(0, 12), max_size=20), st.integers(1, 4), st.randoms(use_true_random=False))
def test_every_cell_gets_its_turn_and_only_one_alone_takes_more_than_there_is(needs, jobs, chance):
    waiting = [SimpleNamespace(key=str(i)) for i in range(len(needs))]
    memory = {each.key: need for each, need in zip(waiting, needs, strict=True)}
    budget, running, done = MemoryBudget(10, memory), [], 0
    while waiting or running:
        while len(running) < jobs and (next_cell := budget.take(waiting, running)):
            running.append(next_cell)
        assert running, "a cell always runs"
        assert len(running) == 1 or sum(memory[each.key] for each in running) <= 10
        running.remove(chance.choice(running))
        done += 1
    assert done == len(needs)


def test_a_cell_without_room_lets_others_pass():
    waiting = [SimpleNamespace(key=key) for key in ("small", "large")]
    budget = MemoryBudget(10, {"running": 6, "large": 5, "small": 4})
    next_cell = budget.take(waiting, [SimpleNamespace(key="running")])
    assert (next_cell.key, [each.key for each in waiting]) == ("small", ["large"])


@pytest.mark.parametrize("memory", [1, 2**60], ids=["no room", "room"])
def test_cells_that_do_not_fit_together_run_one_after_the_other(tmp_path, monkeypatch, memory):
    log = tmp_path / "log"
    body = f"""
        with open({str(log)!r}, "a") as log:
            log.write("begin\\n")
            log.flush()
            time.sleep(0.5)
            log.write("end\\n")
        return uniform(task)
        """
    log.touch()
    plugin = write_labelers(tmp_path / "plugin.py", slow=body)
    plugin.write_text(plugin.read_text() + f"\n\nSlowLabeler.writes = ({str(log)!r},)\n")
    file = write_suite(tmp_path, [{"slow": {"grid": {"k": [1, 2, 3]}}}])
    monkeypatch.setattr(runner, "machine_memory", lambda: memory)
    catalog = discover((plugin,))
    options = runner.Options(tmp_path, jobs=2, threads=1, memory=1)
    ready = runner.prepare_run(load_suite(file, catalog), catalog, options, lambda text: None)
    ended = []
    execute(ready, lambda *_: None, ended.append, lambda *_: None)
    assert [outcome.status for outcome in ended] == ["ok"] * 4
    alone = log.read_text().split() == ["begin", "end"] * 3
    assert alone == (memory == 1)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with a run of two labelers, and a suite with more to run."""
    folder = tmp_path_factory.mktemp("ran")
    write_suite(folder, [{"knn": {"on": "embedding"}}])
    assert harness("run", "suite.yaml", "--threads", 1, cwd=folder).returncode == 0
    more = [{"knn": {"on": "embedding"}}, {"linear": {"on": "embedding"}}]
    write_suite(folder, more, splits=[{"splitter": "prefix", "ratios": [0.5], "seeds": [3, 4]}])
    return folder


@pytest.mark.slow
def test_a_plan_has_an_estimate_of_each_cell(ran):
    result = harness("plan", "suite.yaml", "--threads", 1, "--json", cwd=ran)
    assert result.returncode == 0, result.stderr
    planned = {(event["labeler"], event["split"][-1]): event for event in events(result) if event["event"] == "cell"}
    assert [key for key, event in planned.items() if event["finished"]] == [
        ("majority", "3"),
        ("knn(on=embedding)", "3"),
    ]
    (cost,) = (
        cost
        for file in (ran / "runs/small/cells").glob("*/timing.json")
        if (cost := json.loads(file.read_text()))["names"] == ["knn"]
    )
    assert {name: cost[name] for name in ("n", "m", "d", "threads")} == {"n": 120, "m": 120, "d": 16, "threads": 1}
    knn = planned["knn(on=embedding)", "4"]
    assert (knn["seconds"], knn["memory"], knn["how"]) == (cost["wall"], cost["memory"], "recorded")
    linear = planned["linear(on=embedding)", "4"]
    assert (linear["seconds"], linear["memory"], linear["how"]) == (None, IDLE_WORKER_BYTES + 4 * 240 * 16, "matrix")
    total = events(result)[-1]
    assert (total["event"], total["cells"], total["unknown"], total["misfits"]) == ("ahead", 4, 2, [])
    assert total["seconds"] == pytest.approx(knn["seconds"] + planned["majority", "4"]["seconds"])


@pytest.mark.slow
def test_a_plan_lists_what_will_not_fit(ran):
    options = ("--threads", 1, "--memory", 0.001, "--timeout", 0.1, "-j", 3)
    plan = harness("plan", "suite.yaml", *options, cwd=ran).stdout
    assert "6 cells, 2 finished, 4 to run\n" in plan
    assert re.search(r"^with -j 3: about 0:00:\d\d and 2 more that take unknown time; ", plan, re.MULTILINE)
    without_records = harness("plan", "suite.yaml", "--threads", 2, "-o", "elsewhere", cwd=ran).stdout
    assert "\nwith -j 1: time unknown, nothing like it has run here; 40 MiB of memory at once, " in without_records
    assert "will not fit: linear(on=embedding): needs about 40 MiB, a cell may use 1 MiB\n" in plan
    assert "will not fit: knn(on=embedding): needs about " in plan


@pytest.mark.slow
def test_a_plan_without_any_record_lists_blocks_without_estimates(tmp_path):
    write_suite(tmp_path, ["majority", {"knn": {"on": "embedding"}}])
    plan = harness("plan", "suite.yaml", "--json", cwd=tmp_path)
    block = {"event": "block", "simulated": False, "on": "embedding", "disk": None}
    assert events(plan)[0] == block | {"seconds": None, "memory": None, "how": "unknown"}
    assert events(plan)[-1]["unknown"] == 3
