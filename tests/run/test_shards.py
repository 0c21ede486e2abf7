"""Several workers build a row-wise feature set to the bytes of one."""

import numpy as np
import pytest

from harness.run import block_builder, shards
from harness.run.runner import Options, prepare_run
from harness.suite.catalog import discover
from harness.suite.suite import load_suite
from harness.utils.processes import Limits, Processes
from tests.command_line import table, write_suite


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
