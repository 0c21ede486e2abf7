"""Device, threads and processor instructions, which change answers."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from harness.utils.processor import cpu_flags, cpu_vendor, openblas_core

# From the oldest to the newest instructions, each with the flag of the processor that it needs.
TORCH_LEVELS = (("AVX2", {"avx2", "fma"}), ("AVX512", {"avx512vl", "avx512bw", "avx512dq", "fma"}))
ONEDNN_LEVELS = (
    ("SSE41", {"sse4_1"}),
    ("AVX", {"avx"}),
    ("AVX2", {"avx2"}),
    ("AVX2_VNNI", {"avx_vnni"}),
    ("AVX512_CORE", {"avx512f", "avx512bw", "avx512vl", "avx512dq"}),
    ("AVX512_CORE_VNNI", {"avx512_vnni"}),
    ("AVX512_CORE_BF16", {"avx512_bf16"}),
    ("AVX512_CORE_FP16", {"avx512_fp16"}),
    ("AVX512_CORE_AMX", {"amx_tile", "amx_bf16"}),
)
MKL_VARIABLES = ("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE")


@dataclass(frozen=True)
class Hardware:
    """The device and the threads of a cell."""

    device: str = "cpu"
    threads: int = 1


@cache
def processor_kernels() -> dict[str, str]:
    """Name the instructions that each numeric library computes with here.

    Two machines that differ in one of them round differently, so they never share a cell. Environment variables that
    hold a library to older instructions count. Of the libraries only NumPy is imported.
    """
    flags = cpu_flags()
    if platform.machine() not in ("x86_64", "AMD64"):
        kernels = {"processor": f"{platform.machine()} {' '.join(sorted(flags))}".strip()}
    else:
        mkl = [f"{name}={os.environ[name]}" for name in MKL_VARIABLES if name in os.environ]
        kernels = {
            "torch": _torch_kernels(flags),
            "oneDNN": _onednn_kernels(flags),
            "MKL": " ".join([cpu_vendor(), *mkl]),
        }
    return {**kernels, "OpenBLAS": openblas_core(), "NumPy": _numpy_kernels(), "numba": _numba_kernels()}


def _torch_kernels(flags: set[str]) -> str:
    """Return the capability that torch's dispatcher chooses."""
    forced = os.environ.get("ATEN_CPU_CAPABILITY", "")
    if forced in ("default", "avx2", "avx512"):
        return forced.upper()
    return _newest(TORCH_LEVELS, flags) or "DEFAULT"


def _onednn_kernels(flags: set[str]) -> str:
    """Return the newest instructions up to ONEDNN_MAX_CPU_ISA."""
    newest = _newest(ONEDNN_LEVELS, flags)
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "")).upper()
    order = [name for name, _ in ONEDNN_LEVELS]
    if limit in order and newest in order:
        return order[min(order.index(limit), order.index(newest))]
    return newest or "none"


def _newest(levels: Sequence[tuple[str, set[str]]], flags: set[str]) -> str:
    return next((name for name, needed in reversed(levels) if needed <= flags), "")


def _numpy_kernels() -> str:
    import numpy as np

    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return "+".join([*extensions.get("baseline", []), *extensions.get("found", [])])


def _numba_kernels() -> str:
    """Return the processor that numba compiles for, as LLVM names it."""
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    return name if features is None else f"{name} {features}"
