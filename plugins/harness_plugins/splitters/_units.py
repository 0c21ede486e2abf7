"""Units of rows that stay together, and their order by hashes."""

import hashlib

import numpy as np

from harness import Labelled


def units(dataset: Labelled) -> tuple[np.ndarray, np.ndarray]:
    """Return (U,) names of units and (n,) the unit of each row.

    A unit is a row or a group; units are in the order of their first row.
    """
    keys = dataset.ids if dataset.groups is None else dataset.groups
    names, first, unit = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return names[order], place[unit.reshape(-1)]


def hashed_order(names: np.ndarray, salt: str) -> np.ndarray:
    """Return (U,) positions ordered by SHA-256(salt, name).

    Unlike a generator's permutation it does not depend on the order of the rows, on their number or on NumPy's version.
    """
    digests = [hashlib.sha256(f"{salt}:{name}".encode()).digest() for name in names.tolist()]
    return np.array(sorted(range(len(digests)), key=digests.__getitem__), np.int64)


def check_ratios(ratios: tuple[float, ...], below: float = 1.0) -> None:
    """Raise ValueError unless ratios differ and lie in (0, `below`)."""
    wrong = [ratio for ratio in ratios if not 0 < ratio < 1 or ratio > below + 1e-12]
    if wrong:
        limit = "less than 1" if below == 1 else f"at most {below:g}"
        raise ValueError(f"a ratio must be more than 0 and {limit}, got {wrong[0]:g}")
    if not ratios or len(set(ratios)) < len(ratios):
        raise ValueError(f"ratios must be one or more different numbers, got {list(ratios)}")
