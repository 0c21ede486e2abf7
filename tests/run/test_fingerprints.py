"""A finished cell is read once; any later change of its files is noticed."""

import os
import time

import pytest

from harness.run import fingerprints
from harness.run import store as run_store
from harness.run.store import Store
from tests.command_line import cells, harness, write_suite
from tests.run.test_store import KEY, RECORD, TIMING, worker_folder

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow

OTHER = "cd" * 32


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a store with two cells and their fingerprints."""
    monkeypatch.setattr(fingerprints, "CLOCK_TICK_SECONDS", 0.02)
    store = Store(tmp_path)
    store.open()
    for key in (KEY, OTHER):
        folder = worker_folder(store)
        folder.rename(store.scratch / key)
        store.commit(key, store.scratch / key, RECORD, TIMING)
    store.save_fingerprints()
    return tmp_path


@pytest.fixture
def read(monkeypatch):
    """The names of the files hashed since."""
    names, sha256 = [], run_store._sha256

    def recorded_sha256(path):
        names.append(path.name)
        return sha256(path)

    monkeypatch.setattr(run_store, "_sha256", recorded_sha256)
    return names


def test_a_resume_reads_no_array(folder, read):
    assert Store(folder).finished_keys([KEY, OTHER, "ef" * 32]) == {KEY, OTHER}
    assert read == []


def test_without_the_file_cells_are_read_once(folder, read):
    for content in (None, "", "[]", "{torn"):
        file = folder / "marks.json"
        file.unlink() if content is None else file.write_text(content)
        time.sleep(0.03)
        assert Store(folder).finished_keys([KEY]) == {KEY}
        assert len(read) == 4, "proba, labels, checkpoints, rows"
        assert Store(folder).finished_keys([KEY]) == {KEY}
        assert len(read) == 4
        read.clear()


def test_a_changed_bit_is_noticed_even_under_the_old_times(folder):
    file = folder / "cells" / KEY / "proba.npy"
    before, data = file.stat(), file.read_bytes()
    time.sleep(0.03)
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Store(folder).finished_keys([KEY, OTHER]) == {OTHER}
    file.write_bytes(data)
    assert Store(folder).finished_keys([KEY, OTHER]) == {KEY, OTHER}


def test_cells_that_have_changed_places_are_not_finished(folder):
    one, other = folder / "cells" / KEY, folder / "cells" / OTHER
    one.rename(folder / "aside")
    other.rename(one)
    (folder / "aside").rename(other)
    assert Store(folder).finished_keys([KEY, OTHER]) == set()


def test_a_file_too_many_or_too_few_is_noticed(folder):
    (folder / "cells" / KEY / "more.npy").write_bytes(b"")
    (folder / "cells" / OTHER / "cell.json").unlink()
    assert Store(folder).finished_keys([KEY, OTHER]) == set()


def test_a_cell_just_written_is_read_again(folder, read, monkeypatch):
    monkeypatch.setattr(fingerprints, "CLOCK_TICK_SECONDS", 60)  # it may change within a tick of the disk's clock
    (folder / "marks.json").unlink()
    for _ in range(2):
        assert Store(folder).finished_keys([KEY]) == {KEY}
    assert len(read) == 8


def test_a_cell_damaged_after_a_resume_is_missing_to_the_next_command(tmp_path):
    write_suite(tmp_path, ["majority", "prior"])
    assert harness("run", "suite.yaml", "--threads", 1, cwd=tmp_path).returncode == 0
    assert harness("status", "suite.yaml", cwd=tmp_path).stdout == "2 finished\n"
    file = tmp_path / "runs/small/cells" / cells(tmp_path)["prior", 3, 0.5]["cell"] / "labels.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert harness("status", "suite.yaml", cwd=tmp_path).stdout == "1 finished, 1 missing\n"
