"""The progress of a run on a terminal."""

import re

import pytest

from tests.command_line import write_labelers, write_suite
from tests.terminal import on_terminal, plain

pytestmark = pytest.mark.slow


def test_a_run_starts_workers_before_it_counts_cells(tmp_path):
    write_labelers(tmp_path / "plugin.py", waits="time.sleep(0.5); return uniform(task)")
    write_suite(tmp_path, [{"waits": {"k": 1}}, "majority"], blocks=None)
    command = ("run", "suite.yaml", "--threads", 1, "--plugin", "plugin.py")
    code, text = on_terminal(*command, cwd=tmp_path)
    shown = plain(text)
    assert code == 0, shown
    bars = [line for line in re.split(r"[\r\n]", shown) if re.search(r" \d/2 ", line)]
    assert bars[0].startswith("starting workers ")
    assert bars[-1].startswith("cells (0 failed, 0 reused) ")
    states = [line.startswith("starting workers ") for line in bars]
    assert states == sorted(states, reverse=True), "it never starts again"
    assert any(line.startswith("cells") and " 0/2 " in line for line in bars), "a worker works, no cell has ended"
    again = plain(on_terminal(*command, cwd=tmp_path)[1])
    assert "cells (0 failed, 2 reused)" in again
    assert "starting workers" not in again


def test_a_block_is_made_after_the_start(tmp_path):
    write_suite(tmp_path, ["majority", {"knn": {"on": "text"}}], blocks={"text": {"features": "text_v1"}})
    code, text = on_terminal("run", "suite.yaml", "--threads", 1, cwd=tmp_path)
    shown = plain(text)
    assert code == 0, shown
    assert shown.index("starting workers") < shown.index("rows of block text") < shown.index("cells (0 failed")
