"""All commands: their types, their number of parameters, their start."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.app import COMMANDS
from tests.command_line import harness

CLI = Path(__file__).parents[2] / "harness" / "cli"
MAX_PARAMETERS = 12
SLOW_LIBRARIES = ("torch", "sklearn", "scipy", "numba", "matplotlib", "faiss", "pandas")


def test_commands_are_typed():
    untyped = [
        f"{file.name}:{node.lineno}"
        for file in sorted(CLI.glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if (isinstance(node, ast.Name) and node.id == "Any") or (isinstance(node, ast.Attribute) and node.attr == "Any")
    ]
    assert untyped == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_a_command_has_few_parameters(command):
    assert len(inspect.signature(inspect.unwrap(command)).parameters) <= MAX_PARAMETERS


def test_the_help_waits_for_no_slow_library():
    code = f"import sys, harness.cli.app; print([name for name in {SLOW_LIBRARIES} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("rnu", "No such command 'rnu'. Did you mean 'run'?; see harness --help"),
        ("run", "Missing argument 'SUITE'; see harness run --help"),
        ("label x --ot y", "No such option: --ot (Possible options: --output, --to, --top); see harness label --help"),
        ("run x -j many", "Invalid value for '--jobs' / '-j': .*; see harness run --help"),
        ("label x --with", "Option '--with' requires an argument"),
        ("status x y\x1b[31m", r".*\(y\\x1b\[31m\); see harness status --help"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(tmp_path, arguments, message):
    done = harness(*arguments.split(" "), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    expected = message if ".*" in message else re.escape(message)
    assert re.fullmatch(f"error: {expected}\n", done.stderr), done.stderr
