"""The environment of a child process: threads, interrupts, modules."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.command_line import until

pytestmark = pytest.mark.slow

TASKS = """
from pathlib import Path
from harness.utils.processes import Processes

def main():
    for modules in ((), ("colorsys",), ("cmd",)):
        code = "import sys; print(*sorted({'colorsys', 'cmd'} & set(sys.modules)))"
        processes = Processes(modules, 1)
        processes.start(exec, (code,), Path.cwd()).process.join()

if __name__ == "__main__":
    main()
"""
SCRIPT = """
import os, sys
from pathlib import Path
from harness.utils.processes import Processes
from harness.utils.processor import cores

def main():
    threads, jobs = (cores() * int(number) for number in sys.argv[1:3])
    processes = Processes((), threads, jobs=max(jobs, 1))  # its children end with it
    processes.start(os.system, (sys.argv[3] + " > output",), Path.cwd()).process.join()

if __name__ == "__main__":
    main()
"""


LOSING = """
import os, signal, threading
from multiprocessing import forkserver
from pathlib import Path
from harness.utils.processes import Processes

def main():
    processes = Processes((), 1)
    processes.warm_up()
    server = forkserver._forkserver._forkserver_pid
    os.kill(server, signal.SIGSTOP)  # it takes the request, and ends without an answer
    threading.Timer(0.2, os.kill, (server, signal.SIGKILL)).start()
    child = processes.start(os.system, ("echo done > output",), Path.cwd())
    child.process.join()

if __name__ == "__main__":
    main()
"""


def test_a_child_is_started_again_where_its_server_ends_meanwhile(tmp_path):
    (tmp_path / "script.py").write_text(LOSING)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "output").read_text() == "done\n"


@pytest.mark.parametrize(
    ("jobs", "own", "waits"),
    [(0, None, "10000"), (2, None, None), (2, "7", "7"), (0, "7", "7")],
    ids=["a core a thread", "more threads than cores", "crowded, as the user says", "as the user says"],
)
def test_threads_wait_awake_only_where_each_has_a_core(tmp_path, jobs, own, waits):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    environment |= {} if own is None else {"GOMP_SPINCOUNT": own}
    command = [sys.executable, "script.py", "1", str(jobs), "env"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=120)
    values = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines() if "=" in line)
    assert values.get("GOMP_SPINCOUNT") == waits
    assert values["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel does not show the mask of a process")
def test_an_interrupt_of_the_whole_group_is_for_the_parent_alone(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", "1", "1", "cat /proc/$PPID/status"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    values = dict(line.split(":\t", 1) for line in (tmp_path / "output").read_text().splitlines() if ":\t" in line)
    assert int(values["SigBlk"], 16) & 1 << signal.SIGINT - 1


def test_a_child_has_what_this_and_earlier_processes_preload(tmp_path):
    (tmp_path / "script.py").write_text(TASKS)
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=True, timeout=120)
    assert (tmp_path / "log.txt").read_text().splitlines() == ["", "colorsys", "cmd colorsys"]


FORK_TWICE = """
import os, time
from pathlib import Path
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        Path("pid.part").write_text(str(os.getpid()))
        Path("pid.part").rename("pid")
        time.sleep(100)
    os._exit(0)
time.sleep(100)
"""
KILLED = """
import os, signal, time
from pathlib import Path
from harness.utils.processes import Processes

def main():
    Path("broken_module.py").write_text("raise ValueError('at once')")
    code = Path("child.py").read_text()
    processes = Processes(("broken_module",), 1)  # its children end with it
    child = processes.start(exec, (code,), Path.cwd())
    end = time.monotonic() + 60
    while not Path("pid").exists() and time.monotonic() < end and not child.done():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has somebody to adopt orphans")
def test_a_process_forked_twice_ends_when_the_program_is_killed(tmp_path):
    """The server has met a module that raises, too."""
    (tmp_path / "script.py").write_text(KILLED)
    (tmp_path / "child.py").write_text(FORK_TWICE)
    with (tmp_path / "output").open("w") as output:  # a pipe would be held open
        command = [sys.executable, "script.py"]
        ended = subprocess.run(command, cwd=tmp_path, timeout=90, check=False, stdout=output, stderr=output)
    assert ended.returncode == -signal.SIGKILL, (tmp_path / "output").read_text()
    orphan = int((tmp_path / "pid").read_text())
    until(lambda: not psutil.pid_exists(orphan), patience=30)
