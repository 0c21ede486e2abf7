"""Compiled loops in a container: the package is read-only, and there is no home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.run import compiled_loops
from harness.run.compiled_loops import VARIABLE, choose_cache, compile_once

ROOT = Path(__file__).parents[2]
NO_HOME = {"HOME": "/proc/nope", "XDG_CACHE_HOME": "/proc/nope"}
READ_ONLY = "mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec {1} -c '{2}'"


@pytest.fixture
def no_variable(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)  # and it is as it was after the test


def test_loops_stay_beside_their_source_where_they_can(no_variable, tmp_path):
    choose_cache(tmp_path / "numba")
    assert VARIABLE not in os.environ


def test_loops_go_to_the_cache_where_the_package_is_read_only(no_variable, monkeypatch, tmp_path):
    monkeypatch.setattr(compiled_loops, "SOURCES", Path("/proc/nope"))
    choose_cache(Path("/proc/nope"))  # nowhere
    assert VARIABLE not in os.environ
    choose_cache(tmp_path / "numba")
    assert os.environ[VARIABLE] == str(tmp_path / "numba")
    choose_cache(tmp_path / "another")
    assert os.environ[VARIABLE] == str(tmp_path / "numba")


def test_nothing_is_compiled_for_a_folder_that_is_not_in_use(no_variable, tmp_path):
    compile_once(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_loops_can_be_imported_where_nothing_can_be_written():
    """The loops of a module are compiled for this process alone."""
    code = "import harness.search.kernels; import numpy as np; x = np.ones(4, np.float32)\n"
    code += "print(harness.search.kernels.dot(x, x))"
    script = READ_ONLY.format(ROOT / "harness", sys.executable, code)
    if (
        sys.platform != "linux"
        or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount")
    result = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        env=os.environ | NO_HOME,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.stdout == "4.0\n", result.stderr
