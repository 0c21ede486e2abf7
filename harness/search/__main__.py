"""`python -m harness.search`: compile the loops of the search.

`make install` does it. They are kept beside their source; else the first search compiles them, which takes seconds.
"""

import numpy as np

from harness.search.engine import Engine
from harness.search.exact import search

ENGINES: tuple[Engine, ...] = ("int8", "float32", "faiss")


def compile_all() -> None:
    """Search a few rows by each engine of the processor."""
    X = np.random.default_rng(0).standard_normal((600, 64), dtype=np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    for engine in ENGINES:
        try:
            search(X, np.arange(600), [200, 300], 300, 5, engine)
        except (AttributeError, RuntimeError):  # a torch without int8
            continue


if __name__ == "__main__":
    compile_all()
