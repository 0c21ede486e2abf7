"""Store finished cells on disk.

Only the parent process writes here, with one atomic rename for each cell; an incomplete cell counts as missing.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.run.fingerprints import FingerprintCache, fingerprint_of
from harness.run.result import Result, ResultMemory, read_result
from harness.run.timing import TIMING_FILE as TIMING
from harness.utils.files import replace_text, sync, write_text
from harness.utils.hashing import canonical_json, digest

RESULT_SCHEMA = 1
"""Version of what a finished cell holds; part of every cell's key."""

CELL_FILE = "cell.json"
SUITE_FILE = "suite.json"  # in the folder of a run: its suite file and options
FINGERPRINTED_SUFFIXES = (".npy", ".npz", CELL_FILE)  # of the files that a complete cell has


class Store:
    """The cells of one suite's run, in a folder.

    ``cells/<key>/`` is a finished cell, ``failed/<key>.json`` the reason of a failure, ``scratch/`` belongs to workers.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / "cells"
        self.failed = folder / "failed"
        self.scratch = folder / "scratch"
        self._complete: set[str] = set()  # keys of cells that this process has checked
        self._fingerprints = FingerprintCache(folder / "marks.json")
        self._results = ResultMemory()
        self._pool = ThreadPoolExecutor(4)  # files that are synced at the same time reach the disk together

    def open(self) -> None:
        """Make the folders, and clear what an interrupted run left in scratch.

        The caller holds the run's lock.
        """
        shutil.rmtree(self.scratch, ignore_errors=True)
        for path in (self.cells, self.failed, self.scratch):
            path.mkdir(parents=True, exist_ok=True)

    def has(self, key: str) -> bool:
        """Return True if the cell is finished and undamaged.

        Its arrays are those of its record, with the same hashes. They are read once; later the cell counts as undamaged
        while size, times and inode of its files stay the same.
        """
        if key in self._complete:
            return True
        fingerprint = fingerprint_of(self.cells / key, FINGERPRINTED_SUFFIXES)
        if fingerprint is None or not (self._fingerprints.has(key, fingerprint) or self._is_complete(key)):
            return False
        if fingerprint.stable:
            self._fingerprints.add(key, fingerprint)
        self._complete.add(key)
        return True

    def finished_keys(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys whose cells are finished; save fingerprints."""
        finished = {key for key in keys if self.has(key)}
        self.save_fingerprints()
        return finished

    def save_fingerprints(self) -> None:
        """Save the fingerprints of the checked cells for the next process."""
        self._fingerprints.save()

    def commit(self, key: str, folder: Path, record: Mapping[str, Any], timing: Mapping[str, Any]) -> None:
        """Turn a worker's folder into a finished cell.

        The record is written, everything is synced to the disk, and the folder is renamed once.
        """
        files = _arrays_in(folder)
        write_text(folder / TIMING, canonical_json(timing))
        content = {"schema": RESULT_SCHEMA, "key": key, "files": files, **record}
        write_text(folder / CELL_FILE, canonical_json(content | {"sha256": digest(content)}))
        list(self._pool.map(sync, folder.iterdir()))
        sync(folder)
        target = self.cells / key
        if target.exists():  # damaged
            shutil.rmtree(target)
        folder.rename(target)
        sync(self.cells)
        self._complete.add(key)
        fingerprint = fingerprint_of(target, FINGERPRINTED_SUFFIXES)
        if fingerprint is not None:
            self._fingerprints.add(key, fingerprint)
        with suppress(FileNotFoundError):
            (self.failed / f"{key}.json").unlink()

    def copy_cell(self, key: str, other: "Store") -> None:
        """Copy a cell that another suite has finished, by hard links if possible."""
        scratch = self.scratch / key
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(other.cells / key, scratch, copy_function=_link)
        shutil.rmtree(self.cells / key, ignore_errors=True)  # damaged, if it is there
        scratch.rename(self.cells / key)
        sync(self.cells)

    def fail(self, key: str, record: Mapping[str, Any]) -> None:
        """Record why a cell has no result, until it has one."""
        scratch = self.scratch / f"{key}.json"
        write_text(scratch, canonical_json(record))
        sync(scratch)
        scratch.rename(self.failed / f"{key}.json")

    def failure(self, key: str) -> Mapping[str, Any] | None:
        """Return the record of a failed cell: {"status": ..., "reason": ...}."""
        return _json(self.failed / f"{key}.json")

    def read(self, key: str) -> Result:
        """Read a finished cell, once if memory allows."""
        result = self._results.get(key)
        if result is None:
            result = read_result(self.cells / key, self.record(key) or {})
            self._results.add(key, result)
        return result

    def _is_complete(self, key: str) -> bool:
        record = self.record(key)
        if record is None:
            return False
        try:
            return bool(_arrays_in(self.cells / key) == record["files"])
        except OSError:
            return False

    def record(self, key: str) -> dict[str, Any] | None:
        """Return the record of a finished cell; None where it is damaged.

        It has the labeler's spec, the split, the parts of the key and the facts.
        """
        record = _json(self.cells / key / CELL_FILE) or {}
        sha256 = record.pop("sha256", None)
        intact = record.get("schema") == RESULT_SCHEMA and record.get("key") == key and digest(record) == sha256
        return record if intact else None


def write_suite_record(store: Store, file: Path, identity: Mapping[str, Any]) -> None:
    """Record a run's suite file and the options that are in its cells' keys.

    The caller holds the run's lock and has opened the store.
    """
    record = json.dumps({"file": str(file.absolute()), **identity})  # as ASCII: a path may be no valid text
    replace_text(store.folder / SUITE_FILE, record)


def last_run(folder: Path) -> dict[str, Any]:
    """Return the last run's suite "file", "threads", ...; {} without a run."""
    return _json(folder / SUITE_FILE) or {}


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _arrays_in(folder: Path) -> dict[str, str]:
    """Return {name: SHA-256} of the arrays in a folder."""
    names = sorted(name for name in os.listdir(folder) if name.endswith((".npy", ".npz")))  # noqa: PTH208
    return {name: _sha256(folder / name) for name in names}


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
