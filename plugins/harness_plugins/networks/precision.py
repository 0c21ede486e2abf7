"""The precision of a network's products."""

import os
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# The instruction sets, of those to which oneDNN can be held, that multiply in bfloat16.
WITH_BFLOAT16 = ("AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX512_CORE_AMX", "AVX512_CORE_AMX_FP16", "AVX10_1_512")


def precision(choice: str, device: str) -> str:
    """Return the precision of products on `device`, "cpu" or "cuda".

    ``auto`` is bfloat16 on a device that has instructions for it and may use them, else float32. Only the processor
    decides, never a clock: the same machine gives the same answer at every call.
    """
    if choice != "auto":
        return choice
    return "bfloat16" if (_gpu_has_bfloat16() if device == "cuda" else _cpu_has_bfloat16()) else "float32"


def _gpu_has_bfloat16() -> bool:
    import torch

    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _cpu_has_bfloat16() -> bool:
    """Return True if oneDNN may use bfloat16 instructions here.

    By the flags that Linux lists, and the variables that hold oneDNN to older instructions.

    Held to those, it computes in bfloat16 at up to four times the price of float32.
    """
    most = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "ALL")).upper()
    if most not in ("ALL", "DEFAULT", *WITH_BFLOAT16):
        return False
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:  # not Linux
        return False
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)
