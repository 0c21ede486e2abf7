"""Which rows to label next: unsure ones, unlike each other, of classes that the labeler knows least.

The k rows are those nearest to the centres of a k-means over the most wanted rows, each weighed by how much it is
wanted (Zhdanov 2019). A row is wanted by the entropy of its probabilities times the need of the classes it may be of;
the need of a class is 1 - F1 out of fold.
"""

from collections.abc import Sequence

import numpy as np

from harness.plugin.block import Block, Floats, Rows, fuse
from harness.search.neighbors import normalize
from harness.statistics.intervals import Numbers

CANDIDATES_PER_ROW = 10  # candidates for each row that is suggested
MAX_CANDIDATES = 20_000  # candidates


def class_need(y: Numbers, label: Numbers, n_classes: int) -> Numbers:
    """Return (C,) 1 - F1 of each class, from labels y (n,) and out-of-fold guesses (n,); 1 of a class never met."""
    table = np.bincount(y * n_classes + label, minlength=n_classes**2).reshape(n_classes, n_classes)
    both = table.sum(axis=0) + table.sum(axis=1)
    return np.asarray(1 - np.divide(2 * np.diag(table), both, out=np.zeros(n_classes), where=both > 0))


def uncertainty(proba: Numbers, need: Numbers) -> Numbers:
    """Return (m,) how much each row is wanted, from calibrated (m, C) probabilities: 0 for one that is sure."""
    p = np.clip(proba.astype(np.float64), 1e-12, 1.0)
    entropy = -(p * np.log(p)).sum(axis=1) / np.log(proba.shape[1])
    return np.asarray(entropy * (proba @ need))


def choose_diverse(want: Numbers, rows: Rows, fitted_on: Rows, blocks: Sequence[Block], k: int) -> Numbers:
    """Return (k,) positions among the `rows` (m,), the most wanted first; all where there are no more than k.

    The rows are compared by the cosine of their `blocks`, features scaled as for the labelled rows `fitted_on`. Without
    blocks, or where k is more than half of MAX_CANDIDATES, they are the most wanted, however alike.
    """
    best = np.argsort(-want, kind="stable")
    if k >= len(rows) or k > MAX_CANDIDATES // 2 or not blocks:
        return best[:k]
    candidates = np.sort(best[: min(CANDIDATES_PER_ROW * k, MAX_CANDIDATES)])
    (X,) = fuse(blocks, fitted_on, rows[candidates])
    chosen = candidates[_kmeans_sample(normalize(X), want[candidates], k)]
    return np.asarray(chosen[np.argsort(-want[chosen], kind="stable")])


def _kmeans_sample(X: Floats, weight: Numbers, k: int) -> Numbers:
    """Return k different positions, one near each centre of a weighted k-means over the rows of X."""
    from sklearn.cluster import MiniBatchKMeans

    weight = weight + 1e-9  # rows that are all sure must not all weigh nothing
    means = MiniBatchKMeans(k, random_state=0, n_init=1, batch_size=4096, reassignment_ratio=0.0)
    place = means.fit(X, sample_weight=weight).predict(X)
    off = ((X - means.cluster_centers_[place]) ** 2).sum(axis=1)
    first = np.lexsort((np.arange(len(X)), off, place))
    _, start = np.unique(place[first], return_index=True)
    taken = first[start]
    rest = np.setdiff1d(np.arange(len(X)), taken)  # a centre may be nobody's nearest
    rest = rest[np.argsort(-weight[rest], kind="stable")]
    return np.concatenate([taken, rest[: k - len(taken)]])
