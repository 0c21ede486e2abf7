"""`harness schema` prints a schema with the plugins of a file beside the installed ones."""

import json

import pytest
from jsonschema import Draft202012Validator

from tests.command_line import harness, write_labelers

pytestmark = pytest.mark.slow


def test_it_has_the_fields_of_a_one_off_plugin(tmp_path):
    write_labelers(tmp_path / "own.py", own="return uniform(task)")
    done = harness("schema", "--plugin", "own.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    validator = Draft202012Validator(json.loads(done.stdout))
    suite = {
        "version": 1,
        "name": "x",
        "data": {"path": "x.csv", "target": "y"},
        "splits": [{"splitter": "kfold"}],
        "labelers": ["own", {"own": {"k": 3}, "as": "other"}, {"knn": {"on": "e"}}],
    }
    assert validator.is_valid(suite)
    for wrong in ({"own": {"kk": 3}}, {"own": {"k": "three"}}, {"owm": {}}, {"own": {}, "knn": {"on": "e"}}, "knn"):
        assert not validator.is_valid(suite | {"labelers": [wrong]}), wrong
