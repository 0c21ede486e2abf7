"""Prepare a run: open its data and plan its cells."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.data import twin
from harness.data.dataset import Dataset, load_dataset
from harness.data.roles import unknown_roles_remark
from harness.data.section import Raters
from harness.data.table import DataTable, is_twin, open_table, twin_size
from harness.errors import DataError, HarnessError
from harness.plugin.protocols import iter_plugins
from harness.run import blocks as block_files
from harness.run import timing
from harness.run.class_order import check_order
from harness.run.compiled_loops import choose_cache
from harness.run.hardware import Hardware, processor_kernels
from harness.run.key_diff import differences
from harness.run.locations import naming_user_files
from harness.run.neighbor_plan import plan_searches
from harness.run.plan import Cell, EvaluationSplit, evaluation_splits, plan
from harness.run.preflight import check_blocks, check_table
from harness.run.store import Store, last_run
from harness.search.engine import Engine
from harness.search.inner_products import check_engine
from harness.suite.candidates import Candidate
from harness.suite.catalog import Catalog
from harness.suite.suite import Suite
from harness.utils.memory import machine_memory
from harness.utils.processes import Limits
from harness.utils.processor import cores

SEARCH_MODULES = ("faiss", "harness.search.kernels")  # of the neighbour search
MAX_THREADS = 8  # more do not help the cells of a suite, and the number is part of every key


@dataclass(frozen=True)
class Options:
    """The options of a run."""

    output: Path = Path()
    jobs: int = 1
    threads: int = 0  # 0: as many as the machine has cores, at most MAX_THREADS
    timeout: float = 6 * 3600.0  # seconds a cell
    memory: float = 0.0  # GiB a cell; 0: four fifths of the machine's
    device: str = "auto"
    require_real: bool = False
    twin_rows: int | None = None
    engine: Engine = "auto"  # of the neighbour searches; no part of any key: all return the same

    @property
    def limits(self) -> Limits:
        return Limits(self.timeout, int(self.memory * 2**30) if self.memory else self.memory_budget)

    @property
    def memory_budget(self) -> int:
        """Bytes of memory that all cells may use together."""
        return int(0.8 * machine_memory())

    @property
    def hardware(self) -> Hardware:
        return Hardware(_resolve_device(self.device), self.threads or min(cores(), MAX_THREADS))

    @property
    def identity(self) -> dict[str, Any]:
        """The options that the keys of cells depend on, as they were given.

        Pages name the command by them.
        """
        return {"threads": self.threads, "device": self.device, "twin_rows": self.twin_rows}

    def with_defaults_from(self, recorded: Mapping[str, Any]) -> "Options":
        """Fill options left at their defaults from a recorded `identity`."""
        threads, device, twin_rows = (recorded.get(name) for name in ("threads", "device", "twin_rows"))
        return replace(
            self,
            threads=self.threads or (threads if isinstance(threads, int) else 0),
            device=device if self.device == "auto" and isinstance(device, str) else self.device,
            twin_rows=self.twin_rows or (twin_rows if isinstance(twin_rows, int) else None),
        )


@dataclass(frozen=True, eq=False)
class Run:
    """A suite with its data and its plan."""

    suite: Suite
    catalog: Catalog
    options: Options
    dataset: Dataset
    recipes: dict[str, block_files.Recipe]
    cells: list[Cell]
    store: Store
    remarks: Mapping[str, list[str]] = field(
        default_factory=dict
    )  # on splits that are not what they say, by comparison
    data_remarks: tuple[str, ...] = ()  # on labels and texts that do not mean what they seem to

    @property
    def simulated(self) -> bool:
        return self.dataset.table.simulated

    @property
    def cache(self) -> Path:
        return cache_of(self.options)

    @property
    def remark_lines(self) -> list[str]:
        """A line for whatever in the data is not what it seems.

        First labels and texts, then splits.
        """
        of_splits = [f"{comparison}: {remark}" for comparison, remarks in self.remarks.items() for remark in remarks]
        return [*self.data_remarks, *of_splits]

    def missing_blocks(self, others: Iterable[str] = ()) -> list[block_files.Recipe]:
        """Return the blocks that unfinished cells need and that are not on disk.

        Those called `others` are needed in any case.
        """
        names = {name for cell in self.cells if not self.store.has(cell.key) for name in cell.blocks} | set(others)
        return [recipe for name, recipe in self.recipes.items() if name in names and not self.is_made(name)]

    def is_made(self, name: str) -> bool:
        return block_files.is_made(self.recipes[name], self.cache)


def cache_of(options: Options) -> Path:
    """Return the folder of blocks, twins, converted files and hashes."""
    return options.output / "runs" / "cache"


def prepare_run(suite: Suite, catalog: Catalog, options: Options, notice: Callable[[str], None]) -> Run:
    """Open the data, make the splits and plan the cells.

    `notice` is called once if the data are simulated.
    """
    check_engine(options.engine, options.hardware.device)
    store = Store(options.output / "runs" / suite.name)
    check_owner(suite, store, options.output)
    cache = cache_of(options)
    choose_cache(cache / "numba")
    try:
        suite, dataset, evaluations, remarks, data_remarks = load_data(suite, catalog, cache, options, notice)
        with naming_user_files(dataset.table, dataset.items):
            recipes = block_files.recipes(suite.blocks, dataset, catalog, cache / "digests")
    except DataError as error:
        raise with_line(error, suite) from error
    cells = plan(suite, dataset, evaluations, recipes, catalog, options.hardware, cache / "digests")
    return Run(suite, catalog, options, dataset, recipes, cells, store, remarks, data_remarks)


def load_data(
    suite: Suite, catalog: Catalog, cache: Path, options: Options, notice: Callable[[str], None]
) -> tuple[Suite, Dataset, list[EvaluationSplit], Mapping[str, list[str]], tuple[str, ...]]:
    """Return the suite, its data, its splits, and remarks on both.

    The population is scaled where the twin is. Raises DataError with its place in the suite.
    """
    when_missing = "error" if options.require_real else suite.data.when_missing
    path = suite.data.path
    if is_twin(path):
        if options.require_real:
            raise DataError(f"{path} is simulated, and --require-real was given", ("data", "path"))
        notice("SIMULATED DATA: this suite runs on the simulated twin")
    elif when_missing == "twin" and not any((folder / path).exists() for folder in suite.folders):
        notice(f"SIMULATED DATA: {path} is not there; running on the simulated twin instead")
    table = open_table(path, suite.folders, cache, when_missing, options.twin_rows, suite.block_parameters)
    if table.simulated and options.twin_rows:  # a smaller pool, and so a smaller population
        full_size = twin_size(path) if is_twin(path) else twin.POOL
        suite = replace(suite, population=suite.population.scaled(options.twin_rows / full_size))
    table = _with_raters(suite, table, cache)
    check_table(suite, table)
    dataset = load_dataset(suite.data, suite.population, table)
    check_order(suite, dataset.classes)
    check_blocks(suite.blocks, dataset, catalog)
    evaluations, remarks = evaluation_splits(suite, dataset)
    unknown_roles = unknown_roles_remark(str(table.path), suite.data.text)
    data_remarks = dataset.remarks if unknown_roles is None else (*dataset.remarks, unknown_roles)
    return suite, dataset, evaluations, remarks, data_remarks


def _with_raters(suite: Suite, table: DataTable, cache: Path) -> DataTable:
    """Return the table with the file of the raters' labels, if there is one."""
    raters = suite.data.raters
    if not isinstance(raters, Raters) or raters.path is None:
        return table
    try:
        return replace(table, raters=open_table(raters.path, suite.folders, cache, "error", None))
    except DataError as error:
        raise DataError(str(error), ("data", "raters", "path")) from error


