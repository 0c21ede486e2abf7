"""Cells that an earlier version stored, on boards of today."""

import json

from harness.utils.hashing import digest
from tests.command_line import cells, harness, ranks, write_labelers, write_suite


def test_a_stored_cell_that_cannot_be_scored_is_its_own_failure(tmp_path):
    body = "return Predictions(uniform(task), checkpoints={'epoch 1': np.zeros(len(task.to_label), np.uint8)})"
    write_labelers(tmp_path / "plugin.py", numbered=body, paired=body + "  # pairs", sound=body)
    write_suite(tmp_path, ["numbered", "paired", "sound"])
    common = ("suite.yaml", "--plugin", "plugin.py", "--threads", 1)
    assert harness("run", *common, cwd=tmp_path).returncode == 0
    keys = {labeler: row["cell"] for (labeler, _, _), row in cells(tmp_path).items()}
    for labeler, name in (("numbered", 1), ("paired", ["epoch", 1])):
        file = tmp_path / "runs/small/cells" / keys[labeler] / "cell.json"
        record = json.loads(file.read_text()) | {"checkpoints": [name]}
        del record["sha256"]
        file.write_text(json.dumps(record | {"sha256": digest(record)}))
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
        assert ranks(tmp_path)["sound"] != "–"
