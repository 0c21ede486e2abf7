"""Active learning: diverse rows of high entropy, of classes with a low F1.

The k rows are those nearest to the centres of a weighted k-means over the rows of highest weight (Zhdanov 2019). The
weight of a row is the entropy of its probabilities times the need of the classes it may be of; the need of a class is
1 - F1 out of fold.
"""

from collections.abc import Sequence

import numpy as np

from harness.plugin.block import Block, Floats, Rows, fuse
from harness.search.neighbors import normalize
from harness.statistics.intervals import Numbers

CANDIDATES_PER_ROW = 10  # candidates for each row that is suggested
MAX_CANDIDATES = 20_000


def class_need(y: Numbers, label: Numbers, n_classes: int) -> Numbers:
    """Return (C,) 1 - F1 of each class; 1 of a class without rows.

    From true classes y (n,) and out-of-fold labels (n,).
    """
    confusion = np.bincount(y * n_classes + label, minlength=n_classes**2).reshape(n_classes, n_classes)
    both = confusion.sum(axis=0) + confusion.sum(axis=1)
    return np.asarray(1 - np.divide(2 * np.diag(confusion), both, out=np.zeros(n_classes), where=both > 0))


def uncertainty(proba: Numbers, need: Numbers) -> Numbers:
    """Return (m,) the entropy of each row times the need of its classes.

    From calibrated probabilities (m, C) and need (C,). The entropy is normalised to 1; the need of a row is the mean
    over its probabilities.
    """
    p = np.clip(proba.astype(np.float64), 1e-12, 1.0)
    entropy = -(p * np.log(p)).sum(axis=1) / np.log(proba.shape[1])
    return np.asarray(entropy * (proba @ need))


def choose_diverse(weight: Numbers, rows: Rows, fitted_on: Rows, blocks: Sequence[Block], k: int) -> Numbers:
    """Return (k,) positions among `rows` (m,), the highest weight (m,) first.

    The rows are compared by the cosine of their `blocks`, features scaled as for the labelled rows `fitted_on`. Without
    blocks, or where k is more than half of MAX_CANDIDATES, they are those of highest weight, however alike. All where
    there are no more than k.
    """
    best = np.argsort(-weight, kind="stable")
    if k >= len(rows) or k > MAX_CANDIDATES // 2 or not blocks:
        return best[:k]
    candidates = np.sort(best[: min(CANDIDATES_PER_ROW * k, MAX_CANDIDATES)])
    (X,) = fuse(blocks, fitted_on, rows[candidates])
    chosen = candidates[_kmeans_sample(normalize(X), weight[candidates], k)]
    return np.asarray(chosen[np.argsort(-weight[chosen], kind="stable")])


def _kmeans_sample(X: Floats, weight: Numbers, k: int) -> Numbers:
    """Return k positions, one near each centre of a weighted k-means over X."""
    from sklearn.cluster import MiniBatchKMeans

    weight = weight + 1e-9  # the sum of the weights must not be 0
    means = MiniBatchKMeans(k, random_state=0, n_init=1, batch_size=4096, reassignment_ratio=0.0)
    cluster = means.fit(X, sample_weight=weight).predict(X)
    distance = ((X - means.cluster_centers_[cluster]) ** 2).sum(axis=1)
    order = np.lexsort((np.arange(len(X)), distance, cluster))
    _, start = np.unique(cluster[order], return_index=True)
    chosen = order[start]
    rest = np.setdiff1d(np.arange(len(X)), chosen)  # for clusters without a row
    rest = rest[np.argsort(-weight[rest], kind="stable")]
    return np.concatenate([chosen, rest[: k - len(chosen)]])
