"""Cores, instructions and GPUs that a program started here can use."""

import os
from pathlib import Path

AVX512 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_flags() -> set[str]:
    """Return the processor's features, in Linux's names; none elsewhere."""
    return set(_cpuinfo("flags", "Features").split())


def cpu_vendor() -> str:
    """Return the processor's maker, "" where Linux does not list it."""
    return _cpuinfo("vendor_id")


def _cpuinfo(*names: str) -> str:
    """Return the first value of /proc/cpuinfo under one of these names."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(names)), "")


def openblas_core() -> str:
    """Return the core type of OpenBLAS in a child, set or detected."""
    if core := os.environ.get("OPENBLAS_CORETYPE"):
        return core
    if cpu_flags() >= AVX512:
        return "SkylakeX"
    from threadpoolctl import threadpool_info

    return next((str(pool["architecture"]) for pool in threadpool_info() if pool["internal_api"] == "openblas"), "none")


def visible_gpus() -> tuple[str, ...]:
    """Return the visible GPUs, as CUDA_VISIBLE_DEVICES names them."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is not None:
        return tuple(name.strip() for name in names.split(",") if name.strip())
    return tuple(str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*")))))


def set_numeric_environment(threads: int, device: str, crowded: bool) -> None:
    """Set the environment variables of the children's numeric libraries."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a run on the CPU must not use a GPU unnoticed
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    # Threads that wait by spinning take the cores from those that work, once there are more threads than cores. Where
    # each has a core, a tenth of a millisecond of it saves a small network a third of its time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not crowded:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # The OpenBLAS inside faiss does not know newer CPUs and falls back to its slowest kernels.
    if cpu_flags() >= AVX512:
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
