"""The memory of a process and its descendants: what is shared counts once, what a child writes counts too."""

import subprocess
import sys

import pytest

from harness.utils.memory import memory_of

CODE = """
import os, sys, time
block = bytearray(100 * 2**20)
for i in range(0, len(block), 4096):
    block[i] = 1
if os.fork() == 0:
    if sys.argv[1] == "writes":
        for i in range(0, len(block), 4096):
            block[i] = 2
    print("ready", flush=True)
    time.sleep(60)
os.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counted by the kernel's files")
@pytest.mark.parametrize(("child", "least", "most"), [("reads", 100, 175), ("writes", 195, 225)])
def test_shared_pages_of_a_child_count_in_part_and_its_own_in_full(child, least, most):
    with subprocess.Popen(
        [sys.executable, "-c", CODE, child], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        size = memory_of(process.pid) / 2**20
        subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=True)
    assert least <= size <= most
    assert memory_of(process.pid) == 0
