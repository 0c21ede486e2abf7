"""Identity by content: the hash of a value, of an array, of a file, of a plugin's code."""

import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMERIC = (  # libraries that can change a number
    *("numpy", "scipy", "torch", "numba", "faiss-cpu"),
    *("scikit-learn", "lightgbm", "xgboost", "cleanlab", "pyarrow"),
)


def canonical_json(value: object) -> str:
    """Write a JSON value in the one form that is hashed: sorted keys, no blanks, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(*values: object) -> str:
    """Return the SHA-256, 64 hexadecimal digits, of JSON values."""
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()


def hash_array(array: NDArray[Any] | None) -> str | None:
    """Return the hash of an array's type, shape and content; None of None. Strings are hashed as UTF-8."""
    if array is None:
        return None
    if array.dtype.kind in "OUT":
        return digest([str(value) for value in array.tolist()])
    state = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


def hash_file(path: Path, memo: Path | None = None) -> str:
    """Return the hash of a file's bytes, or of a folder's files and their names.

    With a `memo` folder the hash is kept there and taken again while size, times and inode of the file stay the same.
    The change time is among them because, unlike the modification time, no program can set it.
    """
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file())
        return digest([[p.relative_to(path).as_posix(), hash_file(p, memo)] for p in inside])
    stat = path.stat()
    seen = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]
    note = memo / f"{digest(str(path.resolve()))[:32]}.json" if memo is not None else None
    if note is not None:
        try:
            known = json.loads(note.read_text())
            if known["seen"] == seen:
                return str(known["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # no note yet, or a torn one: hash again
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if note is not None:
        note.parent.mkdir(parents=True, exist_ok=True)
        scratch = note.with_suffix(f".{os.getpid()}")
        scratch.write_text(canonical_json({"seen": seen, "sha256": sha256}))
        scratch.replace(note)
    return sha256


def hash_code(files: Iterable[Path]) -> str:
    """Return the hash of source files, in the order given, by name and content."""
    return digest([[file.name, hashlib.sha256(file.read_bytes()).hexdigest()] for file in files])


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of the installed libraries that can change a number."""
    found = {}
    for name in NUMERIC:
        try:
            found[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
    return found
