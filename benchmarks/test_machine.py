"""What this machine multiplies and copies in a second, by the fastest call known for each: the limits of all others.

A benchmark that does `operations` of a kind named here has reached `operations / seconds / rate` of the limit.
"""

import os

import numpy as np
import pytest
import torch

SIZE = 4_096  # rows and columns: the products stay busy for some tenths of a second
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PRODUCTS = 2 * SIZE**3  # a multiplication and an addition each


def rate(benchmark, work, operations: int, kind: str) -> None:
    torch.set_num_threads(CORES)
    benchmark.pedantic(work, rounds=7, warmup_rounds=2)
    benchmark.extra_info |= {"limit": kind, "per second": operations / benchmark.stats.stats.min}


def test_float32_products(benchmark):
    A = np.ones((SIZE, SIZE), np.float32)
    out = np.empty_like(A)
    rate(benchmark, lambda: np.matmul(A, A, out=out), PRODUCTS, "float32")
    assert (out == SIZE).all()


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_narrow_products(benchmark, kind):
    A = torch.ones((SIZE, SIZE), dtype=getattr(torch, kind))
    out = torch.empty((SIZE, SIZE), dtype=torch.int32 if kind == "int8" else torch.bfloat16)
    multiply = torch._int_mm if kind == "int8" else torch.mm
    rate(benchmark, lambda: multiply(A, A, out=out), PRODUCTS, kind)
    assert (out == SIZE).all()


def test_memory(benchmark):
    source = torch.ones(2**28, dtype=torch.uint8)  # 256 MiB: no cache holds it
    target = torch.empty_like(source)
    rate(benchmark, lambda: target.copy_(source), 2 * source.numel(), "memory, bytes read and written")
    assert (target == 1).all()
