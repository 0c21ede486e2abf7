"""Intervals of a number for a new learner, from K trained the same way.

It is another draw of what the K are draws of, so a random-effects interval for it is wider by tau^2 (1 + 1/K), tau^2
being the variance among the K (Higgins, Thompson and Spiegelhalter 2009). Its truth is that of m rows, which are a
sample as well, beside the n it was measured on: 1 + n / m. Shares keep their exact interval (Clopper and Pearson), cut
to the number of rows that this variance is worth (as for groups: Korn and Graubard 1998), and are shifted by their log
odds, which keeps them shares. Degrees of freedom: Satterthwaite 1946.
"""

from dataclasses import dataclass

import numpy as np

from harness.statistics.distributions import normal_quantile, student_quantile
from harness.statistics.intervals import (
    ALPHA,
    Interval,
    Numbers,
    binomial_lower_bound,
    effective_sample_size,
    variance_of_mean,
)


@dataclass(frozen=True)
class Transfer:
    """Shift and variance of one more learner against the K.

    Of a share they are those of its log odds.
    """

    shift: float = 0.0
    variance: float = 0.0  # tau^2 (1 + 1 / K), the part of it that the shift does not explain
    learners: int = 2  # K
    spread: float = 1.0  # 1 + n / m
    luck: float = 0.0  # expected excess of the measured number: taken off first

    def share(self, hits: Numbers, unit: Numbers | None = None) -> Interval | None:
        """Transfer the share of True in `hits` (n,); None of no rows."""
        if len(hits) == 0:
            return None
        value, rows = float(np.clip(np.mean(hits) - self.luck, 0, 1)), effective_sample_size(hits, unit)
        smoothed = (value * rows + 0.5) / (rows + 1)  # a share of 0 or 1 has a variance, too
        row_variance = 1 / (smoothed * (1 - smoothed))  # variance of the log odds that one row has
        sampling = self.spread * row_variance / rows
        widening = self._reach(sampling, np.inf) / _normal_quantile()
        effective_rows = row_variance / (sampling + self.variance) / widening**2
        low, high = (
            binomial_lower_bound(value * effective_rows, effective_rows, ALPHA / 2),
            1 - binomial_lower_bound((1 - value) * effective_rows, effective_rows, ALPHA / 2),
        )
        return Interval(self._shift_odds(value), self._shift_odds(low), self._shift_odds(high), len(hits))

    def mean(self, values: Numbers, unit: Numbers | None = None) -> Interval:
        """Transfer the mean of `values` (n,)."""
        value, (variance, units) = float(np.mean(values)) - self.luck + self.shift, variance_of_mean(values, unit)
        if units < 2:
            return Interval(value, -np.inf, np.inf, len(values))
        sampling = variance * self.spread
        half = self._reach(sampling, units - 1) * float(np.sqrt(sampling + self.variance))
        return Interval(value, value - half, value + half, len(values))

    def widen(self, interval: Interval) -> Interval:
        """Transfer the interval of any other statistic.

        Each side grows as the standard error does.
        """
        value, error = (
            interval.value - self.luck + self.shift,
            (interval.high - interval.low) / (2 * _normal_quantile()),
        )
        sampling = error**2 * self.spread
        reach = self._reach(sampling, np.inf) * float(np.sqrt(sampling + self.variance))
        down, up = interval.value - interval.low, interval.high - interval.value
        if error == 0:
            return Interval(value, value - reach, value + reach, interval.n)
        growth = reach / (_normal_quantile() * error)
        return Interval(value, value - growth * down, value + growth * up, interval.n)

    def _reach(self, sampling: float, freedom: float) -> float:
        """Return the half-width of an interval in standard errors.

        `freedom` is that of the sampling variance.
        """
        total = sampling + self.variance
        if total == 0:
            return _normal_quantile()
        scale = self.variance**2 / (self.learners - 1) + sampling**2 / freedom
        return float(student_quantile(1 - ALPHA / 2, total**2 / scale)) if scale > 0 else _normal_quantile()

    def _shift_odds(self, share: float) -> float:
        """Return the share whose odds are exp(shift) times these."""
        if not 0 < share < 1:
            return share
        return float(1 / (1 + (1 - share) / share * np.exp(-self.shift)))


def _normal_quantile() -> float:
    return float(normal_quantile(1 - ALPHA / 2))
