"""Orphans: processes whose parent has ended, or that were forked twice.

On Linux they are adopted by a worker while it runs, and by its server afterwards, whatever session they are in.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection

from harness.utils.memory import children_of, family_of

SET_CHILD_SUBREAPER = 36  # of prctl
SWEEPS, SECONDS_BETWEEN = 200, 0.005  # a process that forks while it is killed leaves another


def adopt_orphans() -> None:
    """Let orphans among the descendants of this process become its children."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_descendants(pid: int, spare: Collection[int] = ()) -> None:
    """Kill all descendants of a process but its children in `spare`.

    Those of `spare` are left alone too.
    """
    for sweep in range(SWEEPS):
        targets = [process for child in children_of(pid) if child not in spare for process in family_of(child)]
        if not targets:
            return
        if sweep:
            time.sleep(SECONDS_BETWEEN)  # those that have been killed are waited for by the process
        for target in targets:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(target, signal.SIGKILL)
        if pid == os.getpid():
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
