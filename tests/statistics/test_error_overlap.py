"""Shared errors, ensemble gains and costs of labels by hand."""

import numpy as np
import pytest

from harness.statistics.costs import Cost, Prices, cost
from harness.statistics.error_overlap import ensemble_gains, shared_errors


def test_errors_in_common():
    y = np.array([0, 1, 2, 0, 1])
    first, second = np.array([0, 2, 1, 1, 1]), np.array([1, 2, 0, 0, 1])
    shared = shared_errors(y, [first, second, y])
    assert (shared[0, 1].both, shared[0, 1].same) == (2 / 5, 1 / 5)  # rows 1 and 2; row 1 with the same label
    assert shared[0, 1].chance == pytest.approx(3 / 5 * 3 / 5)
    assert (shared[0, 2].both, shared[0, 2].chance) == (0, 0)
    assert set(shared) == {(0, 1), (0, 2), (1, 2)}


def test_what_each_adds_is_the_ensemble_without_it():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    probas = [rng.dirichlet(np.ones(3) + 2 * k, 400) + 0.3 * k * np.eye(3)[y] for k in range(3)]
    gains = ensemble_gains(y, probas)
    for i, gain in enumerate(gains):
        others = np.mean([proba for j, proba in enumerate(probas) if j != i], axis=0)
        assert gain.alone == (probas[i].argmax(1) == y).mean()
        assert gain.without == (others.argmax(1) == y).mean()
        assert gain.together == (np.mean(probas, axis=0).argmax(1) == y).mean()


def test_what_an_accepted_label_costs():
    price = cost(seconds=1800, train=1000, rows=10_000, accepted=4000, prices=Prices(label=0.01, hour=2.0))
    assert price.seconds == 0.45
    assert price.compute == 1.0 / 4000  # half an hour
    assert price.total == (1.0 + 10.0) / 4000
    assert price.saved == pytest.approx((40.0 - 1.0) / 100.0)


def test_without_a_price_or_an_accepted_label_there_is_no_number():
    assert cost(10, 5, 100, 0, Prices(1, 1)) == Cost(None, None, None, None)
    assert cost(10, 5, 100, 50, Prices()) == Cost(0.2, None, None, None)
    assert cost(3600, 5, 100, 50, Prices(hour=5)) == Cost(72, 0.1, None, None)


def test_a_machine_dearer_than_the_labels_saves_nothing():
    assert cost(3600, 0, 100, 100, Prices(label=0.01, hour=2)).saved == pytest.approx(-1)
