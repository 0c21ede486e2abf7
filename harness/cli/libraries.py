"""The requirements of the distribution, and their import in a worker.

A worker imports one module after the other: one that crashes ends the worker, and so is named.
"""

import importlib
import json
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from harness.utils.processes import Processes

DISTRIBUTION = "labelharness"
MODULE_NAMES = {"faiss-cpu": "faiss", "scikit-learn": "sklearn", "ruamel-yaml": "ruamel.yaml"}  # where they differ
IMPORT_TIMEOUT = 120.0  # seconds an import may take
IMPORTS_FILE, POOLS_FILE = "imports.jsonl", "pools.json"
POOL_KEYS = ("user_api", "internal_api", "prefix", "version", "architecture")  # of threadpoolctl


@dataclass(frozen=True)
class NamedRequirement:
    """A distribution that the project names in its metadata."""

    name: str
    bounds: SpecifierSet  # ">=2.10,<3"
    extra: str | None  # None: needed by every run

    @property
    def module(self) -> str:
        return MODULE_NAMES.get(self.name, self.name.replace("-", "_"))

    @property
    def installed(self) -> str | None:
        try:
            return version(self.name)
        except PackageNotFoundError:
            return None

    @property
    def is_met(self) -> bool:
        return self.installed is not None and self.bounds.contains(self.installed, prereleases=True)

    @property
    def command(self) -> str:
        return f"pip install '{self.name}{self.bounds}'"


@dataclass(frozen=True)
class ImportedModule:
    """A module that a worker has imported, or the error that it met."""

    name: str
    version: str = "?"
    error: str = ""
    instructions: str = ""  # of faiss: "for AVX2"
    cuda: str | None = None  # of torch: the version that it was built with
    gpus: tuple[str, ...] = ()  # of torch: "NAME, 80.0 GiB"


def requirements() -> list[NamedRequirement]:
    """Return the requirements in the installed metadata, with their extras."""
    named = []
    for line in requires(DISTRIBUTION) or ():
        requirement = Requirement(line)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", str(requirement.marker or ""))
        name = canonicalize_name(requirement.name)
        named.append(NamedRequirement(name, requirement.specifier, extra[1] if extra else None))
    return named


def import_in_worker(names: list[str], threads: int) -> tuple[dict[str, ImportedModule], list[dict[str, str]]]:
    """Import modules in workers; return them by name, and their thread pools.

    A pool has the keys POOL_KEYS. Where no worker runs, there is a module "worker" with the error.
    """
    modules: dict[str, ImportedModule] = {}
    pools: list[dict[str, str]] = []
    processes = Processes((), threads, "cuda")  # so that no GPU is hidden
    while remaining := [name for name in names if name not in modules]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / IMPORTS_FILE
            child = processes.start(_import_modules, (remaining,), Path(folder))
            size, since = 0, time.monotonic()
            while not child.done() and time.monotonic() - since < IMPORT_TIMEOUT:
                time.sleep(0.05)
                new_size = len(read_text(str(file)))
                size, since = (new_size, time.monotonic()) if new_size > size else (size, since)
            hung = not child.done()
            child.kill()
            imported = [ImportedModule(**json.loads(line)) for line in read_text(str(file)).splitlines()]
            pools = json.loads(read_text(f"{folder}/{POOLS_FILE}") or "[]")
        modules |= {module.name: module for module in imported}
        remaining = [name for name in remaining if name not in modules]
        if remaining:  # the first of them ended the worker
            error = f"not imported after {IMPORT_TIMEOUT:g} s" if hung else child.describe_exit()
            modules[remaining[0]] = ImportedModule(remaining[0], error=error)
        if hung and not imported:
            modules["worker"] = ImportedModule("worker", error="a worker process does not answer")
            break
    return modules, pools


def read_text(path: str) -> str:
    """Return the text of a file; "" if it cannot be read."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def format_gib(size: int) -> str:
    """Format a number of bytes: "80.0 GiB"."""
    return f"{size / 2**30:.1f} GiB"


# What follows runs in the worker.


def _import_modules(names: list[str]) -> None:
    with Path(IMPORTS_FILE).open("a", buffering=1) as out:
        for name in names:
            try:
                module = _describe(name, importlib.import_module(name))
            except BaseException as error:  # whatever a broken library raises
                reason = (str(error).strip() or "no message").splitlines()[0]
                module = ImportedModule(name, error=f"{type(error).__name__}: {reason}")
            out.write(json.dumps(asdict(module)) + "\n")
    if find_spec("threadpoolctl") is not None:
        pools = importlib.import_module("threadpoolctl").threadpool_info()
        Path(POOLS_FILE).write_text(json.dumps([{key: str(pool.get(key)) for key in POOL_KEYS} for pool in pools]))


def _describe(name: str, module: ModuleType) -> ImportedModule:
    module_version = str(getattr(module, "__version__", "?"))
    if name == "faiss":
        words = module.get_compile_options().split()
        instructions = "for " + " ".join(word for word in words if word.startswith(("AVX", "NEON", "SVE")))
        return ImportedModule(name, module_version, instructions=instructions)
    if name == "torch":
        cuda = module.version.cuda or getattr(module.version, "hip", None)
        count = module.cuda.device_count() if module.cuda.is_available() else 0
        devices = map(module.cuda.get_device_properties, range(count))
        gpus = tuple(f"{device.name}, {format_gib(device.total_memory)}" for device in devices)
        return ImportedModule(name, module_version, cuda=cuda, gpus=gpus)
    return ImportedModule(name, module_version)
