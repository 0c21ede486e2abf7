"""The learning curve of a labeler, and where more labels would help.

The gain of a class or a source is that of the last doubling of the labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from harness.errors import HarnessError
from harness.scoring.leaderboard import MeanStd
from harness.statistics import learning_curve
from harness.statistics.intervals import Interval, Numbers, bootstrap_interval, mean_interval
from harness.statistics.learning_curve import LabelsNeeded, Refusal

TRAIN_SHARES = (1 / 8, 1 / 4, 1 / 2)  # of the train rows of a fold; all of them are the fourth size


@dataclass(frozen=True)
class SizePoint:
    """A point of the learning curve."""

    labels: int  # median over the folds
    accuracy: MeanStd  # over the folds


@dataclass(frozen=True)
class ClassGrowth:
    """The out-of-fold metrics of the labelled rows of one class."""

    labelled: int
    half: float  # F1 with half of the labels
    full: float  # F1 with all
    gain: Interval  # full - half
    errors: float  # share of all errors that are of its rows


@dataclass(frozen=True)
class SourceGrowth:
    """The rows of one source; None where too few of its rows are labelled."""

    labelled: int
    unlabelled: int
    half: float | None  # accuracy out of fold with half of the labels
    full: float | None  # with all
    gain: Interval | None
    errors: float | None  # rows: those to expect among the unlabelled


@dataclass(frozen=True)
class Growth:
    """The effect of more labels.

    The law is error = a n^-b + c at n labels (Hestness et al. 2017).
    """

    target: float  # accuracy
    labels: int  # labelled rows of the data
    points: tuple[SizePoint, ...] = ()
    law: Mapping[str, float] | None = None
    needed: float | None = None  # labels that bring the accuracy to the target; None where their interval is open
    low: float | None = None  # of its interval
    high: float | None = None
    at_least: float | None = None  # labels that it takes at least, where `needed` is None and the curve shows so much
    why: str = ""  # reason where neither is known
    by_class: Mapping[int, ClassGrowth] = field(default_factory=dict)
    by_source: Mapping[str, SourceGrowth] = field(default_factory=dict)


def check_target(target: float) -> None:
    """Raise a HarnessError if `target` is no accuracy between 0 and 1."""
    if not 0 < target < 1:
        raise HarnessError(f"--labels-for {target:g}: must be between 0 and 1, as 0.8 for 80 %")


def nested_parts(y: Numbers, unit: Numbers | None, seed: int) -> list[Numbers]:
    """Return nested random parts of n rows, one for each of TRAIN_SHARES.

    A part is increasing positions; it lies within the next. Whole units (n,) are drawn. Without units every class of
    y (n,) is spread evenly over the order from a random start: systematic sampling (Madow and Madow 1944), so that a
    part has its share of each class but for a row.
    """
    rng, n = np.random.default_rng(seed), len(y)
    if unit is None:
        count = np.bincount(y)
        shuffled = rng.permutation(n)
        by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
        rank = np.empty(n)
        rank[by_class] = np.arange(n) - np.repeat(np.cumsum(count) - count, count)
        key = (rank + rng.random(len(count))[y]) / count[y]
    else:
        names, codes = np.unique(unit, return_inverse=True)
        key = rng.permutation(len(names))[codes.reshape(-1)].astype(np.float64)
    order = np.argsort(key, kind="stable")
    ends = np.flatnonzero(np.diff(key[order], append=np.inf)) + 1  # between two units
    return [np.sort(order[: ends[np.abs(ends - share * n).argmin()]]) for share in TRAIN_SHARES]


def fit_growth(
    target: float,
    y: Numbers,
    fold: Numbers,
    size: Numbers,
    label: Numbers,
    n_classes: int,
    unit: Numbers | None = None,
    sources: tuple[Numbers, Numbers] | None = None,
) -> Growth:
    """Fit the learning curve of a labeler and the labels that it needs.

    `label` (S, n) are the out-of-fold labels of rows of class y (n,) by labelers of S train sizes; `size` (S, F) are
    the train rows of each fold, the last those of all labels and the one before of half of them. `sources` are names,
    of the labelled rows (n,) and of the unlabelled ones (m,).
    """
    hit = label == y
    rows = np.bincount(fold)
    accuracy = np.stack([np.bincount(fold, hits) / rows for hits in hit])  # (S, F)
    n = np.rint(np.median(size, axis=1)).astype(np.int64)
    pairs = zip(n, accuracy, strict=True)
    points = tuple(SizePoint(int(k), MeanStd(float(a.mean()), float(a.std(ddof=1)), len(a))) for k, a in pairs)
    fit = learning_curve.fit_power_law(
        np.repeat(n, len(rows)), 1 - accuracy.ravel(), np.tile(np.arange(len(rows)), len(n))
    )
    needed = fit if isinstance(fit, Refusal) else learning_curve.labels_needed(fit, 1 - target)
    growth = Growth(
        target,
        len(y),
        points,
        None if isinstance(fit, Refusal) else {"a": fit.a, "b": fit.b, "c": fit.c},
        by_class={c: _class_growth(c, y, label, unit) for c in range(n_classes)},
        by_source={} if sources is None else _growth_by_source(hit, unit, *sources),
    )
    if isinstance(fit, Refusal):
        return replace(growth, why=fit.reason)
    if isinstance(needed, LabelsNeeded) and needed.low is not None and needed.high is not None:
        closed = fit.smallest <= needed.low and np.isfinite(needed.high)
        if closed:
            return replace(growth, needed=needed.n, low=needed.low, high=needed.high)
    at_least = learning_curve.least_labels(fit, 1 - target)
    if at_least is not None:
        return replace(growth, at_least=at_least)
    return replace(growth, why=needed.reason if isinstance(needed, Refusal) else "the accuracies differ too much")


def _class_growth(c: int, y: Numbers, label: Numbers, unit: Numbers | None) -> ClassGrowth:
    of_class, wrong = y == c, label[-1] != y

    def f1(guess: Numbers, count: Numbers) -> float:
        both = count @ (of_class.astype(np.int64) + (guess == c))
        return float(2 * (count @ (of_class & (guess == c))) / both) if both else 0.0

    gain = bootstrap_interval(lambda count: f1(label[-1], count) - f1(label[-2], count), len(y), unit)
    once = np.ones(len(y), np.int64)
    error_share = float((of_class & wrong).sum() / max(wrong.sum(), 1))
    return ClassGrowth(int(of_class.sum()), f1(label[-2], once), f1(label[-1], once), gain, error_share)


def _growth_by_source(
    hit: Numbers, unit: Numbers | None, labelled: Numbers, unlabelled: Numbers
) -> dict[str, SourceGrowth]:
    by_source = {}
    for name in np.unique(np.concatenate([labelled, unlabelled])):
        rows, others = labelled == name, int((unlabelled == name).sum())
        half, full, gain = None, None, None
        if rows.any():
            half, full = float(hit[-2, rows].mean()), float(hit[-1, rows].mean())
            difference = hit[-1, rows].astype(np.int64) - hit[-2, rows]
            interval = mean_interval(difference, None if unit is None else unit[rows])
            gain = interval if np.isfinite(interval.high) else None
        errors = None if full is None else (1 - full) * others
        by_source[str(name)] = SourceGrowth(int(rows.sum()), others, half, full, gain, errors)
    return by_source
