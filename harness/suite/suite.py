"""Read and check a suite file: data, blocks, splits and labelers.

Every mistake is reported at once.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from harness.data.population import Population
from harness.data.section import Data
from harness.errors import did_you_mean
from harness.suite import spec
from harness.suite.candidates import LABELERS_FORM, MAX_CELLS, Candidate, read_labelers, with_baseline
from harness.suite.catalog import Catalog
from harness.suite.reference import Reference
from harness.suite.size import check_size
from harness.utils.yaml_file import Document, Place, load

SUITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
BLOCK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
MAX_SEED = 2**63 - 1  # tables hold seeds as 64-bit integers
RESERVED_NAME = re.compile(r"cache|.*\.(md|csv|parquet|json|html|svg|npy|yaml|yml|lock|part|partial)", re.IGNORECASE)
SPLITS_KEYS = ("seeds", "labelers")  # of an entry of the splits, beside its splitter
SECTIONS = (
    *("version", "name", "data", "population", "blocks", "splits", "labelers", "metrics", "protocol"),
    "reference",
)
LISTS = {
    "splits": "a list of splitters, as '- {splitter: prefix, ratios: [0.1], seeds: [3]}'",
    "labelers": LABELERS_FORM,
}

ORDER_METRICS = frozenset({"mae", "qwk", "rps", "spearman"})  # without a meaning for classes that have no order
Metric = Literal["accuracy", "macro_f1", "mae", "qwk", "log_loss", "rps", "calibration_error", "spearman"]


@dataclass(frozen=True)
class Metrics:
    """The `metrics` section: the ranking metric and the baseline labeler."""

    primary: Metric = "accuracy"  # what ranks
    baseline: str = "majority"  # the labeler, by its title, that the others are compared with


@dataclass(frozen=True)
class SplitterEntry:
    """A splitter with its seeds and the labelers that run on its splits."""

    splitter: Any
    seeds: tuple[int, ...]
    labelers: tuple[str, ...] | None = None  # titles; None: all

    def __str__(self) -> str:
        return spec.display_name(self.splitter)


@dataclass(frozen=True)
class Suite:
    """A suite file with all its sections."""

    file: Path
    name: str
    data: Data
    population: Population
    blocks: dict[str, Any]  # name -> Embedder or FeatureSet
    splits: tuple[SplitterEntry, ...]
    labelers: tuple[Candidate, ...]
    metrics: Metrics
    protocol: Literal["honest", "record"]
    reference: Reference | None = None
    document: Document | None = field(default=None, compare=False, repr=False)

    def at(self, place: Place) -> str:
        """Return 'file:line: data.path' for a place of the suite."""
        return (self.document or Document(str(self.file), None, {})).at(place)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of relative paths, in order.

        First the current directory, then that of the suite file.
        """
        return Path.cwd(), self.file.parent.absolute()

    @property
    def block_parameters(self) -> frozenset[str]:
        """Every text among the blocks' parameters, names of columns included."""
        return frozenset(text for maker in self.blocks.values() for text in _iter_texts(spec.to_spec(maker)))

    def block_columns(self, columns: Iterable[str]) -> frozenset[str]:
        """Return those of `columns` that a block names, by a pattern too."""
        texts = self.block_parameters
        return frozenset(c for c in columns if c in texts or any(fnmatchcase(c, text) for text in texts))


def load_suite(file: Path, catalog: Catalog) -> Suite:
    """Read and check a suite file.

    Raises SuiteError with a line for every mistake.
    """
    return read_suite(load(file), file, catalog)


def read_suite(document: Document, file: Path, catalog: Catalog) -> Suite:
    """Check a suite that is read already; `file` is where it lies."""
    reader = spec.Reader(document, catalog.find, (Path.cwd(), file.parent.absolute()))
    if not isinstance(document.value, dict):
        reader.add_problem((), "a suite is a mapping with version, name, data, blocks, splits and labelers")
        reader.finish()
    check_size(document.value, reader, MAX_CELLS)
    suite = _read(document.value, reader, file)
    reader.finish()
    return replace(suite, document=document)


def check_name(name: object, reader: spec.Reader) -> None:
    """Add a problem if a name cannot be that of folders beside other files."""
    if isinstance(name, str) and not SUITE_NAME.fullmatch(name):
        reader.add_problem(("name",), f"must be letters, digits, '.', '_' or '-', got {name!r}")
    elif isinstance(name, str) and RESERVED_NAME.fullmatch(name):
        reader.add_problem(("name",), f"{name!r} is the name of a file or folder of the harness; choose another")


