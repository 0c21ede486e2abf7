"""Kernel locks on files, released when their process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import InUse
from harness.utils.files import naming_file


@contextmanager
def hold_lock(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path` inside the context.

    Without `wait`, raise InUse where another process holds it. The file is never removed: else two processes could lock
    two files of the same name. Workers do not inherit its descriptor, so none can keep the lock after the parent's end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InUse(f"{path.parent} is in use by process {path.read_text().strip() or '?'}") from None
        with naming_file(path):
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)
