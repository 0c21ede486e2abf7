"""Shares of a pool with another mix of classes, and what they are not for."""

import numpy as np

from harness.statistics.label_shift import correct_shares

MEANS = np.array([[0.0, 1.5], [1.5, 0.0], [-1.0, -1.0]])


def world(rng, shares, moved=0.0, n=300, m=1_000):
    """Return the arguments of correct_shares, and the true shares.

    Categories are six: the nearest of three centres, and whether it is near.
    """
    y, pool_y = rng.integers(0, 3, n), rng.choice(3, m, p=shares)
    X, pool_X = MEANS[y] + rng.normal(size=(n, 2)), MEANS[pool_y] + rng.normal(size=(m, 2)) + moved

    def category(rows):
        distance = np.linalg.norm(rows[:, None] - MEANS, axis=2)
        return 2 * distance.argmin(axis=1) + (distance.min(axis=1) < 1)

    return (y, category(X), category(pool_X), 3, X, pool_X), np.bincount(pool_y, minlength=3) / m


def test_another_mix_is_estimated_and_its_intervals_hold():
    rng, held, corrected = np.random.default_rng(0), [], 0
    for _ in range(40):
        arguments, true = world(rng, [0.6, 0.3, 0.1])
        estimate = correct_shares(*arguments)
        corrected += estimate is not None
        if estimate is not None:
            held += [interval.holds(share) for interval, share in zip(estimate.shares, true, strict=True)]
            assert estimate.shares[0].value > 0.45  # of the labelled rows it is a third
    assert corrected >= 34
    assert np.mean(held) > 0.88


def test_moved_features_are_not_explained_by_a_mix():
    rng = np.random.default_rng(1)
    assert sum(correct_shares(*world(rng, [1 / 3] * 3, moved=0.5)[0]) is not None for _ in range(15)) <= 1


def test_a_class_of_few_rows_shows_too_little():
    (y, *others), _ = world(np.random.default_rng(2), [1 / 3] * 3)
    assert correct_shares(np.where((y == 2) & (np.cumsum(y == 2) > 4), 1, y), *others) is None
