"""From the labelers of the folds to the one that labels: by hand, and in many worlds where trainings differ by luck."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from harness.label import quality, refit
from harness.label.label_metrics import label_figures
from harness.label.postprocess import LabelledRows, LabelOptions, fit_postprocessor
from harness.statistics.metrics import count_confusion, macro_f1, mae

CLASSES, FOLDS, LABELLED, REST = 4, 5, 800, 3_000


def answers(label, low, high, confidence, accepted=None):
    label = np.asarray(label)
    taken = np.ones(len(label), bool) if accepted is None else np.asarray(accepted)
    return LabelledRows(
        label, np.zeros((len(label), 3)), np.asarray(confidence), np.asarray(low), np.asarray(high), taken
    )


def test_figures_of_a_known_truth_are_the_metrics():
    rng = np.random.default_rng(0)
    y, label = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    low, high = np.minimum(label, 1), label
    found = label_figures(answers(label, low, high, rng.random(200), label > 0), np.eye(3)[y], LabelOptions())
    assert found["accuracy"].value == pytest.approx((label == y).mean())
    assert found["macro_f1"].value == pytest.approx(macro_f1(count_confusion(y, label, 3)))
    assert found["mae"].value == pytest.approx(mae(count_confusion(y, label, 3)))
    assert found["coverage"].value == pytest.approx(((low <= y) & (y <= high)).mean())
    assert found["accepted_right"].value == pytest.approx((label == y)[label > 0].mean())
    for c in range(3):
        assert found[f"recall {c}"].value == pytest.approx((label == c)[y == c].mean())
        assert found[f"precision {c}"].value == pytest.approx((y == c)[label == c].mean())
        assert found[f"precision {c}"].rows == (label == c).sum()


def test_figures_of_a_probable_truth_by_hand():
    truth = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])
    found = label_figures(answers([0, 1], [0, 1], [1, 1], [0.6, 0.9]), truth, LabelOptions(at_least=1, good=2))
    assert found["accuracy"].value == pytest.approx((0.5 + 0.8) / 2)
    assert found["mae"].value == pytest.approx((0.3 + 0.4 + 0.2) / 2)
    assert found["recall 0"].value == pytest.approx(0.5 / 0.6)
    assert found["coverage"].value == pytest.approx((0.8 + 0.8) / 2)
    assert found["overconfidence"].value == pytest.approx(0.75 - 0.65)
    assert found["accepted_right"].value == pytest.approx((0.2 + 0.1) / 2)
    assert np.isnan(found["precision 2"].value)


def world(seed, luck):
    """Return what is stated and what is true, of a learner that likes every class more or less, as luck has it."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(LABELLED + REST, 6))
    score = X @ rng.normal(size=6) + 2 * rng.normal(size=len(X))
    y = np.searchsorted(np.quantile(score, [0.12, 0.45, 0.9]), score)

    def trained(rows):
        weight = dict(enumerate(np.exp(luck * rng.normal(size=CLASSES))))
        return LogisticRegression(max_iter=50, class_weight=weight).fit(X[rows], y[rows]).predict_proba

    known, rest = np.arange(LABELLED), np.arange(LABELLED, len(X))
    fold = rng.permutation(LABELLED) % FOLDS
    held, asked = np.empty((LABELLED, CLASSES)), np.empty((FOLDS, REST, CLASSES))
    for k in range(FOLDS):
        answer = trained(known[fold != k])
        held[fold == k], asked[k] = answer(X[known[fold == k]]), answer(X[rest])
    last = trained(known)(X[rest])
    postprocessor, gold = fit_postprocessor(held, y[known], fold, None, LabelOptions(calibration="temperature"))
    transferred = postprocessor.transferred(last, asked[np.arange(REST) % FOLDS, np.arange(REST)])
    by_fold = quality.figures_by_fold(gold, y[known], CLASSES, fold, LabelOptions())
    found = refit.estimate_transfers(
        last[:1_500], asked[:, :1_500], postprocessor, transferred, by_fold, LABELLED / REST
    )
    none = refit.estimate_transfers(last[:0], asked[:, :0], postprocessor, transferred, by_fold, 0.0)
    truth = label_figures(transferred.apply(last), np.eye(CLASSES)[y[rest]], LabelOptions())
    given = transferred.apply(last)
    return [
        quality.measure_quality(held, gold, y[known], None, transferred, each, given) for each in (found, none)
    ], truth


def of_class(stated, truth):
    """Yield, for each number of each class, whether its interval holds the truth and how wide it is."""
    named = {"recall": stated.recall, "precision": stated.precision, "coverage": stated.coverage_by_class}
    for name, by_class in named.items():
        for c, interval in by_class.items():
            if interval is not None and truth[f"{name} {c}"].rows:
                yield interval.holds(truth[f"{name} {c}"].value), interval.high - interval.low


def met(luck, worlds=30):
    """Return (share of class numbers whose interval holds the truth, its width): carried over, and as measured."""
    seen = ([], [])
    for seed in range(worlds):
        stated, truth = world(seed, luck)
        for each, kept in zip(stated, seen, strict=True):
            kept.extend(of_class(each, truth))
    return [np.mean(kept, axis=0) for kept in seen]


