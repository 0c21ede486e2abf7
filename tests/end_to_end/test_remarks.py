"""What a board says of data, blocks and trainings that count for nothing."""

import shutil

import numpy as np
import pyarrow as pa

from tests.command_line import BLOCKS, board, harness, table, write_labelers, write_suite


def test_a_board_names_what_counts_for_nothing(tmp_path):
    rows = table()
    roles = [
        [{"role": "narrator", "content": turn["content"]} for turn in talk] for talk in rows["messages"].to_pylist()
    ]
    rows = rows.set_column(rows.column_names.index("messages"), "messages", pa.array(roles, rows["messages"].type))
    rows = rows.set_column(rows.column_names.index("score"), "score", pa.array(np.maximum(rows["score"].to_numpy(), 1)))
    plugin = write_labelers(
        tmp_path / "restless.py", restless='return Predictions(uniform(task), {"base": [{"settled": False}]})'
    )
    suite = write_suite(
        tmp_path, [{"knn": {"on": "t"}}, "restless", "majority"], rows, blocks={"t": {"features": "text_v1"}}
    )
    before = harness("plan", suite, "--plugin", plugin, cwd=tmp_path)
    assert "1 role is not known: narrator" in before.stdout
    run = harness("run", suite, "--plugin", plugin, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    page = board(tmp_path)["README.md"].decode()
    for line in (
        "> Class 0 has no labelled row, and still counts",
        "1 role is not known: narrator (480 turns)",
        "> Block 't': none of its 35 columns varies",
        "- Training had not settled: restless. ",
    ):
        assert line in page, page[:1500]
    assert "block 't'" in harness("plan", suite, "--plugin", plugin, cwd=tmp_path).stdout
    # the page stays as it is when the blocks are gone
    for file in (tmp_path / "runs" / "cache" / "blocks").rglob("*.npy"):
        file.unlink()
    assert harness("leaderboard", suite, "--plugin", plugin, cwd=tmp_path).returncode == 0
    assert board(tmp_path)["README.md"].decode() == page


def test_the_advice_on_a_scale_from_one_works(tmp_path):
    rows = pa.table(
        {
            "row_id": range(60),
            "score": [i % 3 + 1 for i in range(60)],
            "embeddings": [[float(i)] * 2 for i in range(60)],
        }
    )
    data = {"path": "data.parquet", "target": "score", "classes": 3}
    suite = write_suite(tmp_path, ["majority"], rows, data=data)
    refused = harness("plan", suite, cwd=tmp_path)
    assert refused.returncode == 2
    message = " ".join(refused.stderr.split())
    assert "write 'classes: [1, 2, 3]'" in message
    assert "classes: 4" not in message
    suite = write_suite(tmp_path, ["majority"], rows, data=data | {"classes": [1, 2, 3]})
    assert harness("plan", suite, cwd=tmp_path).returncode == 0


def test_a_class_beyond_the_last_may_be_one_more(tmp_path):
    suite = write_suite(tmp_path, ["majority"], data={"path": "data.parquet", "target": "score", "classes": 5})
    assert "set 'classes: 6' if 5 is a class, or map them" in " ".join(
        harness("plan", suite, cwd=tmp_path).stderr.split()
    )


def test_plan_and_board_advise_a_network_whose_blocks_are_far_apart(tmp_path):
    rows = table()
    column = rows.column_names.index("embeddings")
    small = [[value / 100 for value in row] for row in rows["embeddings"].to_pylist()]
    rows = rows.set_column(column, "embeddings", pa.array(small, pa.list_(pa.float32())))
    both = {"on": ["embedding", "text"], "hidden": 4, "epochs": 1}
    labelers = [{"mlp": both}, {"mlp": {**both, "scale": "auto"}}]
    blocks = BLOCKS | {"text": {"features": "text_v1"}}
    write_suite(tmp_path, labelers, rows, blocks=blocks)
    assert "differ in scale" not in harness("plan", "suite.yaml", cwd=tmp_path).stdout  # nothing is made yet
    assert harness("run", "suite.yaml", "--threads", 1, cwd=tmp_path).returncode == 0
    shutil.rmtree(tmp_path / "runs" / "cache" / "blocks")
    page = board(tmp_path)["README.md"].decode()
    for text in (page, harness("plan", "suite.yaml", cwd=tmp_path).stdout):
        (line,) = (line for line in text.splitlines() if "differ in scale" in line)
        assert "locks 'embedding' and 'text' differ in scale" in line
        assert line.rstrip(".").endswith("for mlp(on=embedding+text, epochs=1, hidden=4)")
