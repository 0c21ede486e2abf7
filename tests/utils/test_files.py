"""A file is replaced atomically, or stays as it was."""

import errno
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.utils.files import (
    check_space,
    describe_disk_error,
    naming_file,
    replace_bytes,
    replace_text,
    replacing,
    save_array,
    sync,
    write_text,
)
from tests.command_line import no_file_beyond


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
    with (
        no_file_beyond(4_096),
        pytest.raises(OSError, match=r"^\[Errno 27\] File too large: 100,000 bytes are needed") as caught,
    ):
        replace_bytes(file, b"x" * 100_000)
    assert caught.value.filename == str(file)
    assert list(tmp_path.iterdir()) == []


def write_table(file):
    with replacing(file) as scratch:
        pq.write_table(pa.table({"x": np.random.default_rng(0).random(1_000)}), scratch)


@pytest.mark.parametrize(
    ("write", "needed"),
    [
        (lambda file: write_text(file, "x" * 9_000), "9,000"),
        (lambda file: save_array(file, np.zeros(1_000)), "8,000"),
        (write_table, "more than "),
    ],
    ids=["text", "array", "parquet"],
)
def test_whatever_writes_to_a_full_disk_names_the_file_and_the_bytes(tmp_path, write, needed):
    with no_file_beyond(4_096), pytest.raises(OSError, match=f"File too large: {needed}") as caught:
        write(tmp_path / "file")
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / "file"))
    assert describe_disk_error(caught.value).startswith(f"{tmp_path / 'file'}: File too large: {needed}")


def test_an_array_is_saved_as_numpy_saves_it(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    save_array(tmp_path / "file", array)
    np.save(tmp_path / "numpy.npy", array)
    assert (tmp_path / "file").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_a_broken_disk_is_named_where_python_names_no_file(tmp_path, monkeypatch):
    def broken(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error") as caught:
        sync(tmp_path)
    assert describe_disk_error(caught.value) == f"{tmp_path}: Input/output error"


def test_the_bytes_of_a_full_disk_are_stated_once(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "deep" / "file"))
    with (
        pytest.raises(OSError, match="10 bytes are needed") as caught,
        naming_file(tmp_path),
        naming_file(tmp_path, 10),
    ):
        raise full
    assert caught.value.filename == full.filename
    for error in (full, caught.value):
        assert describe_disk_error(error).count("bytes are free") == 1


def test_a_file_that_does_not_fit_is_seen_before_it_is_written(tmp_path):
    with no_file_beyond(4_096):
        check_space(tmp_path, 4_096)
        with pytest.raises(OSError, match="5,000 bytes are needed") as caught:
            check_space(tmp_path, 5_000)
    assert caught.value.filename == str(tmp_path)
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