def with_line(error: DataError, suite: Suite) -> DataError:
    """Return an error with the file and line of its place in the suite."""
    return error if error.place is None else DataError(f"{suite.at(error.place)}: {error}")


def check_owner(suite: Suite, store: Store, output: Path) -> None:
    """Raise DataError if the folder has the run of another suite file.

    One that is gone, or that has the same content, is no other; nor is that of a project of which this is a copy.
    """
    recorded = last_run(store.folder).get("file")
    if not isinstance(recorded, str) or not (owner := Path(recorded)).is_file() or not suite.file.is_file():
        return
    file, folder = suite.file.resolve(), output.resolve()
    if file.is_relative_to(folder):
        inside = file.relative_to(folder)
        copied_from = Path(*owner.parts[: -len(inside.parts)])
        if owner == copied_from / inside and copied_from != folder:
            return
    if not owner.samefile(file) and owner.read_bytes() != file.read_bytes():
        raise DataError(
            f"{suite.at(('name',))}: {store.folder} has the run of another suite of this name, {owner}; give one of "
            "the two another name, or its own --output"
        )


def reuse_cells(run: Run, others: Iterable[Store]) -> None:
    """Copy the cells that other suites have finished.

    The caller holds the run's lock.
    """
    run.store.open()
    for key in {cell.key for cell in run.cells if not run.store.has(cell.key)}:
        owner = next((other for other in others if other.has(key)), None)
        if owner is not None:
            run.store.copy_cell(key, owner)


