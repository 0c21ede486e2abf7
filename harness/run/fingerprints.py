"""How the files of finished cells looked when they were last read through: what looks the same is not read again."""

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.utils.hashing import canonical_json

CLOCK_TICK_SECONDS = 1.0  # seconds; within a tick of the disk's clock a file can change and keep its times


@dataclass(frozen=True)
class Fingerprint:
    """One cell's folder from outside."""

    digest: str  # hash of names, sizes, times and inodes
    changed: float  # when its youngest file was, in seconds since 1970

    @property
    def stable(self) -> bool:
        """Whether whatever changes the files from now on changes their look too."""
        return time.time() - self.changed > CLOCK_TICK_SECONDS


def fingerprint_of(folder: Path, suffixes: tuple[str, ...]) -> Fingerprint | None:
    """Look at the files of these endings in a folder, without reading any; None where there is no such folder.

    The change time is among what is looked at because, unlike the modification time, no program can set it.
    """
    seen = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(suffixes):
                    stat = entry.stat()
                    times = stat.st_mtime_ns, stat.st_ctime_ns
                    seen.append((entry.name, stat.st_size, *times, stat.st_ino, stat.st_dev))
    except OSError:
        return None
    mark = hashlib.sha256(repr(sorted(seen)).encode()).hexdigest()[:32]
    return Fingerprint(mark, max((max(each[2:4]) for each in seen), default=0) / 1e9)


class FingerprintCache:
    """The marks of a run's whole cells, in one file. It is a note alone: without it, cells are read through again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._marks: dict[str, str] | None = None  # key -> mark; None: not read yet
        self._changed = False

    def has(self, key: str, fingerprint: Fingerprint) -> bool:
        """Say whether the cell was whole when it looked like this."""
        return self._entries().get(key) == fingerprint.digest

    def add(self, key: str, fingerprint: Fingerprint) -> None:
        """Note how a whole cell looks."""
        if not self.has(key, fingerprint):
            self._entries()[key] = fingerprint.digest
            self._changed = True

    def save(self) -> None:
        """Write down what is new; where nothing can be written, nothing is."""
        if not self._changed:
            return
        scratch = self.file.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            scratch.write_text(canonical_json(self._entries()))
            scratch.replace(self.file)
            self._changed = False

    def _entries(self) -> dict[str, str]:
        if self._marks is None:
            try:
                read = json.loads(self.file.read_text())
            except (OSError, ValueError):
                read = None
            self._marks = read if isinstance(read, dict) else {}
        return self._marks
