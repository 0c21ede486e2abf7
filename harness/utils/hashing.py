"""Content hashes of values, arrays, files and source code."""

import hashlib
import json
from collections.abc import Iterable
from errno import EINVAL
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.utils.files import describe_special, replace_text

NUMERIC = (  # libraries that can change a number
    *("numpy", "scipy", "torch", "numba", "faiss-cpu"),
    *("scikit-learn", "lightgbm", "xgboost", "cleanlab", "pyarrow"),
)


def canonical_json(value: object) -> str:
    """Return canonical JSON: sorted keys, no blanks, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(*values: object) -> str:
    """Return the SHA-256 of JSON values, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()


def hash_array(array: NDArray[Any] | None) -> str | None:
    """Return the hash of an array's type, shape and content; None of None.

    Strings are hashed as UTF-8.
    """
    if array is None:
        return None
    if array.dtype.kind in "OUT":
        return digest([str(value) for value in array.tolist()])
    state = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


def hash_file(path: Path, memo: Path | None = None) -> str:
    """Return the hash of a file's bytes, or of a folder's names and files.

    With a `memo` folder, the hash is cached there as long as size, times and inode of the file stay the same. The
    change time is among them because, unlike the modification time, no program can set it.
    """
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file())
        return digest([[p.relative_to(path).as_posix(), hash_file(p, memo)] for p in inside])
    if fault := describe_special(path):
        raise OSError(EINVAL, fault, str(path))
    stat = path.stat()
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]
    entry = memo / f"{digest(str(path.resolve()))[:32]}.json" if memo is not None else None
    if entry is not None:
        try:
            memoized = json.loads(entry.read_text())
            if memoized["seen"] == state:
                return str(memoized["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # none yet, or damaged: hash again
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if entry is not None:
        replace_text(entry, canonical_json({"seen": state, "sha256": sha256}))
    return sha256


def hash_code(files: Iterable[Path]) -> str:
    """Return the hash of source files by name and content, in their order."""
    return digest([[file.name, hashlib.sha256(file.read_bytes()).hexdigest()] for file in files])


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of the installed libraries in `NUMERIC`."""
    versions = {}
    for name in NUMERIC:
        try:
            versions[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
    return versions
