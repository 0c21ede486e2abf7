"""Compile the loops of the neighbour search for all later runs: `python -m harness.search`, part of `make install`.

They are kept beside their source; without this the first search compiles them, which takes some seconds.
"""

import numpy as np

from harness.search.engine import Engine
from harness.search.exact import search

KINDS: tuple[Engine, ...] = ("int8", "float32", "faiss")


def compile_all() -> None:
    """Search a few rows with every engine of the processor."""
    X = np.random.default_rng(0).standard_normal((600, 64), dtype=np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    for kind in KINDS:
        try:
            search(X, np.arange(600), [200, 300], 300, 5, kind)
        except (AttributeError, RuntimeError):  # a torch without int8
            continue


if __name__ == "__main__":
    compile_all()
