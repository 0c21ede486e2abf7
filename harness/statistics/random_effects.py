"""From a number measured on K learners to the same number of one more, trained the same way: its interval.

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
    """How far the one more is from the K, and how sure that is. Of a share, its log odds are meant."""

    shift: float = 0.0
    variance: float = 0.0  # tau^2 (1 + 1 / K), the part of it that the shift leaves unexplained
    learners: int = 2  # K
    spread: float = 1.0  # 1 + n / m

    def share(self, hits: Numbers, unit: Numbers | None = None) -> Interval | None:
        """Return the share of True among `hits` (n,), carried over; None of no rows."""
        if len(hits) == 0:
            return None
        value, rows = float(np.mean(hits)), effective_sample_size(hits, unit)
        soft = (value * rows + 0.5) / (rows + 1)  # a share of 0 or 1 has a variance, too
        once = 1 / (soft * (1 - soft))  # variance of the log odds that one row has
        sampling = self.spread * once / rows
        wider = self._reach(sampling, np.inf) / _normal_quantile()
        worth = once / (sampling + self.variance) / wider**2
        low, high = (
            binomial_lower_bound(value * worth, worth, ALPHA / 2),
            1 - binomial_lower_bound((1 - value) * worth, worth, ALPHA / 2),
        )
        return Interval(self._shifted(value), self._shifted(low), self._shifted(high), len(hits))

    def mean(self, values: Numbers, unit: Numbers | None = None) -> Interval:
        """Return the mean of `values` (n,), carried over."""
        value, (variance, units) = float(np.mean(values)) + self.shift, variance_of_mean(values, unit)
        if units < 2:
            return Interval(value, -np.inf, np.inf, len(values))
        sampling = variance * self.spread
        half = self._reach(sampling, units - 1) * float(np.sqrt(sampling + self.variance))
        return Interval(value, value - half, value + half, len(values))

    def widen(self, found: Interval) -> Interval:
        """Return the interval of any other statistic, carried over: each side grows as the standard error does."""
        value, error = found.value + self.shift, (found.high - found.low) / (2 * _normal_quantile())
        sampling = error**2 * self.spread
        reach = self._reach(sampling, np.inf) * float(np.sqrt(sampling + self.variance))
        down, up = found.value - found.low, found.high - found.value
        if error == 0:
            return Interval(value, value - reach, value + reach, found.n)
        grown = reach / (_normal_quantile() * error)
        return Interval(value, value - grown * down, value + grown * up, found.n)

    def _reach(self, sampling: float, freedom: float) -> float:
        """Return how many standard errors an interval reaches to either side, `freedom` being that of the sampling."""
        total = sampling + self.variance
        if total == 0:
            return _normal_quantile()
        of = self.variance**2 / (self.learners - 1) + sampling**2 / freedom
        return float(student_quantile(1 - ALPHA / 2, total**2 / of)) if of > 0 else _normal_quantile()

    def _shifted(self, share: float) -> float:
        """Return a share whose odds are exp(shift) times these."""
        if not 0 < share < 1:
            return share
        return float(1 / (1 + (1 - share) / share * np.exp(-self.shift)))


def _normal_quantile() -> float:
    return float(normal_quantile(1 - ALPHA / 2))
