"""Finished cells on disk. Only the parent writes here, one atomic rename a cell; what is not whole does not count."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.run.fingerprints import FingerprintCache, fingerprint_of
from harness.run.timing import TIMING_FILE as TIMING
from harness.run.timing import read_timing
from harness.utils.hashing import canonical_json, digest

RESULT_SCHEMA = 1
"""Version of what a finished cell holds; part of every cell's key."""

CELL_FILE = "cell.json"
SUITE_FILE = "suite.json"  # in the folder of a run: which suite file it is of
FINGERPRINTED_SUFFIXES = (".npy", ".npz", CELL_FILE)  # the files that make a cell whole


@dataclass(frozen=True, eq=False)
class Result:
    """One finished cell, read back."""

    labels: NDArray[np.uint8]  # (m,)
    proba: NDArray[np.float32]  # (m, C)
    facts: Mapping[str, Any]
    checkpoints: Mapping[str, NDArray[np.uint8]]  # name -> (m,)
    rows: Mapping[str, NDArray[Any]]  # name -> (m,)
    timing: Mapping[str, Any]  # seconds, peak memory: never part of a board that must not change


class Store:
    """The folder of one suite's run: ``cells/<key>/`` finished, ``failed/<key>.json``, ``scratch/`` of workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / "cells"
        self.failed = folder / "failed"
        self.scratch = folder / "scratch"
        self._whole: set[str] = set()  # cells that this process has seen to be whole
        self._fingerprints = FingerprintCache(folder / "marks.json")
        self._hands = ThreadPoolExecutor(4)  # the disk writes several files in one go where it is asked at once

    def open(self) -> None:
        """Make the folders and clear what an interrupted run left in scratch. The caller holds the run's lock."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for path in (self.cells, self.failed, self.scratch):
            path.mkdir(parents=True, exist_ok=True)

    def has(self, key: str) -> bool:
        """Say whether the cell is finished and whole: every array as its record says, and no other.

        A cell is read through once; later it counts as whole while size, times and inode of its files stay the same.
        """
        if key in self._whole:
            return True
        seen = fingerprint_of(self.cells / key, FINGERPRINTED_SUFFIXES)
        if seen is None or not (self._fingerprints.has(key, seen) or self._is_whole(key)):
            return False
        if seen.stable:
            self._fingerprints.add(key, seen)
        self._whole.add(key)
        return True

    def finished_keys(self, keys: Iterable[str]) -> set[str]:
        """Return those of the cells that are finished, and note how they look for the next process."""
        found = {key for key in keys if self.has(key)}
        self.save_fingerprints()
        return found

    def save_fingerprints(self) -> None:
        """Note on disk how the cells look that this process has seen to be whole."""
        self._fingerprints.save()

    def commit(self, key: str, folder: Path, record: Mapping[str, Any], timing: Mapping[str, Any]) -> None:
        """Turn a worker's folder into a finished cell: write its record, sync everything, rename once."""
        files = _arrays_in(folder)
        (folder / TIMING).write_text(canonical_json(timing))
        whole = {"schema": RESULT_SCHEMA, "key": key, "files": files, **record}
        (folder / CELL_FILE).write_text(canonical_json(whole | {"sha256": digest(whole)}))
        list(self._hands.map(_sync, folder.iterdir()))
        _sync(folder)
        target = self.cells / key
        if target.exists():  # there, but not whole
            shutil.rmtree(target)
        folder.rename(target)
        _sync(self.cells)
        self._whole.add(key)
        seen = fingerprint_of(target, FINGERPRINTED_SUFFIXES)
        if seen is not None:
            self._fingerprints.add(key, seen)
        with suppress(FileNotFoundError):
            (self.failed / f"{key}.json").unlink()

    def copy_cell(self, key: str, other: "Store") -> None:
        """Copy a cell that another suite has finished; its files are shared where the disk can link them."""
        scratch = self.scratch / key
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(other.cells / key, scratch, copy_function=_link)
        shutil.rmtree(self.cells / key, ignore_errors=True)  # there, but not whole
        scratch.rename(self.cells / key)
        _sync(self.cells)

    def fail(self, key: str, record: Mapping[str, Any]) -> None:
        """Remember why a cell has no result, until it has one."""
        scratch = self.scratch / f"{key}.json"
        scratch.write_text(canonical_json(record))
        _sync(scratch)
        scratch.rename(self.failed / f"{key}.json")

    def failure(self, key: str) -> Mapping[str, Any] | None:
        """Return the record of a failed cell: {"status": ..., "reason": ...}."""
        return _json(self.failed / f"{key}.json")

    def read(self, key: str) -> Result:
        """Read a finished cell."""
        folder = self.cells / key
        record = self.record(key) or {}
        return Result(
            np.load(folder / "labels.npy", allow_pickle=False),
            np.load(folder / "proba.npy", allow_pickle=False, mmap_mode="r"),
            record["facts"],
            dict(zip(record["checkpoints"], _load(folder / "checkpoints.npy"), strict=True)),
            _arrays(folder / "rows.npz"),
            read_timing(folder),
        )

    def _is_whole(self, key: str) -> bool:
        record = self.record(key)
        if record is None:
            return False
        try:
            return bool(_arrays_in(self.cells / key) == record["files"])
        except OSError:
            return False

    def record(self, key: str) -> dict[str, Any] | None:
        """Return what is written of a finished cell: spec, split, parts of its key, facts; None where it is torn."""
        record = _json(self.cells / key / CELL_FILE) or {}
        sha256 = record.pop("sha256", None)
        whole = record.get("schema") == RESULT_SCHEMA and record.get("key") == key and digest(record) == sha256
        return record if whole else None


def write_suite_record(store: Store, file: Path, identity: Mapping[str, Any]) -> None:
    """Note in the folder of a run which suite it is of, and what the command line said that is in the keys of cells.

    The caller holds the run's lock and has opened the store.
    """
    scratch = store.scratch / SUITE_FILE
    scratch.write_text(json.dumps({"file": str(file.absolute()), **identity}))  # as ASCII: a path may be no valid text
    scratch.replace(store.folder / SUITE_FILE)


def last_run(folder: Path) -> dict[str, Any]:
    """Return what a run has noted in its folder: its suite's "file", "threads", ...; nothing where there is no run."""
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


def _load(path: Path) -> NDArray[Any]:
    return np.load(path, allow_pickle=False) if path.exists() else np.empty((0, 0), np.uint8)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
