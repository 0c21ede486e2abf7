"""Fingerprints of finished cells: unchanged files are not read again."""

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.utils.files import replace_text
from harness.utils.hashing import canonical_json

CLOCK_TICK_SECONDS = 1.0  # within a tick of the disk's clock a file can change and keep its times


@dataclass(frozen=True)
class Fingerprint:
    """The state of the files in a folder, without their content."""

    digest: str  # hash of names, sizes, times and inodes
    changed: float  # time of the last change, in seconds since 1970

    @property
    def stable(self) -> bool:
        """Whether any later change of the files changes the digest too."""
        return time.time() - self.changed > CLOCK_TICK_SECONDS


def fingerprint_of(folder: Path, suffixes: tuple[str, ...]) -> Fingerprint | None:
    """Return the fingerprint of the files with these suffixes in a folder.

    No file is read. Returns None where there is no such folder. The change time is part of it because, unlike the
    modification time, no program can set it.
    """
    states = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(suffixes):
                    stat = entry.stat()
                    times = stat.st_mtime_ns, stat.st_ctime_ns
                    states.append((entry.name, stat.st_size, *times, stat.st_ino, stat.st_dev))
    except OSError:
        return None
    sha256 = hashlib.sha256(repr(sorted(states)).encode()).hexdigest()[:32]
    return Fingerprint(sha256, max((max(state[2:4]) for state in states), default=0) / 1e9)


class FingerprintCache:
    """The fingerprints of a run's finished cells, in one file.

    Without the file, cells are read through again.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._digests: dict[str, str] | None = None  # key -> digest; None: not read yet
        self._changed = False

    def has(self, key: str, fingerprint: Fingerprint) -> bool:
        """Return True if the cell was complete at this fingerprint."""
        return self._entries().get(key) == fingerprint.digest

    def add(self, key: str, fingerprint: Fingerprint) -> None:
        """Add the fingerprint of a complete cell."""
        if not self.has(key, fingerprint):
            self._entries()[key] = fingerprint.digest
            self._changed = True

    def save(self) -> None:
        """Write the file if anything is new; a full or read-only disk is no error."""
        if not self._changed:
            return
        with suppress(OSError):
            replace_text(self.file, canonical_json(self._entries()))
            self._changed = False

    def _entries(self) -> dict[str, str]:
        if self._digests is None:
            try:
                content = json.loads(self.file.read_text())
            except (OSError, ValueError):
                content = None
            self._digests = content if isinstance(content, dict) else {}
        return self._digests
