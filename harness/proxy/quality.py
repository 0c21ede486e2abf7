"""How good the labels are, measured on labelled rows that neither the labeler nor a rule has learnt from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.metrics import macro_f1
from harness.proxy.calibration import confidence_error
from harness.proxy.prediction_powered import Estimate, Sample, estimate
from harness.proxy.rules import Answers, Rules
from harness.statistics.intervals import Interval, Numbers, bootstrap, mean, share

ONE_SIDED = 0.1  # the upper end of an interval that misses in 10 % is exceeded in 5 %


@dataclass(frozen=True)
class Calibrated:
    """A calibration error before and after, and the bound that the error after stays under with 95 % confidence."""

    before: float
    after: float
    at_most: float


@dataclass(frozen=True)
class Quality:
    """Every number is of rows labelled out of fold. Intervals hold the truth with 95 % confidence each."""

    n: int
    accuracy: Interval
    macro_f1: Interval
    mae: Interval
    recall: Mapping[int, Interval | None]  # class -> share of its rows labelled so
    precision: Mapping[int, Interval | None]  # class -> share of the rows labelled so that are of it
    calibration: Calibrated  # of the confidence
    calibration_by_class: Mapping[int, Calibrated]  # of each class's probability
    overconfidence: Interval  # mean confidence - accuracy
    coverage: Interval  # share of rows whose set holds the truth
    coverage_by_class: Mapping[int, Interval | None]
    width: float  # mean classes of a set
    accepted: Interval | None  # share accepted
    accepted_right: Interval | None  # of the accepted: labelled right, or of a selection: as good as wanted


def measure(raw: Numbers, answers: Answers, y: Numbers, unit: Numbers | None, rules: Rules) -> Quality:
    """Measure out-of-fold answers against the truth y (n,); `raw` (n, C) are the labeler's own probabilities."""
    label, n_classes = answers.label, raw.shape[1]
    hit, inside = label == y, (answers.low <= y) & (y <= answers.high)
    confusion = y * n_classes + label
    rows = np.arange(len(y))

    def f1(count: Numbers) -> float:
        return macro_f1(np.bincount(confusion, count, n_classes**2).reshape(n_classes, n_classes))

    def of(values: Numbers, mask: Numbers) -> Interval | None:
        return share(values[mask], None if unit is None else unit[mask])

    by_class = range(n_classes)
    selects = rules.wish.top is not None or rules.wish.at_least is not None
    return Quality(
        len(y),
        _some(share(hit, unit)),
        bootstrap(f1, len(y), unit),
        mean(np.abs(label - y), unit),
        {c: of(hit, y == c) for c in by_class},
        {c: of(hit, label == c) for c in by_class},
        _calibrated(raw[rows, label], answers.confidence, hit, unit),
        {c: _calibrated(raw[:, c], answers.proba[:, c], y == c, unit) for c in by_class},
        mean(answers.confidence - hit, unit),
        _some(share(inside, unit)),
        {c: of(inside, y == c) for c in by_class},
        float((answers.high - answers.low + 1).mean()),
        share(answers.accepted, unit),
        of(y >= rules.wish.good if selects else hit, answers.accepted),
    )


@dataclass(frozen=True)
class Pool:
    """Means over the whole pool, labelled and unlabelled rows together."""

    shares: Mapping[int, Estimate]  # of each class
    at_least: Mapping[int, Estimate]  # class -> share of rows of it or a higher one
    score: Estimate  # mean class


def of_pool(y: Numbers, held: Numbers, pool: Numbers, known: Sample, asked: Sample, label: Numbers) -> Pool:
    """Estimate the pool from labels y (n,), and out-of-fold probabilities of labelled (n, C) and other rows (p, C).

    `label` (m,) are those that the unlabelled rows are given.
    """
    n_classes = held.shape[1]
    everyone = np.concatenate([y, label])

    def one(truth: Numbers, weight: Numbers, naive: Numbers) -> Estimate:
        return estimate(truth, held @ weight, pool @ weight, known, asked, float(naive.mean()))

    classes = np.arange(n_classes)
    return Pool(
        {c: one(y == c, (classes == c).astype(np.float64), everyone == c) for c in range(n_classes)},
        {c: one(y >= c, (classes >= c).astype(np.float64), everyone >= c) for c in range(1, n_classes)},
        one(y.astype(np.float64), classes.astype(np.float64), everyone),
    )


def _calibrated(before: Numbers, after: Numbers, hit: Numbers, unit: Numbers | None) -> Calibrated:
    before = before.astype(np.float64)
    found = bootstrap(lambda count: confidence_error(after, hit, count), len(hit), unit, ONE_SIDED)
    return Calibrated(confidence_error(before, hit), found.value, max(found.high, found.value))


def _some(interval: Interval | None) -> Interval:
    assert interval is not None, "there are labelled rows"
    return interval
