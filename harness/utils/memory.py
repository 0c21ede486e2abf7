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

    It is 0 if the process has ended. Of a descendant, pages that it shares with others, as a fork does, count in part.
    """
    first, *others = family_of(pid)
    return _anonymous(first) + sum(map(_own_anonymous, others))


def family_of(pid: int) -> Iterator[int]:
    """Yield a process and its descendants.

    One that starts meanwhile may be missing.
    """
    if not CHILDREN_FILE.exists():
        yield from (pid, *(process.pid for process in descendants(pid)))
        return
    waiting = [pid]
    while waiting:
        yield waiting[-1]
        waiting += children_of(waiting.pop())


def children_of(pid: int) -> list[int]:
    """Return the children of a process, none if it has ended."""
    if not CHILDREN_FILE.exists():
        with contextlib.suppress(psutil.Error):
            return [process.pid for process in psutil.Process(pid).children()]
        return []
    children: list[int] = []
    with contextlib.suppress(OSError):  # it is gone
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - called four times a second
            children += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return children


def _anonymous(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # gone, or not Linux
        with contextlib.suppress(psutil.Error):
            return 0 if Path("/proc/self/status").exists() else int(psutil.Process(pid).memory_info().rss)
        return 0
    return int(status.partition("\nRssAnon:")[2].partition("kB")[0] or 0) * 1024


def _own_anonymous(pid: int) -> int:
    """Return the anonymous memory of a process, shared pages in part.

    Where the kernel does not say so, shared pages count in full.
    """
    try:
        share = Path(f"/proc/{pid}/smaps_rollup").read_text().partition("\nPss_Anon:")[2].partition("kB")[0]
    except OSError:
        share = ""
    return int(share) * 1024 if share.strip() else _anonymous(pid)


def descendants(pid: int | None) -> list[psutil.Process]:
    """Return the descendants of a process, none if it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)  # type: ignore[no-any-return]
    except psutil.Error:
        return []
