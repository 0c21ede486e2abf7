"""Several workers build a row-wise feature set to the bytes of one; a kill loses none."""

import json

import numpy as np
import pytest

from harness.errors import DataError
from harness.run import block_builder, shards
from harness.run.blocks import is_made, sealed_block
from harness.run.checksums import SealedFolder
from harness.run.runner import Options, prepare_run
from harness.suite.catalog import discover
from harness.suite.suite import load_suite
from harness.utils.processes import Limits, Processes
from tests.command_line import no_file_beyond, table, write_suite


@pytest.fixture
def ready(tmp_path):
    blocks = {
        "text": {"features": "text_v2"},
        "who": {"features": "one_hot", "columns": ["source"]},
        "svd": {"embedder": "hashing_svd", "dim": 4},
    }
    file = write_suite(tmp_path, ["majority"], table(500), blocks=blocks)
    return prepare_run(load_suite(file, discover()), discover(), Options(tmp_path, threads=2), lambda text: None)


def build(ready, name, workers, cache):
    processes, limits, progress = Processes(("harness.run.worker",), 1), Limits(120, 2**33), []
    recipe, items = ready.recipes[name], ready.dataset.items
    block_builder.build_block(recipe, items, cache, processes, limits, progress.append, workers)
    return (cache / "blocks" / recipe.key / "array.npy").read_bytes(), progress


@pytest.mark.slow
def test_several_workers_make_the_bytes_of_one(ready, tmp_path, monkeypatch):
    monkeypatch.setattr(block_builder, "MIN_ROWS_PER_WORKER", 100)
    workers = block_builder.default_slots(ready.recipes["text"], 500, cores=3)
    assert workers == (None,) * 3
    one, _ = build(ready, "text", (None,), tmp_path / "one")
    three, progress = build(ready, "text", workers, tmp_path / "three")
    assert one == three
    assert progress[-1] == 500
    assert not list((tmp_path / "three/blocks").glob("*.shards*"))


def test_a_kill_right_before_a_block_is_finished_loses_no_row(ready, tmp_path, monkeypatch):
    def killed(folder, record):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SealedFolder, "seal", killed)
        with pytest.raises(KeyboardInterrupt):
            build(ready, "who", (None,), tmp_path)
    recipe = ready.recipes["who"]
    no_processes = None  # a worker that were started would fail
    block_builder.build_block(
        recipe, ready.dataset.items, tmp_path, no_processes, Limits(120, 2**33), lambda rows: None
    )
    assert is_made(recipe, tmp_path)
    fingerprints = json.loads((tmp_path / "marks.json").read_text())
    assert fingerprints[recipe.key] == sealed_block(recipe, tmp_path)._fingerprint().digest, "it is read again"


def test_what_a_kill_has_left_of_a_finished_block_is_removed(ready, tmp_path):
    build(ready, "who", (None,), tmp_path)
    recipe = ready.recipes["who"]
    left = (tmp_path / "blocks" / recipe.key).with_suffix(".shards") / "1-of-2"
    left.mkdir(parents=True)
    (left / "array.npy").write_bytes(b"rows")
    block_builder.clear_shards(ready.recipes["text"], tmp_path)
    assert left.exists()
    block_builder.clear_shards(recipe, tmp_path)
    assert not left.parent.exists()
    assert is_made(recipe, tmp_path)


def test_a_worker_without_space_is_a_full_disk_and_no_fault_of_the_block(ready, tmp_path):
    class Failed:
        folder = tmp_path

        def describe_exit(self):
            return "ended without an answer (exit code 1)"

    with pytest.raises(DataError, match="ended without an answer"):
        block_builder._read_outcome(ready.recipes["who"], Failed(), None)
    with no_file_beyond(4_096), pytest.raises(OSError, match=r"File too large: [\d,]+ bytes are needed"):
        block_builder._read_outcome(ready.recipes["who"], Failed(), None)


def test_only_rowwise_feature_sets_get_several(ready):
    assert block_builder.default_slots(ready.recipes["text"], 1_000_000, cores=2) == (None, None)
    assert block_builder.default_slots(ready.recipes["text"], 9_999, cores=2) == (None,)
    assert block_builder.default_slots(ready.recipes["who"], 1_000_000, cores=2) == (None,)
    assert block_builder.default_slots(ready.recipes["svd"], 1_000_000, cores=2) == (None,)
    assert not shards.can_be_sharded(ready.recipes["who"])


def test_a_feature_set_of_all_rows_is_built_by_one_worker(ready, tmp_path):
    two, _ = build(ready, "who", (None, None), tmp_path / "two")
    one, _ = build(ready, "who", (None,), tmp_path / "one")
    assert two == one
    assert np.frombuffer(two[-4:], np.float32)[0] in (0.0, 1.0)
