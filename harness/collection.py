"""Several suites run as one, and their labelers ranked together wherever they answered for the same rows."""

from dataclasses import dataclass, replace
from pathlib import Path

from harness import spec
from harness.catalog import Catalog
from harness.digest import digest, of_array
from harness.document import Document, load
from harness.errors import SuiteError, nearest
from harness.rank import Comparison, Ending, compare
from harness.run import Run, weigh
from harness.suite import NAME, Suite, load_suite

KEYS = ("version", "name", "suites")


@dataclass(frozen=True)
class Collection:
    """The suites of a file that lists suites; of any other suite file, the suite itself under no name."""

    file: Path
    name: str | None
    suites: tuple[Suite, ...]


@dataclass(frozen=True)
class Contest:
    """What several suites say about the same rows and the same truth."""

    runs: tuple[Run, ...]
    comparison: Comparison


def load_collection(file: Path, catalog: Catalog) -> Collection:
    """Read a suite file or a list of them; a SuiteError names every mistake of every file."""
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
    twice = {suite for suite in names if names.count(suite) > 1}
    mistakes += [f"{file}: two of its suites are named {each!r}" for each in sorted(twice)]
    if mistakes:
        raise SuiteError("\n".join(mistakes))
    return Collection(file, name, tuple(suites))


def _is_list(document: Document) -> bool:
    return isinstance(document.value, dict) and "suites" in document.value


def _read(document: Document, catalog: Catalog, file: Path) -> tuple[str, list[Path]]:
    """Return the name of the collection and the files it lists, relative to its own folder."""
    reader = spec.Reader(document, catalog.find)
    top = document.value
    for key in top:
        if key not in KEYS:
            reader.problem((key,), f"unknown key {key!r} in a list of suites{nearest(key, KEYS)}")
    if top.get("version") != 1 or isinstance(top.get("version"), bool):
        reader.problem(("version",), f"must be 1, got {top.get('version')!r}")
    name = reader.read(str, top.get("name"), ("name",))
    if isinstance(name, str) and not NAME.fullmatch(name):
        reader.problem(("name",), f"must be letters, digits, '.', '_' or '-', got {name!r}")
    paths = reader.read(tuple[str, ...], top["suites"], ("suites",))
    if paths == ():
        reader.problem(("suites",), "must list at least one suite file")
    found = [] if paths is spec.INVALID else [file.parent / path for path in paths]
    for place, path in enumerate(found):
        if not path.is_file():
            beside = {each.name for each in path.parent.glob("*.yaml")}
            reader.problem(("suites", place), f"no such file: {path}{nearest(path.name, beside)}")
    reader.finish()
    return name, found


def contests(scored: list[tuple[Run, list[Ending]]]) -> list[Contest]:
    """Rank together the labelers of all suites that were asked about the same rows under the same truth.

    A cell that several suites share counts once. Two labelers of one name that are not the same cells carry the name of
    their suite.
    """
    together: dict[str, list[tuple[Run, list[Ending]]]] = {}
    for run, ended in scored:
        for comparison in dict.fromkeys(ending.cell.cut.comparison for ending in ended):
            group = [ending for ending in ended if ending.cell.cut.comparison == comparison]
            together.setdefault(_question(run, comparison, group), []).append((run, group))
    return [_contest(members) for members in together.values()]


def _question(run: Run, comparison: str, ended: list[Ending]) -> str:
    """Hash what makes numbers of two suites comparable: rows, truth, splits, and how they are ranked."""
    dataset, suite = run.dataset, run.suite
    rows = [of_array(array) for array in (dataset.items.ids, dataset.labelled, dataset.y, dataset.groups)]
    cuts = dict.fromkeys(ending.cell.cut for ending in ended)
    splits = sorted([of_array(cut.split.train), of_array(cut.split.test)] for cut in cuts)
    how = [suite.metrics.primary, suite.protocol]
    return digest(suite.data.path, run.simulated, rows, dataset.n_classes, comparison, splits, how)


def _contest(members: list[tuple[Run, list[Ending]]]) -> Contest:
    runs = tuple(run for run, _ in members)
    cells: dict[str, set[frozenset[str]]] = {}  # name -> the different sets of cells that go by it
    for _, group in members:
        for title in {ending.cell.candidate.title for ending in group}:
            cells.setdefault(title, set()).add(_keys(group, title))
    distinct: list[Ending] = []
    seen: set[tuple[str, str]] = set()
    for run, group in members:
        for ending in group:
            cell = ending.cell
            if len(cells[cell.candidate.title]) > 1:
                title = f"{cell.candidate.title} ({run.suite.name})"
                cell = replace(cell, candidate=replace(cell.candidate, title=title))
            if (cell.candidate.title, cell.key) not in seen:
                seen.add((cell.candidate.title, cell.key))
                distinct.append(replace(ending, cell=cell))
    metrics = runs[0].suite.metrics
    as_record = runs[0].suite.protocol == "record"
    (comparison,) = compare(distinct, metrics.primary, "majority", as_record, lambda cells: weigh(runs, cells))
    return Contest(runs, comparison)


def _keys(group: list[Ending], title: str) -> frozenset[str]:
    return frozenset(ending.cell.key for ending in group if ending.cell.candidate.title == title)
