"""Read a file that lists suites."""

from dataclasses import dataclass
from pathlib import Path

from harness.errors import SuiteError, did_you_mean
from harness.suite import spec
from harness.suite.catalog import Catalog
from harness.suite.suite import Suite, check_name, load_suite
from harness.utils.yaml_file import Document, load

COLLECTION_KEYS = ("version", "name", "suites")


@dataclass(frozen=True)
class Collection:
    """The suites that a file lists; for a suite file, that suite, no name."""

    file: Path
    name: str | None
    suites: tuple[Suite, ...]


def load_collection(file: Path, catalog: Catalog) -> Collection:
    """Read a suite file or a list of suite files.

    Raises SuiteError with every mistake of every file.
    """
    document = load(file)
    if not _is_list(document):
        return Collection(file, None, (load_suite(file, catalog),))
    name, paths = _read(document, catalog, file)
    suites, mistakes = [], []
    for path in paths:
        try:
            if _is_list(load(path)):
                raise SuiteError(f"{path}: is itself a list of suites; list its suites instead")
            suites.append(load_suite(path, catalog))
        except SuiteError as error:
            mistakes.append(str(error))
    names = [suite.name for suite in suites]
    repeated = {suite for suite in names if names.count(suite) > 1}
    mistakes += [f"{file}: two of its suites are named {each!r}" for each in sorted(repeated)]
    if mistakes:
        raise SuiteError("\n".join(mistakes))
    return Collection(file, name, tuple(suites))


def _is_list(document: Document) -> bool:
    return isinstance(document.value, dict) and "suites" in document.value


def _read(document: Document, catalog: Catalog, file: Path) -> tuple[str, list[Path]]:
    """Return a collection's name and its files, relative to its own folder."""
    reader = spec.Reader(document, catalog.find)
    top = document.value
    for key in top:
        if key not in COLLECTION_KEYS:
            reader.add_problem((key,), f"unknown key {key!r} in a list of suites{did_you_mean(key, COLLECTION_KEYS)}")
    if top.get("version") != 1 or isinstance(top.get("version"), bool):
        reader.add_problem(("version",), f"must be 1, got {top.get('version')!r}")
    name = reader.read(str, top.get("name"), ("name",))
    check_name(name, reader)
    paths = reader.read(tuple[str, ...], top["suites"], ("suites",))
    if paths == ():
        reader.add_problem(("suites",), "must list at least one suite file")
    files = [] if paths is spec.INVALID else [file.parent / path for path in paths]
    for i, path in enumerate(files):
        if not path.is_file():
            siblings = {each.name for each in path.parent.glob("*.yaml")}
            reader.add_problem(("suites", i), f"no such file: {path}{did_you_mean(path.name, siblings)}")
    reader.finish()
    return name, files