def _read(top: dict[str, Any], reader: spec.Reader, file: Path) -> Suite:
    for key in top:
        if key not in SECTIONS:
            reader.add_problem((key,), f"unknown key {key!r}{did_you_mean(key, SECTIONS)}")
    for key in ("version", "name", "data", "splits", "labelers"):
        if key not in top:
            reader.add_problem((), f"{key!r} is missing{f': {LISTS[key]}' if key in LISTS else ''}")
    if top.get("version", 1) != 1 or isinstance(top.get("version"), bool):
        reader.add_problem(("version",), f"must be 1, got {top['version']!r}")
    name = reader.read(str, top.get("name", "?"), ("name",))
    if "name" in top:
        check_name(name, reader)
    data = reader.read_record(Data, top["data"], ("data",)) if "data" in top else spec.INVALID
    metrics = reader.read_record(Metrics, top.get("metrics"), ("metrics",))
    blocks = _blocks(top.get("blocks"), reader)
    labelers = read_labelers(top["labelers"], set(blocks), reader) if "labelers" in top else []
    if metrics is not spec.INVALID and labelers:
        labelers = with_baseline(labelers, metrics.baseline, reader)
    baseline = Metrics.baseline if metrics is spec.INVALID else metrics.baseline
    return Suite(
        file,
        name,
        data,
        reader.read_record(Population, top.get("population"), ("population",)),
        blocks,
        tuple(_splits(top["splits"], [each.title for each in labelers], baseline, reader) if "splits" in top else ()),
        tuple(labelers),
        metrics,
        reader.read(Literal["honest", "record"], top.get("protocol", "honest"), ("protocol",)),
        reader.read_record(Reference, top["reference"], ("reference",)) if "reference" in top else None,
    )


def _blocks(section: Any, reader: spec.Reader) -> dict[str, Any]:
    if section is None:
        return {}
    if not isinstance(section, dict):
        reader.add_problem(("blocks",), f"must be a mapping of names to blocks, got {section!r}")
        return {}
    blocks: dict[str, Any] = {}
    for name, value in section.items():
        place: Place = ("blocks", name)
        kinds = [k for k in ("embedder", "features") if isinstance(value, dict) and k in value]
        if not BLOCK_NAME.fullmatch(name):
            reader.add_problem(place, f"a block's name is letters, digits, '_' or '-', got {name!r}")
        if len(kinds) != 1:
            reader.add_problem(place, "must have one of 'embedder' and 'features', as 'text: {features: text_v1}'")
            blocks[name] = None
            continue
        kind = {"embedder": "embedders", "features": "features"}[kinds[0]]
        blocks[name] = reader.build_plugin(kind, value[kinds[0]], value, place, without=(kinds[0],))
    return blocks


def comparison_title(splitter: Any, ratio: float | None) -> str:
    """Return the title of the comparison that a split belongs to.

    For example "prefix, 10 % labelled"; `ratio` is None where a splitter has none.
    """
    title = spec.display_name(splitter, without=("ratios",))
    return title if ratio is None else f"{title}, {ratio * 100:.4g} % labelled"


def _splits(section: Any, titles: list[str], baseline: str, reader: spec.Reader) -> Iterator[SplitterEntry]:
    if not isinstance(section, list) or not section:
        reader.add_problem(("splits",), f"must be {LISTS['splits']}")
        return
    owners: dict[Any, Any] = {}
    for i, value in enumerate(section):
        place: Place = ("splits", i)
        if not isinstance(value, dict) or "splitter" not in value:
            reader.add_problem(place, "'splitter' is missing")
            continue
        splitter = reader.build_plugin("splitters", value["splitter"], value, place, without=("splitter", *SPLITS_KEYS))
        seeds = reader.read(tuple[int, ...], value.get("seeds", [0]), (*place, "seeds"))
        if seeds is not spec.INVALID and (not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0):
            reader.add_problem((*place, "seeds"), f"must be different whole numbers from 0 on, got {list(seeds)}")
        elif seeds is not spec.INVALID and max(seeds) > MAX_SEED:
            reader.add_problem((*place, "seeds"), f"must be below 2^63, got {max(seeds)}")
        labelers = reader.read(tuple[str, ...] | None, value.get("labelers"), (*place, "labelers"))
        if labelers is not spec.INVALID:
            for unknown in [title for title in labelers or () if title not in titles]:
                suggestion = did_you_mean(unknown, titles)
                reader.add_problem((*place, "labelers"), f"no labeler is called {unknown!r}{suggestion}")
        if all(part is not spec.INVALID for part in (splitter, seeds, labelers)):
            entry = SplitterEntry(splitter, seeds, None if labelers is None else (*labelers, baseline))
            _refuse_repeated(entry, i, owners, reader)
            yield entry


def _refuse_repeated(entry: SplitterEntry, index: int, owners: dict[Any, Any], reader: spec.Reader) -> None:
    """Add a problem if splits have the title and seed of earlier ones.

    They would count as further seeds. `owners` has the entry and ratio of each (title, seed).
    """
    ratios = getattr(entry.splitter, "ratios", None)
    ratios = ratios if isinstance(ratios, tuple) else (None,)
    for ratio in ratios:
        title = comparison_title(entry.splitter, ratio)
        for seed in entry.seeds:
            earlier, other = owners.setdefault((title, seed), (index, ratio))
            if (earlier, other) == (index, ratio):
                continue
            place: Place = ("splits", index, "ratios") if earlier == index else ("splits", index)
            of = f"{other} and {ratio} share the title" if earlier == index else f"splits[{earlier}] has"
            reader.add_problem(place, f"{of} {title!r}, seed {seed}: the same splits would count twice")
            return


def _iter_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for item in value.values() for text in _iter_texts(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in _iter_texts(item))
