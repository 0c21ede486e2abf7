"""Run a command and stop it, or fail its disk, right before the k-th change of a folder.

`python -m tests.soak.events FAULT K FOLDER EVENTS COMMAND...`; FAULT is "count", "crash", "ENOSPC" or "EIO". A
change is an event of Python's audit (a file is opened for writing, renamed, removed; a folder is made or removed), or
a call of os.fsync, which has no event of its own. The kinds of those that came are written to the file EVENTS.
"""

import errno
import os
import runpy
import sys
from pathlib import Path

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "soak.fsync")
SPACE = ("open", "os.mkdir", "os.link", "os.symlink")  # those that a full disk refuses
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CRASHED = 137


class Fault:
    """What happens at the k-th change of a folder; the changes before are counted."""

    def __init__(self, kind, number, folder):
        self.kind, self.number, self.folder = kind, number, f"{os.path.realpath(folder)}/"
        self.changes = []

    def hook(self, event, arguments):
        """Take an event of the audit."""
        if event in CHANGES or (event == "open" and arguments[2] & WRITING):
            path = _path_of(event, arguments)
            if path is not None and path.startswith(self.folder):
                self.changes.append(event)
                self.strike(event, path)

    def strike(self, event, path):
        """End or fail; a full disk stays full, a broken one is broken once."""
        now = len(self.changes)
        if self.kind == "crash" and now == self.number:
            os._exit(CRASHED)
        full = self.kind == "ENOSPC" and now >= self.number and event in SPACE and not os.path.lexists(path)
        broken = self.kind == "EIO" and now == self.number
        if full or broken:
            code = getattr(errno, self.kind)
            raise OSError(code, os.strerror(code), path)


def _path_of(event, arguments):
    """Return the absolute path of an event; None where it has none."""
    path = arguments[0]
    if isinstance(path, int):
        return str(_path_of_handle(path)) if event == "soak.fsync" else None
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    folder = arguments[-1] if event in ("os.remove", "os.rmdir") else -1  # relative to an open folder
    return str((_path_of_handle(folder) if folder >= 0 else Path.cwd()) / os.fsdecode(path))


def _path_of_handle(handle):
    return Path(f"/proc/self/fd/{handle}").readlink()


def main():
    """Run the command with its fault."""
    kind, number, folder, events, *command = sys.argv[1:]
    fault, fsync = Fault(kind, int(number), folder), os.fsync

    def audited_fsync(handle):
        sys.audit("soak.fsync", handle)
        fsync(handle)

    os.fsync = audited_fsync
    from harness.run import neighbor_plan

    neighbor_plan.MIN_SAVED_MULTIPLICATIONS = 0  # so that small data have shared lists, too
    sys.argv[1:] = command
    sys.addaudithook(fault.hook)
    try:
        runpy.run_module("harness.cli", run_name="__main__", alter_sys=True)
    finally:
        fault.kind = "count"
        Path(events).write_text("\n".join(fault.changes))


if __name__ == "__main__":
    main()
