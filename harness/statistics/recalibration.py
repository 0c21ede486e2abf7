"""Transfer of temperature, threshold and sets between labelers.


The labeler that is trained on all labelled rows may stop earlier or later than those of the folds, and then its
probabilities are flatter or sharper, whether they are right or not. The truth of its rows is unknown. But both have
predicted the same unlabelled rows, and there the one is made as confident as the others on average: by a temperature
on its probabilities, a threshold that accepts as many rows, and sets that are as wide.
"""

import numpy as np

from harness.statistics.calibration import scale
from harness.statistics.intervals import Numbers

MAX_TEMPERATURE = 5.0  # temperatures from 1/5 to 5 are tried


def match_temperature(proba: Numbers, like: Numbers) -> float:
    """Return the temperature that gives proba (p, C) the confidence of `like`.

    Confidence is the mean of the largest probability of each row.
    """
    from scipy.optimize import brentq

    level, widest = float(like.max(axis=1).mean()), float(np.log(MAX_TEMPERATURE))

    def excess(log_temperature: float) -> float:
        return float(scale(proba, np.exp(log_temperature)).max(axis=1).mean()) - level

    if excess(-widest) <= 0 or excess(widest) >= 0:  # one class for every row, say: no temperature changes it
        return 1.0
    return float(np.exp(brentq(excess, -widest, widest, xtol=1e-6)))


def match_level(values: Numbers, like: Numbers, at: float) -> float:
    """Return the level that values (p,) reach as often as `like` reaches `at`."""
    ordered = np.sort(values)[::-1]
    count = round(float((like >= at).mean()) * len(ordered)) if len(like) else 0
    if count == 0:
        return float(np.nextafter(ordered[0], np.inf)) if len(ordered) else at
    return float(ordered[count - 1])


def match_bound(scores: Numbers, like: Numbers, at: float) -> float:
    """Return the bound with as many scores (p, C) below as `like` below `at`."""
    if not np.isfinite(at):
        return at
    count = int((like <= at).sum())
    return float(np.sort(scores, axis=None)[count - 1])
