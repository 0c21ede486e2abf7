"""From the folds' labelers to the refit: by hand, and in simulated worlds.

In these worlds two trainings differ by luck.
"""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from harness.label import quality, refit
from harness.label.label_metrics import measure_labels
from harness.label.postprocess import LabelledRows, PostprocessOptions, fit_postprocessor
from harness.statistics.metrics import count_confusion, macro_f1, mae

CLASSES, FOLDS, LABELLED, REST = 4, 5, 800, 3_000


def answers(label, low, high, confidence, accepted=None):
    label = np.asarray(label)
    accepted = np.ones(len(label), bool) if accepted is None else np.asarray(accepted)
    classes, low, high = np.arange(3), np.asarray(low)[:, None], np.asarray(high)[:, None]
    inside = (low <= classes) & (classes <= high)
    return LabelledRows(label, np.zeros((len(label), 3)), np.asarray(confidence), inside, accepted)


def test_metrics_of_a_known_truth_are_the_usual_ones():
    rng = np.random.default_rng(0)
    y, label = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    low, high = np.minimum(label, 1), label
    metrics = measure_labels(answers(label, low, high, rng.random(200), label > 0), np.eye(3)[y], PostprocessOptions())
    assert metrics["accuracy"].value == pytest.approx((label == y).mean())
    assert metrics["macro_f1"].value == pytest.approx(macro_f1(count_confusion(y, label, 3)))
    assert metrics["mae"].value == pytest.approx(mae(count_confusion(y, label, 3)))
    assert metrics["coverage"].value == pytest.approx(((low <= y) & (y <= high)).mean())
    assert metrics["accepted_right"].value == pytest.approx((label == y)[label > 0].mean())
    for c in range(3):
        assert metrics[f"recall {c}"].value == pytest.approx((label == c)[y == c].mean())
        assert metrics[f"precision {c}"].value == pytest.approx((y == c)[label == c].mean())
        assert metrics[f"precision {c}"].rows == (label == c).sum()


def test_metrics_of_a_probable_truth_by_hand():
    truth = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])
    metrics = measure_labels(answers([0, 1], [0, 1], [1, 1], [0.6, 0.9]), truth, PostprocessOptions(at_least=1, good=2))
    assert metrics["accuracy"].value == pytest.approx((0.5 + 0.8) / 2)
    assert metrics["mae"].value == pytest.approx((0.3 + 0.4 + 0.2) / 2)
    assert metrics["recall 0"].value == pytest.approx(0.5 / 0.6)
    assert metrics["coverage"].value == pytest.approx((0.8 + 0.8) / 2)
    assert metrics["overconfidence"].value == pytest.approx(0.75 - 0.65)
    assert metrics["accepted_right"].value == pytest.approx((0.2 + 0.1) / 2)
    assert np.isnan(metrics["precision 2"].value)


def world(seed, luck):
    """Return the stated quality, transferred and measured, and the truth.

    They are of a learner that gives every class more or less freely, as luck has it.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(LABELLED + REST, 6))
    score = X @ rng.normal(size=6) + 2 * rng.normal(size=len(X))
    y = np.searchsorted(np.quantile(score, [0.12, 0.45, 0.9]), score)

    def trained(rows):
        weight = dict(enumerate(np.exp(luck * rng.normal(size=CLASSES))))
        return LogisticRegression(max_iter=50, class_weight=weight).fit(X[rows], y[rows]).predict_proba

    labelled, rest = np.arange(LABELLED), np.arange(LABELLED, len(X))
    fold = rng.permutation(LABELLED) % FOLDS
    held_out, folds = np.empty((LABELLED, CLASSES)), np.empty((FOLDS, REST, CLASSES))
    for k in range(FOLDS):
        answer = trained(labelled[fold != k])
        held_out[fold == k], folds[k] = answer(X[labelled[fold == k]]), answer(X[rest])
    refit_proba = trained(labelled)(X[rest])
    options = PostprocessOptions(calibration="temperature")
    postprocessor, gold = fit_postprocessor(held_out, y[labelled], fold, None, options)
    transferred = postprocessor.transferred(refit_proba, folds[np.arange(REST) % FOLDS, np.arange(REST)])
    by_fold = quality.measure_by_fold(gold, y[labelled], CLASSES, fold, PostprocessOptions())
    transfers = [
        refit.estimate_transfers(refit_proba[:rows], folds[:, :rows], postprocessor, transferred, by_fold, ratio)
        for rows, ratio in ((1_500, LABELLED / REST), (0, 0.0))
    ]
    labels = transferred.apply(refit_proba)
    stated = [
        quality.measure_quality(held_out, gold, y[labelled], None, transferred, transfer, labels)
        for transfer in transfers
    ]
    return stated, measure_labels(labels, np.eye(CLASSES)[y[rest]], PostprocessOptions())


def of_class(stated, truth):
    """Yield (whether it holds the truth, width) of each class's intervals."""
    intervals = {"recall": stated.recall, "precision": stated.precision, "coverage": stated.coverage_by_class}
    for name, by_class in intervals.items():
        for c, interval in by_class.items():
            if interval is not None and truth[f"{name} {c}"].rows:
                yield interval.holds(truth[f"{name} {c}"].value), interval.high - interval.low


def coverage(luck, worlds=15):
    """Return (share of intervals that hold the truth, mean width).

    Of the metrics of single classes: transferred, and as measured.
    """
    results = ([], [])
    for seed in range(worlds):
        stated, truth = world(seed, luck)
        for quality_of_labels, intervals in zip(stated, results, strict=True):
            intervals.extend(of_class(quality_of_labels, truth))
    return [np.mean(intervals, axis=0) for intervals in results]


