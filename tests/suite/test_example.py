"""The example line of a plugin is one that a suite may hold."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from harness.suite import catalog, spec
from harness.suite.example import example_line
from harness.utils.yaml_file import parse


@pytest.fixture(scope="module")
def plugins() -> catalog.Catalog:
    return catalog.discover()


def test_the_example_of_every_bundled_plugin_stands_in_a_suite(plugins: catalog.Catalog, tmp_path: Path) -> None:
    entries = [entry for entry in plugins.entries if entry.distribution == "labelharness"]
    assert len(entries) > 30
    reader = spec.Reader(parse("{}", "examples"), plugins.find)
    for entry in entries:
        line = example_line(entry, plugins.find)
        value = parse(line, entry.name).value
        if entry.kind == "labelers":
            built = reader.read_plugin(entry.kind, value[0], ())
        else:
            key = {"embedders": "embedder", "features": "features", "splitters": "splitter"}[entry.kind]
            (parameters,) = value if entry.kind == "splitters" else value.values()
            built = reader.build_plugin(entry.kind, parameters[key], parameters, (), without=(key, "seeds"))
        reader.finish()
        assert isinstance(built, entry.cls), line


@dataclass(frozen=True)
class Odd:
    """Label oddly."""

    name: ClassVar[str] = "odd"

    step: int
    shares: tuple[float, ...]
    way: Literal["up", "down"]
    file: Path | None = None

    def __post_init__(self) -> None:
        if self.file is None:
            raise ValueError("file is missing")


def test_other_types_have_a_value_and_a_field_that_is_demanded_is_there(plugins: catalog.Catalog) -> None:
    entry = catalog.Entry("labelers", "odd", Odd, "elsewhere", "3")
    line = example_line(entry, lambda kind, name: Odd)
    assert line == "- odd: {step: 1, shares: [0.5], way: up, file: file.npy}"
