"""What a run stands on: Python and its libraries, cores and memory, GPUs, disk, plugins and extras.

The libraries are imported by a worker, one after the other: one that crashes takes the worker with it, and is named.
"""

import fcntl
import importlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from harness import __version__
from harness.errors import printable
from harness.run.hardware import processor_kernels
from harness.suite.catalog import Catalog
from harness.utils.processes import Processes
from harness.utils.processor import cores

DISTRIBUTION = "labelharness"
MODULE_NAMES = {"faiss-cpu": "faiss", "scikit-learn": "sklearn", "ruamel-yaml": "ruamel.yaml"}  # where they differ
CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_tile", "asimd", "sve")
ENVIRONMENT_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "CUDA_VISIBLE_DEVICES",
    "HF_HOME",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
)
SLOW_KERNELS = ("Prescott", "Core2", "Generic")  # what OpenBLAS uses on a CPU that it does not know
IMPORT_TIMEOUT = 120.0  # seconds an import may take
MIN_FREE_BYTES = 5 * 2**30  # bytes free on a disk that will soon be full
IMPORTS_FILE = "found.jsonl"
OPENMP_ADVICE = "install OpenMP: libgomp1 (Debian, Ubuntu), libgomp (Fedora), libomp (Homebrew)"


@dataclass(frozen=True)
class EnvironmentFinding:
    """One thing that was looked at. Only what is broken keeps a run from working."""

    section: str
    name: str
    value: str
    state: Literal["ok", "absent", "note", "broken"] = "ok"
    advice: str = ""


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


def examine(output: Path, threads: int, catalog: Catalog) -> Iterator[EnvironmentFinding]:
    """Yield everything there is to say, part by part. `threads` is what a cell would get."""
    yield EnvironmentFinding("python", "python", f"{platform.python_version()} ({sys.executable})")
    yield EnvironmentFinding("python", DISTRIBUTION, f"{__version__} ({Path(__file__).parents[1]})")
    yield EnvironmentFinding("python", "platform", platform.platform())
    for name in ENVIRONMENT_VARIABLES:
        if name in os.environ:
            yield EnvironmentFinding(
                "python", name, "is set" if name == "HF_TOKEN" else printable(os.environ[name]) or "(empty)"
            )
    yield from _machine(threads)
    yield _disk(output)
    needed = [each for each in requirements() if each.extra is None]
    found = _import_in_worker([each.module for each in needed], threads)
    yield from _libraries(needed, found)
    yield from _device(found)
    yield from _plugins(catalog)
    yield from _extras()


def requirements() -> list[NamedRequirement]:
    """Return what the installed metadata names, each with the extra that it belongs to."""
    named = []
    for line in requires(DISTRIBUTION) or ():
        requirement = Requirement(line)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", str(requirement.marker or ""))
        name = canonicalize_name(requirement.name)
        named.append(NamedRequirement(name, requirement.specifier, extra[1] if extra else None))
    return named


def _machine(threads: int) -> Iterator[EnvironmentFinding]:
    usable = cores()
    about = _file("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", about, re.MULTILINE)
    yield EnvironmentFinding(
        "machine", "cores", f"{usable} of {os.cpu_count()}, {model[1] if model else platform.machine()}"
    )
    yield EnvironmentFinding("machine", "threads", f"{threads} a cell, unless --threads says otherwise")
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", about, re.MULTILINE)
    if flags:
        known = [name for name in CPU_FEATURES if name in flags[1].split()]
        slow = platform.machine() == "x86_64" and "avx2" not in known
        advice = "neighbour searches and networks are several times slower without AVX2" if slow else ""
        yield EnvironmentFinding(
            "machine", "cpu features", ", ".join(known) or "none", "note" if slow else "ok", advice
        )
    instructions = ", ".join(f"{library} {level}" for library, level in processor_kernels().items())
    yield EnvironmentFinding("machine", "kernels", instructions)
    memory = psutil.virtual_memory()
    limits = [_file(f"/sys/fs/cgroup/{name}").strip() for name in ("memory.max", "memory/memory.limit_in_bytes")]
    least = min([int(limit) for limit in limits if limit.isdecimal()], default=memory.total)
    within = f", {_gib(least)} of it for this container" if least < memory.total else ""
    yield EnvironmentFinding("machine", "memory", f"{_gib(memory.total)}{within}, {_gib(memory.available)} free")


