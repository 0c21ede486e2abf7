"""Class shares of a pool with another mix of classes than the labels.

If nothing but the mix has changed, a row of a class is labelled as before, so the labels of the pool are a mixture of
those of the classes, and its weights are the shares: black box shift estimation (Lipton, Wang and Smola 2018), here by
maximum likelihood (Saerens, Latinne and Decaestecker 2002). Labels are told apart by their confidence as well: more
categories than classes, and whether any mixture explains them is a test of the assumption.
"""

from dataclasses import dataclass

import numpy as np

from harness.statistics.intervals import ALPHA, Interval, Numbers

DRAWS = 200
EM_STEPS = 200
MIN_CLASS_ROWS = 5  # labelled rows of a class: fewer show too little of how it is labelled


@dataclass(frozen=True)
class CorrectedShares:
    """Class shares of a pool, if nothing but the mix of classes has changed."""

    shares: tuple[Interval, ...]  # (C,)
    p: float  # of labels as far from any mixture of the classes as these


def correct_shares(
    y: Numbers, category: Numbers, pool: Numbers, n_classes: int, X: Numbers, pool_X: Numbers
) -> CorrectedShares | None:
    """Estimate the class shares of a pool from categories of its labels.

    `y`, `category` (n,) and vectors X (n, d) are of the labelled rows, `pool` (p,) and `pool_X` (p', d) of the pool,
    some rows of which have a vector. None where a class has too few labelled rows, or where no mixture of the classes
    explains the categories of the pool and the mean of its vectors, so that more than the mix has changed.
    """
    if np.bincount(y, minlength=n_classes).min() < MIN_CLASS_ROWS:
        return None
    rng, cells = np.random.default_rng(0), int(max(category.max(), pool.max())) + 1
    counts = _count(y * cells + category, None, n_classes, cells)
    observed = np.bincount(pool, minlength=cells).astype(float)
    by_class = _by_class(counts)
    shares = _fit_mixture(by_class, observed[None])[0]
    weight = shares[y] / np.bincount(y, minlength=n_classes)[y]  # of a labelled row in the pool, by its class
    resampled = np.zeros((DRAWS, len(y)))
    for c in range(n_classes):
        rows = np.flatnonzero(y == c)
        resampled[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), DRAWS)
    pools = rng.multinomial(len(pool), weight / weight.sum(), DRAWS).astype(float)
    of_pool = pools @ np.eye(cells)[category]
    drawn = _by_class(_count(y * cells + category, resampled, n_classes, cells))
    drawn_shares = _fit_mixture(drawn, of_pool)
    misfits = _misfit(drawn, drawn_shares, of_pool) >= _misfit(by_class, shares[None], observed[None])[0]
    center = X.mean(axis=0)
    V = X - center
    of_class = (resampled * drawn_shares[:, y] / np.bincount(y, minlength=n_classes)[y]) @ V
    few_pools = rng.multinomial(len(pool_X), weight / weight.sum(), DRAWS).astype(float)
    distances = ((of_class - few_pools @ V / len(pool_X)) ** 2).sum(axis=1)
    distance = float(((weight @ V - (pool_X - center).mean(axis=0)) ** 2).sum())
    p = min(2 * float((1 + tail.sum()) / (1 + DRAWS)) for tail in (misfits, distances >= distance))
    if p < ALPHA:
        return None
    pools = rng.multinomial(len(pool), observed / len(pool), DRAWS).astype(float)
    spread = np.stack([rng.dirichlet(row + 1 / cells, DRAWS) for row in counts[0]], axis=1)
    low, high = np.quantile(_fit_mixture(spread, pools), [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    return CorrectedShares(
        tuple(
            Interval(float(s), float(min(a, s)), float(max(b, s)), len(y) + len(pool))
            for s, a, b in zip(shares, low, high, strict=True)
        ),
        min(p, 1.0),
    )


def _count(pairs: Numbers, weights: Numbers | None, n_classes: int, cells: int) -> Numbers:
    """Return (D, C, L) rows by class and category.

    D is 1 without weights (D, n).
    """
    indicator = np.eye(n_classes * cells)[pairs]
    counted = indicator.sum(axis=0)[None] if weights is None else weights @ indicator
    return np.asarray(counted.reshape(-1, n_classes, cells))


def _by_class(counts: Numbers) -> Numbers:
    """Return (D, C, L) shares of the categories of each class.

    A class has one row more, spread over the categories as those of all rows are: no category is impossible.
    """
    total = counts.sum(axis=1, keepdims=True)
    smoothed = counts + (total + 1e-9) / (total + 1e-9).sum(axis=2, keepdims=True)
    return np.asarray(smoothed / smoothed.sum(axis=2, keepdims=True))


def _fit_mixture(by_class: Numbers, pools: Numbers) -> Numbers:
    """Return (D, C) weights of the classes in counts (D, L), by EM."""
    observed = pools / pools.sum(axis=1, keepdims=True)
    weights = np.full((len(pools), by_class.shape[1]), 1 / by_class.shape[1])
    for _ in range(EM_STEPS):
        mixture = np.einsum("dc,dcl->dl", weights, by_class)
        weights = weights * np.einsum("dl,dcl->dc", observed / np.maximum(mixture, 1e-300), by_class)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _misfit(by_class: Numbers, weights: Numbers, pools: Numbers) -> Numbers:
    """Return (D,) distances of counts (D, L) from mixtures (the statistic G)."""
    expected = np.einsum("dc,dcl->dl", weights, by_class) * pools.sum(axis=1, keepdims=True)
    ratio = np.log(np.maximum(pools, 1e-300) / np.maximum(expected, 1e-300))
    return np.asarray(2 * np.where(pools > 0, pools * ratio, 0.0).sum(axis=1))
