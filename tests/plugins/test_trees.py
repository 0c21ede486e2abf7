"""forest, extra_trees and hist_gbm: the answers of scikit-learn, the round that validation chooses, refused values."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import log_loss

from harness import Block, Task, holdout
from harness.testing import labeler_checks
from harness_plugins.labelers import trees
from harness_plugins.labelers.trees import ExtraTrees, Forest, HistGBM


@pytest.fixture(scope="module")
def task():
    """Three overlapping blobs of 6 columns; 240 rows labelled, 60 to label. No labelled row has class 2."""
    rng = np.random.default_rng(0)
    y = rng.choice([0, 1, 3], 300)
    X = rng.standard_normal((300, 6)) + 0.6 * y[:, None] * np.linspace(0, 1, 6)
    return Task({"x": Block(np.float32(X), "embedding")}, np.arange(240), y[:240], np.arange(240, 300), 4, seed=5)


def matrices(task):
    X = task.blocks["x"].array
    return X[task.labelled], X[task.to_label]


@pytest.mark.parametrize(
    ("labeler", "by_hand"),
    [
        (Forest("x", n_estimators=9), RandomForestClassifier(9, min_samples_leaf=3, random_state=5)),
        (
            Forest("x", n_estimators=9, min_samples_leaf=1, max_features=0.5, class_weight=True),
            RandomForestClassifier(9, max_features=0.5, class_weight="balanced", random_state=5),
        ),
        (
            Forest("x", n_estimators=9, max_features="log2"),
            RandomForestClassifier(9, min_samples_leaf=3, max_features="log2", random_state=5),
        ),
        (ExtraTrees("x", n_estimators=9), ExtraTreesClassifier(9, min_samples_leaf=3, random_state=5)),
        (
            HistGBM("x", max_iter=7, validation=0, learning_rate=0.3, min_samples_leaf=5, max_leaf_nodes=4),
            HistGradientBoostingClassifier(
                max_iter=7, learning_rate=0.3, min_samples_leaf=5, max_leaf_nodes=4, early_stopping=False
            ),
        ),
        (
            HistGBM("x", max_iter=7, validation=0, l2_regularization=2.0, max_features=0.5, class_weight=True),
            HistGradientBoostingClassifier(
                max_iter=7,
                l2_regularization=2.0,
                max_features=0.5,
                class_weight="balanced",
                early_stopping=False,
                random_state=5,
            ),
        ),
    ],
    ids=repr,
)
def test_the_answer_is_that_of_scikit_learn(task, labeler, by_hand):
    X, X_pool = matrices(task)
    expected = by_hand.fit(X, task.y).predict_proba(X_pool)
    proba = labeler.label(task).proba
    np.testing.assert_allclose(proba[:, [0, 1, 3]], expected, atol=1e-12)
    assert not proba[:, 2].any()


def test_the_round_of_the_lowest_validation_loss_answers(task):
    labeler = HistGBM("x", max_iter=60, learning_rate=0.3, min_samples_leaf=5, validation=0.25)
    answer = labeler.label(task)
    held = holdout(task, 0.25)
    X, X_pool = matrices(task)
    losses, pools = [], []
    for rounds in (*range(1, 13), 60):
        model = HistGradientBoostingClassifier(
            max_iter=rounds, learning_rate=0.3, min_samples_leaf=5, early_stopping=False
        ).fit(X[~held], task.y[~held])
        losses.append(log_loss(task.y[held], model.predict_proba(X[held])))
        pools.append(model.predict_proba(X_pool))
    best = int(np.argmin(losses))
    assert 0 < best < 11
    assert answer.facts["best_round"] == best + 1
    assert answer.facts["validation_log_loss"] == pytest.approx(losses[best])
    assert (answer.facts["rounds"], answer.facts["settled"]) == (60, True)
    np.testing.assert_allclose(answer.proba[:, [0, 1, 3]], pools[best], atol=1e-12)


def test_a_loss_that_still_falls_at_the_last_round_has_not_settled(task):
    facts = HistGBM("x", max_iter=3, learning_rate=0.05, validation=0.25).label(task).facts
    assert (facts["best_round"], facts["settled"]) == (3, False)


@pytest.mark.parametrize("labeler", [Forest("x", n_estimators=3), ExtraTrees("x", n_estimators=3), HistGBM("x")])
def test_a_train_set_of_one_class_answers_with_it(task, labeler):
    proba = labeler.label(replace(task, y=np.full(240, 3))).proba
    assert (proba == np.eye(4)[3]).all()


def test_a_class_among_the_held_rows_alone_counts_in_the_loss():
    assert trees._log_loss(np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([0, 2]), np.array([1, 2])) == pytest.approx(
        -(np.log(1e-6) + np.log(0.8)) / 2
    )


@pytest.mark.parametrize("labeler", [Forest("x", n_estimators=20), HistGBM("x", max_iter=5)])
def test_threads_and_portions_change_no_byte(task, labeler, monkeypatch):
    plain = labeler.label(task).proba.tobytes()
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(trees, "PREDICTED_ROWS", 7)
    assert labeler.label(task).proba.tobytes() == plain


@pytest.mark.parametrize("cls", [Forest, ExtraTrees])
def test_the_seed_of_the_task_draws_the_trees(task, cls):
    first, again, other = (
        cls("x", n_estimators=5).label(replace(task, seed=seed)).proba.tobytes() for seed in (2**40, 2**40, 1)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("cls", "field", "value"),
    [
        (Forest, "n_estimators", 0),
        (ExtraTrees, "min_samples_leaf", 0),
        (Forest, "max_features", 0.0),
        (Forest, "max_features", 1.5),
        (HistGBM, "max_iter", 0),
        (HistGBM, "learning_rate", 0.0),
        (HistGBM, "max_leaf_nodes", 1),
        (HistGBM, "min_samples_leaf", 0),
        (HistGBM, "l2_regularization", -1.0),
        (HistGBM, "max_features", 0.0),
        (HistGBM, "validation", 0.6),
    ],
)
def test_a_value_out_of_range_is_named(cls, field, value):
    with pytest.raises(ValueError, match=rf"^{field} must be .*, got {value}$"):
        cls("x", **{field: value})


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "labeler",
    [Forest("text", n_estimators=5), ExtraTrees(("text", "bge"), n_estimators=5), HistGBM("text", max_iter=4)],
    ids=repr,
)
def test_keeps_the_promises_of_a_labeler(labeler, check):
    check(labeler)
