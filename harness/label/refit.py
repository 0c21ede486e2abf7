"""Transfer metrics from the folds' labelers to the refit labeler.

What is measured out of fold is the mean of K labelers; the labels are given by one more, the refit labeler, trained on
all labelled rows. Two trainings differ by luck: one stops a round later and gives twice as many rows a 1. That moves
the recall of a class farther than the noise of the few rows it was measured on, and no interval of those rows covers
it. So the labelers are compared on the shared pool: unlabelled rows that all of them have answered for.

The truth of the shared pool is not known, but calibrated probabilities may stand for it: every labeler is measured
against the mean of all others, none against itself. The refit labeler's metric less the mean of the folds' is the shift
of the metric. What remains of the luck is measured: on its held-out rows each fold's labeler shows by the true labels
how far it is from the others. The part of that distance which the estimated distance does not explain, beyond the noise
of these rows, is the part of tau^2 that is left for the refit labeler: a moment estimate, as in DerSimonian and Laird
1986, over all shares together, as one share has K values only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.label.label_metrics import UNBOUNDED_METRICS, Measurements, measure_labels
from harness.label.postprocess import MIN_SHARED_ROWS, LabelledRows, PostprocessOptions, Postprocessor
from harness.statistics.intervals import Numbers
from harness.statistics.random_effects import Transfer

FEW_LABELS = 300  # with fewer the probabilities that stand for the truth are too rough: shifts by them add bias


@dataclass(frozen=True)
class Transfers:
    """The transfer of every metric from the folds' labelers to the refit."""

    by_metric: Mapping[str, Transfer]
    unexplained: float  # part of tau^2 that the shifts leave
    rows: int  # of the shared pool; 0 where nothing is shifted
    luck: Mapping[str, float] = field(default_factory=dict)  # metric -> expected excess, which is taken off

    def without_luck(self, luck: Mapping[str, float]) -> "Transfers":
        """Return transfers that take the luck of the choice off a metric.

        The confidence has no luck, so the overconfidence has that of the accuracy.
        """
        excess = {**luck, "overconfidence": -luck.get("accuracy", 0.0)}
        by_metric = {name: replace(transfer, luck=excess.get(name, 0.0)) for name, transfer in self.by_metric.items()}
        return replace(self, by_metric=by_metric, luck=luck)


def estimate_transfers(
    refit: Numbers,
    folds: Numbers,
    postprocessor: Postprocessor,
    transferred: Postprocessor,
    held_out: Sequence[Measurements],
    ratio: float,
) -> Transfers:
    """Compare the refit labeler with those of the folds on the shared pool.

    `refit` (q, C) and `folds` (K, q, C) are probabilities, NaN for rows that a fold does not answer for. The answers of
    the folds go through `postprocessor`, those of the refit labeler through `transferred`. `held_out` (K) are the
    metrics of each fold's held-out rows; `ratio` is n / m, labelled to unlabelled rows. With fewer than FEW_LABELS
    labelled rows no metric is shifted: what the folds differ by widens its interval instead.
    """
    labels = sum(metrics["accuracy"].rows for metrics in held_out)
    few = labels < FEW_LABELS
    # Folds with the shares of all labelled rows let a labeler learn the shares that it is tested on.
    spread = 1 + ratio + (folds.shape[-1] / labels if few else 0.0)
    no_shift = Transfer(spread=spread)
    if len(refit) < MIN_SHARED_ROWS:
        return Transfers(dict.fromkeys(held_out[0], no_shift), 1.0, 0)
    by_refit, by_folds = _measure_both(refit, folds, postprocessor, transferred)
    unexplained = 1.0 if few else _unexplained_share(by_refit.by_fold, by_folds.by_fold, held_out)
    transfers = {}
    for name in held_out[0]:
        margin = 0.5 / max(sum(metrics[name].rows for metrics in held_out), 1.0)  # half a labelled row
        of_folds = _scaled(name, _values(name, by_folds.by_fold), margin)
        differences = of_folds - _scaled(name, _values(name, by_refit.by_fold), margin)
        differences = differences[np.isfinite(differences)]
        if len(differences) < 2:  # such as the precision of a class that only one labeler gives
            transfers[name] = no_shift
            continue
        shift = _scaled(name, by_refit.pooled[name].value, margin) - _scaled(name, by_folds.pooled[name].value, margin)
        variance = unexplained * float(np.var(differences, ddof=1)) * (1 + 1 / len(differences))
        transfers[name] = Transfer(0.0 if few else float(shift), variance, len(differences), spread)
    return Transfers(transfers, unexplained, 0 if few else len(refit))


