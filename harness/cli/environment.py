"""Examine Python, libraries, cores, memory, GPUs, disk, plugins, extras."""

import fcntl
import os
import platform
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from harness import __version__
from harness.cli.libraries import (
    DISTRIBUTION,
    ImportedModule,
    NamedRequirement,
    format_gib,
    import_in_worker,
    read_text,
    requirements,
)
from harness.errors import printable
from harness.run.hardware import processor_kernels
from harness.suite.catalog import Catalog
from harness.utils.confinement import describe_confinement, landlock_version
from harness.utils.processor import cores

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
MIN_FREE_BYTES = 5 * 2**30  # on the disk of runs/
OPENMP_ADVICE = "install OpenMP: libgomp1 (Debian, Ubuntu), libgomp (Fedora), libomp (Homebrew)"


@dataclass(frozen=True)
class EnvironmentFinding:
    """The state of one part of the environment.

    Only what is broken keeps a run from working.
    """

    section: str
    name: str
    value: str
    state: Literal["ok", "absent", "note", "broken"] = "ok"
    advice: str = ""


def examine(output: Path, threads: int, catalog: Catalog) -> Iterator[EnvironmentFinding]:
    """Yield the findings, section by section.

    `threads` is the number that a cell gets.
    """
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
    all_requirements = requirements()
    libraries = [requirement for requirement in all_requirements if requirement.extra is None]
    modules, pools = import_in_worker([library.module for library in libraries], threads)
    yield from _libraries(libraries, modules)
    yield from _thread_pools(pools)
    yield from _device(modules.get("torch", ImportedModule("torch")))
    yield from _plugins(catalog)
    yield from _extras([requirement for requirement in all_requirements if requirement.extra is not None])


def _machine(threads: int) -> Iterator[EnvironmentFinding]:
    cpuinfo = read_text("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    yield EnvironmentFinding(
        "machine", "cores", f"{cores()} of {os.cpu_count()}, {model[1] if model else platform.machine()}"
    )
    yield EnvironmentFinding("machine", "threads", f"{threads} a cell, unless --threads says otherwise")
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    if flags:
        features = [name for name in CPU_FEATURES if name in flags[1].split()]
        is_slow = platform.machine() == "x86_64" and "avx2" not in features
        advice = "neighbour searches and networks are several times slower without AVX2" if is_slow else ""
        yield EnvironmentFinding(
            "machine", "cpu features", ", ".join(features) or "none", "note" if is_slow else "ok", advice
        )
    state: Literal["ok", "note"] = "ok" if landlock_version() else "note"
    advice = "" if landlock_version() else "a hostile labeler could read labels: Linux 5.13 or later prevents it"
    yield EnvironmentFinding("machine", "workers", describe_confinement(), state, advice)
    kernels = ", ".join(f"{library} {level}" for library, level in processor_kernels().items())
    yield EnvironmentFinding("machine", "kernels", kernels)
    memory = psutil.virtual_memory()
    files = [f"/sys/fs/cgroup/{name}" for name in ("memory.max", "memory/memory.limit_in_bytes")]
    limits = [int(text) for text in map(str.strip, map(read_text, files)) if text.isdecimal()]
    limit = min(limits, default=memory.total)
    container = f", {format_gib(limit)} of it for this container" if limit < memory.total else ""
    value = f"{format_gib(memory.total)}{container}, {format_gib(memory.available)} free"
    yield EnvironmentFinding("machine", "memory", value)


def _disk(output: Path) -> EnvironmentFinding:
    """Check that runs/ and leaderboards/ can be written; leave no file."""
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
    value = f"{format_gib(free)} free in {folder}"
    if free < MIN_FREE_BYTES:
        return EnvironmentFinding("machine", "disk", value, "note", "blocks of 300,000 rows take GiB")
    return EnvironmentFinding("machine", "disk", value)


