"""`harness demo`: the quickstart runs without a file of the user's, and ends as every run does."""

import json
import re
import signal
import subprocess

import pytest

from tests.command_line import COMMAND

pytestmark = pytest.mark.slow


def test_it_begins_the_quickstart_in_the_folder_that_it_is_given(tmp_path):
    demo = [*COMMAND, "demo", "--json", "-o", "out"]
    with subprocess.Popen(demo, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        first, _ = json.loads(process.stdout.readline()), process.stdout.readline()  # a block or a cell is begun
        process.send_signal(signal.SIGTERM)
        _, notices = process.communicate(timeout=60)
    assert (first["event"], first["suite"], first["cells"], first["simulated"]) == ("start", "quickstart", 48, True)
    assert process.returncode == 130, notices
    last = notices.splitlines()[-1]
    assert re.fullmatch(r"interrupted: \d+ cells? (is|are) finished; the same command goes on from there", last), (
        notices
    )
    assert [folder.name for folder in tmp_path.iterdir()] == ["out"]
