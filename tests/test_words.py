"""How the project reads: names say what they hold, first lines of docstrings are short and plain."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [file for folder in ("harness", "labelharness", "plugins") for file in sorted((ROOT / folder).rglob("*.py"))]
VAGUE = {
    *("found", "each", "known", "here", "there", "whole", "mine"),
    *("theirs", "told", "wanted", "asked", "taken", "left", "what"),
}
MAX_VAGUE = 0.01  # of all assigned names
MAX_FIRST_LINE = 72  # characters
PERSONIFIED = re.compile(r"\b(says?|tells?|knows?|asks|is asked)\b", re.IGNORECASE)


def shown(file):
    return file.relative_to(ROOT).as_posix()


def assigned(tree):
    """Yield (name, line) of every name that is assigned, parameters and loop variables among them."""
    short = set()  # targets in comprehensions of one line, where `each` is fine
    for node in ast.walk(tree):
        comprehension = isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
        if comprehension and node.lineno == node.end_lineno:
            short |= {id(name) for part in node.generators for name in ast.walk(part.target)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield ("" if node.id == "each" and id(node) in short else node.id), node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


def test_assigned_names_say_what_they_hold():
    names, places = Counter(), {}
    for file in FILES:
        for name, line in assigned(ast.parse(file.read_text(encoding="utf-8"))):
            names[name] += 1
            if name in VAGUE:
                places.setdefault(name, []).append(f"{shown(file)}:{line}")
    vague = sum(names[name] for name in VAGUE)
    assert vague <= MAX_VAGUE * names.total(), f"{vague} of {names.total()}: {places}"


def first_lines(tree):
    """Yield (first line, line number) of every docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text.splitlines()[0], node.body[0].lineno


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_first_lines_of_docstrings_are_short_and_plain(file):
    lines = list(first_lines(ast.parse(file.read_text(encoding="utf-8"))))
    long = [f"{shown(file)}:{number}: {len(line)}" for line, number in lines if len(line) > MAX_FIRST_LINE]
    assert not long
    personified = [f"{shown(file)}:{number}: {line}" for line, number in lines if PERSONIFIED.search(line)]
    assert not personified
