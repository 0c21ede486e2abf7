"""Rough inner products of rows by block: int8, float32 or on a GPU."""

import threading
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, HarnessError
from harness.plugin.block import Floats
from harness.search.engine import Engine

Kind = Literal["int8", "float32", "cuda"]
RowSelection = slice | NDArray[np.intp]  # some of the rows

QUANTIZED_ROWS = 4_096  # rows quantized at a time
TIMING_TRIALS = 4
INT8_LANES = 64  # int8 columns are filled up to a multiple of this


class Products(Protocol):
    """Rough inner products of the rows of a matrix.

    A cosine is about scale[q] * scale[b] * product[q, b] + shift[q] + shift[b].
    """

    scale: Floats  # (rows,) positive
    shift: Floats  # (rows,)

    def block(self, queries: RowSelection, base: slice) -> NDArray[Any]:
        """Return the (q, b) products of `queries` with `base`.

        The next call of the same thread overwrites the array.
        """
        ...


class Int8:
    """Products of rows that are centred and quantized to int8.

    With VNNI they are four times as fast as float32. A step is a 127th of the row's largest value. Rows of an embedding
    lean one way, some of them in a few columns that are much larger than all others; without the mean c the steps are
    finer: x y = (x - c) (y - c) + (x c - c c / 2) + (y c - c c / 2).
    """

    def __init__(self, X: Floats) -> None:
        import torch

        self.scale, self.shift = np.empty(len(X), np.float32), np.empty(len(X), np.float32)
        quantized = np.zeros((len(X), -(-X.shape[1] // INT8_LANES) * INT8_LANES), np.int8)
        parts = [slice(start, start + QUANTIZED_ROWS) for start in range(0, len(X), QUANTIZED_ROWS)]
        center = (sum(X[part].sum(axis=0, dtype=np.float64) for part in parts) / max(len(X), 1)).astype(np.float32)
        for part in parts:
            centred = X[part] - center
            largest = np.abs(centred).max(axis=1)
            largest[largest == 0] = 1
            self.scale[part], self.shift[part] = largest / 127, X[part] @ center - center @ center / 2
            quantized[part, : X.shape[1]] = np.rint(centred * (127 / largest)[:, None])
        self._torch, self._quantized, self._local = torch, torch.from_numpy(quantized), threading.local()

    def block(self, queries: RowSelection, base: slice) -> NDArray[Any]:
        """Return the (q, b) products as int32."""
        shape = (len(self.scale[queries]), base.stop - base.start)
        if getattr(self._local, "shape", None) != shape:
            self._local.shape, self._local.out = shape, self._torch.empty(shape, dtype=self._torch.int32)
        self._torch._int_mm(self._quantized[queries], self._quantized[base].T, out=self._local.out)
        out: NDArray[Any] = self._local.out.numpy()
        return out


class Float32:
    """Products of the rows in float32, by NumPy."""

    def __init__(self, X: Floats) -> None:
        self.scale, self.shift = np.ones(len(X), np.float32), np.zeros(len(X), np.float32)
        self._X, self._local = X, threading.local()

    def block(self, queries: RowSelection, base: slice) -> NDArray[Any]:
        """Return the (q, b) products as float32."""
        shape = (len(self.scale[queries]), base.stop - base.start)
        if getattr(self._local, "shape", None) != shape:
            self._local.shape, self._local.out = shape, np.empty(shape, np.float32)
        out: NDArray[Any] = np.matmul(self._X[queries], self._X[base].T, out=self._local.out)
        return out


class Cuda:
    """Products in float32 on a GPU, or on another device of torch."""

    def __init__(self, X: Floats, device: str = "cuda") -> None:
        import torch

        self.scale, self.shift = np.ones(len(X), np.float32), np.zeros(len(X), np.float32)
        self._X = torch.from_numpy(X).to(device)

    def block(self, queries: RowSelection, base: slice) -> NDArray[Any]:
        """Return the (q, b) products as float32."""
        out: NDArray[Any] = (self._X[queries] @ self._X[base].T).cpu().numpy()
        return out


def products(kind: Kind, X: Floats) -> Products:
    """Prepare the products of X (rows, d) in the given precision or device."""
    classes: dict[Kind, Callable[[Floats], Products]] = {"int8": Int8, "float32": Float32, "cuda": Cuda}
    return classes[kind](X)


def fastest(d: int) -> Kind:
    """Time the products of rows with `d` columns; return the fastest kind.

    A visible GPU is taken without a trial.
    """
    import torch

    if torch.cuda.is_available():
        return "cuda"
    X = np.random.default_rng(0).standard_normal((2_048, d), dtype=np.float32)
    try:
        return "int8" if _is_faster(Int8(X), Float32(X)) else "float32"
    except (AttributeError, RuntimeError):  # a torch without this product
        return "float32"


def check_engine(engine: Engine, device: str) -> None:
    """Raise HarnessError if a run on `device` cannot search with `engine`.

    Raises DataError where this machine cannot.
    """
    if engine == "cuda" and device != "cuda":
        raise HarnessError("--engine cuda: this run shall not see a GPU; add --device cuda")
    if engine == "int8":
        try:
            Int8(np.eye(32, dtype=np.float32)).block(slice(0, 32), slice(0, 32))
        except (AttributeError, RuntimeError):
            raise DataError("--engine int8: the torch that is installed cannot multiply int8 here") from None


def _is_faster(candidate: Products, reference: Products) -> bool:
    """Return True if the candidate is clearly faster than the reference.

    That is, if it takes less than 0.8 of the time. Both are timed in turns, by the CPU time of this thread.
    """
    seconds = [float("inf"), float("inf")]
    for _ in range(TIMING_TRIALS):
        for number, trial in enumerate((candidate, reference)):
            start = time.thread_time()
            trial.block(slice(0, 512), slice(0, 2_048))
            seconds[number] = min(seconds[number], time.thread_time() - start)
    return seconds[0] < 0.8 * seconds[1]
