"""The precision of a network's products: a helper of the networks, not a plugin."""

from functools import cache
from time import thread_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

ROUNDS = 5  # of the trial; its time is that of the quickest
GAIN = 0.8  # bfloat16 must take less than this share of float32's time


def precision(wanted: str, device: "torch.device") -> str:
    """Return the precision of products on `device`: the wanted one, or for ``auto`` the one that is fast there.

    That is bfloat16 on a device that has instructions for it, where on a CPU a trial confirms that they are used. No
    trial is needed to rule bfloat16 out, so that most machines cannot change their mind between two runs.
    """
    import torch

    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    able = getattr(torch.cpu, "get_capabilities", dict)()  # a torch that cannot tell trains in float32
    native = torch.backends.mkldnn.is_available() and (able.get("avx512_bf16") or able.get("amx_bf16"))
    return "bfloat16" if native and gainful() else "float32"


@cache
def gainful() -> bool:
    """Say whether this process multiplies faster in bfloat16 than in float32: some milliseconds, once.

    A library held to older instructions (ONEDNN_MAX_CPU_ISA) computes in bfloat16 on a processor that has newer ones,
    at up to four times the price of float32 where it would have been a third. Both precisions take turns, on the
    clock of this thread alone: it stands while other processes run, so the answer does not depend on them.
    """
    import torch

    quickest = {}
    for dtype in (torch.float32, torch.bfloat16) * ROUNDS:
        rows, weight = torch.ones(256, 512, dtype=dtype), torch.ones(256, 512, dtype=dtype)
        start = thread_time()
        torch.mm(rows, weight.T)
        quickest[dtype] = min(thread_time() - start, quickest.get(dtype, float("inf")))
    return quickest[torch.bfloat16] < GAIN * quickest[torch.float32]