@pytest.mark.parametrize("luck", [0.0, 0.2])
def test_what_is_stated_of_classes_is_true_of_the_labeler_that_labels(luck):
    (carried, width), (measured, plain) = met(luck)
    assert carried >= 0.93
    assert width < 2 * plain  # by no interval that says nothing
    if luck:  # what was measured on the folds alone is not
        assert measured < 0.85


def test_a_last_labeler_that_gives_a_class_freely_has_its_recall_stated_so():
    """The folds are equal; the last doubles the weight of class 0: by hand, the shift of its recall."""
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(3), 8_000)
    y = (proba.cumsum(axis=1) < rng.random((8_000, 1))).sum(axis=1)
    old, new, fold = proba[:2_000], proba[2_000:], np.arange(2_000) % 5
    options = LabelOptions(calibration="none")
    postprocessor, gold = fit_postprocessor(old, y[:2_000], fold, None, options)
    freely = new * [2.0, 1.0, 1.0]
    freely /= freely.sum(axis=1, keepdims=True)
    by_fold = quality.figures_by_fold(gold, y[:2_000], 3, fold, options)
    found = refit.estimate_transfers(freely, np.stack([new] * 5), postprocessor, postprocessor, by_fold, 1 / 3)
    by_last, by_fold = new[:, 0], (4 * new[:, 0] + freely[:, 0]) / 5  # the truth, as all others put it
    after = by_last[freely.argmax(axis=1) == 0].sum() / by_last.sum()
    before = by_fold[new.argmax(axis=1) == 0].sum() / by_fold.sum()
    assert found.rows == 6_000
    assert found.by_figure["recall 0"].shift == pytest.approx(logit(after) - logit(before))
    assert found.by_figure["recall 0"].variance < 1e-4  # the folds do not differ
    stated = quality.measure_quality(
        old, gold, y[:2_000], None, postprocessor, found, postprocessor.apply(freely)
    ).recall[0]
    true = (freely.argmax(axis=1) == 0)[y[2_000:] == 0].mean()
    measured = (old.argmax(axis=1) == 0)[y[:2_000] == 0].mean()
    assert stated.holds(true)
    assert true - measured > 0.1
    assert stated.value == pytest.approx(expit(logit(measured) + found.by_figure["recall 0"].shift))


def test_what_the_labels_show_by_themselves_is_no_estimate():
    """No row is labelled 2: its recall is 0 for certain, and it has no precision. Two are labelled 1: nobody knows."""
    rng = np.random.default_rng(3)
    proba, y, fold = rng.dirichlet(np.ones(3), 600), rng.integers(0, 3, 600), np.arange(600) % 3
    options = LabelOptions(calibration="none")
    postprocessor, gold = fit_postprocessor(proba, y, fold, None, options)
    none = refit.estimate_transfers(
        proba[:0],
        np.empty((3, 0, 3)),
        postprocessor,
        postprocessor,
        quality.figures_by_fold(gold, y, 3, fold, options),
        0.1,
    )
    label = np.array([0] * 500 + [1] * 2)
    given = answers(label, label, np.where(label == 1, 1, label), np.full(502, 0.5), label == 1)
    found = quality.measure_quality(proba, gold, y, None, postprocessor, none, given)
    assert (found.recall[2].low, found.recall[2].high) == (0, 0)
    assert (found.coverage_by_class[2].low, found.coverage_by_class[2].high) == (0, 0)
    assert found.precision[2] is None
    assert found.precision[1].high - found.precision[1].low > 0.5
    assert found.precision[0].high - found.precision[0].low < 0.2
    assert found.accepted == pytest.approx(2 / 502)


def test_rows_that_a_fold_was_not_asked_about_are_left_out():
    """Every row is answered for by one fold alone, as where all are of labelled groups: each is judged by the other."""
    rng = np.random.default_rng(1)
    proba = rng.dirichlet(np.ones(3), 1_000)
    y, fold = rng.integers(0, 3, 1_000), np.arange(1_000) % 5
    postprocessor, gold = fit_postprocessor(proba, y, fold, None, LabelOptions(calibration="none"))
    asked = np.where((np.arange(1_000) % 5 == np.arange(5)[:, None])[:, :, None], proba, np.nan)
    found = refit.estimate_transfers(
        proba, asked, postprocessor, postprocessor, quality.figures_by_fold(gold, y, 3, fold, LabelOptions()), 1.0
    )
    assert found.by_figure["accuracy"].shift == pytest.approx(0, abs=1e-12)
    assert found.by_figure["mae"].shift == pytest.approx(0, abs=1e-12)


def test_too_few_rows_to_compare_leave_the_numbers_where_they_were():
    rng = np.random.default_rng(2)
    proba, y, fold = rng.dirichlet(np.ones(3), 300), rng.integers(0, 3, 300), np.arange(300) % 3
    postprocessor, gold = fit_postprocessor(proba, y, fold, None, LabelOptions())
    found = refit.estimate_transfers(
        proba[:50],
        np.stack([proba[:50]] * 3),
        postprocessor,
        postprocessor,
        quality.figures_by_fold(gold, y, 3, fold, LabelOptions()),
        0.5,
    )
    assert found.rows == 0
    assert {(each.shift, each.variance, each.spread) for each in found.by_figure.values()} == {(0.0, 0.0, 1.5)}