def _disk(output: Path) -> EnvironmentFinding:
    """Look whether runs/ and leaderboards/ can be written; leaves nothing behind."""
    folder = output.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        value = f"{folder}: cannot be written or locked: {error.strerror or error}"
        return EnvironmentFinding("machine", "disk", value, "broken", "choose another folder with --output")
    short = free < MIN_FREE_BYTES
    advice = "blocks of 300,000 rows take GiB" if short else ""
    return EnvironmentFinding("machine", "disk", f"{_gib(free)} free in {folder}", "note" if short else "ok", advice)


def _import_in_worker(modules: list[str], threads: int) -> dict[str, Any]:
    """Let workers import the modules; returns what they said: {module: {...}}, and {"worker": ...} where none works."""
    answers: dict[str, Any] = {}
    processes = Processes((), threads, "cuda")  # so that no GPU is hidden
    while left := [module for module in modules if module not in answers]:
        with tempfile.TemporaryDirectory() as folder:
            child = processes.start(_import, (left,), Path(folder))
            size, since = 0, time.monotonic()
            while not child.done() and time.monotonic() - since < IMPORT_TIMEOUT:
                time.sleep(0.05)
                now = len(_file(f"{folder}/{IMPORTS_FILE}"))
                size, since = (now, time.monotonic()) if now > size else (size, since)
            hung = not child.done()
            child.kill()
            lines = [json.loads(line) for line in _file(f"{folder}/{IMPORTS_FILE}").splitlines()]
            answers |= {line.pop("name"): line for line in lines}
            left = [module for module in left if module not in answers]
            if left:  # the first of them ended the worker
                answers[left[0]] = {
                    "error": f"not imported after {IMPORT_TIMEOUT:g} s" if hung else child.describe_exit()
                }
            if not lines and hung:
                answers["worker"] = {"error": "a worker process does not answer"}
                break
    return answers


def _libraries(needed: list[NamedRequirement], imported: dict[str, Any]) -> Iterator[EnvironmentFinding]:
    if "worker" in imported:
        yield EnvironmentFinding("libraries", "worker", imported["worker"]["error"], "broken", "every cell needs one")
    for each in needed:
        answer = imported.get(each.module, {"error": "not looked at"})
        if "error" in answer:
            missing = each.installed is None and answer["error"].startswith("ModuleNotFoundError")
            advice = OPENMP_ADVICE if "gomp" in answer["error"] or "libomp" in answer["error"] else each.command
            value = "is not installed" if missing else printable(answer["error"])
            yield EnvironmentFinding("libraries", each.name, value, "broken", advice)
            continue
        installed = each.installed or answer["version"]
        state: Literal["ok", "broken"] = "ok" if each.bounds.contains(installed, prereleases=True) else "broken"
        value = " ".join(filter(None, (installed, answer.get("built", ""))))
        yield EnvironmentFinding("libraries", each.name, value, state, "" if state == "ok" else each.command)
    pools = imported.get("pools", {"pools": []})["pools"]
    blas = dict.fromkeys(f"{p['internal_api']} {p['version']} ({p.get('architecture')})" for p in pools if p["blas"])
    if blas:
        slow = platform.machine() == "x86_64" and any(p.get("architecture") in SLOW_KERNELS for p in pools)
        advice = "it takes this CPU for an old one: set OPENBLAS_CORETYPE=Haswell where there is AVX2" if slow else ""
        yield EnvironmentFinding("libraries", "BLAS", ", ".join(blas), "note" if slow else "ok", advice)
    runtimes = Counter(p["prefix"] for p in pools if not p["blas"])
    if runtimes:
        both = len(runtimes) > 1
        advice = (
            "two kinds of OpenMP in one process may hang or crash: KMP_DUPLICATE_LIB_OK hides it only" if both else ""
        )
        value = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in sorted(runtimes.items()))
        yield EnvironmentFinding("libraries", "OpenMP", value, "note" if both else "ok", advice)


