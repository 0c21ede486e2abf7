"""A command line that is imported once: every command is a fork of this process, which has imported and run nothing.

Each is a process of its own with its own folder, environment and exit code. It starts in 20 ms instead of 2 s.
"""

import array
import atexit
import contextlib
import gc
import importlib
import importlib.metadata
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

from threadpoolctl import threadpool_limits

LIBRARIES = (
    "llvmlite.binding",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.base",
)
PACKAGES = ("audit", "cli", "label", "report", "run", "scoring", "statistics", "suite")
LONGEST = 1 << 20  # bytes of a request


class Warm:
    """A running server of commands, seen from the tests."""

    def __init__(self):
        self._end, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.workers, workers_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # see fork_server.py
        with other, workers_end:
            ends = [end.fileno() for end in (other, self.workers, workers_end)]
            self.process = subprocess.Popen(
                [sys.executable, __file__, *map(str, ends)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=ends,
            )

    def run(self, command, *arguments, cwd, timeout, environment=None):
        """Run `python -m command arguments` to its end and return the CompletedProcess with its text."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            streams = out.fileno(), err.fileno()
            code = self.run_with(streams, command, *arguments, cwd=cwd, timeout=timeout, environment=environment)
            if code is None:
                raise subprocess.TimeoutExpired([command, *arguments], timeout, _text(out), _text(err))
            return subprocess.CompletedProcess([command, *arguments], code, _text(out), _text(err))

    def run_with(self, streams, command, *arguments, cwd, timeout, environment=None):
        """Run a command to its end with these descriptors as stdout and stderr.

        Returns its exit code; None where it was killed after `timeout` seconds.
        """
        environment = dict(os.environ if environment is None else environment)
        request = {"command": command, "arguments": arguments, "cwd": str(cwd), "environment": environment}
        reply, far_end = socket.socketpair()
        with reply, far_end:
            ends = array.array("i", [*streams, far_end.fileno()])
            self._end.sendmsg([json.dumps(request).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, ends)])
            far_end.close()
            reply.settimeout(timeout)
            with reply.makefile() as lines:
                pid = int(lines.readline())
                try:
                    return int(lines.readline())
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    return None

    def close(self):
        """End the server."""
        self._end.close()
        self.workers.close()
        self.process.wait()


def _text(file):
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def serve(channel, workers_end):
    """Answer requests until the tests end; returns in each fork the command that it shall run.

    The first command that has workers makes the server of their servers start.
    """
    gc.collect()
    gc.freeze()  # a fork that collects garbage would copy every page
    awaited = [channel, workers_end]
    while True:
        if workers_end in select.select(awaited, [], [])[0]:
            awaited.remove(workers_end)
            subprocess.Popen([sys.executable, Path(__file__).with_name("fork_server.py")], stdin=workers_end)
            workers_end.close()
            continue
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        message, ends, _, _ = socket.recv_fds(channel, LONGEST, 3)
        if not message:
            sys.exit()
        if os.fork() == 0:  # one process more, that waits: commands may run at the same time
            channel.close()
            workers_end.close()
            pid = os.fork()
            if pid == 0:
                return json.loads(message), ends
            with socket.socket(fileno=ends[2]) as reply:
                reply.sendall(f"{pid}\n".encode())
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(OSError):  # nobody waits any more
                    reply.sendall(f"{code}\n".encode())
            os._exit(0)
        for end in ends:
            os.close(end)


def become(request, ends):
    """Make this process what the request asks for, up to the first line of its program."""
    for end, standard in zip(ends, (1, 2), strict=False):
        os.dup2(end, standard)
    for end in ends:
        os.close(end)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["cwd"]
    sys.argv = [request["command"], *request["arguments"]]


def load():
    """Import what commands import, up to the program itself, which is `__main__`."""
    for name in LIBRARIES:
        importlib.import_module(name)
    for name in PACKAGES:
        package = importlib.import_module(f"harness.{name}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    threadpool_limits(1, "blas")
    for point in importlib.metadata.entry_points(group="harness"):
        with contextlib.suppress(ImportError):  # the command that loads it says so
            point.load()


def run(command):
    """Run the program and leave as Python does, but for the destructors of C++ libraries.

    Those of Arrow end threads that only the imported process has: in a fork that now and then aborts.
    """
    code = 0
    try:
        runpy.run_module(command, run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if not isinstance(leaving.code, int | None):
            sys.stderr.write(f"{leaving.code}\n")
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file
    sys.path.insert(0, str(Path.cwd()))
    from tests import fork_server

    load()
    tests, workers, far_end = (socket.socket(fileno=int(end)) for end in sys.argv[1:])
    for end in (tests, workers, far_end):
        end.set_inheritable(False)
    with tests:
        asked = serve(tests, far_end)
    become(*asked)
    fork_server.ask(lambda: workers)
    run(asked[0]["command"])