@dataclass(frozen=True)
class _SharedPoolMetrics:
    """Metrics of the refit labeler, or of the folds', on the shared pool."""

    by_fold: Sequence[Measurements]  # (K) on the rows that the fold answers for
    pooled: Measurements  # on all these rows together, as held-out rows are measured together


def _measure(
    answers: Sequence[LabelledRows], truth: Sequence[Numbers], options: PostprocessOptions
) -> _SharedPoolMetrics:
    by_fold = [measure_labels(rows, probable, options) for rows, probable in zip(answers, truth, strict=True)]
    return _SharedPoolMetrics(
        by_fold, measure_labels(LabelledRows.concatenate(answers), np.concatenate(truth), options)
    )


def _measure_both(
    refit: Numbers, folds: Numbers, postprocessor: Postprocessor, transferred: Postprocessor
) -> tuple[_SharedPoolMetrics, _SharedPoolMetrics]:
    """Measure the refit labeler and the folds', each against all others."""
    answered = np.isfinite(folds[:, :, 0])
    by_folds = [postprocessor.apply(proba[rows]) for proba, rows in zip(folds, answered, strict=True)]
    by_refit = [transferred.apply(refit[rows]) for rows in answered]
    total, count = np.zeros(refit.shape), answered.sum(axis=0)[:, None]
    for answers, rows in zip(by_folds, answered, strict=True):
        total[rows] += answers.proba
    mean_of_folds = [total[rows] / count[rows] for rows in answered]
    mean_of_others = [
        (total[rows] - answers.proba + refit_answers.proba) / count[rows]
        for answers, refit_answers, rows in zip(by_folds, by_refit, answered, strict=True)
    ]
    options = postprocessor.options
    return _measure(by_refit, mean_of_folds, options), _measure(by_folds, mean_of_others, options)


def _unexplained_share(
    refit: Sequence[Measurements], folds: Sequence[Measurements], held_out: Sequence[Measurements]
) -> float:
    """Return the part of the variance among folds that shifts leave.

    It is estimated from the difference between each fold's metrics on held-out rows and those against the others.
    """
    residual = spread = 0.0
    for name in held_out[0]:
        if name in UNBOUNDED_METRICS:
            continue
        estimated, true = _values(name, folds) - _values(name, refit), _values(name, held_out)
        rows = np.array([metrics[name].rows for metrics in held_out])
        finite = np.isfinite(estimated) & np.isfinite(true)
        estimated, true, rows = estimated[finite], true[finite], rows[finite]
        if len(rows) < 2 or not 0 < np.average(true, weights=rows) < 1:
            continue
        mean = np.average(true, weights=rows)
        estimated = estimated - np.average(estimated, weights=rows)
        row_variance = mean * (1 - mean)
        residual += float((rows * (true - mean - estimated) ** 2).sum() / row_variance) - (len(rows) - 1)
        spread += float((rows * estimated**2).sum() / row_variance)
    return float(np.clip(residual / spread, 0, 1)) if spread > 0 else 1.0


def _values(name: str, by_fold: Sequence[Measurements]) -> Numbers:
    return np.array([metrics[name].value for metrics in by_fold])


def _scaled(name: str, value: Numbers | float, margin: float) -> Numbers:
    """Return the log odds of shares; other metrics as they are.

    A share counts as no nearer to 0 and 1 than `margin`.
    """
    if name in UNBOUNDED_METRICS:
        return np.asarray(value)
    p = np.clip(value, margin, 1 - margin)
    return np.asarray(np.log(p / (1 - p)))
