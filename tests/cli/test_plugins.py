"""`harness plugins`: the list, and one plugin with its parameters and what it declares."""

import dataclasses
import json

import pytest

from harness_plugins.labelers.knn import KNN
from tests.command_line import harness

pytestmark = pytest.mark.slow


def test_one_plugin_is_shown_with_every_parameter(tmp_path):
    done = harness("plugins", "knn", "--json", cwd=tmp_path)
    (shown,) = map(json.loads, done.stdout.splitlines())
    assert [parameter["name"] for parameter in shown["parameters"]] == [field.name for field in dataclasses.fields(KNN)]
    defaults = {parameter["name"]: parameter["default"] for parameter in shown["parameters"]}
    assert (defaults["on"], defaults["k"]) == (None, repr(KNN(on="x").k))
    assert shown["example"] == "- knn: {on: embedding}"
    text = harness("plugins", "label_spreading", cwd=tmp_path).stdout
    assert "declares transductive = True" in text
    assert "on: str | tuple[str, ...], required" in text
    (tau,) = (line for line in harness("plugins", "knn", cwd=tmp_path).stdout.splitlines() if "tau:" in line)
    assert tau == "  tau: float, default 0.1   # temperature of the softmax weights exp(similarity / tau)"
    assert text.endswith("\nin a suite, under labelers:\n  - label_spreading: {on: embedding}\n")


def test_what_a_plugin_reads_is_shown(tmp_path):
    (tmp_path / "own.py").write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\nfrom harness import hookimpl\n\n\n"
        '@dataclass(frozen=True)\nclass Own:\n    """Label by a model."""\n\n    name: ClassVar[str] = "own"\n'
        '    reads: ClassVar[tuple[str, ...]] = ("~/models/own",)\n\n'
        "    def label(self, task):\n        return None\n\n\n"
        "@hookimpl\ndef harness_labelers():\n    return [Own]\n"
    )
    assert "declares reads = ('~/models/own',)" in harness("plugins", "own", "--plugin", "own.py", cwd=tmp_path).stdout
    done = harness("plugins", "owm", "--plugin", "own.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: no plugin is called 'owm'; did you mean 'own'?\n")
