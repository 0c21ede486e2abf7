"""How the refit labeler differs from those of the folds, seen on a panel: unlabelled rows that all have answered for.

What is measured out of fold is the mean of K labelers; the labels are given by one more, trained on all labelled rows.
Two trainings differ by luck: one stops a round later and calls twice as many rows a 1. That moves the recall of a class
farther than the noise of the few rows it was measured on, and no interval of those knows of it.

The truth of the panel is not known, but the others' calibrated probabilities may stand for it: every labeler is judged
by the mean of all others, none by itself. The last less the mean of the folds is the shift of a number. What remains of
the luck is measured: on its held rows each fold's labeler shows in truth how far it is from the others. The part of its
distance there that the judged one does not explain, beyond the noise of these rows, is the part of tau^2 that is left
for the last: a moment estimate, as in DerSimonian and Laird 1986, over all shares together, for one has K values only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.label.label_metrics import UNBOUNDED_FIGURES, Figures, label_figures
from harness.label.postprocess import MIN_SHARED_ROWS, LabelledRows, LabelOptions, Postprocessor
from harness.statistics.intervals import Numbers
from harness.statistics.random_effects import Transfer


@dataclass(frozen=True)
class Transfers:
    """From the folds' labelers to the last, for every figure."""

    by_figure: Mapping[str, Transfer]
    unexplained: float  # part of tau^2 that the shifts leave
    rows: int  # of the panel; 0 where it is too small to tell


def estimate_transfers(
    refit: Numbers,
    folds: Numbers,
    postprocessor: Postprocessor,
    transferred: Postprocessor,
    held: Sequence[Figures],
    ratio: float,
) -> Transfers:
    """Compare the refit labeler's probabilities (q, C) for the panel with the folds' (K, q, C), NaN where not asked.

    The folds' labelers follow the rules as `postprocessor`, the last one as `transferred`. `held` (K) is what was
    measured on the held rows of each fold; `ratio` is n / m, labelled to unlabelled rows.
    """
    plain = Transfer(spread=1 + ratio)
    if len(refit) < MIN_SHARED_ROWS:
        return Transfers(dict.fromkeys(held[0], plain), 1.0, 0)
    mine, theirs = _judge_sides(refit, folds, postprocessor, transferred)
    unexplained = _unexplained_share(mine.by_fold, theirs.by_fold, held)
    found = {}
    for name in held[0]:
        least = 0.5 / max(sum(each[name].rows for each in held), 1.0)  # half a labelled row
        off = _scaled(name, _values(name, theirs.by_fold), least) - _scaled(name, _values(name, mine.by_fold), least)
        off = off[np.isfinite(off)]
        if len(off) < 2:
            found[name] = plain  # no two labelers to compare: who has labelled no row so has no precision there
            continue
        shift = _scaled(name, mine.pooled[name].value, least) - _scaled(name, theirs.pooled[name].value, least)
        variance = unexplained * float(np.var(off, ddof=1)) * (1 + 1 / len(off))
        found[name] = Transfer(float(shift), variance, len(off), 1 + ratio)
    return Transfers(found, unexplained, len(refit))


@dataclass(frozen=True)
class _Side:
    """The refit labeler or those of the folds, judged on the rows that each of the folds' answered for."""

    by_fold: Sequence[Figures]  # (K)
    pooled: Figures  # of all these rows together, as what is measured is of all held rows together


def _side(answers: Sequence[LabelledRows], truth: Sequence[Numbers], options: LabelOptions) -> _Side:
    by_fold = [label_figures(each, probable, options) for each, probable in zip(answers, truth, strict=True)]
    return _Side(by_fold, label_figures(LabelledRows.concatenate(answers), np.concatenate(truth), options))


def _judge_sides(
    refit: Numbers, folds: Numbers, postprocessor: Postprocessor, transferred: Postprocessor
) -> tuple[_Side, _Side]:
    """Return the refit labeler and those of the folds, each judged by the mean of the others."""
    asked = np.isfinite(folds[:, :, 0])
    answers = [postprocessor.apply(proba[rows]) for proba, rows in zip(folds, asked, strict=True)]
    total, count = np.zeros(refit.shape), asked.sum(axis=0)[:, None]
    for each, rows in zip(answers, asked, strict=True):
        total[rows] += each.proba
    mine = [transferred.apply(refit[rows]) for rows in asked]
    of_folds = [total[rows] / count[rows] for rows in asked]
    of_others = [
        (total[rows] - each.proba + one.proba) / count[rows]
        for each, one, rows in zip(answers, mine, asked, strict=True)
    ]
    return _side(mine, of_folds, postprocessor.options), _side(answers, of_others, postprocessor.options)


def _unexplained_share(refit: Sequence[Figures], folds: Sequence[Figures], held: Sequence[Figures]) -> float:
    """Return the part of the variance among the folds' labelers that is not seen in how the others judge them."""
    left = spread = 0.0
    for name in held[0]:
        if name in UNBOUNDED_FIGURES:
            continue
        judged, true = _values(name, folds) - _values(name, refit), _values(name, held)
        rows = np.array([each[name].rows for each in held])
        there = np.isfinite(judged) & np.isfinite(true)
        judged, true, rows = judged[there], true[there], rows[there]
        if len(rows) < 2 or not 0 < np.average(true, weights=rows) < 1:
            continue
        level = np.average(true, weights=rows)
        judged = judged - np.average(judged, weights=rows)
        once = level * (1 - level)  # variance of one row
        left += float((rows * (true - level - judged) ** 2).sum() / once) - (len(rows) - 1)
        spread += float((rows * judged**2).sum() / once)
    return float(np.clip(left / spread, 0, 1)) if spread > 0 else 1.0


def _values(name: str, found: Sequence[Figures]) -> Numbers:
    return np.array([each[name].value for each in found])


def _scaled(name: str, value: Numbers | float, least: float) -> Numbers:
    """Return log odds of shares, no nearer to 0 and 1 than `least`; other figures as they are."""
    if name in UNBOUNDED_FIGURES:
        return np.asarray(value)
    p = np.clip(value, least, 1 - least)
    return np.asarray(np.log(p / (1 - p)))
