"""Sets of classes with a stated coverage of the true class.

Split conformal prediction (Vovk, Gammerman and Shafer 2005) with the ordinal score of Lu, Angelopoulos and Pomerantz
2022: a set grows from the label, each time by the likelier of its two neighbours, and the score of a class is the
probability gathered before it enters. The set of a row is every class whose score is at most a threshold, a
quantile of the scores that the true classes of calibration rows have; so it has no holes, and is never empty. Where
classes have no order, a set grows by the likeliest class that is not in it (Romano, Sesia and Candes 2020).

For one labeler and exchangeable rows the coverage is at least the stated one, on average over all rows; there is no
guarantee for the rows of one class or source. With out-of-fold scores and a labeler trained on all rows afterwards it
is cross-conformal (Vovk 2015), which keeps the coverage in practice but has no such proof; hence it is measured.
"""

import numpy as np

from harness.statistics.metrics import Numbers


def conformal_scores(proba: Numbers, label: Numbers | None = None, ordered: bool = True) -> Numbers:
    """Return the (n, C) conformal scores of the classes.

    The score is the probability gathered before a class enters its row's set: 0 for the first, which is `label` (n,),
    without it the likeliest. So the set of a row always holds its label, whatever a calibration has made of it. A set
    of `ordered` classes grows to its neighbours, another to the likeliest class.
    """
    first = proba.argmax(axis=1) if label is None else label
    return _neighbour_scores(proba, first) if ordered else _likeliest_scores(proba, first)


def _neighbour_scores(proba: Numbers, label: Numbers) -> Numbers:
    n, n_classes = proba.shape
    p = np.concatenate([np.full((n, 1), -1.0), proba.astype(np.float64), np.full((n, 1), -1.0)], axis=1)  # walls
    rows = np.arange(n)
    low = high = label + 1
    mass = p[rows, low].copy()
    scores = np.zeros((n, n_classes))
    for _ in range(n_classes - 1):
        down = p[rows, low - 1] >= p[rows, high + 1]  # of equals the lower class
        low, high = low - down, high + ~down
        entered = np.where(down, low, high)
        scores[rows, entered - 1] = mass
        mass += p[rows, entered]
    return scores


def _likeliest_scores(proba: Numbers, label: Numbers) -> Numbers:
    rank = proba.astype(np.float64)
    rank[np.arange(len(rank)), label] = np.inf
    order = np.argsort(-rank, axis=1, kind="stable")  # of equals the lower class
    sorted_proba = np.take_along_axis(proba.astype(np.float64), order, axis=1)
    before = np.cumsum(sorted_proba, axis=1) - sorted_proba
    scores = np.empty_like(before)
    np.put_along_axis(scores, order, np.where(np.arange(proba.shape[1]) == 0, 0.0, before), axis=1)
    return scores


def score_threshold(of_truth: Numbers, coverage: float) -> float:
    """Return the threshold of a `coverage`, from (n,) scores of true classes.

    It is the ceil((n + 1) coverage)-th smallest score. Where there are too few rows it is infinite, and every set has
    all classes.
    """
    rank = int(np.ceil((len(of_truth) + 1) * coverage - 1e-9))
    return float(np.sort(of_truth)[rank - 1]) if rank <= len(of_truth) else np.inf


def label_sets(proba: Numbers, at_most: float, label: Numbers | None = None, ordered: bool = True) -> Numbers:
    """Return (m, C) bool: the classes in each row's set."""
    return np.asarray(conformal_scores(proba, label, ordered) <= at_most)


def cross_fit_sets(
    proba: Numbers, y: Numbers, fold: Numbers, coverage: float, label: Numbers | None = None, ordered: bool = True
) -> Numbers:
    """Return the sets (n, C) of labelled rows, each fold by the others.

    The threshold of a fold is a quantile of the scores of all other folds.
    """
    scores = conformal_scores(proba, label, ordered)
    of_truth = scores[np.arange(len(y)), y]
    inside = np.empty(proba.shape, np.bool_)
    for number in np.unique(fold):
        held = fold == number
        inside[held] = scores[held] <= score_threshold(of_truth[~held], coverage)
    return inside
