"""dawid_skene: against a plain EM, crowd-kit, and raters whose confusion matrices are known."""

import numpy as np
import pytest

from harness import NotApplicable, RaterLabels
from harness_plugins._raters import find_patterns
from harness_plugins.labelers.dawid_skene import DawidSkene, pool_far_labels
from harness_plugins.labelers.majority_vote import MajorityVote
from tests.plugins.crowd import accuracy, crowd_task, make_crowd

# SIMULATED DATA of the shapes of four sets of a survey of truth inference (VLDB 2017): rows, raters, labels a row,
# classes, and how often a rater is right.
SHAPES = {
    "product": (8_315, 176, 3, 2, 0.86),
    "duck": (108, 39, 39, 2, 0.6),
    "dog": (807, 109, 10, 4, 0.5),
    "face": (584, 27, 9, 4, 0.39),
}


def plain_em(labels, n_classes, steps):
    """Return (N, C) posteriors of Dawid and Skene's EM, row by row."""
    table = labels.table()
    posterior = labels.counts(n_classes) / labels.counts(n_classes).sum(axis=1, keepdims=True)
    for _ in range(steps):
        confusion = np.zeros((labels.n_raters, n_classes, n_classes))  # (rater, truth, label)
        for row, rater in zip(*np.nonzero(table >= 0), strict=True):
            confusion[rater, :, table[row, rater]] += posterior[row]
        confusion /= np.maximum(confusion.sum(axis=2, keepdims=True), 1e-300)
        prior = posterior.mean(axis=0)
        for row in range(len(table)):
            log = np.log(prior)
            for rater in np.flatnonzero(table[row] >= 0):
                log = log + np.log(np.maximum(confusion[rater, :, table[row, rater]], 1e-10))
            weight = np.exp(log - log.max())
            posterior[row] = weight / weight.sum()
    return posterior


@pytest.mark.parametrize("shape", [(60, 3, 3, 3), (50, 8, 4, 2)])
def test_without_smoothing_it_is_the_plain_em(shape):
    truth, labels, _ = make_crowd(*shape, accuracy=0.7)
    task = crowd_task(truth, labels, shape[3])
    for steps in (1, 2, 25):
        proba = DawidSkene(gold="ignore", smoothing=0.0, max_iter=steps).label(task).proba
        np.testing.assert_allclose(proba, plain_em(labels, shape[3], steps)[task.to_label], atol=1e-4)


@pytest.mark.filterwarnings("ignore")  # of crowd-kit, on pandas
@pytest.mark.parametrize("name", SHAPES)
def test_it_is_at_least_as_good_as_crowd_kits(name):
    crowdkit = pytest.importorskip("crowdkit.aggregation")
    import pandas as pd

    *shape, right = SHAPES[name]
    only_ours = only_theirs = 0  # rows that one of the two has right
    for seed in range(1 if name == "product" else 3):
        truth, labels, _ = make_crowd(*shape, accuracy=right, seed=seed)
        task = crowd_task(truth, labels, shape[3])
        ours = DawidSkene(gold="ignore").label(task).proba.argmax(axis=1) == truth[task.to_label]
        frame = pd.DataFrame({"task": labels.rows, "worker": labels.raters, "label": labels.labels})
        answer = crowdkit.DawidSkene(n_iter=100).fit_predict(frame).sort_index().to_numpy()
        theirs = (answer == truth)[task.to_label]
        only_ours, only_theirs = only_ours + (ours & ~theirs).sum(), only_theirs + (theirs & ~ours).sum()
    # Of two classes both reach the same optimum but for a few rows: no worse is then by McNemar's test.
    allowed = 1.645 * np.sqrt(only_ours + only_theirs) if shape[3] == 2 else 0
    assert only_ours >= only_theirs - allowed


def test_rows_of_one_pattern_are_fitted_once_to_the_same_answer():
    truth, labels, _ = make_crowd(400, 3, 3, 3, accuracy=0.6)
    gold = np.where(np.arange(400) < 100, truth, -1)
    patterns = find_patterns(labels, gold, 3)
    assert len(patterns.weight) < 4 * 27
    assert patterns.weight.sum() == 400
    np.testing.assert_array_equal(patterns.gold[patterns.of_row], gold)
    np.testing.assert_array_equal(patterns.answers.table()[patterns.of_row], labels.table())


