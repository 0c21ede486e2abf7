"""Build suites in Python, and open what stands for one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.data.memory import write_rows
from harness.errors import SuiteError
from harness.run.opening import load_suites, only_suite, suite_file
from harness.run.runner import Options, cache_of
from harness.suite.catalog import Catalog, discover
from harness.suite.suite import Suite, read_suite
from harness.utils.files import replace_text
from harness.utils.yaml_file import from_mapping, load

NAME = "suite"  # of a mapping, in messages
FILE_NAME = "suite.yaml"  # of a mapping, in the folder of its run
HEADING = "# Written by labelharness.run from values in Python.\n"
DEFAULTS: dict[str, Any] = {
    "version": 1,
    "name": "notebook",
    "splits": [{"splitter": "nested", "test": 0.5, "ratios": [0.1, 0.4], "seeds": [1, 2, 3]}],
}


def suite(
    source: str | Path | Mapping[str, Any] | None = None, /, *, plugins: Sequence[str | Path] = (), **sections: Any
) -> dict[str, Any]:
    """Build a suite of sections, or of a file or run with some replaced.

    A section is what YAML has there: `labelers=["majority", {"knn": {"on": "x"}}]`. None leaves one out. Where they are
    missing, the name is "notebook" and the splitter is nested, with three seeds. `data` needs no path where `run` is
    given rows. Paths of a file are relative to the current folder then. Raises SuiteError with all mistakes.
    """
    values = DEFAULTS | _values(source) | sections
    values = {name: section for name, section in values.items() if section is not None}
    checked = values
    if isinstance(values.get("data"), Mapping):
        checked = values | {"data": {"path": "rows of run(data=...)"} | dict(values["data"])}
    read_suite(from_mapping(checked, NAME)[0], Path(NAME), discover(tuple(map(Path, plugins))))
    return values


def open_suite(
    source: str | Path | Mapping[str, Any], data: Any, options: Options, plugins: Sequence[str | Path]
) -> tuple[Suite, Catalog]:
    """Return a suite of a file, a run's folder or a mapping, checked.

    `data`, a path or rows in memory, takes the place of its own. A mapping is written beside its run, so that commands
    find it there: `harness report runs/NAME`.
    """
    paths = tuple(map(Path, plugins))
    if data is None and not isinstance(source, Mapping):
        collection, catalog = load_suites(Path(source), paths)
        return only_suite(collection), catalog
    values = _values(source)
    section = values.get("data", {})
    if data is not None and isinstance(section, Mapping):
        values |= {"data": dict(section) | {"path": _path_of(data, options)}}
    document, text = from_mapping(values, NAME)
    catalog = discover(paths)
    checked = read_suite(document, Path(NAME), catalog)
    file = options.output / "runs" / checked.name / FILE_NAME
    replace_text(file, HEADING + text)
    return replace(checked, file=file), catalog


def _values(source: str | Path | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the sections of a suite; SuiteError where a file is none."""
    if source is None or isinstance(source, Mapping):
        return dict(source or {})
    file = suite_file(Path(source))
    value = load(file).value
    if not isinstance(value, dict):
        raise SuiteError(f"{file}: a suite is a mapping with version, name, data, blocks, splits and labelers")
    data = value.get("data")
    if isinstance(data, dict) and isinstance(path := data.get("path"), str):
        beside = file.parent / path
        if not Path(path).exists() and beside.exists():
            return value | {"data": data | {"path": str(beside)}}
    return value


def _path_of(data: Any, options: Options) -> str:
    """Return the path of data as the suite beside the run names it."""
    if isinstance(data, str | Path):
        return str(data)
    # relative to runs/NAME, so that the folder can be moved, and no page names a folder of this machine
    return f"../cache/memory/{write_rows(data, cache_of(options)).name}"
