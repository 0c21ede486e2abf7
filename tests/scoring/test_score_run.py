"""Cells that an earlier version stored, on boards of today."""

import hashlib
import json

import numpy as np

from harness.utils.hashing import digest
from tests.command_line import cells, harness, ranks, write_labelers, write_suite


def rewrite_record(file, **changes):
    record = json.loads(file.read_text()) | changes
    del record["sha256"]
    file.write_text(json.dumps(record | {"sha256": digest(record)}))


def cut_arrays(folder):
    """Store a cell anew without its last row."""
    files = sorted(folder.glob("*.npy"))
    for file in files:
        array = np.load(file)
        np.save(file, array[:, :-1] if file.stem == "checkpoints" else array[:-1])
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    rewrite_record(folder / "cell.json", files=hashes)


def test_a_stored_cell_that_cannot_be_scored_is_its_own_failure(tmp_path):
    body = "return Predictions(uniform(task), checkpoints={'epoch 1': np.zeros(len(task.to_label), np.uint8)})"
    write_labelers(tmp_path / "plugin.py", numbered=body, paired=body + "  # pairs", short=body, sound=body)
    write_suite(tmp_path, ["numbered", "paired", "short", "sound"])
    common = ("suite.yaml", "--plugin", "plugin.py", "--threads", 1)
    assert harness("run", *common, cwd=tmp_path).returncode == 0
    keys = {labeler: row["cell"] for (labeler, _, _), row in cells(tmp_path).items()}
    folder = tmp_path / "runs/small/cells"
    for labeler, name in (("numbered", 1), ("paired", ["epoch", 1])):
        rewrite_record(folder / keys[labeler] / "cell.json", checkpoints=[name])
    cut_arrays(folder / keys["short"])
    for command, code in (("leaderboard", 0), ("run", 1)):
        result = harness(command, *common, cwd=tmp_path)
        assert "Traceback" not in result.stderr
        assert result.returncode == code, result.stderr
        status = {labeler: (row["status"], row["reason"]) for (labeler, _, _), row in cells(tmp_path).items()}
        assert status["numbered"] == (
            "failed",
            "cannot be scored: ValueError: checkpoints must have names that are strings, got 1",
        )
        assert status["paired"] == ("failed", "cannot be scored: TypeError: unhashable type: 'list'")
        assert status["short"][0] == "failed"
        assert status["short"][1].startswith("cannot be scored: ValueError: ")
        assert status["sound"][0] == "ok"
        assert ranks(tmp_path)["sound"] != "–"
