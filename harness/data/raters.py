"""Fuse the labels of several raters into one."""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]


def fuse_labels(labels: Labels, how: str) -> Labels:
    """Fuse (N, R) raters' labels into (N,) labels.

    majority and consensus: the commonest label, the first rater's where several are equally common. median: the middle
    one, the lower of two.
    """
    if how == "median":
        return np.asarray(np.sort(labels, axis=1)[:, (labels.shape[1] - 1) // 2])
    votes = (labels[:, :, None] == labels[:, None, :]).sum(axis=2)  # (N, R) number of raters who agree with this one
    is_commonest = votes == votes.max(axis=1, keepdims=True)
    lowest = np.where(is_commonest, labels, np.iinfo(np.int64).max).min(axis=1)
    highest = np.where(is_commonest, labels, -1).max(axis=1)
    return np.asarray(np.where(lowest == highest, lowest, labels[:, 0]))


def consensus(labels: Labels) -> Mask:
    """Return (N,) True where at least two raters agree."""
    ordered = np.sort(labels, axis=1)
    return np.asarray((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
