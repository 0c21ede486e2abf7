"""Replace files atomically: a reader gets the old content or the new."""

import errno
import glob
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def replacing(file: Path, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary path to write to; it replaces `file` at the end.

    The path is beside `file`; missing folders are created. Its name holds the process id, so that two processes may
    write the same file. It is removed if the block fails, or by the next writer if the process is killed. Where the
    disk is full, the OSError names the file and the `size` in bytes that it needs.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(file)
    scratch = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        yield scratch
        scratch.replace(file)
    except BaseException as error:
        written = scratch.stat().st_size if scratch.exists() else 0
        scratch.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            needed = f"{size:,} bytes are needed" if size is not None else f"more than {written:,} bytes are needed"
            reason = f"{os.strerror(error.errno)}: {needed}, {shutil.disk_usage(file.parent).free:,} are free"
            raise OSError(error.errno, reason, str(file)) from error
        raise


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
