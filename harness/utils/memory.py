"""Memory of the machine, and of processes with their descendants."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

CHILDREN_FILE = Path("/proc/thread-self/children")  # it exists where the kernel lists them


def machine_memory() -> int:
    """Return the bytes of memory of the machine, or of its container."""
    sizes = [int(psutil.virtual_memory().total)]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit
            sizes.append(int(Path("/sys/fs/cgroup", name).read_text()))
    return min(sizes)


def memory_of(pid: int) -> int:
    """Return the anonymous memory, in bytes, of a process and descendants.

    It is 0 if the process has ended.
    """
    family = _family(pid) if CHILDREN_FILE.exists() else (pid, *(process.pid for process in descendants(pid)))
    return sum(map(_anonymous, family))


def _family(pid: int) -> Iterator[int]:
    """Yield a process and its descendants, as Linux lists them.

    One that starts meanwhile may be missing.
    """
    yield pid
    with contextlib.suppress(OSError):  # it is gone
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - called four times a second
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                yield from _family(int(child))


def _anonymous(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # gone, or not Linux
        with contextlib.suppress(psutil.Error):
            return 0 if Path("/proc/self/status").exists() else int(psutil.Process(pid).memory_info().rss)
        return 0
    return int(status.partition("\nRssAnon:")[2].partition("kB")[0] or 0) * 1024


def descendants(pid: int | None) -> list[psutil.Process]:
    """Return the descendants of a process, none if it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)  # type: ignore[no-any-return]
    except psutil.Error:
        return []
