"""The quality of the labels, measured on labelled rows out of fold.

These rows were answered for by the labelers of the folds. What is stated is of the refit labeler, which gives the
labels: every metric but the calibration errors is transferred to it (`refit`). What its labels show by themselves is no
estimate: a class that it gives to no row has a recall of 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.label.label_metrics import Measurements, measure_labels
from harness.label.postprocess import LabelledRows, PostprocessOptions, Postprocessor
from harness.label.refit import FEW_LABELS, Transfers
from harness.statistics.bootstrap import table_interval
from harness.statistics.intervals import Interval, Numbers, bootstrap_interval
from harness.statistics.metrics import confidence_error, f1_by_class, mae
from harness.statistics.prediction_powered import PoolEstimate, Sample, estimate_mean

TWO_SIDED_ALPHA = 0.1  # the upper end of an interval that misses in 10 % is exceeded in 5 %


@dataclass(frozen=True)
class CalibrationErrors:
    """The expected calibration error before and after calibration."""

    before: float
    after: float
    at_most: float  # upper bound of the error after, with 95 % confidence


@dataclass(frozen=True)
class Quality:
    """Metrics of the labels given to the unlabelled rows.

    Each interval holds the truth of these rows with 95 % confidence.
    """

    n: int
    accuracy: Interval
    macro_f1: Interval
    mae: Interval
    recall: Mapping[int, Interval | None]  # class -> share of its rows labelled so
    precision: Mapping[int, Interval | None]  # class -> share of the rows labelled so that are of it
    calibration: CalibrationErrors  # of the confidence
    calibration_by_class: Mapping[int, CalibrationErrors]  # of each class's probability
    overconfidence: Interval  # mean confidence - accuracy
    coverage: Interval  # share of rows whose set holds the truth
    coverage_by_class: Mapping[int, Interval | None]
    width: float  # mean classes of a set
    accepted: float  # share of the unlabelled rows that is accepted: counted
    accepted_right: Interval | None  # share of the accepted rows that are right, or where rows are selected, good
    out_of_fold: Mapping[str, float | None]  # the same metrics as measured, of the folds' labelers
    unexplained: float  # part of the variance between trainings that the shared pool does not show
    luck: Mapping[str, float]  # of the choice of the labeler, which is taken off
    shared_rows: int  # of the shared pool that the refit labeler was compared on; 0 where it was not compared


def measure_by_fold(
    answers: LabelledRows, y: Numbers, n_classes: int, fold: Numbers, options: PostprocessOptions
) -> list[Measurements]:
    """Return the metrics of the held-out rows of each fold."""
    truth = np.eye(n_classes)[y]
    return [measure_labels(answers.of(fold == number), truth[fold == number], options) for number in np.unique(fold)]


def measure_quality(
    raw: Numbers,
    answers: LabelledRows,
    y: Numbers,
    unit: Numbers | None,
    postprocessor: Postprocessor,
    transfers: Transfers,
    labels: LabelledRows,
) -> Quality:
    """Measure out-of-fold answers (n,) and transfer the metrics to `labels`.

    `raw` (n, C) are the labeler's own probabilities, out of fold; y (n,) is the truth; `labels` are those that the
    refit labeler gives to the unlabelled rows.
    """
    label, n_classes = answers.label, raw.shape[1]
    rows, transfer = np.arange(len(y)), transfers.by_metric
    hit, inside = label == y, answers.inside[rows, y]

    def share(name: str, values: Numbers, mask: Numbers) -> Interval | None:
        return transfer[name].share(values[mask], None if unit is None else unit[mask])

    def share_of_given(name: str, values: Numbers, mask: Numbers, given: Numbers) -> Interval | None:
        """Return the share among rows that the labeler chooses.

        `given` are the unlabelled rows it has chosen: the truth is that of so many.
        """
        if not given.any():
            return None
        widened = replace(transfer[name], spread=1 + mask.sum() / given.sum())
        return widened.share(values[mask], None if unit is None else unit[mask])

    def share_of_class(name: str, values: Numbers, c: int, holds: Numbers) -> Interval | None:
        """Return the share among rows of class c.

        It is certain where no label, or every label, given to the unlabelled rows `holds` the class.
        """
        interval = share(name, values, y == c)
        if interval is None or holds.any() != holds.all():
            return interval
        certain = float(holds.all())
        return Interval(certain, certain, certain, interval.n)

    classes = range(n_classes)
    right = y >= postprocessor.options.good if postprocessor.options.selects else hit
    if len(y) < FEW_LABELS:
        absolute_error = transfer["mae"].widen(table_interval(y, label, n_classes, mae, unit))
    else:
        absolute_error = transfer["mae"].mean(np.abs(label - y), unit)
    measured = measure_labels(answers, np.eye(n_classes)[y], postprocessor.options)
    return Quality(
        len(y),
        _present(transfer["accuracy"].share(hit, unit)),
        _within(transfer["macro_f1"].widen(table_interval(y, label, n_classes, _macro_f1, unit)), 0, 1),
        _within(absolute_error, 0, n_classes - 1),
        {c: share_of_class(f"recall {c}", hit, c, labels.label == c) for c in classes},
        {c: share_of_given(f"precision {c}", hit, label == c, labels.label == c) for c in classes},
        _calibration_errors(raw[rows, label], answers.confidence, hit, unit),
        {c: _calibration_errors(raw[:, c], answers.proba[:, c], y == c, unit) for c in classes},
        transfer["overconfidence"].mean(answers.confidence - hit, unit),
        _present(transfer["coverage"].share(inside, unit)),
        {c: share_of_class(f"coverage {c}", inside, c, labels.inside[:, c]) for c in classes},
        float(answers.inside.sum(axis=1).mean()),
        float(labels.accepted.mean()),
        share_of_given("accepted_right", right, answers.accepted, labels.accepted),
        {name: metric.value if metric.rows else None for name, metric in measured.items()},
        transfers.unexplained,
        transfers.luck,
        transfers.rows,
    )


@dataclass(frozen=True)
class Pool:
    """Means over the whole pool, labelled and unlabelled rows together."""

    shares: Mapping[int, PoolEstimate]  # of each class
    at_least: Mapping[int, PoolEstimate]  # class -> share of rows of it or a higher one
    score: PoolEstimate  # mean class


def estimate_pool(
    y: Numbers, held_out: Numbers, pool: Numbers, labelled: Sample, unlabelled: Sample, label: Numbers
) -> Pool:
    """Estimate the pool from labels y (n,) and out-of-fold probabilities.

    These are of labelled rows (n, C) and of unlabelled rows of the pool (p, C). `label` (m,) are the labels that the
    unlabelled rows are given.
    """
    n_classes = held_out.shape[1]
    combined = np.concatenate([y, label])

    def estimate(truth: Numbers, weight: Numbers, naive: Numbers) -> PoolEstimate:
        return estimate_mean(truth, held_out @ weight, pool @ weight, labelled, unlabelled, float(naive.mean()))

    classes = np.arange(n_classes)
    return Pool(
        {c: estimate(y == c, (classes == c).astype(np.float64), combined == c) for c in range(n_classes)},
        {c: estimate(y >= c, (classes >= c).astype(np.float64), combined >= c) for c in range(1, n_classes)},
        estimate(y.astype(np.float64), classes.astype(np.float64), combined),
    )


def _calibration_errors(before: Numbers, after: Numbers, hit: Numbers, unit: Numbers | None) -> CalibrationErrors:
    interval = bootstrap_interval(
        lambda count: float(confidence_error(after, hit, count)), len(hit), unit, TWO_SIDED_ALPHA
    )
    before_error = float(confidence_error(before.astype(np.float64), hit))
    return CalibrationErrors(before_error, interval.value, max(interval.high, interval.value))


def _macro_f1(tables: Numbers) -> Numbers:
    return np.asarray(f1_by_class(tables).mean(axis=-1))


def _within(interval: Interval, least: float, most: float) -> Interval:
    """Return the interval cut to what the number can be."""
    value, low, high = np.clip([interval.value, interval.low, interval.high], least, most)
    return Interval(float(value), float(low), float(high), interval.n)


def _present(interval: Interval | None) -> Interval:
    assert interval is not None, "there are labelled rows"
    return interval
