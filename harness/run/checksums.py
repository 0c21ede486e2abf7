"""Checksums of cached blocks and neighbour lists.

They are verified when a folder is first used, and again only when its files have changed.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.run.fingerprints import Fingerprint, FingerprintCache, fingerprint_of
from harness.utils.files import replace_text, sync_folder, write_text
from harness.utils.hashing import canonical_json, digest
from harness.utils.processor import cores

CHUNK_BYTES = 2**24  # hashed by one thread at a time
FINGERPRINTS_FILE = "marks.json"  # in the cache folder

_verified: dict[Path, str] = {}  # folder -> its fingerprint when this process has verified it
_damaged: dict[Path, str] = {}  # folder -> its fingerprint when this process has reported it


@dataclass(frozen=True)
class SealedFolder:
    """A folder of arrays with a record that has their checksums."""

    path: Path
    record_file: str
    arrays: tuple[str, ...]  # the names of their files
    cache: Path
    title: str  # of what it holds, for messages

    def seal(self, record: Mapping[str, Any]) -> None:
        """Write the record with its checksums; sync all files to the disk.

        The folder can be renamed afterwards.
        """
        write_text(self.path / self.record_file, self._add_checksums(record))
        sync_folder(self.path)

    def mark_as_verified(self) -> None:
        """Record that this process has sealed the folder: it is not read again."""
        fingerprint = self._fingerprint()
        if fingerprint is not None:
            self._remember(fingerprint)

    def read(self) -> dict[str, Any] | None:
        """Return the record; None where it is damaged or missing.

        A record of an earlier version has no checksums.
        """
        try:
            record = json.loads((self.path / self.record_file).read_text())
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(record, dict):
            return None
        if not record.keys() & {"sha256", "checksums"}:
            return record
        sha256 = record.pop("sha256", None)
        return record if digest(record) == sha256 else None

    def is_intact(self) -> bool:
        """Return True if the arrays are those of the record.

        They are read through once; later the folder counts as intact while size, times and inode of its files stay the
        same. Damage is reported once, in one line.
        """
        fingerprint, place = self._fingerprint(), self.path.absolute()
        if fingerprint is None:
            return False
        if fingerprint.digest in (_verified.get(place), _damaged.get(place)):
            return fingerprint.digest == _verified.get(place)
        if not FingerprintCache(self.cache / FINGERPRINTS_FILE).has(self.path.name, fingerprint):
            damage = self._find_damage()
            if damage is not None:
                _damaged[place] = fingerprint.digest
                logging.getLogger("harness").warning("%s: %s; it is made again", self.title, damage)
                return False
            fingerprint = self._fingerprint() or fingerprint  # an earlier version's record has been written again
            if fingerprint.stable:
                self._remember(fingerprint)
        _verified[place] = fingerprint.digest
        return True

    def _find_damage(self) -> str | None:
        record = self.read()
        if record is None:
            return f"{self.path / self.record_file} is damaged"
        try:
            if "checksums" in record:
                changed = [n for n in self.arrays if file_checksum(self.path / n) != record["checksums"].get(n)]
                return f"{self.path / changed[0]} is not as it was written" if changed else None
            for name in self.arrays:
                np.load(self.path / name, mmap_mode="r", allow_pickle=False)  # as long as its header states
        except (OSError, ValueError) as error:
            return f"{self.path} is damaged: {error}"
        with suppress(OSError):  # a read-only disk
            replace_text(self.path / self.record_file, self._add_checksums(record))
        return None

    def _add_checksums(self, record: Mapping[str, Any]) -> str:
        content = {**record, "checksums": {name: file_checksum(self.path / name) for name in self.arrays}}
        return canonical_json(content | {"sha256": digest(content)})

    def _fingerprint(self) -> Fingerprint | None:
        return fingerprint_of(self.path, (*self.arrays, self.record_file))

    def _remember(self, fingerprint: Fingerprint) -> None:
        _verified[self.path.absolute()] = fingerprint.digest
        fingerprints = FingerprintCache(self.cache / FINGERPRINTS_FILE)
        fingerprints.add(self.path.name, fingerprint)
        fingerprints.save()


def file_checksum(file: Path) -> str:
    """Return the SHA-256 of the SHA-256s of a file's chunks.

    The chunks are hashed in parallel: one thread is slower than the disk.
    """
    with file.open("rb") as source:
        handle = source.fileno()

        def hash_chunk(start: int) -> bytes:
            return hashlib.sha256(os.pread(handle, CHUNK_BYTES, start)).digest()

        starts = range(0, os.fstat(handle).st_size, CHUNK_BYTES)
        if len(starts) < 2:
            return hashlib.sha256(b"".join(map(hash_chunk, starts))).hexdigest()
        with ThreadPoolExecutor(cores()) as pool:
            return hashlib.sha256(b"".join(pool.map(hash_chunk, starts))).hexdigest()
