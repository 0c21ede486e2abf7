"""Blocks and neighbour lists that a disk or a program has damaged: made again, never used."""

import json
import os
import shutil
import time

import numpy as np
import pytest

from harness.run import checksums
from harness.run.checksums import SealedFolder, file_checksum
from tests.command_line import board, harness, write_suite

SUITE = ("suite.yaml", "--threads", 1)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "cache/blocks/key"
    path.mkdir(parents=True)
    np.save(path / "array.npy", np.arange(60, dtype=np.float32).reshape(20, 3))
    return SealedFolder(path, "block.json", ("array.npy",), tmp_path / "cache", "block 'b'")


@pytest.fixture
def sealed(folder):
    folder.seal({"kind": "feature", "names": ["a", "b", "c"]})
    return folder


def flip(file, place):
    content = bytearray(file.read_bytes())
    content[place] ^= 0x80
    file.write_bytes(content)


def test_a_checksum_does_not_depend_on_the_number_of_threads(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_bytes(os.urandom(100_003))
    monkeypatch.setattr(checksums, "CHUNK_BYTES", 1_000)
    several = file_checksum(file)
    monkeypatch.setattr(checksums, "cores", lambda: 1)
    assert file_checksum(file) == several
    flip(file, 100_002)
    assert file_checksum(file) != several


def test_a_sealed_folder_is_intact_and_has_its_record(sealed):
    assert sealed.is_intact()
    assert sealed.read()["names"] == ["a", "b", "c"]


@pytest.mark.parametrize("file", ["array.npy", "block.json"])
@pytest.mark.parametrize("how", ["flipped", "shorter", "empty", "gone"])
def test_damage_is_seen_and_named_once(sealed, caplog, file, how):
    path = sealed.path / file
    size = path.stat().st_size
    if how == "flipped":
        flip(path, size // 2)
    elif how == "gone":
        path.unlink()
    else:
        os.truncate(path, 0 if how == "empty" else size - 1)
    assert not sealed.is_intact()
    assert not sealed.is_intact()
    (message,) = caplog.messages
    assert message.startswith("block 'b': ")
    assert message.endswith("; it is made again")


def test_every_flipped_byte_of_a_record_is_seen(sealed):
    content = (sealed.path / "block.json").read_bytes()
    for place in range(len(content)):
        flip(sealed.path / "block.json", place)
        assert sealed.read() is None
        (sealed.path / "block.json").write_bytes(content)


def test_files_are_read_again_only_when_they_have_changed(sealed, monkeypatch):
    read = []
    monkeypatch.setattr(checksums, "file_checksum", lambda file: read.append(file) or file_checksum(file))
    monkeypatch.setattr(checksums, "_verified", {})
    sealed.mark_as_verified()
    assert sealed.is_intact()
    checksums._verified.clear()  # as in the next process
    assert sealed.is_intact()
    assert read == []
    os.utime(sealed.path / "array.npy")
    checksums._verified.clear()
    assert sealed.is_intact()
    assert len(read) == 1


def test_a_change_that_keeps_the_modification_time_is_seen(sealed):
    sealed.mark_as_verified()
    file = sealed.path / "array.npy"
    times = file.stat()
    time.sleep(0.02)  # the kernel's clock ticks
    flip(file, 200)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not sealed.is_intact()


def test_a_folder_of_an_earlier_version_gets_its_checksums(folder):
    (folder.path / "block.json").write_text(json.dumps({"kind": "feature", "names": []}))
    assert folder.is_intact()
    assert "checksums" in folder.read()
    flip(folder.path / "array.npy", 200)
    assert not folder.is_intact()


def test_a_shortened_array_of_an_earlier_version_is_damaged(folder):
    (folder.path / "block.json").write_text(json.dumps({"kind": "feature", "names": []}))
    os.truncate(folder.path / "array.npy", 300)
    assert not folder.is_intact()


@pytest.mark.parametrize(
    "damage",
    [lambda array: flip(array, 5_000), lambda array: os.truncate(array.with_name("block.json"), 0)],
    ids=["flipped", "empty"],
)
def test_a_damaged_block_is_made_again_by_the_next_run(tmp_path, damage):
    write_suite(tmp_path, [{"knn": {"on": "embedding"}}])
    assert harness("run", *SUITE, cwd=tmp_path).returncode == 0
    before = board(tmp_path)
    (array,) = tmp_path.glob("runs/cache/blocks/*/array.npy")
    content = array.read_bytes()
    shutil.rmtree(tmp_path / "runs/small/cells")
    damage(array)
    for command in ("plan", "run"):
        result = harness(command, *SUITE, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert result.stderr.count("it is made again") == 1
    assert array.read_bytes() == content
    assert board(tmp_path) == before
