"""`harness why` names the one thing that has changed."""

import json

import numpy as np
import pyarrow as pa
import pytest

from harness.run.key_diff import count_differences, differences
from tests.command_line import cells, events, harness, table, write_labelers, write_suite

pytestmark = pytest.mark.slow

MINE = "return uniform(task)"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which two labelers have run."""
    folder = tmp_path_factory.mktemp("done")
    write_labelers(folder / "plugin.py", mine=MINE)
    write_suite(folder, [{"mine": {"k": 1}}, {"knn": {"on": "embedding", "k": 7}}])
    assert run(folder).returncode == 0
    return folder


def run(folder, *more):
    return harness("run", "suite.yaml", "--plugin", "plugin.py", "--threads", 1, *more, cwd=folder)


def why(folder, *arguments, threads=1):
    return harness("why", *arguments, "--plugin", "plugin.py", "--threads", threads, "--json", cwd=folder)


def explanation(folder, cell, **options):
    (event,) = events(why(folder, cell, "suite.yaml", **options))
    return event["state"], event["differences"]


def test_a_finished_cell_would_not_run_again(done):
    assert explanation(done, "mine(k=1)") == ("finished: it would not run again", [])
    key = cells(done)["mine(k=1)", 3, 0.5]["cell"]
    assert explanation(done, key[:9]) == ("finished: it would not run again", [])


def test_each_change_is_named_and_nothing_else(done):
    assert explanation(done, "mine(k=1)", threads=2) == ("would run again", ["threads 1 -> 2"])
    write_suite(done, [{"mine": {"k": 1}}, {"knn": {"on": "embedding", "k": 9}}])
    assert explanation(done, "knn(on=embedding, k=9)") == ("would run again", ["knn.k 7 -> 9"])
    write_suite(done, [{"mine": {"k": 1}}], splits=[{"splitter": "prefix", "ratios": [0.25], "seeds": [3]}])
    assert explanation(done, "mine(k=1)")[1] == ["labelled rows changed", "labels changed", "rows to label changed"]


def test_changed_data_are_seen_in_the_task_and_in_the_blocks(done):
    scores = np.array(table()["score"].to_pylist())
    train = np.random.default_rng(3).permutation(240)[0]
    scores[train] = (scores[train] + 1) % 6
    try:
        write_suite(done, [{"mine": {"k": 1}}], table().set_column(3, "score", pa.array(scores, pa.int8())))
        assert explanation(done, "mine(k=1)") == (
            "would run again",
            ["labels changed", "block embedding: rows changed"],
        )
    finally:
        write_suite(done, [{"mine": {"k": 1}}, {"knn": {"on": "embedding", "k": 7}}])


def test_changed_code_is_named_and_after_the_run_the_two_cells_are_compared_without_the_suite(done):
    write_labelers(done / "plugin.py", mine=MINE + "[:, ::-1]")
    changed = ["code behind labeler mine changed"]
    assert explanation(done, "mine(k=1)") == ("would run again", changed)
    assert run(done).returncode == 0
    key = cells(done)["mine(k=1)", 3, 0.5]["cell"]
    (event,) = events(harness("why", key[:12], "--json", cwd=done))
    assert (event["cell"], event["state"], event["differences"]) == (key, "finished", changed)
    shown = harness("why", key[:12], cwd=done).stdout.splitlines()
    assert shown[0].startswith(f"{key[:12]}  mine | prefix, 50 % labelled, seed 3: finished")
    assert shown[-1] == "  - code behind labeler mine changed"


def test_a_failed_cell_is_explained_by_its_failure(tmp_path):
    write_labelers(tmp_path / "plugin.py", mine="raise RuntimeError('no luck')")
    write_suite(tmp_path, ["mine"])
    assert run(tmp_path).returncode == 1
    state = "would run again because it failed: RuntimeError: no luck"
    assert explanation(tmp_path, "mine") == (state, [])


def test_an_unknown_cell_is_one_clear_line(done):
    result = why(done, "mine(k=2)", "suite.yaml")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (
        "error: suite.yaml: plans no cell 'mine(k=2)'; give the first digits of a key; did you mean 'mine(k=1)'?"
    )
    result = why(done, "fffffffffff")
    assert result.returncode == 2
    assert "no finished cell has a key that begins with 'fffffffffff'" in result.stderr


def test_a_cell_without_parts_of_its_key_is_explained(done):
    # As the store of an earlier version has it: whole, and without the parts.
    from harness.utils.hashing import canonical_json, digest

    key = cells(done)["majority", 3, 0.5]["cell"]
    file = done / "runs/small/cells" / key / "cell.json"
    original = file.read_text()
    record = {name: value for name, value in json.loads(original).items() if name not in ("parts", "sha256")}
    file.write_text(canonical_json(record | {"sha256": digest(record)}))
    (event,) = events(harness("why", key, "--json", cwd=done))
    assert event["state"] == "finished, before the parts of a key were written down"
    file.write_text(original)


def test_libraries_are_named_with_both_versions_and_count_less_than_parameters():
    old = {"labeler": {"knn": {"k": 3}}, "libraries": {"numpy": "2.4.5", "torch": "2.1"}, "blocks": {}}
    newer = old | {"libraries": {"numpy": "2.4.6", "torch": "2.1", "scipy": "1.1"}}
    other = old | {"labeler": {"knn": {"k": 4}}}
    assert differences(old, newer) == ["numpy 2.4.5 -> 2.4.6", "scipy none -> 1.1"]
    assert differences(old, other) == ["knn.k 3 -> 4"]
    assert differences(old, old) == []
    assert count_differences(old, newer) == 2 < count_differences(old, other) == 100
