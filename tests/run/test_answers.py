"""Answers of workers that are not as a worker writes them."""

import json
import os
import zipfile

import numpy as np
import pytest

from harness.run.answers import find_answer_error, read_answer
from tests.command_line import no_file_beyond

M, C = 5, 3
SOUND = {
    "status": "ok",
    "reason": "",
    "files": ["proba.npy", "checkpoints.npy", "rows.npz"],
    "checkpoints": ["epoch 1"],
    "facts": {},
    "seconds": 0.1,
    "memory": 10,
    "searches": [],
}


@pytest.fixture
def folder(tmp_path):
    """A folder with a sound answer."""
    np.save(tmp_path / "proba.npy", np.full((M, C), 1 / C, np.float32))
    np.save(tmp_path / "checkpoints.npy", np.zeros((1, M), np.uint8))
    np.savez(tmp_path / "rows.npz", sure=np.ones(M, bool))
    return tmp_path


def read(folder, **changes):
    (folder / "answer.json").write_text(json.dumps(SOUND | changes))
    return read_answer(folder)


def test_a_sound_answer_has_no_error_and_gets_its_labels(folder):
    (folder / "other").mkdir()
    assert find_answer_error(folder, M, C, read(folder)) is None
    assert np.load(folder / "labels.npy").tolist() == [0] * M
    assert not (folder / "other").exists()


def test_a_full_disk_of_the_parent_is_no_fault_of_an_answer(folder):
    answer = read(folder)
    with no_file_beyond(64), pytest.raises(OSError, match=r"File too large: 5 bytes are needed") as caught:
        find_answer_error(folder, M, C, answer)
    assert caught.value.filename == str(folder / "labels.npy")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "fine"}, "left an answer that has no status"),
        ({"reason": None}, "left an answer that has no reason"),
        ({"files": 7}, "left an answer that names other files than checkpoints.npy, proba.npy, rows.npz"),
        ({"files": ["cell.json"]}, "left an answer that names other files than checkpoints.npy, proba.npy, rows.npz"),
        ({"checkpoints": {}}, "left an answer that has no list of different checkpoints"),
        ({"checkpoints": ["a", "a"]}, "left an answer that has no list of different checkpoints"),
        ({"facts": []}, "left an answer that has no facts"),
        ({"seconds": "long"}, "left an answer that has no seconds and memory"),
        ({"memory": float("nan")}, "left an answer that has no seconds and memory"),
        ({"searches": [{"seconds": 1}]}, "left an answer that has no list of searches"),
    ],
    ids=str,
)
def test_an_answer_of_another_form_is_a_failure(folder, changes, reason):
    assert read(folder, **changes) == {"status": "failed", "reason": reason}


def test_a_reason_is_cut_to_one_line(folder):
    assert read(folder, status="failed", reason="x" * 5_000 + "\nmore")["reason"] == "x" * 996 + " ..."


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir], ids=["pipe", "link", "folder"]
)
def test_an_answer_that_is_no_file_is_none(folder, make):
    make(folder / "answer.json")
    assert read_answer(folder) is None


@pytest.mark.parametrize("names", [[1], [["epoch", 1]], ["\x1b[2J"]], ids=str)
def test_names_of_another_kind_are_refused(folder, names):
    assert find_answer_error(folder, M, C, read(folder, checkpoints=names))


@pytest.mark.parametrize("name", ["proba.npy", "checkpoints.npy", "rows.npz"])
def test_damaged_arrays_are_refused(folder, name):
    content = (folder / name).read_bytes()
    for damaged in (b"", content[:-1], content[:20], b"x" * len(content)):
        (folder / name).write_bytes(damaged)
        assert find_answer_error(folder, M, C, read(folder)).startswith("left an unreadable answer: ")


def test_a_small_file_that_claims_to_be_huge_is_refused_before_memory_is_taken(folder):
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, C), np.float32)) | {"shape": (10**12, C)}
    with (folder / "proba.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    assert "mmap length is greater than file size" in find_answer_error(folder, M, C, read(folder))


def test_an_archive_that_unpacks_to_much_is_refused_before_it_is_read(folder):
    with zipfile.ZipFile(folder / "rows.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sure.npy", b"0" * 1_000_000)
    assert "an array by row has 1,000,000 bytes for 5 rows" in find_answer_error(folder, M, C, read(folder))


def test_folders_and_pipes_in_place_of_arrays_are_refused(folder):
    (folder / "proba.npy").unlink()
    os.mkfifo(folder / "proba.npy")
    assert find_answer_error(folder, M, C, read(folder)).startswith("left an unreadable answer: FileNotFoundError")
