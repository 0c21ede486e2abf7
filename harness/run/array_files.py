"""Read small arrays in one go: a suite may have thousands of them."""

import os
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

SMALL_BYTES = 2**20  # of a file that is read at once; a larger one is memory-mapped
FIXED_BYTES = 10  # of a header of version 1: magic, version and its length


def read_array(path: Path) -> NDArray[Any]:
    """Return the read-only array of a .npy file; a large one is memory-mapped.

    ValueError where the file is no such array.
    """
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size > SMALL_BYTES:
            return np.load(path, allow_pickle=False, mmap_mode="r")  # type: ignore[no-any-return]
        content = file.readall()
    start = FIXED_BYTES + int.from_bytes(content[FIXED_BYTES - 2 : FIXED_BYTES], "little")
    shape, fortran_order, dtype = _parse_header(content[:start])
    values = np.frombuffer(content, dtype, offset=start)
    return values.reshape(shape, order="F" if fortran_order else "C")


@lru_cache(256)
def _parse_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, Fortran order and type; thousands of files begin alike."""
    file = BytesIO(header)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("the array's format is none that is written for numbers")
    shape, fortran_order, dtype = npy.read_array_header_1_0(file)
    if dtype.hasobject:
        raise ValueError("the array holds objects, which are not read")
    return shape, fortran_order, dtype
