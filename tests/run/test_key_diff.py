"""`harness why` names the one thing that has changed."""

import json

import numpy as np
import pyarrow as pa
import pytest

from harness.cli.why import FINISHED
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
    (event,) = events(why(folder, "suite.yaml", cell, **options))
    return event["state"], event["differences"]


def test_a_finished_cell_would_not_run_again(done):
    assert explanation(done, "mine(k=1)") == (FINISHED, [])
    key = cells(done)["mine(k=1)", 3, 0.5]["cell"]
    assert explanation(done, key[:9]) == (FINISHED, [])


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


def test_changed_code_is_named_and_after_the_run_the_two_cells_are_compared(done):
    write_labelers(done / "plugin.py", mine=MINE + "[:, ::-1]")
    changed = ["code behind labeler mine changed"]
    assert explanation(done, "mine(k=1)") == ("would run again", changed)
    assert run(done).returncode == 0
    key = cells(done)["mine(k=1)", 3, 0.5]["cell"]
    (event,) = events(why(done, "runs/small", key[:12]))
    assert (event["cell"], event["state"], event["differences"]) == (key, FINISHED, changed)
    shown = harness("why", "suite.yaml", key[:12], "--plugin", "plugin.py", cwd=done).stdout.splitlines()
    assert shown[0] == f"{key[:12]}  mine(k=1) | prefix, 50 % labelled, seed 3: {FINISHED}"
    assert shown[-1] == "  - code behind labeler mine changed"
    (event,) = events(why(done, "suite.yaml", event["like"]))
    assert event["state"] == "finished, and the suite plans it no more"


def test_a_failed_cell_is_explained_by_its_failure(tmp_path):
    write_labelers(tmp_path / "plugin.py", mine="raise RuntimeError('no luck')")
    write_suite(tmp_path, ["mine"])
    assert run(tmp_path).returncode == 1
    state = "would run again because it failed: RuntimeError: no luck"
    assert explanation(tmp_path, "mine") == (state, [])


def test_an_unknown_cell_is_one_clear_line(done):
    result = why(done, "suite.yaml", "mine(k=2)")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (
        "error: suite.yaml: has no cell 'mine(k=2)'; give the first digits of a key; did you mean 'mine(k=1)'?"
    )
    assert why(done, "suite.yaml", "fffffffffff").returncode == 2
    key = cells(done)["majority", 3, 0.5]["cell"][:9]
    for arguments, hint in [
        (["mine(k=1)", "suite.yaml"], "the suite comes first: harness why suite.yaml mine(k=1)"),
        ([key], f"a cell is named after its suite: harness why runs/small {key}"),
        (["none.yaml"], "none.yaml: no such file"),
    ]:
        result = harness("why", *arguments, cwd=done)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
        assert hint in result.stderr


def test_a_cell_without_parts_of_its_key_is_explained(done):
    # As the store of an earlier version has it: whole, and without the parts.
    from harness.utils.hashing import canonical_json, digest

    key = cells(done)["majority", 3, 0.5]["cell"]
    file = done / "runs/small/cells" / key / "cell.json"
    original = file.read_text()
    record = {name: value for name, value in json.loads(original).items() if name not in ("parts", "sha256")}
    file.write_text(canonical_json(record | {"sha256": digest(record)}))
    write_suite(done, [{"mine": {"k": 1}}], metrics={"baseline": "mine(k=1)"})  # without this cell
    try:
        (event,) = events(why(done, "suite.yaml", key))
        assert event["state"] == "finished, before the parts of a key were written down"
    finally:
        file.write_text(original)


def test_without_a_key_all_cells_are_counted_by_reason(done):
    write_labelers(done / "plugin.py", mine=MINE + "[:, ::-1]")
    splits = [{"splitter": "prefix", "ratios": [0.5], "seeds": [3, 4, 5, 6, 7]}]
    labelers = [{"mine": {"k": 1}}, "prior", "majority"]
    write_suite(done, labelers, splits=splits)
    assert run(done).returncode == 0
    shown = harness("why", "suite.yaml", "--plugin", "plugin.py", cwd=done).stdout
    assert shown == "small: 15 cells, 15 finished, none would run again\n"
    write_labelers(done / "plugin.py", mine=MINE + "[::-1]")
    write_suite(done, [*labelers, {"linear": {"on": "embedding"}}], splits=splits)
    first, *lines = harness("why", "suite.yaml", "--plugin", "plugin.py", cwd=done).stdout.splitlines()
    assert first == "small: 20 cells, 10 finished, 10 would run"
    planned = events(why(done, "suite.yaml"))
    keys = {event["what"]: event["cell"][:12] for event in planned}
    assert len(keys) == 20
    groups = {
        "5 would run again: code behind labeler mine changed": "mine(k=1)",
        "5 would run; no finished cell is of their labelers": "linear(on=embedding)",
    }
    assert {line for line in lines if line[0] != " "} == set(groups)
    for header, title in groups.items():
        start = lines.index(header)
        shown = [f"  {key}  {what}" for what, key in keys.items() if what.startswith(f"{title} |")]
        assert lines[start + 1 : start + 5] == [*shown[:3], "  and 2 more"]


def test_libraries_are_named_with_both_versions_and_count_less_than_parameters():
    old = {"labeler": {"knn": {"k": 3}}, "libraries": {"numpy": "2.4.5", "torch": "2.1"}, "blocks": {}}
    newer = old | {"libraries": {"numpy": "2.4.6", "torch": "2.1", "scipy": "1.1"}}
    other = old | {"labeler": {"knn": {"k": 4}}}
    assert differences(old, newer) == ["numpy 2.4.5 -> 2.4.6", "scipy none -> 1.1"]
    assert differences(old, other) == ["knn.k 3 -> 4"]
    assert differences(old, old) == []
    assert count_differences(old, newer) == 2 < count_differences(old, other) == 100
