"""A file is replaced atomically, or stays as it was."""

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
