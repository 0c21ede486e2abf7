"""Which labels to take: those sure enough for an accuracy, or those of the best rows.

A threshold is looked for among a few, on rows whose truth is known. Looking at several and taking the one that passes
is a choice on the data, so each must pass at its share of the risk (Bonferroni): then the one taken keeps its word with
the confidence stated, whichever it is.
"""

from dataclasses import dataclass

import numpy as np

from harness.statistics.intervals import MISS, Numbers, at_least

STEPS = 20  # thresholds that are looked at: those that accept 5 %, 10 %, ... of the rows


@dataclass(frozen=True)
class Threshold:
    """The least confidence that is accepted; None where no threshold keeps the target."""

    confidence: float | None
    bound: float  # accuracy of the accepted rows that is exceeded with 95 % confidence; the best one where None


def threshold(
    confidence: Numbers, hit: Numbers, target: float, unit: Numbers | None = None, miss: float = MISS
) -> Threshold:
    """Find the lowest confidence above which the labels are right in more than `target` of the rows.

    `confidence` and `hit` (n,) are those of rows whose truth is known and that nothing was fitted on.
    """
    order = np.sort(confidence)[::-1]
    sizes = np.unique(np.ceil(np.arange(1, STEPS + 1) / STEPS * len(order)).astype(np.int64))
    levels = np.unique(order[sizes - 1]) if len(order) else np.empty(0)  # lowest first
    best = 0.0
    for level in levels:
        taken = confidence >= level
        bound = at_least(hit[taken], None if unit is None else unit[taken], miss / STEPS)
        if bound >= target:
            return Threshold(float(level), bound)
        best = max(best, bound)
    return Threshold(None, best)


def by_class(
    confidence: Numbers, label: Numbers, hit: Numbers, n_classes: int, target: float, unit: Numbers | None = None
) -> list[Threshold]:
    """Return a threshold for the rows labelled as each class, all of them together at the stated confidence."""
    found = []
    for c in range(n_classes):
        here = label == c
        inside = None if unit is None else unit[here]
        found.append(threshold(confidence[here], hit[here], target, inside, MISS / n_classes))
    return found


def accepted(confidence: Numbers, label: Numbers, levels: Numbers, keep: float = 0.0) -> Numbers:
    """Return (m,) True for the rows whose confidence is at least the level (C,) of their label.

    Of the rows labelled as a class at least the share `keep` is accepted, the surest first, whatever its level: without
    it a class that is rare and hard vanishes.
    """
    taken = confidence >= levels[label]
    for c in np.unique(label) if keep > 0 else ():
        rows = np.flatnonzero(label == c)
        surest = rows[np.argsort(-confidence[rows], kind="stable")]
        taken[surest[: int(np.ceil(keep * len(rows)))]] = True
    return np.asarray(taken)


def top(score: Numbers, share: float) -> Numbers:
    """Return (m,) True for the `share` of rows with the highest score, one at least; ties to earlier rows."""
    taken = np.zeros(len(score), np.bool_)
    taken[np.argsort(-score, kind="stable")[: max(1, int(share * len(score)))]] = True
    return taken