def _libraries(needed: list[NamedRequirement], modules: dict[str, ImportedModule]) -> Iterator[EnvironmentFinding]:
    if "worker" in modules:
        yield EnvironmentFinding("libraries", "worker", modules["worker"].error, "broken", "every cell needs one")
    for library in needed:
        module = modules.get(library.module, ImportedModule(library.module, error="not looked at"))
        if module.error:
            is_missing = library.installed is None and module.error.startswith("ModuleNotFoundError")
            advice = OPENMP_ADVICE if "gomp" in module.error or "libomp" in module.error else library.command
            value = "is not installed" if is_missing else printable(module.error)
            yield EnvironmentFinding("libraries", library.name, value, "broken", advice)
            continue
        installed = library.installed or module.version
        value = f"{installed} {module.instructions}".strip()
        if library.bounds.contains(installed, prereleases=True):
            yield EnvironmentFinding("libraries", library.name, value)
        else:
            yield EnvironmentFinding("libraries", library.name, value, "broken", library.command)


def _thread_pools(pools: list[dict[str, str]]) -> Iterator[EnvironmentFinding]:
    """Examine the BLAS and OpenMP libraries that the modules have loaded."""
    blas = [pool for pool in pools if pool["user_api"] == "blas"]
    if blas:
        names = dict.fromkeys(f"{p['internal_api']} {p['version']} ({p['architecture']})" for p in blas)
        is_slow = platform.machine() == "x86_64" and any(p["architecture"] in SLOW_KERNELS for p in blas)
        advice = (
            "it takes this CPU for an old one: set OPENBLAS_CORETYPE=Haswell where there is AVX2" if is_slow else ""
        )
        yield EnvironmentFinding("libraries", "BLAS", ", ".join(names), "note" if is_slow else "ok", advice)
    runtimes = Counter(pool["prefix"] for pool in pools if pool["user_api"] != "blas")
    if runtimes:
        value = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in sorted(runtimes.items()))
        has_several = len(runtimes) > 1
        advice = "two kinds of OpenMP in one process may hang or crash: KMP_DUPLICATE_LIB_OK hides it only"
        yield EnvironmentFinding(
            "libraries", "OpenMP", value, "note" if has_several else "ok", advice if has_several else ""
        )


def _device(torch: ImportedModule) -> Iterator[EnvironmentFinding]:
    for number, gpu in enumerate(torch.gpus):
        yield EnvironmentFinding("device", f"cuda:{number}", gpu)
    if torch.gpus:
        return
    if Path("/dev/nvidiactl").exists() and not torch.error:
        value = "an NVIDIA driver is there, and torch sees no GPU"
        advice = "is the driver too old for this torch?" if torch.cuda else "this torch is built without CUDA"
        yield EnvironmentFinding("device", "cpu", value, "note", advice)
    else:
        yield EnvironmentFinding("device", "cpu", "no GPU")


def _plugins(catalog: Catalog) -> Iterator[EnvironmentFinding]:
    counts: dict[str, Counter[str]] = {}
    for entry in catalog.entries:
        counts.setdefault(f"{entry.distribution} {entry.version}".strip(), Counter())[entry.kind] += 1
    for distribution, kinds in counts.items():
        value = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        yield EnvironmentFinding("plugins", distribution, value)
    for name, reason in sorted(catalog.broken.items()):
        is_own = f"({DISTRIBUTION} " in name
        advice = "install the project again" if is_own else "suites that do not use it run; mend it or uninstall it"
        yield EnvironmentFinding("plugins", name, printable(reason), "broken" if is_own else "note", advice)
    for (kind, name), count in Counter((entry.kind, entry.name) for entry in catalog.entries).items():
        if count > 1:
            value = f"{kind}: offered {count} times"
            yield EnvironmentFinding("plugins", name, value, "note", "uninstall one to use it")


def _extras(optional: list[NamedRequirement]) -> Iterator[EnvironmentFinding]:
    members: dict[str, list[NamedRequirement]] = {}
    for requirement in optional:
        if requirement.name != DISTRIBUTION:  # not the extras that name extras
            members.setdefault(str(requirement.extra), []).append(requirement)
    for extra, distributions in members.items():
        missing = [member for member in distributions if not member.is_met]
        if missing:
            value = "lacks " + ", ".join(f"{member.name}{member.bounds}" for member in missing)
            yield EnvironmentFinding("extras", extra, value, "absent", f"pip install '{DISTRIBUTION}[{extra}]'")
        else:
            value = ", ".join(f"{member.name} {member.installed}" for member in distributions)
            yield EnvironmentFinding("extras", extra, value)
