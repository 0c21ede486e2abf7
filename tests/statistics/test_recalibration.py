"""Rules transferred to a labeler that is more confident and no better."""

import numpy as np
import pytest
from scipy.special import softmax

from harness.label.postprocess import PostprocessOptions, fit_postprocessor
from harness.statistics.calibration import scale
from harness.statistics.recalibration import match_bound, match_level, match_temperature


def test_the_temperature_undoes_what_was_done():
    proba = softmax(np.random.default_rng(0).normal(size=(2_000, 5)), axis=1)
    assert match_temperature(scale(proba, 0.5), proba) == pytest.approx(2.0, rel=1e-3)
    assert match_temperature(proba, proba) == pytest.approx(1.0, rel=1e-4)
    assert match_temperature(np.full((10, 4), 0.25), proba[:10, :4]) == 1.0  # nothing sharpens what is flat


def test_levels_and_bounds_by_hand():
    assert match_level(np.array([0.1, 0.5, 0.7, 0.9]), np.array([1.0, 2.0, 3.0, 4.0]), 3.0) == 0.7
    assert match_level(np.array([0.1, 0.9]), np.array([1.0, 2.0]), 5.0) > 0.9
    scores, like = np.array([[0.0, 0.3], [0.0, 0.5]]), np.array([[0.0, 0.6], [0.0, 0.8]])
    assert match_bound(scores, like, 0.7) == 0.3
    assert match_bound(scores, like, np.inf) == np.inf


@pytest.mark.parametrize("power", [0.6, 1.0, 1.8])
def test_a_surer_labeler_keeps_the_promises_of_those_it_is_judged_by(power):
    """Probabilities raised to a power keep accuracy, coverage and confidence."""
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=1.2, size=(14_000, 5))
    proba = softmax(logits, axis=1)
    y = (proba.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1)
    old, new = slice(0, 4_000), slice(4_000, None)
    postprocessor, fitted = fit_postprocessor(
        proba[old], y[old], np.arange(4_000) % 5, None, PostprocessOptions(target=0.6)
    )
    sharp = softmax(power * logits, axis=1)
    answers = postprocessor.transferred(sharp[new][:5_000], proba[new][:5_000]).apply(sharp[new])
    hit, inside = answers.label == y[new], (answers.low <= y[new]) & (y[new] <= answers.high)
    assert answers.accepted.mean() == pytest.approx(fitted.accepted.mean(), abs=0.03)
    assert hit[answers.accepted].mean() > 0.6
    assert inside.mean() == pytest.approx(0.9, abs=0.015)
    assert answers.confidence.mean() == pytest.approx(hit.mean(), abs=0.02)
    plain = postprocessor.apply(sharp[new])
    if power != 1.0:  # and without it they are broken
        assert abs(plain.confidence.mean() - hit.mean()) > 0.05


def test_too_few_rows_to_compare_leave_the_rules_alone():
    rng = np.random.default_rng(2)
    proba, y = rng.dirichlet(np.ones(4), 300), rng.integers(0, 4, 300)
    postprocessor, _ = fit_postprocessor(proba, y, np.arange(300) % 3, None, PostprocessOptions())
    assert postprocessor.transferred(proba[:50], proba[:50]) is postprocessor


def test_each_label_has_its_own_threshold_carried_over():
    rng = np.random.default_rng(3)
    logits = rng.normal(scale=2, size=(6_000, 3))
    proba = softmax(logits, axis=1)
    y = (proba.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1)
    postprocessor, fitted = fit_postprocessor(
        proba, y, np.arange(6_000) % 5, None, PostprocessOptions(target=0.8, by_class=True)
    )
    sharp = softmax(2 * logits, axis=1)
    answers = postprocessor.transferred(sharp, proba).apply(sharp)
    for c in range(3):
        rows = answers.label == c
        assert answers.accepted[rows].mean() == pytest.approx(fitted.accepted[rows].mean(), abs=0.02)
