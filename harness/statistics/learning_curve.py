"""Power laws through learning curves, and the labels that a target takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_SIZES = 4  # train sizes: three parameters fit any three points
MAX_EXTRAPOLATION = 4.0  # times the largest train size: no curve is followed further
CURVE_DRAWS = 400
CONFIDENCE = 0.95  # of every interval
EXPONENT_RANGE = (0.01, 3.0)  # the exponents that are tried
EXPONENTS_PER_GRID, GRID_REFINEMENTS = 24, 4  # so that b is found to a few parts in ten thousand


@dataclass(frozen=True)
class Refusal:
    """The reason why there is no number."""

    reason: str


@dataclass(frozen=True, eq=False)
class PowerLawFit:
    """A curve error(n) = a n^-b + c with its uncertainty."""

    a: float
    b: float
    c: float  # what no number of labels goes below
    smallest: int  # train sizes that the curve was fitted on
    largest: int
    draws: Floats | None  # (CURVE_DRAWS, 3): a, b, c of the curves that the spread allows; None without a spread
    why: str = ""  # the reason why there are no draws

    def error(self, n: float) -> float:
        """Return the fitted error at n labels."""
        return float(self.a * n**-self.b + self.c)

    def interval(self, parameter: str) -> tuple[float, float] | None:
        """Return the interval of "a", "b" or "c" at CONFIDENCE."""
        return None if self.draws is None else _central_range(self.draws[:, "abc".index(parameter)])


@dataclass(frozen=True)
class LabelsNeeded:
    """Number of labels that a target takes.

    `high` is infinite where the spread allows that the target is out of reach.
    """

    n: float
    low: float | None
    high: float | None


def fit_power_law(
    n: NDArray[np.int64], error: Floats, replicate: NDArray[np.int64], seed: int = 0
) -> PowerLawFit | Refusal:
    """Fit error (P,) at train sizes n (P,) by weighted least squares.

    A size weighs as many seeds as it has. The form is that of Hestness et al. 2017 (arXiv:1712.00409), with a, c >= 0.
    The interval is a parametric bootstrap: the mean error of a size moves by what all sizes of a seed have in common
    and by what each has alone, both estimated from the `replicate`s (P,) (seeds, or seeds and folds), or from the
    distance to the curve where that is larger. With one replicate only the distance to the curve is left, which takes
    five sizes.
    """
    sizes, size_index = np.unique(n, return_inverse=True)
    if len(sizes) < MIN_SIZES:
        return Refusal(f"{len(sizes)} train size{'s' if len(sizes) > 1 else ''}; a curve takes {MIN_SIZES}")
    weight = np.bincount(size_index).astype(float)
    mean = np.bincount(size_index, error) / weight
    a, b, c = map(float, _fit_curves(sizes, mean[None], weight)[0])
    if a * (float(sizes[0]) ** -b - float(sizes[-1]) ** -b) < 1e-4:
        return Refusal("more labels do not lower its error")
    noise = _estimate_noise(size_index, error, replicate, mean - (a * sizes**-b + c), weight)
    if noise is None:
        reason = f"one seed and {len(sizes)} train sizes: no spread to take an interval from"
        return PowerLawFit(a, b, c, int(sizes[0]), int(sizes[-1]), None, reason)
    rng = np.random.default_rng(seed)
    resampled = a * sizes**-b + c + noise.draw(rng, len(sizes))
    return PowerLawFit(a, b, c, int(sizes[0]), int(sizes[-1]), _fit_curves(sizes, resampled, weight))


def labels_needed(fit: PowerLawFit, error: float) -> LabelsNeeded | Refusal:
    """Return how many labels bring the error down to `error`.

    Refused beyond the asymptote and beyond MAX_EXTRAPOLATION. `low` and `high` are None without a spread.
    """
    if error <= fit.c:
        return Refusal("beyond the fitted asymptote")
    n = float(_invert(fit.a, fit.b, fit.c, error))
    if n > MAX_EXTRAPOLATION * fit.largest:
        return Refusal(
            f"takes more than {MAX_EXTRAPOLATION:.0f} times the {fit.largest:,} labels of the largest train set"
        )
    if n < fit.smallest:
        return Refusal(f"reached with fewer than {fit.smallest:,} labels, the smallest train set")
    if fit.draws is None:
        return LabelsNeeded(n, None, None)
    draws = np.array([_invert(a, b, c, error) for a, b, c in fit.draws])
    low, high = _central_range(np.where(draws > MAX_EXTRAPOLATION * fit.largest, np.inf, draws))
    return LabelsNeeded(n, low, high)


def least_labels(fit: PowerLawFit, error: float) -> float | None:
    """Return the labels that `error` takes at least, at CONFIDENCE.

    None where nothing can be said: without a spread, or where the curves that it allows reach the error with fewer
    labels than the smallest train set, about which nothing was measured.
    """
    if fit.draws is None:
        return None
    least = np.quantile([_invert(a, b, c, error) for a, b, c in fit.draws], 1 - CONFIDENCE, method="lower")
    return float(min(least, MAX_EXTRAPOLATION * fit.largest)) if least >= fit.smallest else None


def _invert(a: float, b: float, c: float, error: float) -> float:
    if error <= c:
        return np.inf
    return 0.0 if a <= 0 else float(np.exp(min(np.log(a / (error - c)) / b, 700.0)))


@dataclass(frozen=True)
class _Noise:
    """Standard deviations of a mean error, with their degrees of freedom."""

    shared: float  # common to all sizes
    shared_freedom: int
    own: float  # of each size alone
    own_freedom: int

    def draw(self, rng: np.random.Generator, sizes: int) -> Floats:
        """Return (CURVE_DRAWS, sizes) draws of the noise.

        Both deviations are uncertain by their degrees of freedom.
        """
        shared = self.shared * rng.standard_normal((CURVE_DRAWS, 1)) * _draw_scale(rng, self.shared_freedom)
        own = self.own * rng.standard_normal((CURVE_DRAWS, sizes)) * _draw_scale(rng, self.own_freedom)
        return np.asarray(shared + own)


def _draw_scale(rng: np.random.Generator, freedom: int) -> Floats:
    return np.asarray(np.sqrt(freedom / rng.chisquare(freedom, (CURVE_DRAWS, 1))))


def _estimate_noise(
    size_index: NDArray[np.intp], error: Floats, replicate: NDArray[np.int64], residual: Floats, weight: Floats
) -> _Noise | None:
    """Split the spread over the replicates into a shared and an own part.

    `residual` (R,) is the distance of the mean errors from the curve. None where nothing has a spread.
    """
    misfit = float((weight * residual**2).sum() / weight.mean())
    misfit_freedom = len(residual) - 3
    misfit_error = None if misfit_freedom < 2 else float(np.sqrt(misfit / misfit_freedom))
    seeds = np.unique(replicate)
    grid = np.full((len(seeds), len(residual)), np.nan)
    grid[np.searchsorted(seeds, replicate), size_index] = error
    if len(seeds) < 2 or np.isnan(grid).any():  # not every seed has every size
        return None if misfit_error is None else _Noise(0.0, 1, misfit_error, misfit_freedom)
    deviation = grid - grid.mean(axis=0)  # (S, R)
    common = deviation.mean(axis=1, keepdims=True)
    freedom = (len(seeds) - 1) * (len(residual) - 1)
    own = float(((deviation - common) ** 2).sum() / freedom)
    shared = max(float((common**2).sum() / (len(seeds) - 1)) - own / len(residual), 0.0)
    own_mean = np.sqrt(own / len(seeds))
    if misfit_error is not None and misfit_error > own_mean:
        return _Noise(float(np.sqrt(shared / len(seeds))), len(seeds) - 1, misfit_error, misfit_freedom)
    return _Noise(float(np.sqrt(shared / len(seeds))), len(seeds) - 1, float(own_mean), freedom)


def _fit_curves(sizes: NDArray[np.int64], mean: Floats, weight: Floats) -> Floats:
    """Return (D, 3) a, b, c of least squares for the rows of mean (D, R).

    a and c are linear for a given b, so b alone is searched: on a grid, then on finer ones around the best of each row.
    """
    scaled = np.log(sizes / sizes[0])  # (R,)
    low, high = (np.full(len(mean), np.log(edge)) for edge in EXPONENT_RANGE)
    for _ in range(GRID_REFINEMENTS):
        slopes = np.linspace(low, high, EXPONENTS_PER_GRID, axis=1)  # (D, EXPONENTS_PER_GRID), of log b
        a, c, losses = _fit_lines(np.exp(-np.exp(slopes)[:, :, None] * scaled), mean[:, None, :], weight)
        best = np.argmin(losses, axis=1)
        rows = np.arange(len(mean))
        low, high = slopes[rows, np.maximum(best - 1, 0)], slopes[rows, np.minimum(best + 1, EXPONENTS_PER_GRID - 1)]
    b = np.exp(slopes[rows, best])
    return np.stack([a[rows, best] * float(sizes[0]) ** b, b, c[rows, best]], axis=1)


def _fit_lines(x: Floats, y: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Fit weighted lines with slope and height >= 0 through x and y (..., R).

    Returns (...) slopes, heights and sums of squared residuals.
    """
    total, sx, sy = weight.sum(), x @ weight, y @ weight
    sxx, sxy = (x * x) @ weight, (x * y) @ weight
    slope = (total * sxy - sx * sy) / np.maximum(total * sxx - sx * sx, 1e-300)
    height = (sy - slope * sx) / total
    slope, height = np.where(height < 0, sxy / sxx, slope), np.maximum(height, 0.0)
    slope, height = np.maximum(slope, 0.0), np.where(slope < 0, sy / total, height)
    return slope, height, (y - slope[..., None] * x - height[..., None]) ** 2 @ weight


def _central_range(values: Floats) -> tuple[float, float]:
    """Return the quantiles that leave CONFIDENCE between them.

    They are values of the sample, so infinity is allowed.
    """
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, (tail, 1 - tail), method="nearest")
    return float(low), float(high)
