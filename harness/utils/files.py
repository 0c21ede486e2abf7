"""Replace files atomically: a reader gets the old content or the new."""

import errno
import glob
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DISK_ERRORS = FULL_DISK | {errno.EIO, errno.EROFS}  # these stop a command: nothing can be kept


@contextmanager
def replacing(file: Path, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary path to write to; it replaces `file` at the end.

    The path is beside `file`; missing folders are created. Its name holds the process id, so that two processes may
    write the same file. It is removed if the block fails, or by the next writer if the process is killed. Where the
    disk is full or broken, the OSError names the file, and the `size` in bytes that it needs.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(file)
    scratch = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        yield scratch
        scratch.replace(file)
    except BaseException as error:
        written = scratch.stat().st_size if scratch.exists() else 0
        with suppress(OSError):
            scratch.unlink()
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            needed = f"more than {written:,}" if size is None else f"{size:,}"
            raise _name_file(error, file, needed) from error
        raise


@contextmanager
def naming_file(file: Path, size: int | None = None) -> Iterator[None]:
    """Raise the OSErrors of a full or broken disk again with the file.

    Python names none where it writes or syncs. `size` is that of the file, in bytes.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise _complete(error, file, None if size is None else f"{size:,}") from error


def _complete(error: OSError, file: Path, needed: str | None) -> OSError:
    """Return a disk's error with a file, and of a full one with the bytes."""
    named = error.filename if isinstance(error.filename, str) else str(file)
    return error if " bytes are " in str(error.strerror) else _name_file(error, Path(named), needed)


def _name_file(error: OSError, file: Path, needed: str | None) -> OSError:
    number = error.errno or errno.EIO
    bytes_needed = "" if needed is None else f"{needed} bytes are needed, "
    full = f": {bytes_needed}{_free_bytes(file):,} bytes are free" if number in FULL_DISK else ""
    return OSError(number, os.strerror(number) + full, str(file))


def describe_disk_error(error: OSError) -> str:
    """Return the file and the reason of an error in one line.

    A full disk has its free bytes there, too.
    """
    if error.errno in FULL_DISK and error.filename:
        error = _complete(error, Path(str(error.filename)), None)
    return f"{error.filename or 'cannot go on'}: {error.strerror or error}"


def _free_bytes(path: Path) -> int:
    folder = next(folder for folder in path.absolute().parents if folder.is_dir())
    return shutil.disk_usage(folder).free


def check_space(folder: Path, size: int) -> None:
    """Raise OSError if a file of `size` bytes does not fit into a folder."""
    with naming_file(folder, size), tempfile.TemporaryFile(dir=folder) as probe:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(probe.fileno(), 0, size)


def _remove_abandoned(file: Path) -> None:
    """Remove what killed processes have left of their writes to `file`."""
    for path in file.parent.glob(f".{glob.escape(file.name)}.*.partial"):
        number = path.name.split(".")[-2]
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            with suppress(OSError):
                path.unlink()
        except (ValueError, OverflowError, PermissionError):  # not ours, or somebody else's
            continue


def replace_bytes(file: Path, content: bytes) -> None:
    """Replace the content of `file` atomically."""
    with replacing(file, len(content)) as scratch:
        scratch.write_bytes(content)


def replace_text(file: Path, text: str) -> None:
    """Replace the content of `file` atomically by `text` in UTF-8."""
    replace_bytes(file, text.encode())


def write_text(file: Path, text: str) -> None:
    """Write `text` in UTF-8, not atomically: a folder is renamed later."""
    content = text.encode()
    with naming_file(file, len(content)):
        file.write_bytes(content)


def save_array(file: Path, array: NDArray[Any]) -> None:
    """Write an array as .npy; an OSError has its number and the file.

    NumPy gives neither where it writes to a file itself.
    """
    with naming_file(file, array.nbytes), file.open("wb") as out:
        np.save(SimpleNamespace(write=out.write), array, allow_pickle=False)


SPECIAL_FILES = {
    **{stat.S_IFIFO: "a pipe (FIFO)", stat.S_IFSOCK: "a socket"},
    **{stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFDIR: "a folder"},
}


def describe_special(path: Path) -> str | None:
    """Return what a path is that is no regular file, as "is a socket".

    None for a regular file. To open any other may wait for ever, or never end.
    """
    kind = SPECIAL_FILES.get(stat.S_IFMT(path.stat().st_mode))
    return None if kind is None else f"is {kind}, not a file"


def sync(path: Path) -> None:
    """Write a file or a folder's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with naming_file(path):
            os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Write a folder's files to the disk, then its entries."""
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder, however deep, and whatever rights its folders have.

    What cannot be removed stays.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        if folder.exists():
            for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
                subprocess.run([*command, "--", str(folder)], capture_output=True, check=False)
