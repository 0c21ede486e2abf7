"""Intervals of metrics of a confusion matrix, with few rows."""

import numpy as np

from harness.statistics.bootstrap import table_interval
from harness.statistics.metrics import count_confusion, f1_by_class, macro_f1, mae


def f1(tables):
    return f1_by_class(tables).mean(axis=-1)


def coverage(recall, prior, n, metric, worlds=120):
    """Return how often the interval of n rows holds the metric of all rows.

    Every class has a row at least: of one without, nothing could have learnt.
    """
    rng, classes = np.random.default_rng(0), len(recall)
    prior = np.asarray(prior) / np.sum(prior)
    true, held, done = float(metric(prior[:, None] * recall)), 0, 0
    while done < worlds:
        y = rng.choice(classes, n, p=prior)
        if len(np.unique(y)) == classes:
            label = (recall[y].cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
            held += table_interval(y, label, classes, metric).holds(true)
            done += 1
    return held / worlds


def test_thirty_rows_and_rare_classes_are_held(monkeypatch):
    monkeypatch.setattr("harness.statistics.bootstrap.REPLICATES", 400)
    even = 0.6 * np.eye(4) + 0.1
    rare = np.array([[0.95, 0.05], [0.5, 0.5]])
    many = 0.5 * np.eye(20) + 0.025
    for recall, prior, n in ((even, np.ones(4), 30), (rare, (0.88, 0.12), 30), (many, np.ones(20), 90)):
        assert coverage(recall, prior, n, f1) >= 0.9
        assert coverage(recall, prior, n, mae) >= 0.9


def test_the_value_is_the_metric_and_lies_inside():
    rng = np.random.default_rng(1)
    y, label, unit = rng.integers(0, 3, 200), rng.integers(0, 3, 200), np.arange(200) // 4
    for metric, plain in ((f1, macro_f1), (mae, mae)):
        interval = table_interval(y, label, 3, metric, unit)
        assert np.isclose(interval.value, plain(count_confusion(y, label, 3)))
        assert interval.low <= interval.value <= interval.high


def test_rows_of_a_group_are_weighed_together():
    rng = np.random.default_rng(2)
    y, label = np.repeat(rng.integers(0, 3, (2, 60)), 10, axis=1)
    alone, together = table_interval(y, label, 3, f1), table_interval(y, label, 3, f1, np.arange(600) // 10)
    assert together.high - together.low > 2 * (alone.high - alone.low)
