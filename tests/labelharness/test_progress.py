"""Progress in a notebook and on a terminal, and silence elsewhere."""

import os
import pty
import sys
from types import ModuleType, SimpleNamespace

import pytest

from labelharness import progress

LINE = "small: cells (0 failed, 0 reused)"


def written(monkeypatch, shown, is_terminal):
    """Return what is written on a stderr that is a terminal or a pipe."""
    near, far = pty.openpty() if is_terminal else os.pipe()
    with os.fdopen(near, "rb") as screen, os.fdopen(far, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with progress._progress_bar(shown) as show:
            for count in range(3):
                show(LINE, count, 2)
        stderr.write(".")
        stderr.flush()
        text = b""
        while not text.endswith(b"."):
            text += screen.read1()
        return text.decode()


def test_a_terminal_has_one_line_that_is_written_over(monkeypatch):
    text = written(monkeypatch, None, is_terminal=True)
    lines = [f"{LINE}: 0 of 2", f"{LINE}: 1 of 2", f"{LINE}: 2 of 2\r\n."]
    assert text.split("\r\x1b[K") == ["", *lines]


def test_a_script_and_one_that_wants_none_are_silent(monkeypatch):
    assert written(monkeypatch, None, is_terminal=False) == "."
    assert written(monkeypatch, False, is_terminal=True) == "."


@pytest.fixture
def notebook(monkeypatch):
    """What IPython offers in a kernel, as far as it is used; it is not installed. The drawn HTML is collected."""
    drawn = []
    handle = SimpleNamespace(update=drawn.append)
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    display.HTML, display.display = str, lambda html, display_id: handle
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return drawn


def test_a_notebook_has_one_bar_that_moves(notebook):
    with progress._progress_bar(None) as show:
        show("<b>: cells", 3, 12)
        show("small: rows of block x", 0, 0)
    assert notebook == [
        '<progress value="3" max="12"></progress> &lt;b&gt;: cells: 3 of 12',
        '<progress value="0" max="1"></progress> small: rows of block x: 0 of 0',
    ]


def test_variables_are_as_they_were(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with progress.unchanged_environment():
        os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
