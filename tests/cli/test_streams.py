"""Terminals that lack letters, streams that are closed, words that steer a terminal."""

import signal
import subprocess
import sys

import pytest

from tests.command_line import harness, table, write_labelers, write_suite

pytestmark = pytest.mark.slow

HOSTILE = "\\x1b[2J\\x1b]0;owned\\x07\\u202e\\x9b31m"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a finished run, one labeler of which fails in words that steer a terminal."""
    folder = tmp_path_factory.mktemp("streams")
    bodies = {"steers": f'raise ValueError("{HOSTILE}" + "x" * 1_000_000)'}
    write_labelers(folder / "plugin.py", **bodies)
    write_suite(folder, ["majority", "steers"], table(120))
    done = harness("run", "suite.yaml", "--plugin", "plugin.py", cwd=folder)
    assert done.returncode == 1
    return folder, done


def command(folder, *arguments, encoding="utf-8", shell_end=""):
    line = f"{sys.executable} -m harness.cli {' '.join(arguments)} {shell_end}"
    environment = {"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": encoding, "HOME": str(folder)}
    return subprocess.run(["bash", "-c", line], cwd=folder, env=environment, capture_output=True, timeout=120)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii"])
def test_a_board_is_printed_in_the_letters_of_the_terminal(folder, encoding):
    done = command(folder[0], "leaderboard", "suite.yaml", "--plugin", "plugin.py", encoding=encoding)
    assert b"Traceback" not in done.stderr
    text = done.stdout.decode(encoding)
    assert "Accuracy ^" in text
    assert "majority" in text
    assert done.returncode == command(folder[0], "leaderboard", "suite.yaml", "--plugin", "plugin.py").returncode


@pytest.mark.parametrize("shell_end", [">&-", "2>&-", "| head -c 10"])
def test_closed_streams_cost_no_traceback_and_keep_the_exit_code(folder, shell_end):
    done = command(folder[0], "status", "suite.yaml", "--plugin", "plugin.py", shell_end=shell_end)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    plain = command(folder[0], "status", "suite.yaml", "--plugin", "plugin.py")
    assert done.returncode in (0, plain.returncode)


SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])


def interrupted(number, at):
    """Give the command in a process that sends itself a signal in the midst of its start; `at` is a line of code."""
    program = f"""
import os, sys
def interrupt():
    os.kill(os.getpid(), {int(number)})
from harness.cli.start import main
{at}
main()
"""
    return subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True, timeout=120)


@SIGNALS
@pytest.mark.parametrize("module", ["harness.cli.app", "typer", "harness.errors", "harness.cli.label"])
def test_an_interrupt_while_the_command_is_imported_ends_it_quietly(number, module):
    done = interrupted(number, f"sys.addaudithook(lambda e, a: e == 'import' and a[0] == {module!r} and interrupt())")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@SIGNALS
@pytest.mark.parametrize("name", ["prepare_streams", "catch_interrupts", "_run", "release_interrupts"])
def test_an_interrupt_between_two_handlers_is_no_death_by_a_signal(number, name):
    """Python ends itself by SIGINT where a KeyboardInterrupt is left to it, whatever signal it came from."""
    wrapped = f"import harness.cli.app as app; real = app.{name}; app.{name} = lambda: (real(), interrupt())"
    if name in ("release_interrupts", "_run"):  # which leaves by SystemExit
        wrapped = wrapped.replace("(real(), interrupt())", "(interrupt(), real())")
    done = interrupted(number, wrapped)
    assert done.returncode == 130
    assert done.stderr == ""


@SIGNALS
def test_an_interrupt_while_python_leaves_prints_no_traceback(number):
    leave = f"import atexit, os; atexit.register(os.kill, os.getpid(), {int(number)})"
    program = f"{leave}; from harness.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith("labelharness")
    assert done.returncode in (0, -number)


@pytest.mark.parametrize("name", ["run", "status", "leaderboard"])
def test_no_labeler_steers_the_terminal(folder, name):
    done = harness(name, "suite.yaml", "--plugin", "plugin.py", cwd=folder[0])
    for output in (done.stdout, done.stderr, folder[1].stdout, folder[1].stderr):
        assert not set(output) & set("\x1b\x07\x9b\u202e")
        assert max(map(len, output.splitlines()), default=0) < 5_000
    assert "owned" in done.stdout + done.stderr + folder[1].stderr