def test_it_finds_the_confusion_matrices_and_beats_the_majority():
    truth, labels, confusion = make_crowd(6_000, 6, 4, 3, accuracy=0.6, spread=0.3)
    task = crowd_task(truth, labels, 3, n_labelled=300)
    patterns = find_patterns(labels, np.full(6_000, -1), 3)
    _, found, prior, settled = DawidSkene().fit(patterns, 3)
    assert settled
    np.testing.assert_allclose(found.transpose(0, 2, 1), confusion, atol=0.06)
    np.testing.assert_allclose(prior, np.bincount(truth) / 6_000, atol=0.03)
    assert accuracy(DawidSkene().label(task), task, truth) > accuracy(MajorityVote().label(task), task, truth) + 0.03


def test_known_labels_turn_raters_who_are_mostly_wrong():
    truth, labels, _ = make_crowd(2_000, 5, 5, 2, accuracy=0.25, spread=0.05)
    task = crowd_task(truth, labels, 2, n_labelled=200)
    assert accuracy(DawidSkene(gold="ignore").label(task), task, truth) < 0.2  # the classes are exchanged
    assert accuracy(DawidSkene(gold="fixed").label(task), task, truth) > 0.85


def test_a_known_label_as_evidence_may_be_wrong():
    truth, labels, _ = make_crowd(1_000, 7, 7, 2, accuracy=0.85, spread=0.05)
    told = np.where(np.random.default_rng(1).random(1_000) < 0.2, 1 - truth, truth)  # of the labelled rows
    task = crowd_task(told, labels, 2, n_labelled=500)
    facts = DawidSkene(gold="evidence").label(task).facts
    of_labels = {row[0]: row[2] for row in facts["tables"]["Raters"]["rows"]}["rater 8"]
    assert abs(of_labels - 0.8) < 0.05


def test_of_few_labels_of_ordered_classes_a_band_is_better():
    plain, banded = [], []
    for seed in range(4):
        truth, labels, _ = make_crowd(600, 60, 5, 6, accuracy=0.45, seed=seed, far=False)
        task = crowd_task(truth, labels, 6)
        plain.append(accuracy(DawidSkene(gold="ignore", smoothing=0.1).label(task), task, truth))
        banded.append(accuracy(DawidSkene(gold="ignore", smoothing=0.1, band=1).label(task), task, truth))
    assert np.mean(banded) > np.mean(plain)


def test_labels_beyond_the_band_share_one_rate():
    counts = np.random.default_rng(0).integers(1, 9, (3, 5, 5)).astype(float)  # (rater, label, truth)
    pooled = pool_far_labels(counts, 1)
    np.testing.assert_allclose(pooled.sum(axis=1), counts.sum(axis=1))
    confusion = pooled / pooled.sum(axis=1, keepdims=True)
    far = np.abs(np.arange(5)[:, None] - np.arange(5)) > 1
    for rater in range(3):
        assert np.ptp(confusion[rater][far]) < 1e-12
        assert np.isclose(pooled[rater][far].sum(), counts[rater][far].sum())
        near = ~far[:, 2]
        ratio = pooled[rater, near, 2] / counts[rater, near, 2]
        assert np.ptp(ratio) < 1e-12


def test_a_band_over_all_classes_changes_nothing():
    truth, labels, _ = make_crowd(200, 5, 3, 4, accuracy=0.6)
    task = crowd_task(truth, labels, 4)
    answers = [DawidSkene(band=band).label(task).proba for band in (None, 3)]
    np.testing.assert_allclose(*answers, atol=1e-9)
    assert DawidSkene(band=3).needs_order
    assert not DawidSkene().needs_order


def test_a_row_without_raters_takes_the_class_shares():
    truth, labels, _ = make_crowd(300, 5, 3, 3, accuracy=0.8)
    seen = labels.rows != 299
    labels = RaterLabels(labels.rows[seen], labels.raters[seen], labels.labels[seen], 300, 5)
    proba = DawidSkene().label(crowd_task(truth, labels, 3, n_labelled=100)).proba
    np.testing.assert_allclose(proba[-1], np.bincount(truth) / 300, atol=0.05)


def test_predicted_labels_are_no_gold():
    truth, labels, _ = make_crowd(200, 5, 5, 2, accuracy=0.8)
    wrong = crowd_task(1 - truth, labels, 2, n_labelled=100, pseudo=np.ones(100, bool))
    unused = DawidSkene(gold="ignore").label(wrong).proba
    np.testing.assert_array_equal(DawidSkene().label(wrong).proba, unused)


def test_without_raters_of_the_rows_to_label_it_says_how_to_give_them():
    truth, _, _ = make_crowd(10, 3, 3, 2, accuracy=0.8)
    with pytest.raises(NotApplicable, match=r"raters: \{columns: \[\.\.\.\], on: all\}"):
        DawidSkene().label(crowd_task(truth, None, 2))
