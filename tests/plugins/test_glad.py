"""glad: against the formulas of its paper, crowd-kit, and raters of known skill."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit

from harness import RaterLabels
from harness_plugins._raters import find_patterns
from harness_plugins.labelers.glad import GLAD, improve, scores
from harness_plugins.labelers.majority_vote import MajorityVote
from tests.plugins.crowd import accuracy, crowd_task, make_crowd


def make_rows_of_any_ease(n, n_raters, per_row, n_classes, seed=0):
    """Return truth, labels, skills and log eases, drawn from the model itself."""
    rng = np.random.default_rng(seed)
    truth, skill, log_ease = rng.integers(0, n_classes, n), rng.normal(1.2, 1, n_raters), rng.normal(0.3, 0.7, n)
    raters = rng.random((n, n_raters)).argsort(axis=1)[:, :per_row].reshape(-1)
    rows = np.repeat(np.arange(n), per_row)
    right = rng.random(len(rows)) < expit(skill[raters] * np.exp(log_ease[rows]))
    labels = (truth[rows] + ~right * rng.integers(1, n_classes, len(rows))) % n_classes
    return truth, RaterLabels(rows, raters, labels, n, n_raters), skill, log_ease


def patterns_of(labels, n_classes):
    return find_patterns(labels, np.full(labels.n_rows, -1), n_classes)


def test_scores_are_those_of_the_model():
    _, labels, skill, _ = make_rows_of_any_ease(20, 4, 3, 3)
    patterns = patterns_of(labels, 3)
    log_ease = np.linspace(-1, 1, len(patterns.weight))
    prior = np.array([0.2, 0.3, 0.5])
    expected = np.tile(np.log(prior), (len(log_ease), 1))
    for row, rater, label in zip(*patterns.answers.arrays(), strict=True):
        right = 1 / (1 + np.exp(-skill[rater] * np.exp(log_ease[row])))
        for truth in range(3):
            expected[row, truth] += np.log(right if label == truth else (1 - right) / 2)
    np.testing.assert_allclose(scores(patterns, skill, log_ease, prior), expected)


def test_the_slope_of_the_expected_likelihood_is_right(monkeypatch):
    _, labels, _, _ = make_rows_of_any_ease(15, 4, 3, 3)
    patterns = patterns_of(labels, 3)
    posterior = np.random.default_rng(0).dirichlet(np.ones(3), len(patterns.weight))
    seen = []
    monkeypatch.setattr(
        "scipy.optimize.minimize", lambda loss, start, **_: seen.append(loss) or type("", (), {"x": start})
    )
    start = np.random.default_rng(1).normal(1, 0.5, 4 + len(patterns.weight))
    improve(patterns, posterior, start[:4], start[4:])
    (loss,) = seen
    slope = approx_fprime(start, lambda parameters: loss(parameters)[0], 1e-7)
    np.testing.assert_allclose(loss(start)[1], slope, atol=1e-4)


def test_it_finds_skills_and_beats_the_majority():
    truth, labels, skill, _ = make_rows_of_any_ease(1_500, 25, 5, 3)
    task = crowd_task(truth, labels, 3, n_labelled=100)
    assert accuracy(GLAD().label(task), task, truth) > accuracy(MajorityVote().label(task), task, truth) + 0.01
    posterior, found, settled = GLAD().fit(patterns_of(labels, 3), np.full(3, 1 / 3))
    assert settled
    assert np.corrcoef(found, skill)[0, 1] > 0.9
    np.testing.assert_allclose(posterior.sum(axis=1), 1)


@pytest.mark.filterwarnings("ignore")  # of crowd-kit, on pandas
def test_labels_are_nearly_those_of_crowd_kit():
    crowdkit = pytest.importorskip("crowdkit.aggregation")
    import pandas as pd

    truth, labels, _, _ = make_rows_of_any_ease(60, 8, 5, 3)
    task = crowd_task(truth, labels, 3)
    ours = GLAD(gold="ignore").label(task).proba.argmax(axis=1)
    frame = pd.DataFrame({"task": labels.rows, "worker": labels.raters, "label": labels.labels})
    theirs = crowdkit.GLAD(n_iter=8).fit_predict(frame).sort_index().to_numpy()[task.to_label]
    assert (ours == theirs).mean() > 0.95
    assert (ours == truth[task.to_label]).mean() >= (theirs == truth[task.to_label]).mean() - 0.01


def test_known_labels_turn_raters_who_are_mostly_wrong():
    truth, labels, _ = make_crowd(800, 5, 5, 2, accuracy=0.25, spread=0.05)
    task = crowd_task(truth, labels, 2, n_labelled=300)
    assert accuracy(GLAD(gold="ignore").label(task), task, truth) < 0.2
    assert accuracy(GLAD(gold="fixed").label(task), task, truth) > 0.8
