"""Compile loops with numba, and keep them on disk where that is possible."""

from collections.abc import Callable
from typing import Any

import numba


def njit(*signature: Any, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return numba's decorator; loops that no folder can keep are not kept.

    That is so in a container whose packages are read-only and whose user has no home.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(*signature, **options)(function)
        except (RuntimeError, OSError):  # no folder, or one that cannot be written
            return numba.njit(*signature, **{**options, "cache": False})(function)

    return decorate