def changed_kernels(run: Run) -> list[str]:
    """Return the differences to the last run's processor.

    For example "kernels torch AVX512 -> AVX2".
    """
    before = last_run(run.store.folder).get("kernels")
    return differences({"kernels": before}, {"kernels": processor_kernels()}) if isinstance(before, dict) else []


def block_widths(run: Run) -> dict[str, int]:
    """Return the number of columns of each block where it is known.

    The block is on disk, or its maker has names for its columns.
    """
    widths = {}
    for name, recipe in run.recipes.items():
        if run.is_made(name):
            widths[name] = int(np.load(block_files.array_file(recipe, run.cache), mmap_mode="r").shape[1])
        elif isinstance(names := getattr(recipe.maker, "names", ()), tuple | list) and names:
            widths[name] = len(names)
    return widths


def cached_artifacts(run: Run) -> Iterator[tuple[str, str, EvaluationSplit | None, Mapping[str, Any]]]:
    """Yield kind, name, split and cost of each block and list on disk."""
    on_disk = {name: recipe for name, recipe in run.recipes.items() if run.is_made(name)}
    for name, recipe in on_disk.items():
        yield "block", name, None, timing.read_timing(block_files.array_file(recipe, run.cache).parent)
    blocks = {name: block_files.open_block(recipe, run.cache) for name, recipe in on_disk.items()}
    for shared in plan_searches(run.cells, blocks):
        for request, folder in zip(shared.lists, shared.folders(run.cache), strict=True):
            if folder.exists():
                yield "list", "+".join(shared.on), request.evaluation, timing.read_timing(folder)


def preload_modules(candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """Return the modules that workers import early for these labelers."""
    plugins = [plugin for candidate in candidates for plugin in iter_plugins(candidate.labeler)]
    modules = [module for plugin in plugins for module in getattr(plugin, "preload", ())]
    if any(hasattr(plugin, "needs") for plugin in plugins):
        modules += SEARCH_MODULES
    return tuple(dict.fromkeys(modules))


def _resolve_device(name: str) -> str:
    if name not in ("auto", "cpu", "cuda"):
        raise HarnessError(f"--device {name}: must be auto, cpu or cuda")
    if name == "cuda" and not Path("/dev/nvidiactl").exists():
        raise DataError("--device cuda: no NVIDIA device is there; use --device cpu")
    return "cuda" if name == "cuda" else "cpu"  # auto: no bundled labeler uses a GPU yet
