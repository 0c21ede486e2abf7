"""Plugins that fail when a suite builds them: one line with the place in the file."""

import pytest

from harness.errors import PluginError, SuiteError
from harness.plugin.needs import needs
from harness.plugin.protocols import resolve_labeler
from harness.suite.catalog import discover
from harness.suite.suite import load_suite

SUITE = """\
version: 1
name: small
data: {path: data.parquet, id: row_id, target: score, classes: 6}
splits:
- {splitter: prefix, ratios: [0.5], seeds: [3]}
labelers:
- majority
- odd:
    k: 3
"""
PLUGIN = """
from dataclasses import dataclass, field
from typing import Any, ClassVar

from harness import hookimpl


@dataclass(frozen=True)
class Odd:
    name: ClassVar[str] = "odd"
    k: int | None = 0

    def __post_init__(self):
        pass

    def needs(self):
        raise OSError("no file")

    def resolve(self, device):
        return None

    def label(self, task):
        return None


@hookimpl
def harness_labelers():
    return [Odd]
"""


def load(folder, change, name):
    """Load the suite with the plugin, `change` in place of its first `pass`."""
    file = folder / f"odd_{name}.py"
    file.write_text(PLUGIN.replace(*change))
    (folder / "suite.yaml").write_text(SUITE)
    return load_suite(folder / "suite.yaml", discover((file,)))


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("raise ValueError('k must be odd\\nsee the manual')", "k must be odd"),
        ("raise ValueError", "ValueError: no message"),
        ("self.k < None", "TypeError: '<' not supported between instances of 'int' and 'NoneType'"),
        ("int(float('inf'))", "OverflowError: cannot convert float infinity to integer"),
        ("open('/proc/nope')", "FileNotFoundError: [Errno 2] No such file or directory: '/proc/nope'"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise type('Panic', (BaseException,), {})('of Rust')", "Panic: of Rust"),
        ("object.__setattr__(self, 'k', object())", "its parameters cannot be written in a suite: TypeError: "),
        ("object.__setattr__(self, 'on', 7)", "its parameters cannot be written in a suite: TypeError: "),
        ("object.__setattr__(self, 'on', (7,))", "its field `on` must name blocks, has (7,)"),
    ],
)
def test_a_plugin_that_refuses_its_parameters_has_one_line_with_its_place(tmp_path, request, statement, reason):
    with pytest.raises(SuiteError) as caught:
        load(tmp_path, ("pass", statement), abs(hash(statement)))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path}/suite.yaml:8: labelers[1].odd: {reason}")


def test_a_type_that_cannot_be_read_is_a_problem_of_the_plugin(tmp_path):
    with pytest.raises(SuiteError, match="a field of Odd has a type that cannot be read"):
        load(tmp_path, ("int | None = 0", "'dataclass.no_such' = 0"), "typed")


def test_needs_and_resolve_of_a_plugin_fail_in_one_line(tmp_path):
    labeler = load(tmp_path, ("", ""), "sound").labelers[1].labeler
    with pytest.raises(PluginError, match=r"^labeler 'odd': needs\(\) failed: OSError: no file$"):
        needs(labeler)
    with pytest.raises(PluginError, match=r"^labeler 'odd': resolve\(\) must return a Odd, returned NoneType$"):
        resolve_labeler(labeler, "cpu")
