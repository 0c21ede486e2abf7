"""A file is replaced atomically, or stays as it was."""

import os
import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.utils.files import replace_bytes, replace_text, replacing


def test_a_reader_never_sees_a_part(tmp_path):
    file = tmp_path / "sub" / "file.txt"
    texts = [letter * 200_000 for letter in "abcd"]
    replace_text(file, texts[0])
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [replace_text(file, texts[i % 4]) for i in range(100)])
        while not writing.done():
            assert file.read_text() in texts
        writing.result()
    assert [path.name for path in file.parent.iterdir()] == ["file.txt"]


def test_what_fails_leaves_the_old_content_and_nothing_else(tmp_path):
    file = tmp_path / "file"
    replace_bytes(file, b"\x00old")

    def interrupted():
        with replacing(file) as scratch:
            scratch.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.read_bytes() == b"\x00old"
    assert list(tmp_path.iterdir()) == [file]


def test_text_is_written_as_utf_8_with_its_own_line_ends(tmp_path):
    replace_text(tmp_path / "file", "ä\r\nb\n")
    assert (tmp_path / "file").read_bytes() == "ä\r\nb\n".encode()


def test_a_full_disk_is_named_with_the_file_and_the_bytes_that_it_needs(tmp_path):
    file = tmp_path / "board.parquet"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
    try:
        with pytest.raises(OSError, match=r"^\[Errno 27\] File too large: 100,000 bytes are needed") as caught:
            replace_bytes(file, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(file)
    assert list(tmp_path.iterdir()) == []


def test_the_next_write_removes_what_a_killed_one_has_left(tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()
    mine = [tmp_path / f".file.{number}.partial" for number in (process.pid, os.getppid())]
    others = [tmp_path / name for name in (f".file2.{process.pid}.partial", ".file.txt.partial")]
    for path in (*mine, *others):
        path.write_text("half")
    replace_text(tmp_path / "file", "all")
    assert sorted(tmp_path.iterdir()) == sorted([mine[1], *others, tmp_path / "file"])
