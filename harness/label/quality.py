"""How good the labels are, measured on labelled rows that neither the labeler nor a rule has learnt from.

These rows were answered for by the labelers of the folds. What is stated is of the last one, which gives the labels:
every number but the calibration errors is carried over to it (`panel`). What its labels show by themselves is no
estimate: a class that it gives to no row has a recall of 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.label.label_metrics import Figures, label_figures
from harness.label.postprocess import LabelledRows, LabelOptions, Postprocessor
from harness.label.refit import Transfers
from harness.statistics.intervals import Interval, Numbers, bootstrap_interval
from harness.statistics.metrics import confidence_error, macro_f1
from harness.statistics.prediction_powered import PoolEstimate, Sample, estimate_mean

TWO_SIDED_ALPHA = 0.1  # the upper end of an interval that misses in 10 % is exceeded in 5 %


@dataclass(frozen=True)
class Calibrated:
    """A calibration error before and after, and the bound that the error after stays under with 95 % confidence."""

    before: float
    after: float
    at_most: float


@dataclass(frozen=True)
class Quality:
    """Intervals hold the truth of the rows that the refit labeler labels, with 95 % confidence each."""

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
    accepted: float  # share of the unlabelled rows that is accepted: counted
    accepted_right: Interval | None  # of the accepted: labelled right, or of a selection: as good as wanted
    out_of_fold: Mapping[str, float | None]  # the same numbers as measured, of the labelers of the folds
    unexplained: float  # part of the luck of a training that is not seen on the panel
    panel: int  # rows on which the refit labeler was compared with those of the folds; 0: it was not


def figures_by_fold(
    answers: LabelledRows, y: Numbers, n_classes: int, fold: Numbers, options: LabelOptions
) -> list[Figures]:
    """Return what is measured on the held rows of each fold."""
    truth = np.eye(n_classes)[y]
    return [label_figures(answers.of(fold == number), truth[fold == number], options) for number in np.unique(fold)]


def measure_quality(
    raw: Numbers,
    answers: LabelledRows,
    y: Numbers,
    unit: Numbers | None,
    postprocessor: Postprocessor,
    transfers: Transfers,
    given: LabelledRows,
) -> Quality:
    """Measure out-of-fold answers against the truth y (n,), and state it of the answers `given` to unlabelled rows.

    `raw` (n, C) are the labeler's own probabilities, out of fold.
    """
    label, n_classes = answers.label, raw.shape[1]
    hit, inside = label == y, (answers.low <= y) & (y <= answers.high)
    confusion = y * n_classes + label
    rows, to = np.arange(len(y)), transfers.by_figure

    def f1(count: Numbers) -> float:
        return macro_f1(np.bincount(confusion, count, n_classes**2).reshape(n_classes, n_classes))

    def of(name: str, values: Numbers, mask: Numbers) -> Interval | None:
        return to[name].share(values[mask], None if unit is None else unit[mask])

    def among(name: str, values: Numbers, mask: Numbers, chosen: Numbers) -> Interval | None:
        """The same of rows that the labeler chose, of which there are as many as it has chosen."""
        if not chosen.any():
            return None
        carried = replace(to[name], spread=1 + mask.sum() / chosen.sum())
        return carried.share(values[mask], None if unit is None else unit[mask])

    def held(name: str, values: Numbers, c: int, holds: Numbers) -> Interval | None:
        """The same of the rows of class c; where no answer `holds` it, or every one does, there is no doubt."""
        found = of(name, values, y == c)
        certain = float(holds.all())
        return found if found is None or holds.any() != holds.all() else Interval(certain, certain, certain, found.n)

    by_class = range(n_classes)
    selects = postprocessor.options.top is not None or postprocessor.options.at_least is not None
    right = y >= postprocessor.options.good if selects else hit
    plain = label_figures(answers, np.eye(n_classes)[y], postprocessor.options)
    return Quality(
        len(y),
        _some(to["accuracy"].share(hit, unit)),
        to["macro_f1"].widen(bootstrap_interval(f1, len(y), unit)),
        to["mae"].mean(np.abs(label - y), unit),
        {c: held(f"recall {c}", hit, c, given.label == c) for c in by_class},
        {c: among(f"precision {c}", hit, label == c, given.label == c) for c in by_class},
        _calibrated(raw[rows, label], answers.confidence, hit, unit),
        {c: _calibrated(raw[:, c], answers.proba[:, c], y == c, unit) for c in by_class},
        to["overconfidence"].mean(answers.confidence - hit, unit),
        _some(to["coverage"].share(inside, unit)),
        {c: held(f"coverage {c}", inside, c, (given.low <= c) & (c <= given.high)) for c in by_class},
        float((answers.high - answers.low + 1).mean()),
        float(given.accepted.mean()),
        among("accepted_right", right, answers.accepted, given.accepted),
        {name: each.value if each.rows else None for name, each in plain.items()},
        transfers.unexplained,
        transfers.rows,
    )


@dataclass(frozen=True)
class Pool:
    """Means over the whole pool, labelled and unlabelled rows together."""

    shares: Mapping[int, PoolEstimate]  # of each class
    at_least: Mapping[int, PoolEstimate]  # class -> share of rows of it or a higher one
    score: PoolEstimate  # mean class


def estimate_pool(y: Numbers, held: Numbers, pool: Numbers, known: Sample, asked: Sample, label: Numbers) -> Pool:
    """Estimate the pool from labels y (n,), and out-of-fold probabilities of labelled (n, C) and other rows (p, C).

    `label` (m,) are those that the unlabelled rows are given.
    """
    n_classes = held.shape[1]
    everyone = np.concatenate([y, label])

    def one(truth: Numbers, weight: Numbers, naive: Numbers) -> PoolEstimate:
        return estimate_mean(truth, held @ weight, pool @ weight, known, asked, float(naive.mean()))

    classes = np.arange(n_classes)
    return Pool(
        {c: one(y == c, (classes == c).astype(np.float64), everyone == c) for c in range(n_classes)},
        {c: one(y >= c, (classes >= c).astype(np.float64), everyone >= c) for c in range(1, n_classes)},
        one(y.astype(np.float64), classes.astype(np.float64), everyone),
    )


def _calibrated(before: Numbers, after: Numbers, hit: Numbers, unit: Numbers | None) -> Calibrated:
    before = before.astype(np.float64)
    found = bootstrap_interval(lambda count: confidence_error(after, hit, count), len(hit), unit, TWO_SIDED_ALPHA)
    return Calibrated(confidence_error(before, hit), found.value, max(found.high, found.value))


def _some(interval: Interval | None) -> Interval:
    assert interval is not None, "there are labelled rows"
    return interval
