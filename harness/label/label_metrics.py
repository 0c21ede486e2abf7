"""Metrics of labels, against a known truth or a probable one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.label.postprocess import LabelledRows, PostprocessOptions
from harness.statistics.intervals import Numbers
from harness.statistics.metrics import macro_f1, mae


@dataclass(frozen=True)
class Measurement:
    """The mean of a metric over rows, NaN of no rows, and their number."""

    value: float
    rows: float


Measurements = Mapping[str, Measurement]  # by metric
UNBOUNDED_METRICS = ("macro_f1", "mae", "overconfidence")  # all others are shares of rows


def measure_labels(answers: LabelledRows, truth: Numbers, options: PostprocessOptions) -> Measurements:
    """Return the metrics of answers, given class probabilities truth (r, C).

    Row r is of class c with probability truth[r, c]: metrics of a known truth are measured, of a probable one expected.
    Those of class c are called `recall c`, `precision c` and `coverage c`.
    """
    n, n_classes = truth.shape
    classes = np.arange(n_classes)
    predicted = (answers.label[:, None] == classes).astype(np.float64)
    confusion = truth.T @ predicted  # row true, column predicted
    hit = truth[np.arange(n), answers.label]
    right = truth[:, options.good :].sum(axis=1) if options.selects else hit
    metrics = {
        "accuracy": Measurement(float(hit.mean()), n),
        "macro_f1": Measurement(float(macro_f1(confusion)), n),
        "mae": Measurement(float(mae(confusion)), n),
        "overconfidence": Measurement(float(answers.confidence.mean() - hit.mean()), n),
        "coverage": Measurement(float((truth * answers.inside).sum() / n), n),
        "accepted": Measurement(float(answers.accepted.mean()), n),
        "accepted_right": _mean(float(right[answers.accepted].sum()), int(answers.accepted.sum())),
    }
    true_rows, predicted_rows = confusion.sum(axis=1), confusion.sum(axis=0)
    covered = (truth * answers.inside).sum(axis=0)
    for c in range(n_classes):
        metrics[f"recall {c}"] = _mean(confusion[c, c], true_rows[c])
        metrics[f"precision {c}"] = _mean(confusion[c, c], predicted_rows[c])
        metrics[f"coverage {c}"] = _mean(covered[c], true_rows[c])
    return metrics


def _mean(total: float, rows: float) -> Measurement:
    return Measurement(float(total / rows) if rows > 0 else np.nan, float(rows))
