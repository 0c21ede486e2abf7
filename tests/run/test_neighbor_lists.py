"""Shared neighbour lists: equal to a cell's own search, never a stale one."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from harness import Block, Task, neighbors
from harness.plugin.needs import NeighborRequest, needs
from harness.run.blocks import open_block
from harness.run.executor import execute
from harness.run.neighbor_lists import find_lists
from harness.run.neighbor_plan import SharedSearch, plan_searches, requested_lists
from harness.run.runner import Options, prepare_run
from harness.scoring.score_run import score_cells
from harness.suite.catalog import discover
from harness.suite.suite import load_suite
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.majority import Majority
from harness_plugins.wrappers.ensemble import Ensemble
from harness_plugins.wrappers.oversample import Oversample
from tests.command_line import table, write_suite

pytestmark = pytest.mark.slow

GRID = {"knn": {"on": "embedding", "grid": {"k": [3, 40], "mode": ["vote", "regression"]}}}
SPLITS = [
    {"splitter": "prefix", "ratios": [0.1, 0.3, 0.6], "seeds": [3, 4]},
    {"splitter": "nested", "test": 0.2, "ratios": [0.1, 0.5], "seeds": [1]},
]
BLOCKS = {"embedding": {"embedder": "column", "column": "embeddings"}, "text": {"features": "text_v1"}}


@pytest.fixture
def ready(tmp_path):
    file = write_suite(tmp_path, [GRID, "majority"], table(400), splits=SPLITS, blocks=BLOCKS)
    suite = load_suite(file, discover())
    return prepare_run(suite, discover(), Options(tmp_path, threads=1), lambda text: None)


def run(ready, monkeypatch, min_saved):
    """Run with this MIN_SAVED_MULTIPLICATIONS; return answers and lists."""
    monkeypatch.setattr("harness.run.neighbor_plan.MIN_SAVED_MULTIPLICATIONS", min_saved)
    lists = []
    execute(ready, lambda *_: None, lambda outcome: None, lambda name, rows, total: lists.append((name, rows, total)))
    assert {cell_result.status for cell_result in score_cells(ready)} == {"ok"}
    results = {cell.key: ready.store.read(cell.key) for cell in ready.cells}
    return {key: (result.labels, np.array(result.proba)) for key, result in results.items()}, lists


def test_cells_answer_the_same_with_lists_and_without(ready, monkeypatch, tmp_path):
    plain, none = run(ready, monkeypatch, float("inf"))
    assert none == []
    assert not (tmp_path / "runs/cache/lists").exists()
    other = prepare_run(
        ready.suite, ready.catalog, replace(ready.options, output=tmp_path / "other"), lambda text: None
    )
    shared, lists = run(other, monkeypatch, 0)
    assert lists
    assert plain.keys() == shared.keys()
    for key, (labels, proba) in plain.items():
        np.testing.assert_array_equal(labels, shared[key][0])
        np.testing.assert_allclose(proba, shared[key][1], atol=1e-5)
    records = list((tmp_path / "other/runs/cache/lists").glob("*/list.json"))
    assert len(records) == 3 + 3 + 2  # one for each split of the two prefix curves and of the nested one
    assert all(json.loads(record.read_text())["recall"] == 1.0 for record in records)


def test_a_learning_curve_is_one_search_and_the_largest_k_serves_all(ready):
    requests = requested_lists(ready.cells)
    assert {request.neighbors.k for request in requests if len(request.evaluation.split.train) >= 40} == {40}
    blocks = {"embedding": Block(np.zeros((400, 4), np.float32), "embedding")}
    searches = plan_searches(ready.cells, blocks)
    assert sorted(len(search.lists) for search in searches) == [2, 3, 3]
    for search in searches:
        for smaller, larger in zip(search.lists, search.lists[1:], strict=False):
            assert set(smaller.evaluation.split.train) < set(larger.evaluation.split.train)


def test_a_space_with_features_is_scaled_anew_by_each_train_set(ready):
    blocks = {"embedding": Block(np.zeros((400, 4), np.float32), "feature")}
    assert [len(search.lists) for search in plan_searches(ready.cells, blocks)] == [1] * 8


TWO = [{"splitter": "prefix", "ratios": [0.1, 0.6], "seeds": [3]}]
GRAPHS = {"alpha": [0.2, 0.5], "neighbors": [4, 9]}


def prepare_graphs(folder, on):
    folder.mkdir(exist_ok=True)
    file = write_suite(
        folder,
        [{"graph_propagation": {"on": on, "grid": GRAPHS}}],
        table(200),
        splits=TWO,
        blocks=BLOCKS,
    )
    return prepare_run(load_suite(file, discover()), discover(), Options(folder, threads=1), lambda text: None)


def test_one_graph_of_all_rows_serves_every_split_and_every_alpha(monkeypatch, tmp_path):
    plain, none = run(prepare_graphs(tmp_path / "plain", "embedding"), monkeypatch, float("inf"))
    assert none == []
    ready = prepare_graphs(tmp_path / "shared", "embedding")
    answers, lists = run(ready, monkeypatch, 0)
    assert {(name, total) for name, _, total in lists} == {("embedding", 200)}
    (record,) = (tmp_path / "shared/runs/cache/lists").glob("*/list.json")
    assert np.load(record.with_name("index.npy")).shape == (200, 8)
    searches = []
    for key, (labels, proba) in answers.items():
        np.testing.assert_array_equal(labels, plain[key][0])
        np.testing.assert_allclose(proba, plain[key][1], atol=1e-6)
        searches += ready.store.read(key).timing["searches"]
    assert len(searches) == 2 * 4
    assert {(search["shared"], search["seconds"]) for search in searches} == {
        (True, json.loads(record.read_text())["seconds"])
    }


def test_features_are_scaled_by_the_train_rows_and_so_is_their_graph(monkeypatch, tmp_path):
    plain, _ = run(prepare_graphs(tmp_path / "plain", "text"), monkeypatch, float("inf"))
    answers, _ = run(prepare_graphs(tmp_path / "shared", "text"), monkeypatch, 0)
    assert len(list((tmp_path / "shared/runs/cache/lists").glob("*/list.json"))) == 2
    for key, (_, proba) in answers.items():
        np.testing.assert_allclose(proba, plain[key][1], atol=1e-6)


def test_the_graph_of_other_rows_is_not_taken(tmp_path):
    from harness.plugin.precomputed import PrecomputedNeighbors, fingerprint
    from harness.search.neighbors import graph

    X = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "similarity.npy", np.ones((60, 3), np.float32))
    np.save(tmp_path / "index.npy", np.repeat(np.arange(60)[:, None], 3, 1).astype(np.int32))  # all are their own
    (tmp_path / "list.json").write_text('{"engine": "float32", "seconds": 1.5}')
    block = Block.open(str(tmp_path / "x.npy"), "embedding", key="x")
    listed = PrecomputedNeighbors(str(tmp_path), 3, fingerprint([block], np.empty(0, np.int64), np.arange(60)))
    task = Task({"x": block}, np.arange(20), np.zeros(20, int), np.arange(40, 60), 2, spare=np.arange(20, 40))
    given = replace(task, precomputed_graphs={("x",): listed})
    assert (graph(given, "x", 2).diagonal() > 0).all()  # of the rows that it was made for it is used
    assert (graph(replace(given, labelled=np.arange(20, 40), spare=np.arange(20)), "x", 3).diagonal() > 0).all()
    for other in (
        replace(given, spare=np.arange(21, 40)),
        replace(given, blocks={"x": Block.open(str(tmp_path / "x.npy"), "feature", key="x")}),
    ):
        assert (graph(other, "x", 3).diagonal() == 0).all()
    assert (graph(given, "x", 4).diagonal() == 0).all()  # too short a list


def test_large_groups_of_equal_rows_get_a_search_for_each_split(monkeypatch, tmp_path):
    rows = table(300).to_pandas()
    rows["embeddings"] = [rows["embeddings"][i % 7] for i in range(300)]
    import pyarrow as pa

    answers = {}
    for name, min_saved in (("plain", float("inf")), ("shared", 0)):
        (tmp_path / name).mkdir()
        file = write_suite(tmp_path / name, [GRID], pa.Table.from_pandas(rows), splits=TWO, blocks=BLOCKS)
        ready = prepare_run(
            load_suite(file, discover()), discover(), Options(tmp_path / name, threads=1), lambda text: None
        )
        answers[name], _ = run(ready, monkeypatch, min_saved)
    assert len(list((tmp_path / "shared/runs/cache/lists").glob("*/list.json"))) == 2
    for key, (labels, proba) in answers["plain"].items():
        np.testing.assert_array_equal(labels, answers["shared"][key][0])
        np.testing.assert_allclose(proba, answers["shared"][key][1], atol=1e-6)


def test_one_cell_alone_is_not_worth_a_list(ready, monkeypatch):
    monkeypatch.setattr("harness.run.neighbor_plan.MIN_SAVED_MULTIPLICATIONS", 0)
    request = requested_lists(ready.cells)[0]
    search = SharedSearch((request,), (Block(np.zeros((400, 4), np.float32), "embedding"),))
    searching = [cell for cell in ready.cells if needs(cell.candidate.labeler)]
    alone = next(cell for cell in searching if cell.evaluation is request.evaluation)
    assert search.is_worth_sharing(ready.cells)
    assert not search.is_worth_sharing([alone])


def test_a_list_is_of_its_rows_and_blocks_and_of_nothing_else(tmp_path):
    X = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    block = Block.open(str(tmp_path / "x.npy"), "embedding", key="x")
    task = Task({"x": block}, np.arange(40), np.zeros(40, int), np.arange(40, 60), n_classes=2)
    _, index = neighbors(task, "x", 5)
    from harness.plugin.precomputed import PrecomputedNeighbors, fingerprint

    wrong = np.zeros((20, 5))
    np.save(tmp_path / "similarity.npy", wrong)
    np.save(tmp_path / "index.npy", wrong.astype(np.int32))
    (tmp_path / "list.json").write_text('{"engine": "float32", "seconds": 1.5}')
    listed = PrecomputedNeighbors(str(tmp_path), 5, fingerprint([block], task.labelled, task.to_label))
    given = replace(task, precomputed={("x",): listed})
    assert (neighbors(given, "x", 4)[1] == 0).all()  # of the rows that it was made for it is used
    for other in (
        replace(given, labelled=np.arange(1, 41)),
        replace(given, to_label=np.arange(40, 59)),
        replace(given, blocks={"x": Block(X, "embedding")}),
    ):
        expected = neighbors(replace(other, precomputed={}), "x", 5)
        np.testing.assert_array_equal(neighbors(other, "x", 5)[1], expected[1])
    np.testing.assert_array_equal(neighbors(given, "x", 6)[1][:, :5], index)  # too short a list


def test_what_a_labeler_writes_into_its_neighbours_reaches_no_other(tmp_path):
    from harness.plugin.precomputed import PrecomputedNeighbors

    np.save(tmp_path / "similarity.npy", np.full((4, 3), 0.5, np.float32))
    np.save(tmp_path / "index.npy", np.ones((4, 3), np.int32))
    similarity, index = PrecomputedNeighbors(str(tmp_path), 3, "").top(2)
    similarity *= 2
    index += 1
    assert (similarity == 1).all()
    similarity, index = PrecomputedNeighbors(str(tmp_path), 3, "").top(3)
    assert (similarity == 0.5).all()
    assert (index == 1).all()


def test_wrappers_pass_on_the_needs_of_members_that_learn_from_the_same_rows():
    knn = KNN(on="e", k=7)
    assert needs(Ensemble(members=(knn, Majority(), KNN(on=("e", "t"), k=3)))) == [
        NeighborRequest(("e",), 7),
        NeighborRequest(("e", "t"), 3),
    ]
    assert needs(Oversample(base=knn)) == []  # its base learns from other rows
    assert needs(Majority()) == []


def test_a_worker_that_dies_leaves_the_search_to_the_cells(ready, monkeypatch, tmp_path):
    from harness.errors import HarnessError
    from harness.utils.processes import Limits, Processes

    blocks = {"embedding": Block(np.zeros((400, 4), np.float32), "embedding", (), str(tmp_path / "gone.npy"), "key")}
    (search, *_) = plan_searches(ready.cells, blocks)
    processes = Processes(("harness.run.neighbor_lists",), 1)
    with pytest.raises(HarnessError, match="neighbours on embedding"):
        find_lists(search, tmp_path, processes, Limits(60, 2**33), 1, lambda rows, total: None)
    assert search.open_lists(tmp_path) == [None] * 3


def test_a_moved_folder_of_runs_keeps_its_lists(monkeypatch, tmp_path):
    """A list is keyed by the content of its blocks, not by their place."""
    file = write_suite(tmp_path, [GRID], table(400), splits=TWO)
    ready = prepare_run(load_suite(file, discover()), discover(), Options(tmp_path, threads=1), lambda text: None)
    first, _ = run(ready, monkeypatch, 0)
    (tmp_path / "runs").rename(tmp_path / "moved-runs")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moved-runs").rename(tmp_path / "elsewhere" / "runs")
    for cell in (tmp_path / "elsewhere/runs" / ready.suite.name / "cells").iterdir():
        shutil.rmtree(cell)
    moved = prepare_run(
        ready.suite, ready.catalog, replace(ready.options, output=tmp_path / "elsewhere"), lambda text: None
    )
    answers, lists = run(moved, monkeypatch, 0)
    assert lists == []
    assert answers.keys() == first.keys()
    searches = [search for cell in moved.cells for search in moved.store.read(cell.key).timing["searches"]]
    assert searches
    assert all(search["shared"] for search in searches)


def test_after_a_kill_only_the_missing_lists_are_found_again(monkeypatch, tmp_path):
    file = write_suite(tmp_path, [GRID], table(400), splits=TWO)
    ready = prepare_run(load_suite(file, discover()), discover(), Options(tmp_path, threads=1), lambda text: None)
    first, _ = run(ready, monkeypatch, 0)
    (shared,) = plan_searches(
        ready.cells, {name: open_block(ready.recipes[name], ready.cache) for name in ("embedding",)}
    )
    kept, lost = shared.folders(ready.cache)
    inode, content = kept.stat().st_ino, (lost / "similarity.npy").read_bytes()
    lost.rename(lost.with_suffix(".partial"))
    shutil.rmtree(ready.store.cells)
    again = prepare_run(ready.suite, ready.catalog, ready.options, lambda text: None)
    answers, _ = run(again, monkeypatch, 0)
    assert kept.stat().st_ino == inode
    assert (lost / "similarity.npy").read_bytes() == content
    assert not list(lost.parent.glob("*.partial"))
    for key, (labels, _) in first.items():
        np.testing.assert_array_equal(labels, answers[key][0])


def test_damaged_lists_are_made_again(ready, monkeypatch, tmp_path):
    first, _ = run(ready, monkeypatch, 0)
    damaged = sorted((tmp_path / "runs/cache/lists").glob("*/list.json"))
    content = {file.parent: (file.parent / "similarity.npy").read_bytes() for file in damaged}
    for number, file in enumerate(damaged):
        if number % 2:
            similarity = np.load(file.with_name("similarity.npy"))
            similarity[::40] *= -1
            np.save(file.with_name("similarity.npy"), similarity)
        else:
            file.write_text("")
    shutil.rmtree(ready.store.cells)
    again = prepare_run(ready.suite, ready.catalog, ready.options, lambda text: None)
    answers, lists = run(again, monkeypatch, 0)
    assert lists
    assert {folder: (folder / "similarity.npy").read_bytes() for folder in content} == content
    for key, (labels, proba) in first.items():
        np.testing.assert_array_equal(labels, answers[key][0])
        np.testing.assert_array_equal(proba, answers[key][1])