@pytest.mark.parametrize("luck", [0.0, 0.2])
@pytest.mark.slow
def test_what_is_stated_of_classes_is_true_of_the_labeler_that_labels(luck):
    (transferred, width), (measured, measured_width) = coverage(luck)
    assert transferred >= 0.93
    assert width < 2 * measured_width  # not by useless intervals
    if luck:  # what was measured on the folds alone is not
        assert measured < 0.85


def test_a_refit_that_gives_a_class_freely_has_its_recall_stated_so():
    """Compare the shift of a recall with that by hand.

    The folds are equal; the refit doubles the weight of class 0.
    """
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(3), 8_000)
    y = (proba.cumsum(axis=1) < rng.random((8_000, 1))).sum(axis=1)
    old, new, fold = proba[:2_000], proba[2_000:], np.arange(2_000) % 5
    options = PostprocessOptions(calibration="none")
    postprocessor, gold = fit_postprocessor(old, y[:2_000], fold, None, options)
    freely = new * [2.0, 1.0, 1.0]
    freely /= freely.sum(axis=1, keepdims=True)
    by_fold = quality.measure_by_fold(gold, y[:2_000], 3, fold, options)
    transfers = refit.estimate_transfers(freely, np.stack([new] * 5), postprocessor, postprocessor, by_fold, 1 / 3)
    by_refit, by_others = new[:, 0], (4 * new[:, 0] + freely[:, 0]) / 5  # the truth, as all others put it
    after = by_refit[freely.argmax(axis=1) == 0].sum() / by_refit.sum()
    before = by_others[new.argmax(axis=1) == 0].sum() / by_others.sum()
    assert transfers.rows == 6_000
    assert transfers.by_metric["recall 0"].shift == pytest.approx(logit(after) - logit(before))
    assert transfers.by_metric["recall 0"].variance < 1e-4  # the folds do not differ
    stated = quality.measure_quality(
        old, gold, y[:2_000], None, postprocessor, transfers, postprocessor.apply(freely)
    ).recall[0]
    true = (freely.argmax(axis=1) == 0)[y[2_000:] == 0].mean()
    measured = (old.argmax(axis=1) == 0)[y[:2_000] == 0].mean()
    assert stated.holds(true)
    assert true - measured > 0.1
    assert stated.value == pytest.approx(expit(logit(measured) + transfers.by_metric["recall 0"].shift))


def test_what_the_labels_show_by_themselves_is_no_estimate():
    """Compare classes that no row, two rows and most rows are given.

    No row is labelled 2: its recall is 0 for certain, and it has no precision. Two rows are labelled 1: that is too
    few to be precise.
    """
    rng = np.random.default_rng(3)
    proba, y, fold = rng.dirichlet(np.ones(3), 600), rng.integers(0, 3, 600), np.arange(600) % 3
    options = PostprocessOptions(calibration="none")
    postprocessor, gold = fit_postprocessor(proba, y, fold, None, options)
    transfers = refit.estimate_transfers(
        proba[:0],
        np.empty((3, 0, 3)),
        postprocessor,
        postprocessor,
        quality.measure_by_fold(gold, y, 3, fold, options),
        0.1,
    )
    label = np.array([0] * 500 + [1] * 2)
    given = answers(label, label, np.where(label == 1, 1, label), np.full(502, 0.5), label == 1)
    stated = quality.measure_quality(proba, gold, y, None, postprocessor, transfers, given)
    assert (stated.recall[2].low, stated.recall[2].high) == (0, 0)
    assert (stated.coverage_by_class[2].low, stated.coverage_by_class[2].high) == (0, 0)
    assert stated.precision[2] is None
    assert stated.precision[1].high - stated.precision[1].low > 0.5
    assert stated.precision[0].high - stated.precision[0].low < 0.2
    assert stated.accepted == pytest.approx(2 / 502)


def test_rows_that_a_fold_does_not_answer_for_are_left_out():
    """Let each row be answered for by one fold, as in labelled groups."""
    rng = np.random.default_rng(1)
    proba = rng.dirichlet(np.ones(3), 1_000)
    y, fold = rng.integers(0, 3, 1_000), np.arange(1_000) % 5
    postprocessor, gold = fit_postprocessor(proba, y, fold, None, PostprocessOptions(calibration="none"))
    folds = np.where((np.arange(1_000) % 5 == np.arange(5)[:, None])[:, :, None], proba, np.nan)
    transfers = refit.estimate_transfers(
        proba, folds, postprocessor, postprocessor, quality.measure_by_fold(gold, y, 3, fold, PostprocessOptions()), 1.0
    )
    assert transfers.by_metric["accuracy"].shift == pytest.approx(0, abs=1e-12)
    assert transfers.by_metric["mae"].shift == pytest.approx(0, abs=1e-12)


def test_too_few_rows_to_compare_leave_the_numbers_where_they_were():
    rng = np.random.default_rng(2)
    proba, y, fold = rng.dirichlet(np.ones(3), 300), rng.integers(0, 3, 300), np.arange(300) % 3
    postprocessor, gold = fit_postprocessor(proba, y, fold, None, PostprocessOptions())
    transfers = refit.estimate_transfers(
        proba[:50],
        np.stack([proba[:50]] * 3),
        postprocessor,
        postprocessor,
        quality.measure_by_fold(gold, y, 3, fold, PostprocessOptions()),
        0.5,
    )
    assert transfers.rows == 0
    assert {(t.shift, t.variance, t.spread) for t in transfers.by_metric.values()} == {(0.0, 0.0, 1.5)}
