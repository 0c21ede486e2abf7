"""The servers of workers, imported once: each is a fork of one process that has imported what workers import.

A run starts a server that imports torch, LightGBM or scikit-learn for its workers, in up to 5 s. Where the variables
that these libraries read are those of the imported process, a fork of it takes the place of the new Python. A server
whose variables differ, and that of every command that a test starts by itself, is a Python of its own.
"""

import contextlib
import importlib
import json
import os
import re
import signal
import socket
import sys
from multiprocessing import forkserver, util
from pathlib import Path

SERVER = re.compile(r"from multiprocessing\.forkserver import main; main\((\d+), (\d+), (.*)\)")
READ_BY_LIBRARIES = re.compile(r"(ATEN|CUDA|DNNL|LD|MKL|NPY|NUMBA|OMP|ONEDNN|OPENBLAS|PYTHON|TORCH)_?[A-Z_]*")
LONGEST = 1 << 20  # bytes of a request
MODULES = (
    "harness.run.worker",
    "harness.run.neighbor_lists",
    "harness.run.block_writer",
    "faiss",
    "harness.search.kernels",
    "torch",
    "torch.optim.adamw",
    "harness_plugins.networks.optimizer",
    "harness_plugins.networks.backpropagation",
    "harness_plugins.networks.plugins",
    "cleanlab.filter",
    "lightgbm",
    "scipy.sparse",
    "sklearn.decomposition",
    "sklearn.linear_model",
    "sklearn.preprocessing",
    "sklearn.semi_supervised",
)


def ask(channel):
    """Let the servers of workers that this process starts be asked for over a socket, a function's result."""
    start = util.spawnv_passfds

    def start_or_ask(path, arguments, ends):
        server = SERVER.fullmatch(arguments[-1])
        if server is None:
            return start(path, arguments, ends)
        request = {
            "path": os.fsdecode(path),
            "arguments": list(map(os.fsdecode, arguments)),
            "environment": dict(os.environ),
            "cwd": str(Path.cwd()),
        }
        near_end, far_end = socket.socketpair()
        with near_end, far_end:
            socket.send_fds(
                channel(), [json.dumps(request).encode()], [int(server[1]), int(server[2]), 1, 2, far_end.fileno()]
            )
            # A child to wait for, as multiprocessing does: it ends when the server ends.
            return os.posix_spawn(
                "/bin/cat",
                ["cat"],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, near_end.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                ],
            )

    util.spawnv_passfds = start_or_ask


def _read_by_libraries(environment):
    return {name: value for name, value in environment.items() if READ_BY_LIBRARIES.fullmatch(name)}


def serve(channel):
    """Answer requests until the tests end; returns in each fork what it is asked to be."""
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        message, ends, _, _ = socket.recv_fds(channel, LONGEST, 5)
        if not message:
            sys.exit()
        if os.fork() == 0:
            channel.close()
            return json.loads(message), ends
        for end in ends:
            os.close(end)


def become(request, ends, loaded):
    """Be the server that the request asks for, until its run ends."""
    listener, alive, out, err, _ = ends
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    os.chdir(request["cwd"])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as in the run that starts it
    *arguments, program = request["arguments"]
    rest = SERVER.fullmatch(program)[3]
    if _read_by_libraries(request["environment"]) != loaded:
        for end in (listener, alive, ends[-1]):
            os.set_inheritable(end, True)
        program = f"from multiprocessing.forkserver import main; main({listener}, {alive}, {rest})"
        os.execve(request["path"], [*arguments, program], request["environment"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["cwd"]
    sys.argv = ["-c"]
    eval(f"main({listener}, {alive}, {rest})", {"main": forkserver.main})


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file
    sys.path.insert(0, str(Path.cwd()))
    from harness.utils.processes import Processes

    Processes((), 1)  # sets the variables as a run does that gives a worker one thread
    variables = _read_by_libraries(os.environ)
    for module in MODULES:
        importlib.import_module(module)
    import gc

    gc.collect()
    gc.freeze()  # a fork that collects garbage would copy every page
    with socket.socket(fileno=os.dup(0)) as tests:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        asked = serve(tests)
    become(*asked, variables)
