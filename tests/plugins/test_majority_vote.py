"""majority_vote: the commonest label of each row to label."""

import numpy as np

from harness import RaterLabels
from harness_plugins.labelers.majority_vote import MajorityVote
from tests.plugins.crowd import crowd_task, make_crowd


def test_labels_are_the_commonest_and_shares_those_of_the_raters():
    truth, labels, _ = make_crowd(200, 9, 5, 4, accuracy=0.5)
    task = crowd_task(truth, labels, 4, n_labelled=40)
    proba = MajorityVote().label(task)
    counts = labels.counts(4)[task.to_label]
    np.testing.assert_allclose(proba, counts / 5, atol=1e-3)
    assert (counts[np.arange(160), proba.argmax(axis=1)] == counts.max(axis=1)).all()


def test_a_tie_and_a_row_without_raters_go_by_the_train_rows():
    labels = RaterLabels([3, 3, 4, 4], [0, 1, 0, 1], [0, 1, 2, 1], 6, 2)
    task = crowd_task(np.array([1, 1, 2, 0, 0, 0]), labels, 3, n_labelled=3)
    proba = MajorityVote().label(task)
    assert proba.argmax(axis=1).tolist() == [1, 1, 1]
    np.testing.assert_allclose(proba[2], [0, 2 / 3, 1 / 3])
