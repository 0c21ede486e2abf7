"""Plan a suite's cells, each keyed by all that can change its answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.data.dataset import Dataset, hash_raters
from harness.data.splits import make_splits
from harness.data.tasks import make_task
from harness.errors import DataError
from harness.plugin.protocols import Split, block_names, iter_plugins, resolve_labeler
from harness.plugin.task import Task
from harness.run.blocks import Recipe
from harness.run.hardware import Hardware, processor_kernels
from harness.run.store import RESULT_SCHEMA
from harness.suite import spec
from harness.suite.candidates import Candidate
from harness.suite.catalog import Catalog, Entry
from harness.suite.suite import Suite, comparison_title
from harness.utils.hashing import digest, hash_array, hash_code, library_versions

MET_RATIO = 0.1  # of the rows that a ratio asks for: how far a train set may be from it


@dataclass(frozen=True, eq=False)
class EvaluationSplit:
    """A split of the suite and its comparison, within which labelers rank."""

    comparison: str  # "prefix, 10 % labelled"
    split: Split
    labelers: tuple[str, ...] | None = None  # titles of the labelers that run on it; None: all

    def __str__(self) -> str:
        fold = "" if self.split.fold is None else f", fold {self.split.fold + 1}"
        return f"{self.comparison}, seed {self.split.seed}{fold}"

    @property
    def family(self) -> str:
        """The name of the comparison without the ratio: "prefix"."""
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
    """Hash the code that labelers reach by importing `harness`."""
    harness = Path(__file__).parents[1]
    return hash_code(sorted([*(harness / "plugin").glob("*.py"), *(harness / "search").glob("*.py")]))


def evaluation_splits(suite: Suite, dataset: Dataset) -> tuple[list[EvaluationSplit], Mapping[str, list[str]]]:
    """Return every split of the suite, and remarks by comparison.

    A train set that a smaller ratio of the same seed has already is left out: it is no second point. Raises DataError
    where a splitter fails or returns anything but splits.
    """
    evaluations, remarks = list[EvaluationSplit](), dict[str, list[str]]()
    for i, splits in enumerate(suite.splits):
        try:
            labelled = dataset.for_splitters(tuple(getattr(splits.splitter, "split_columns", ())))
            answers = [make_splits(splits.splitter, labelled, seed) for seed in splits.seeds]
            for split in (split for answer in answers for split in answer):
                dataset.cut_by(split.train)
        except DataError as error:
            raise DataError(str(error), ("splits", i)) from error
        for seed, answer in zip(splits.seeds, answers, strict=True):
            earlier: dict[str, str] = {}
            for split in answer:
                name = comparison_title(splits.splitter, split.ratio)
                content = digest(hash_array(split.train), hash_array(split.test))
                if split.fold is None and content in earlier:
                    line = f"seed {seed} has the train set of {earlier[content]}, and is left out"
                    remarks.setdefault(name, []).append(line)
                    continue
                earlier[content] = name
                evaluations.append(EvaluationSplit(name, split, splits.labelers))
    for name, line in _unmet_ratios(evaluations, len(dataset.labelled)):
        remarks.setdefault(name, []).append(line)
    return evaluations, remarks


def _unmet_ratios(evaluations: list[EvaluationSplit], n_labelled: int) -> Iterator[tuple[str, str]]:
    """Yield (comparison, remark) where whole groups cannot meet a ratio."""
    by_comparison: dict[str, dict[int, int]] = {}
    asked: dict[str, float] = {}
    for evaluation in evaluations:
        split = evaluation.split
        if split.ratio is not None and split.fold is None:
            asked[evaluation.comparison] = split.ratio * n_labelled
            by_comparison.setdefault(evaluation.comparison, {})[split.seed] = len(split.train)
    for name, sizes in by_comparison.items():
        if any(abs(size - asked[name]) > max(MET_RATIO * asked[name], 1) for size in sizes.values()):
            got = ", ".join(f"{size:,} (seed {seed})" for seed, size in sizes.items())
            yield name, f"whole groups cannot meet the ratio: asked {asked[name]:,.0f} train rows, got {got}"


def plan(
    suite: Suite,
    dataset: Dataset,
    evaluations: list[EvaluationSplit],
    recipes: Mapping[str, Recipe],
    catalog: Catalog,
    hardware: Hardware,
    memo: Path,
) -> list[Cell]:
    """Return the cells in the order of the suite: by split, then by labeler.

    A parameter that depends on the machine, such as `precision: auto`, is resolved here, once for all cells.
    """
    device, threads = hardware.device, hardware.threads
    environment = [RESULT_SCHEMA, core_code(), library_versions(), device, threads, processor_kernels()]
    code = cache(Entry.identity)  # the files of a package are read once, however many cells have their code
    candidates = [replace(each, labeler=resolve_labeler(each.labeler, device)) for each in suite.labelers]
    identities = [
        [
            spec.identity(candidate.labeler, memo),
            sorted({tuple(code(catalog.of(p))) for p in iter_plugins(candidate.labeler)}),
        ]
        for candidate in candidates
    ]
    cells = []
    for evaluation in evaluations:
        content = _hash_content(make_task(dataset, evaluation.split, {}))
        for candidate, identity in zip(candidates, identities, strict=True):
            if evaluation.labelers is not None and candidate.title not in evaluation.labelers:
                continue
            names = block_names(candidate.labeler) or tuple(recipes)
            key = digest(environment, identity, content, {name: recipes[name].key for name in names})
            blocks = {name: recipes[name].parts for name in names}
            parts = _key_parts(environment, identity, content) | {"blocks": blocks}
            cells.append(Cell(key, candidate, evaluation, names, parts))
    return cells


def _hash_content(task: Task) -> dict[str, Any]:
    """Hash all of a task but its blocks, which have keys of their own."""
    arrays = {
        **{"labelled rows": task.labelled, "labels": task.y, "rows to label": task.to_label, "spare rows": task.spare},
        **{"raters": task.raters, "groups": task.groups},
    }
    content: dict[str, Any] = {name: hash_array(array) for name, array in arrays.items()}
    content |= {"classes": task.n_classes, "task seed": task.seed}
    if task.validation is not None:
        content["validation rows"] = hash_array(task.validation)
    if task.rater_labels is not None:
        content["raters of all rows"] = hash_raters(task.rater_labels)
    return content


def _key_parts(environment: list[Any], identity: list[Any], content: dict[str, Any]) -> dict[str, Any]:
    """Name the parts of a key, so that two keys can be compared."""
    schema, core, libraries, device, threads, kernels = environment
    labeler, code = identity
    return {
        "result schema": schema,
        "code of harness": core,
        "libraries": libraries,
        "device": device,
        "threads": threads,
        "kernels": kernels,
        "labeler": labeler,
        "code": {
            f"{kind[:-1]} {name}": {"distribution": f"{distribution} {version}".strip(), "files": files}
            for kind, name, distribution, version, files in code
        },
        "task": content,
    }


def count_cells(cells: list[Cell]) -> Iterator[tuple[EvaluationSplit, int]]:
    """Yield each split once with the number of its cells."""
    counts: dict[int, int] = {}
    for cell in cells:
        counts[id(cell.evaluation)] = counts.get(id(cell.evaluation), 0) + 1
    for evaluation in dict.fromkeys(cell.evaluation for cell in cells):
        yield evaluation, counts[id(evaluation)]
