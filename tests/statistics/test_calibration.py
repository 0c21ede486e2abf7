"""Calibration against numbers by hand, scikit-learn and known faults."""

import numpy as np
import pytest
from scipy.special import softmax

from harness.statistics.calibration import METHODS, best_method, cross_fit_calibration, fit_calibration
from harness.statistics.metrics import calibration_error, confidence_error, log_loss


def class_errors(proba, y):
    return np.array([confidence_error(proba[:, c].astype(float), y == c) for c in range(proba.shape[1])])


def answers(n, sharpness, seed=0, n_classes=4):
    """Return (n, C) probabilities, labels (n,) and folds (n,).

    Labels are drawn from honest probabilities; those returned are raised to a power and renormalised.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.2, size=(n, n_classes))
    y = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return softmax(sharpness * logits, axis=1).astype(np.float32), y, np.arange(n) % 5


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_power(sharpness):
    proba, y, _ = answers(20_000, sharpness)
    honest = answers(20_000, 1.0)[0]
    np.testing.assert_allclose(fit_calibration("temperature", proba, y)(proba), honest, atol=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_stay_probabilities(method):
    proba, y, _ = answers(300, 3.0)
    proba[0] = [1, 0, 0, 0]
    y = np.minimum(y, 2)  # class 3 has no row
    calibrated = fit_calibration(method, proba, y)(proba)
    np.testing.assert_allclose(calibrated.sum(axis=1), 1, atol=1e-6)
    assert (calibrated >= 0).all()
    assert calibrated.shape == (300, 4)


def test_the_temperature_keeps_the_order_of_the_classes():
    proba, y, _ = answers(500, 3.0)
    np.testing.assert_array_equal(
        fit_calibration("temperature", proba, y)(proba).argsort(axis=1), proba.argsort(axis=1)
    )


def test_isotonic_curves_are_those_of_scikit_learn():
    """With two classes both curves are those of scikit-learn, normalised."""
    from sklearn.isotonic import IsotonicRegression

    proba, y, _ = answers(2_000, 3.0, n_classes=2)
    calibrated = fit_calibration("isotonic", proba, y)(proba)
    curve = IsotonicRegression(y_min=0, y_max=1).fit(proba[:, 1].astype(float), y == 1).predict(proba[:, 1])
    np.testing.assert_allclose(calibrated[:, 1], curve, atol=0.001)


def test_a_fold_is_not_calibrated_by_its_own_labels():
    proba, y, fold = answers(400, 3.0)
    changed = np.where(fold == 2, 3 - y, y)
    for method in METHODS:
        before, after = (cross_fit_calibration(method, proba, labels, fold) for labels in (y, changed))
        np.testing.assert_array_equal(before[fold == 2], after[fold == 2])


def test_the_best_method_is_the_one_that_fits_the_fault():
    honest, sharp = answers(4_000, 1.0), answers(4_000, 3.0)
    assert best_method(*sharp)[0] == "temperature"
    proba, y, fold = honest
    bent = proba.astype(float) * [1, 4, 1, 1]  # one class is overrated, which no temperature can mend
    bent /= bent.sum(axis=1, keepdims=True)
    name, calibrated = best_method(bent, y, fold)
    assert name == "isotonic"
    assert log_loss(calibrated, y) < log_loss(bent, y)


def test_calibrated_answers_have_a_small_error_on_new_rows():
    proba, y, _ = answers(4_000, 3.0)
    other, truth, _ = answers(20_000, 3.0, seed=1)
    assert calibration_error(other, truth) > 0.15
    for method, most in (("temperature", 0.015), ("isotonic", 0.05)):  # the curves lose by being made to sum to 1
        mended = fit_calibration(method, proba, y)(other)
        assert calibration_error(mended, truth) < most
        assert class_errors(mended, truth).max() < most < class_errors(other, truth).min()


def test_errors_by_hand():
    """Three rows share a bin at .9, two of them right; one at .5 is wrong."""
    confidence, hit = np.array([0.9, 0.9, 0.9, 0.5]), np.array([True, True, False, False])
    assert confidence_error(confidence, hit) == pytest.approx((abs(2 - 2.7) + 0.5) / 4)
    assert confidence_error(confidence, hit, np.array([2, 1, 1, 0])) == pytest.approx(abs(3 - 3.6) / 4)


def test_the_error_of_the_confidence_is_the_calibration_error():
    proba, y, _ = answers(1_000, 2.0)
    hit = proba.argmax(axis=1) == y
    assert confidence_error(proba.max(axis=1).astype(float), hit) == pytest.approx(calibration_error(proba, y))
