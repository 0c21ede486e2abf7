"""The numbers that are stated of labels, from answers and the truth, or from answers and what may be the truth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.label.postprocess import LabelledRows, LabelOptions
from harness.statistics.intervals import Numbers
from harness.statistics.metrics import macro_f1, mae


@dataclass(frozen=True)
class Figure:
    """A mean over rows, and how many these are; NaN of no rows."""

    value: float
    rows: float


Figures = Mapping[str, Figure]
UNBOUNDED_FIGURES = ("macro_f1", "mae", "overconfidence")  # all other figures are shares of rows


def label_figures(answers: LabelledRows, truth: Numbers, options: LabelOptions) -> Figures:
    """Return what is stated of answers for r rows, whose true class is c with probability truth[:, c] (r, C).

    Of a known truth it is measured, of a probable one expected. Figures of class c are called `recall c` and so on.
    """
    n, n_classes = truth.shape
    classes = np.arange(n_classes)
    given = (answers.label[:, None] == classes).astype(np.float64)
    inside = (answers.low[:, None] <= classes) & (classes <= answers.high[:, None])
    table = truth.T @ given  # row true, column given
    hit = truth[np.arange(n), answers.label]
    selects = options.top is not None or options.at_least is not None
    right = truth[:, options.good :].sum(axis=1) if selects else hit
    found = {
        "accuracy": Figure(float(hit.mean()), n),
        "macro_f1": Figure(macro_f1(table), n),
        "mae": Figure(mae(table), n),
        "overconfidence": Figure(float(answers.confidence.mean() - hit.mean()), n),
        "coverage": Figure(float((truth * inside).sum() / n), n),
        "accepted": Figure(float(answers.accepted.mean()), n),
        "accepted_right": _mean(float(right[answers.accepted].sum()), int(answers.accepted.sum())),
    }
    of_class, as_class, held = table.sum(axis=1), table.sum(axis=0), (truth * inside).sum(axis=0)
    for c in range(n_classes):
        found[f"recall {c}"] = _mean(table[c, c], of_class[c])
        found[f"precision {c}"] = _mean(table[c, c], as_class[c])
        found[f"coverage {c}"] = _mean(held[c], of_class[c])
    return found


def _mean(total: float, rows: float) -> Figure:
    return Figure(float(total / rows) if rows > 0 else np.nan, float(rows))
