"""Replace files at once: a reader sees the old content or the new."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield a path beside `file` to write to; it replaces `file` at the end.

    Folders are made. The path has the number of the process in it, so that two processes may write the same file; it is
    removed where the block fails.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        yield scratch
        scratch.replace(file)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def replace_bytes(file: Path, content: bytes) -> None:
    """Write `content` to `file` at once."""
    with replacing(file) as scratch:
        scratch.write_bytes(content)


def replace_text(file: Path, text: str) -> None:
    """Write `text` to `file` at once, as UTF-8."""
    replace_bytes(file, text.encode())
