"""Finished cells stay as they were written; damaged ones count as missing."""

import random
import shutil

import numpy as np
import pytest

from harness.run import store as run_store
from harness.run.store import Store
from tests.command_line import board, cells, events, harness, write_suite

KEY = "ab" * 32
PROBA = np.random.default_rng(0).dirichlet([1] * 6, 50).astype(np.float32)
STATES = np.random.default_rng(1).integers(0, 6, (3, 50)).astype(np.uint8)
SURE = PROBA.max(axis=1) > 0.5
RECORD = {"spec": {"knn": {"k": 5}}, "facts": {"chosen": 0.25, "kept": [1, 2]}, "checkpoints": ["1", "2", "3"]}
TIMING = {"seconds": 0.5, "wall": 0.6, "memory": 1024}


def worker_folder(store):
    """Return a folder as a worker leaves it."""
    folder = store.scratch / KEY
    folder.mkdir()
    np.save(folder / "proba.npy", PROBA)
    np.save(folder / "labels.npy", PROBA.argmax(axis=1).astype(np.uint8))
    np.save(folder / "checkpoints.npy", STATES)
    np.savez(folder / "rows.npz", sure=SURE)
    (folder / "log.txt").write_text("what it printed")
    return folder


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "runs" / "small")
    store.open()
    return store


@pytest.fixture
def finished(store):
    store.commit(KEY, worker_folder(store), RECORD, TIMING)
    return store


def test_a_finished_cell_is_read_as_it_was_written(finished):
    assert finished.has(KEY)
    result = finished.read(KEY)
    assert result.proba.tobytes() == PROBA.tobytes()
    assert result.labels.tolist() == PROBA.argmax(axis=1).tolist()
    assert result.facts == RECORD["facts"]
    assert {name: labels.tolist() for name, labels in result.checkpoints.items()} == {
        name: labels.tolist() for name, labels in zip("123", STATES, strict=True)
    }
    assert result.rows["sure"].tolist() == SURE.tolist()
    assert result.timing == TIMING
    assert not list(finished.scratch.iterdir())


def is_finished(store, key=KEY):
    """Check a cell as a new process does: a store reads its files once."""
    return Store(store.folder).has(key)


def flip(chance, data):
    i = chance.randrange(len(data))
    return data[:i] + bytes([data[i] ^ 1 << chance.randrange(8)]) + data[i + 1 :]


DAMAGE = {
    "flipped bit": flip,
    "truncated": lambda chance, data: data[: chance.randrange(len(data))],
    "extra garbage": lambda chance, data: data + chance.randbytes(1 + chance.randrange(100)),
    "zeroed": lambda chance, data: bytes(len(data)),
    "gone": lambda chance, data: None,
}


@pytest.mark.parametrize("name", ["proba.npy", "labels.npy", "checkpoints.npy", "rows.npz", "cell.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cell_is_not_finished(finished, name, damage):
    file = finished.cells / KEY / name
    original = file.read_bytes()
    chance = random.Random(f"{name} {damage}")
    for _ in range(40):
        data = DAMAGE[damage](chance, original)
        file.unlink() if data is None else file.write_bytes(data)
        assert not is_finished(finished)
        file.write_bytes(original)
        assert is_finished(finished)


def test_an_array_too_many_is_damage_too(finished):
    np.save(finished.cells / KEY / "more.npy", STATES)
    assert not is_finished(finished)


@pytest.mark.parametrize("content", ["", "{}", '{"seconds": 1}', "[]", None])
def test_a_lost_timing_costs_the_timing_alone(finished, content):
    file = finished.cells / KEY / "timing.json"
    file.unlink() if content is None else file.write_text(content)
    assert finished.has(KEY)
    assert finished.read(KEY).timing == {}


def test_a_cell_under_another_key_is_not_finished(finished):
    other = "cd" * 32
    shutil.copytree(finished.cells / KEY, finished.cells / other)
    assert finished.has(KEY)
    assert not finished.has(other)


def test_a_commit_that_is_cut_short_leaves_nothing(store, monkeypatch):
    class PowerCut(BaseException):
        pass

    original, syncs_left = run_store.sync, 0

    def sync(path):
        nonlocal syncs_left
        syncs_left -= 1
        if syncs_left < 0:
            raise PowerCut
        original(path)

    monkeypatch.setattr(run_store, "sync", sync)
    cuts = 0
    while True:
        syncs_left = cuts
        store.open()
        assert not list(store.scratch.iterdir()), "what an interrupted run left is cleared"
        try:
            store.commit(KEY, worker_folder(store), RECORD, TIMING)
        except PowerCut:
            cuts += 1
        else:
            break
        if (store.cells / KEY).exists():  # cut after the rename: all of it is there
            assert is_finished(store)
            assert store.read(KEY).proba.tobytes() == PROBA.tobytes()
        else:
            assert not is_finished(store)
            assert not list(store.cells.iterdir())
    assert cuts == 9, "seven files, their folder, and the folder of cells"
    assert store.has(KEY)


def test_a_damaged_cell_is_replaced(finished):
    (finished.cells / KEY / "proba.npy").write_bytes(b"")
    assert not is_finished(finished)
    finished.commit(KEY, worker_folder(finished), RECORD, TIMING)
    assert is_finished(finished)
    assert [path.name for path in finished.cells.iterdir()] == [KEY]


def test_a_failure_is_remembered_until_there_is_a_result(store):
    assert store.failure(KEY) is None
    store.fail(KEY, {"status": "failed", "reason": "first"})
    store.fail(KEY, {"status": "failed", "reason": "second"})
    assert store.failure(KEY) == {"status": "failed", "reason": "second"}
    assert not store.has(KEY)
    store.commit(KEY, worker_folder(store), RECORD, TIMING)
    assert store.failure(KEY) is None
    (store.failed / f"{KEY}.json").write_text("{torn")
    assert store.failure(KEY) is None


@pytest.mark.slow
def test_a_run_redoes_the_damaged_cell_alone(tmp_path):
    write_suite(tmp_path, ["majority", "prior", {"knn": {"on": "embedding", "k": 7}}])
    assert harness("run", "suite.yaml", "--threads", 1, cwd=tmp_path).returncode == 0
    before, key = board(tmp_path), cells(tmp_path)["prior", 3, 0.5]["cell"]
    file = tmp_path / "runs" / "small" / "cells" / key / "proba.npy"
    original = file.read_bytes()
    file.write_bytes(original[:-1])
    result = harness("run", "suite.yaml", "--threads", 1, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert events(result)[0]["reused"] == 2
    assert [event["labeler"] for event in events(result) if event["event"] == "cell"] == ["prior"]
    assert file.read_bytes() == original
    assert board(tmp_path) == before
