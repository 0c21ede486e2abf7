"""How accuracy grows with labels, and where more of them would help: the curve, and the last doubling of each part."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.errors import HarnessError
from harness.scoring.leaderboard import MeanStd
from harness.statistics import learning_curve
from harness.statistics.intervals import Interval, Numbers, bootstrap_interval, mean_interval
from harness.statistics.learning_curve import LabelsNeeded, Refusal

TRAIN_SHARES = (1 / 8, 1 / 4, 1 / 2)  # of the train rows of a fold; all of them are the fourth size that a curve takes


@dataclass(frozen=True)
class SizePoint:
    """One train size."""

    labels: int  # median over the folds
    accuracy: MeanStd  # over the folds


@dataclass(frozen=True)
class ClassGrowth:
    """The labelled rows of one class, answered for out of fold."""

    labelled: int
    half: float  # F1 with half of the labels
    whole: float  # F1 with all
    gain: Interval  # whole - half
    errors: float  # share of all errors that are of its rows


@dataclass(frozen=True)
class SourceGrowth:
    """The rows of one source; None where too few of its rows are labelled."""

    labelled: int
    unlabelled: int
    half: float | None  # accuracy out of fold with half of the labels
    whole: float | None  # with all
    gain: Interval | None
    errors: float | None  # rows: those to expect among the unlabelled


@dataclass(frozen=True)
class Growth:
    """What more labels would bring. The law is error = a n^-b + c at n labels (Hestness et al. 2017)."""

    target: float  # accuracy
    labels: int  # that there are
    points: tuple[SizePoint, ...] = ()
    law: Mapping[str, float] | None = None
    needed: float | None = None  # labels that bring the accuracy to the target
    low: float | None = None  # of its interval; None where there is none
    high: float | None = None  # None with a `low`: it may be out of reach
    why: str = ""  # there is no number
    by_class: Mapping[int, ClassGrowth] = field(default_factory=dict)
    by_source: Mapping[str, SourceGrowth] = field(default_factory=dict)


def check_target(target: float) -> None:
    """Raise a HarnessError where no accuracy can be `target`."""
    if not 0 < target < 1:
        raise HarnessError(f"--labels-for {target:g}: must be between 0 and 1, as 0.8 for 80 %")


def nested_parts(y: Numbers, unit: Numbers | None, seed: int) -> list[Numbers]:
    """Return for each of TRAIN_SHARES the increasing positions of a random part of n rows, each within the next.

    Whole units (n,) are taken one after the other. Without units every class of y (n,) is spread evenly over the order
    from a random start: systematic sampling (Madow and Madow 1944), so that a part has its share of each but for a row.
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
        names, place = np.unique(unit, return_inverse=True)
        key = rng.permutation(len(names))[place.reshape(-1)].astype(np.float64)
    order = np.argsort(key, kind="stable")
    ends = np.flatnonzero(np.diff(key[order], append=np.inf)) + 1  # where no unit is cut
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
    """Follow the labels y (n,) through what was said of them out of fold (n,) by labelers of S train sizes.

    `size` (S, F) are the train rows of each fold, the last those of all labels and the one before of half of them;
    `label` (S, n) the guesses. `sources` are names, of the labelled rows (n,) and of the unlabelled ones (m,).
    """
    hit = label == y
    rows = np.bincount(fold)
    accuracy = np.stack([np.bincount(fold, each) / rows for each in hit])  # (S, F)
    n = np.rint(np.median(size, axis=1)).astype(np.int64)
    pairs = zip(n, accuracy, strict=True)
    points = tuple(SizePoint(int(k), MeanStd(float(a.mean()), float(a.std(ddof=1)), len(a))) for k, a in pairs)
    fit = learning_curve.fit_power_law(
        np.repeat(n, len(rows)), 1 - accuracy.ravel(), np.tile(np.arange(len(rows)), len(n))
    )
    found = fit if isinstance(fit, Refusal) else learning_curve.labels_needed(fit, 1 - target)
    return Growth(
        target,
        len(y),
        points,
        None if isinstance(fit, Refusal) else {"a": fit.a, "b": fit.b, "c": fit.c},
        *_needed_numbers(found),
        {c: _of_class(c, y, label, unit) for c in range(n_classes)},
        {} if sources is None else _by_source(hit, unit, *sources),
    )


def _needed_numbers(found: LabelsNeeded | Refusal) -> tuple[float | None, float | None, float | None, str]:
    if isinstance(found, Refusal):
        return None, None, None, found.reason
    return found.n, found.low, None if found.high is None or np.isinf(found.high) else found.high, ""


def _of_class(c: int, y: Numbers, label: Numbers, unit: Numbers | None) -> ClassGrowth:
    mine, wrong = y == c, label[-1] != y

    def f1(guess: Numbers, count: Numbers) -> float:
        both = count @ (mine.astype(np.int64) + (guess == c))
        return float(2 * (count @ (mine & (guess == c))) / both) if both else 0.0

    gain = bootstrap_interval(lambda count: f1(label[-1], count) - f1(label[-2], count), len(y), unit)
    one = np.ones(len(y), np.int64)
    share = float((mine & wrong).sum() / max(wrong.sum(), 1))
    return ClassGrowth(int(mine.sum()), f1(label[-2], one), f1(label[-1], one), gain, share)


def _by_source(hit: Numbers, unit: Numbers | None, known: Numbers, asked: Numbers) -> dict[str, SourceGrowth]:
    found = {}
    for name in np.unique(np.concatenate([known, asked])):
        mine, others = known == name, int((asked == name).sum())
        half, whole, gain = None, None, None
        if mine.any():
            half, whole = float(hit[-2, mine].mean()), float(hit[-1, mine].mean())
            apart = mean_interval(hit[-1, mine].astype(np.int64) - hit[-2, mine], None if unit is None else unit[mine])
            gain = apart if np.isfinite(apart.high) else None
        errors = None if whole is None else (1 - whole) * others
        found[str(name)] = SourceGrowth(int(mine.sum()), others, half, whole, gain, errors)
    return found
