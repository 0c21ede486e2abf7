"""From a suite and its data to the list of cells, each with a key that hashes everything that can change its answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.data.dataset import Dataset
from harness.data.splits import make_splits
from harness.data.tasks import make_task
from harness.plugin.protocols import Split, block_names, iter_plugins, resolve
from harness.plugin.task import Task
from harness.run.blocks import Recipe
from harness.run.hardware import Hardware, processor_kernels
from harness.run.store import RESULT_SCHEMA
from harness.suite import spec
from harness.suite.catalog import Catalog, Entry
from harness.suite.suite import Candidate, SplitterEntry, Suite
from harness.utils.hashing import digest, hash_array, hash_code, library_versions


@dataclass(frozen=True, eq=False)
class EvaluationSplit:
    """One split of the suite, and the comparison it belongs to: cells are ranked only within one comparison."""

    comparison: str  # "prefix, 10 % labelled"
    split: Split
    labelers: tuple[str, ...] | None = None  # the titles of those that it is put to; None: all

    def __str__(self) -> str:
        fold = "" if self.split.fold is None else f", fold {self.split.fold + 1}"
        return f"{self.comparison}, seed {self.split.seed}{fold}"

    @property
    def family(self) -> str:
        """What splits of every ratio share in the name of their comparison: "prefix"."""
        return self.comparison if self.split.ratio is None else self.comparison.rpartition(", ")[0]


@dataclass(frozen=True, eq=False)
class Cell:
    """One labeler on one split."""

    key: str
    candidate: Candidate
    evaluation: EvaluationSplit
    blocks: tuple[str, ...]  # names of the blocks it is given
    parts: Mapping[str, Any] = field(default_factory=dict)  # what the key is the hash of, by name: for `harness why`

    def __str__(self) -> str:
        return f"{self.candidate.title} | {self.evaluation}"


@cache
def core_code() -> str:
    """Hash the code that a labeler may run by its one import from `harness`."""
    harness = Path(__file__).parents[1]
    return hash_code(sorted([*(harness / "plugin").glob("*.py"), *(harness / "search").glob("*.py")]))


def evaluation_splits(suite: Suite, dataset: Dataset) -> list[EvaluationSplit]:
    """Return every split of the suite. Raises DataError where a splitter fails or its answer is no split."""
    labelled, found = dataset.for_splitters(), []
    for splits in suite.splits:
        for seed in splits.seeds:
            for split in make_splits(splits.splitter, labelled, seed):
                found.append(EvaluationSplit(_comparison(splits, split), split, splits.labelers))
    return found


def plan(
    suite: Suite,
    dataset: Dataset,
    evaluations: list[EvaluationSplit],
    recipes: Mapping[str, Recipe],
    catalog: Catalog,
    hardware: Hardware,
    memo: Path,
) -> list[Cell]:
    """Return the cells in the order they run: split by split, labelers in the suite's order.

    What a labeler leaves to the machine is settled here, once for all cells: the worker is given the outcome.
    """
    around = [RESULT_SCHEMA, core_code(), library_versions(), hardware.device, hardware.threads, processor_kernels()]
    code = cache(Entry.identity)  # the files of a package are read once, however many cells have their code
    candidates = [replace(each, labeler=resolve(each.labeler, hardware.device)) for each in suite.labelers]
    identities = [
        [
            spec.identity(candidate.labeler, memo),
            sorted({tuple(code(catalog.of(p))) for p in iter_plugins(candidate.labeler)}),
        ]
        for candidate in candidates
    ]
    cells = []
    for evaluation in evaluations:
        seen = _content(make_task(dataset, evaluation.split, {}))
        for candidate, identity in zip(candidates, identities, strict=True):
            if evaluation.labelers is not None and candidate.title not in evaluation.labelers:
                continue
            names = block_names(candidate.labeler) or tuple(recipes)
            blocks = {name: recipes[name].key for name in names}
            key = digest(around, identity, seen, blocks)
            parts = _parts(around, identity, seen) | {"blocks": {name: recipes[name].parts for name in names}}
            cells.append(Cell(key, candidate, evaluation, names, parts))
    return cells


def _content(task: Task) -> list[Any]:
    """Everything in a task but its blocks, which the recipes' keys stand for."""
    arrays = (task.labelled, task.y, task.to_label, task.spare, task.raters, task.groups)
    return [*(hash_array(array) for array in arrays), task.n_classes, task.seed]


def _parts(around: list[Any], identity: list[Any], seen: list[Any]) -> dict[str, Any]:
    """Name what a key is made of, so that two keys can be told apart by more than their digits."""
    names = ("labelled rows", "labels", "rows to label", "spare rows", "raters", "groups", "classes", "task seed")
    schema, core, libraries, device, threads, instructions = around
    what, code = identity
    return {
        "result schema": schema,
        "code of harness": core,
        "libraries": libraries,
        "device": device,
        "threads": threads,
        "kernels": instructions,
        "labeler": what,
        "code": {
            f"{kind[:-1]} {name}": {"distribution": f"{distribution} {version}".strip(), "files": files}
            for kind, name, distribution, version, files in code
        },
        "task": dict(zip(names, seen, strict=True)),
    }


def _comparison(splits: SplitterEntry, split: Split) -> str:
    shown = spec.display_name(splits.splitter, without=("ratios",))
    return shown if split.ratio is None else f"{shown}, {split.ratio * 100:.4g} % labelled"


def count_cells(cells: list[Cell]) -> Iterator[tuple[EvaluationSplit, int]]:
    """Yield each split once with the number of its cells."""
    counts: dict[int, int] = {}
    for cell in cells:
        counts[id(cell.evaluation)] = counts.get(id(cell.evaluation), 0) + 1
    for evaluation in dict.fromkeys(cell.evaluation for cell in cells):
        yield evaluation, counts[id(evaluation)]
