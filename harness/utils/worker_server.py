"""Prepare the server that workers are forked from; only it imports this.

It imports the modules of workers, adopts the processes that a worker has left behind, and ends them when it ends.
"""

import atexit
import importlib
import os
import warnings

from harness.utils.orphans import adopt_orphans, kill_descendants
from harness.utils.processes import PRELOAD_VARIABLE


def _prepare() -> None:
    adopt_orphans()
    atexit.register(_end_workers, os.getpid())
    # The server of multiprocessing wonders about a child that it has not forked.
    warnings.filterwarnings("ignore", message="forkserver: waitpid returned unexpected pid")
    for name in filter(None, os.environ.pop(PRELOAD_VARIABLE, "").split(",")):
        try:
            importlib.import_module(name)
        except BaseException:
            continue  # the worker that needs it fails, with the reason


def _end_workers(server: int) -> None:
    """End all that is left when the parent has ended, in the server alone."""
    if os.getpid() == server:
        kill_descendants(server)


_prepare()
