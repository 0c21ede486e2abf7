"""Rough products of the rows of one matrix, a block at a time: in int8, in float32, or on a GPU."""

import threading
import time
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, HarnessError
from harness.plugin.block import Floats
from harness.search.engine import Engine

Kind = Literal["int8", "float32", "cuda"]
RowSelection = slice | NDArray[np.intp]  # some of the rows

QUANTIZED_ROWS = 4_096  # rows made int8 at a time
TIMING_TRIALS = 4
INT8_LANES = 64  # int8 columns are filled up to a multiple of this


class Products(Protocol):
    """What the search multiplies with: a cosine is about scale[q] * scale[b] * product[q, b] + shift[q] + shift[b]."""

    scale: Floats  # (rows,) positive
    shift: Floats  # (rows,)

    def block(self, queries: RowSelection, base: slice) -> NDArray[Any]:
        """Return the (q, b) products of some rows with a range of them; the array is the thread's own until it asks."""
        ...


class Int8:
    """Each row less the mean, in steps of a 127th of its largest value: four times as fast as float32 with VNNI.

    Rows of an embedding lean one way, some of them in a few columns that are much larger than all others. Without what
    all share, the steps are finer: x y = (x - c) (y - c) + (x c - c c / 2) + (y c - c c / 2).
    """

    def __init__(self, X: Floats) -> None:
        import torch

        self.scale, self.shift = np.empty(len(X), np.float32), np.empty(len(X), np.float32)
        whole = np.zeros((len(X), -(-X.shape[1] // INT8_LANES) * INT8_LANES), np.int8)
        parts = [slice(start, start + QUANTIZED_ROWS) for start in range(0, len(X), QUANTIZED_ROWS)]
        center = (sum(X[here].sum(axis=0, dtype=np.float64) for here in parts) / max(len(X), 1)).astype(np.float32)
        for here in parts:
            rest = X[here] - center
            largest = np.abs(rest).max(axis=1)
            largest[largest == 0] = 1
            self.scale[here], self.shift[here] = largest / 127, X[here] @ center - center @ center / 2
            whole[here, : X.shape[1]] = np.rint(rest * (127 / largest)[:, None])
        self._torch, self._whole, self._own = torch, torch.from_numpy(whole), threading.local()

    def block(self, queries: RowSelection, base: slice) -> NDArray[Any]:
        shape = (len(self.scale[queries]), base.stop - base.start)
        if getattr(self._own, "shape", None) != shape:
            self._own.shape, self._own.out = shape, self._torch.empty(shape, dtype=self._torch.int32)
        self._torch._int_mm(self._whole[queries], self._whole[base].T, out=self._own.out)
        out: NDArray[Any] = self._own.out.numpy()
        return out


class Float32:
    """The rows as they are, multiplied by NumPy."""

    def __init__(self, X: Floats) -> None:
        self.scale, self.shift = np.ones(len(X), np.float32), np.zeros(len(X), np.float32)
        self._X, self._own = X, threading.local()

    def block(self, queries: RowSelection, base: slice) -> NDArray[Any]:
        shape = (len(self.scale[queries]), base.stop - base.start)
        if getattr(self._own, "shape", None) != shape:
            self._own.shape, self._own.out = shape, np.empty(shape, np.float32)
        out: NDArray[Any] = np.matmul(self._X[queries], self._X[base].T, out=self._own.out)
        return out


class Cuda:
    """The rows in float32 on a GPU, or on any other device that torch names."""

    def __init__(self, X: Floats, device: str = "cuda") -> None:
        import torch

        self.scale, self.shift = np.ones(len(X), np.float32), np.zeros(len(X), np.float32)
        self._X = torch.from_numpy(X).to(device)

    def block(self, queries: RowSelection, base: slice) -> NDArray[Any]:
        out: NDArray[Any] = (self._X[queries] @ self._X[base].T).cpu().numpy()
        return out


def products(kind: Kind, X: Floats) -> Products:
    """Make X (rows, d) ready to be multiplied."""
    made: dict[Kind, Any] = {"int8": Int8, "float32": Float32, "cuda": Cuda}
    found: Products = made[kind](X)
    return found


def fastest(d: int) -> Kind:
    """Return what multiplies rows of `d` columns fastest here, by trying; a GPU where this process sees one."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    X = np.random.default_rng(0).standard_normal((2_048, d), dtype=np.float32)
    try:
        return "int8" if _is_faster(Int8(X), Float32(X)) else "float32"
    except (AttributeError, RuntimeError):  # a torch without this product
        return "float32"


def check_engine(engine: Engine, device: str) -> None:
    """Raise a HarnessError where this machine, or a run on `device`, cannot search with `engine`."""
    if engine == "cuda" and device != "cuda":
        raise HarnessError("--engine cuda: this run shall not see a GPU; add --device cuda")
    if engine == "int8":
        try:
            Int8(np.eye(32, dtype=np.float32)).block(slice(0, 32), slice(0, 32))
        except (AttributeError, RuntimeError):
            raise DataError("--engine int8: the torch that is installed cannot multiply int8 here") from None


def _is_faster(one: Products, other: Products) -> bool:
    """Say whether one multiplies clearly faster than the other: in turns, on the clock of this thread alone."""
    least = [float("inf"), float("inf")]
    for _ in range(TIMING_TRIALS):
        for place, trial in enumerate((one, other)):
            began = time.thread_time()
            trial.block(slice(0, 512), slice(0, 2_048))
            least[place] = min(least[place], time.thread_time() - began)
    return least[0] < 0.8 * least[1]