def _device(imported: dict[str, Any]) -> Iterator[EnvironmentFinding]:
    torch = imported.get("torch", {})
    driver = Path("/dev/nvidiactl").exists()
    for number, name in enumerate(torch.get("gpus", ())):
        yield EnvironmentFinding("device", f"cuda:{number}", name)
    if not torch.get("gpus"):
        state: Literal["ok", "note"] = "note" if driver and "error" not in torch else "ok"
        advice = (
            "this torch is built without CUDA" if not torch.get("cuda") else "is the driver too old for this torch?"
        )
        value = "an NVIDIA driver is there, and torch sees no GPU" if state == "note" else "no GPU"
        yield EnvironmentFinding("device", "cpu", value, state, advice if state == "note" else "")


def _plugins(catalog: Catalog) -> Iterator[EnvironmentFinding]:
    counts: dict[str, Counter[str]] = {}
    for entry in catalog.entries:
        counts.setdefault(f"{entry.distribution} {entry.version}".strip(), Counter())[entry.kind] += 1
    for who, kinds in counts.items():
        yield EnvironmentFinding("plugins", who, ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    for who, why in sorted(catalog.broken.items()):
        own = f"({DISTRIBUTION} " in who
        advice = "install the project again" if own else "suites that do not use it run; mend it or uninstall it"
        yield EnvironmentFinding("plugins", who, printable(why), "broken" if own else "note", advice)
    for (kind, name), count in Counter((entry.kind, entry.name) for entry in catalog.entries).items():
        if count > 1:
            yield EnvironmentFinding(
                "plugins", name, f"{kind}: offered {count} times", "note", "uninstall one to use it"
            )


def _extras() -> Iterator[EnvironmentFinding]:
    found = [
        each for each in requirements() if each.extra and each.name != DISTRIBUTION
    ]  # not the extras that name extras
    for extra in dict.fromkeys(each.extra for each in found):
        members = [each for each in found if each.extra == extra]
        lacking = [each for each in members if not each.is_met]
        if lacking:
            what = "lacks " + ", ".join(f"{each.name}{each.bounds}" for each in lacking)
            yield EnvironmentFinding("extras", str(extra), what, "absent", f"pip install '{DISTRIBUTION}[{extra}]'")
        else:
            yield EnvironmentFinding(
                "extras", str(extra), ", ".join(f"{each.name} {each.installed}" for each in members)
            )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _file(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


# What follows runs in the worker.


def _import(modules: list[str]) -> None:
    with Path(IMPORTS_FILE).open("a", buffering=1) as out:
        for name in modules:
            try:
                answer = _about(importlib.import_module(name))
            except BaseException as error:  # whatever a broken library raises
                reason = (str(error).strip() or "no message").splitlines()[0]
                answer = {"error": f"{type(error).__name__}: {reason}"}
            out.write(json.dumps({"name": name, **answer}) + "\n")
        if find_spec("threadpoolctl") is not None:
            loaded = importlib.import_module("threadpoolctl").threadpool_info()
            pools = [pool | {"blas": pool["user_api"] == "blas"} for pool in loaded]
            out.write(json.dumps({"name": "pools", "pools": pools}) + "\n")


def _about(module: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"version": str(getattr(module, "__version__", "?"))}
    if module.__name__ == "faiss":
        options = module.get_compile_options().split()
        about["built"] = "for " + " ".join(word for word in options if word.startswith(("AVX", "NEON", "SVE")))
    if module.__name__ == "torch":
        about["cuda"] = module.version.cuda or getattr(module.version, "hip", None)
        if module.cuda.is_available():
            each = (module.cuda.get_device_properties(i) for i in range(module.cuda.device_count()))
            about["gpus"] = [f"{gpu.name}, {_gib(gpu.total_memory)}" for gpu in each]
    return about
