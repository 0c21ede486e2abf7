"""LightGBM: the settings that reach it, the round that answers, what the features are called, and odd tasks."""

import json
import subprocess
import sys
from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import Block, Task, assign_folds, holdout
from harness.plugin.task import find_error
from harness.suite.spec import display_name
from harness.testing import labeler_checks
from harness_plugins.labelers._categories import Categories
from harness_plugins.labelers.gbm import GBM

NO_ROWS = np.empty(0, np.int64)
SMALL = GBM("x", rounds=60, learning_rate=0.2, leaves=7, min_child=5, early_stopping=0, validation=0.3)


def task_of(X, y, n, n_classes, seed=3, **more):
    """The first n rows are labelled, the rest is to be labelled."""
    block = Block(np.asarray(X, np.float32), "embedding")
    return Task({"x": block}, np.arange(n), y[:n], np.arange(n, len(X)), n_classes, seed=seed, **more)


@pytest.fixture(scope="module")
def noisy():
    """Three classes from one of six columns, with so much noise that many rounds overfit."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 6))
    return task_of(X, np.digitize(X[:, 2] + 0.8 * rng.standard_normal(500), [-0.5, 0.7]), n=400, n_classes=3)


def direct(task, rounds, seed, keep=slice(None), **more):
    """LightGBM with the settings of SMALL under its own names for them, on some of the labelled positions."""
    X = task.blocks["x"].array[task.labelled]
    settings = {
        "objective": "multiclass",
        "num_class": task.n_classes,
        "eta": 0.2,
        "max_leaf": 7,
        "min_data": 5,
        "subsample": 0.8,
        "subsample_freq": 1,
        "colsample_bytree": 0.8,
        "reg_alpha": 0.1,
        "reg_lambda": 1.0,
        "random_state": seed,
        "verbose": -1,
        "deterministic": True,
        "force_row_wise": True,
    }
    return lightgbm.train(settings | more, lightgbm.Dataset(X[keep], task.y[keep]), rounds)


def loss_of(proba, y):
    return float(-np.log(proba[np.arange(len(y)), y]).mean())


# ---- settings -----------------------------------------------------------------------------------------------------


def test_the_defaults_are_those_that_are_read_into_the_record():
    """The document itself does not give them."""
    gbm = GBM("x")
    assert (gbm.rounds, gbm.learning_rate, gbm.leaves, gbm.min_child) == (1000, 0.05, 63, 20)
    assert (gbm.row_sample, gbm.column_sample, gbm.l1, gbm.l2, gbm.early_stopping) == (0.8, 0.8, 0.1, 1.0, 50)


def test_the_answer_is_that_of_lightgbm(noisy):
    pool = noisy.blocks["x"].array[noisy.to_label]
    answer = replace(SMALL, validation=0).label(noisy)
    np.testing.assert_allclose(answer.proba, direct(noisy, 60, seed=3).predict(pool), atol=1e-6)
    assert answer.facts["rounds"] == 60


@pytest.mark.parametrize(
    ("changed", "name", "value"),
    [
        ({"learning_rate": 0.1}, "eta", 0.1),
        ({"leaves": 3}, "max_leaf", 3),
        ({"min_child": 40}, "min_data", 40),
        ({"row_sample": 0.5}, "subsample", 0.5),
        ({"column_sample": 0.4}, "colsample_bytree", 0.4),
        ({"l1": 5.0}, "reg_alpha", 5.0),
        ({"l2": 50.0}, "reg_lambda", 50.0),
    ],
)
def test_every_setting_reaches_lightgbm(noisy, changed, name, value):
    pool = noisy.blocks["x"].array[noisy.to_label]
    base = replace(SMALL, validation=0, rounds=8)
    answer = replace(base, **changed).label(noisy).proba
    np.testing.assert_allclose(answer, direct(noisy, 8, seed=3, **{name: value}).predict(pool), atol=1e-6)
    assert np.abs(answer - base.label(noisy).proba).max() > 1e-3


def test_the_fast_preset_is_half_the_rows_a_fifth_of_the_features_and_63_bins(noisy):
    pool = noisy.blocks["x"].array[noisy.to_label]
    record = replace(SMALL, validation=0, rounds=8)
    fast = replace(record, preset="fast").label(noisy).proba
    expected = direct(noisy, 8, seed=3, subsample=0.5, colsample_bytree=0.2, max_bin=63).predict(pool)
    np.testing.assert_allclose(fast, expected, atol=1e-6)
    assert np.abs(fast - record.label(noisy).proba).max() > 1e-3
    assert display_name(GBM("x", preset="fast")) == "gbm(on=x, preset=fast)"


@pytest.mark.parametrize("field", ["row_sample", "column_sample"])
def test_a_share_beside_the_preset_that_sets_it_is_refused(field):
    with pytest.raises(ValueError, match=f"^{field} must be left out where preset is fast, got 0.7$"):
        GBM("x", preset="fast", **{field: 0.7})


@pytest.mark.parametrize("validation", [0, 0.3])
def test_rows_answered_in_portions_get_the_same_bytes(noisy, monkeypatch, validation):
    gbm = replace(SMALL, rounds=70, validation=validation)
    whole = gbm.label(noisy)
    monkeypatch.setattr("harness_plugins.labelers.gbm.PREDICTED_ROWS", 7)
    portions = gbm.label(noisy)
    assert portions.proba.tobytes() == whole.proba.tobytes()
    assert list(portions.checkpoints) == ([] if validation else ["round 50", "round 70"])
    for name, labels in whole.checkpoints.items():
        np.testing.assert_array_equal(portions.checkpoints[name], labels)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rounds", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("inf")),
        ("leaves", 1),
        ("min_child", 0),
        ("row_sample", 0.0),
        ("column_sample", 1.1),
        ("l1", -0.1),
        ("l2", -1.0),
        ("early_stopping", -1),
        ("validation", 0.6),
    ],
)
def test_a_value_out_of_range_is_named(field, value):
    with pytest.raises(ValueError, match=rf"^{field} must be .*, got {value}$"):
        GBM("x", **{field: value})


# ---- which round answers ------------------------------------------------------------------------------------------


def test_the_first_round_of_the_lowest_validation_loss_answers(noisy):
    held = holdout(noisy, 0.3)
    booster = direct(noisy, 60, seed=3, keep=~held)
    X_held, pool = (noisy.blocks["x"].array[rows] for rows in (noisy.labelled[held], noisy.to_label))
    course = [loss_of(booster.predict(X_held, num_iteration=r), noisy.y[held]) for r in range(1, 61)]
    best = int(np.argmin(course)) + 1
    assert 1 < best < 50
    answer = SMALL.label(noisy)
    assert (answer.facts["rounds"], answer.facts["best_round"]) == (60, best)
    assert answer.facts["validation_log_loss"] == pytest.approx(course[best - 1], abs=1e-6)
    np.testing.assert_allclose(answer.proba, booster.predict(pool, num_iteration=best), atol=1e-6)
    assert answer.checkpoints == {}

    stopped = replace(SMALL, early_stopping=5).label(noisy)
    last = next(r for r in range(60) if r - int(np.argmin(course[: r + 1])) == 5)
    assert stopped.facts["rounds"] == last + 1 < 60
    assert stopped.facts["best_round"] == int(np.argmin(course[: last + 1])) + 1


@settings(max_examples=30, deadline=None)
@given(n=st.integers(12, 60), seed=st.integers(0, 10**6), row_sample=st.sampled_from([0.3, 0.6, 1.0]))
def test_the_loss_belongs_to_the_round_also_where_some_steps_grow_no_tree(n, seed, row_sample):
    """Few rows and two binary columns: whether a step can split at all depends on the rows it draws."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(0, 2, (n, 2)), rng.integers(0, 3, n)
    gbm = GBM("x", rounds=12, min_child=3, row_sample=row_sample, validation=0.3, early_stopping=0)
    task = task_of(np.vstack([X, X]), y, n, 3, seed)
    held = holdout(task, 0.3)
    answer = gbm.label(replace(task, to_label=n + np.flatnonzero(held)))  # the held rows once more, to be labelled
    if "fallback" not in answer.facts:
        p = np.maximum(answer.proba[np.arange(held.sum()), task.y[held]], 1e-15)  # a class that train lacks has 0
        assert answer.facts["validation_log_loss"] == pytest.approx(-np.log(p).mean(), abs=1e-6)
        assert 1 <= answer.facts["best_round"] <= answer.facts["rounds"] <= 12


def test_without_validation_the_last_round_answers_and_the_others_are_checkpoints(noisy):
    answer = replace(SMALL, rounds=120, validation=0).label(noisy)
    assert list(answer.checkpoints) == ["round 50", "round 100", "round 120"]
    booster, pool = direct(noisy, 120, seed=3), noisy.blocks["x"].array[noisy.to_label]
    for rounds in (50, 100, 120):
        expected = booster.predict(pool, num_iteration=rounds).argmax(axis=1)
        np.testing.assert_array_equal(answer.checkpoints[f"round {rounds}"], expected)
    assert (answer.checkpoints["round 50"] != answer.checkpoints["round 120"]).any()
    np.testing.assert_array_equal(answer.checkpoints["round 120"], answer.proba.argmax(axis=1))
    assert (answer.facts["best_round"], answer.facts["validation_log_loss"]) == (None, None)


def test_where_nothing_can_be_held_out_all_rounds_are_trained(noisy):
    one = replace(noisy, groups=np.zeros(500, np.int64))
    answer = replace(SMALL, rounds=7).label(one)
    assert (answer.facts["rounds"], answer.facts["best_round"]) == (7, None)
    np.testing.assert_array_equal(answer.proba, replace(SMALL, rounds=7, validation=0).label(noisy).proba)


def test_folds_choose_the_round_of_the_lowest_mean_loss_and_all_rows_train(noisy):
    gbm = replace(SMALL, choose="folds")
    parameters = gbm._parameters(noisy)
    rows = lightgbm.Dataset(noisy.blocks["x"].array[noisy.labelled], noisy.y, params=parameters).construct()
    number, courses = assign_folds(noisy, 5), []
    for fold in range(5):
        train, held = (rows.subset(np.flatnonzero(side)) for side in (number != fold, number == fold))
        seen = {}
        record = lightgbm.record_evaluation(seen)
        lightgbm.train(parameters, train, 60, [held], valid_names=["held"], callbacks=[record])
        courses.append(seen["held"]["multi_logloss"])
    course = np.mean(courses, axis=0)
    best = int(np.argmin(course)) + 1
    assert 1 < best < 50
    answer = gbm.label(noisy)
    assert (answer.facts["rounds"], answer.facts["best_round"], answer.facts["settled"]) == (60, best, True)
    assert answer.facts["validation_log_loss"] == pytest.approx(course[best - 1])
    pool = noisy.blocks["x"].array[noisy.to_label]
    np.testing.assert_allclose(answer.proba, direct(noisy, best, seed=3).predict(pool), atol=1e-6)
    np.testing.assert_array_equal(gbm.learn(noisy).label(noisy.blocks, noisy.to_label), answer.proba)
    stopped = replace(gbm, early_stopping=5).label(noisy)
    assert (stopped.facts["rounds"], stopped.facts["best_round"]) == (best + 5, best)


def test_where_no_fold_can_be_held_out_all_rounds_are_trained(noisy):
    one = replace(noisy, groups=np.zeros(500, np.int64))
    answer = replace(SMALL, rounds=7, choose="folds").label(one)
    np.testing.assert_array_equal(answer.proba, replace(SMALL, rounds=7, validation=0).label(noisy).proba)


def test_folds_without_validation_are_refused():
    with pytest.raises(ValueError, match="choose must be left out where validation is 0"):
        GBM("x", validation=0, choose="folds")


# ---- importances --------------------------------------------------------------------------------------------------


def importances(answer):
    """Return [(feature, share of the gain)] as the table of the facts has them."""
    table = answer.facts["tables"]["Importances"]
    assert (table["columns"], table["top"]) == (["Feature", "Share of gain"], 20)
    return [tuple(row) for row in table["rows"]]


def test_importances_name_the_feature_that_tells():
    rng = np.random.default_rng(1)
    y = np.arange(320) % 2
    features, embedding = rng.standard_normal((320, 3)), rng.standard_normal((320, 30))
    features[:, 1] += 3 * y
    embedding[:, 17] += y
    blocks = {
        "e": Block(np.float32(embedding), "embedding"),
        "f": Block(np.float32(features), names=("first", "telling", "third")),
    }
    task = Task(blocks, np.arange(300), y[:300], np.arange(300, 320), 2, seed=1)
    shares = importances(GBM(("e", "f"), rounds=30, validation=0).label(task))
    assert [name for name, _ in shares[:2]] == ["telling", "e[17]"]
    assert shares[0][1] > 0.5
    assert {name for name, _ in shares} == {"first", "telling", "third", *(f"e[{i}]" for i in range(30))}
    assert [share for _, share in shares] == sorted((share for _, share in shares), reverse=True)
    assert sum(share for _, share in shares) == pytest.approx(1)
    swapped = importances(GBM(("f", "e"), rounds=30, validation=0).label(task))
    assert [name for name, _ in swapped[:2]] == ["telling", "e[17]"]


def test_importances_are_shares_of_the_gain_up_to_the_round_that_answers(noisy):
    answer = SMALL.label(noisy)
    held = holdout(noisy, 0.3)
    gain = direct(noisy, 60, seed=3, keep=~held).feature_importance("gain", answer.facts["best_round"])
    expected = {f"x[{i}]": share for i, share in enumerate(gain / gain.sum())}
    assert dict(importances(answer)) == pytest.approx(expected)
    assert importances(answer)[0][0] == "x[2]"


# ---- odd tasks ----------------------------------------------------------------------------------------------------


def test_a_class_that_train_lacks_gets_no_probability_worth_a_label(noisy):
    absent = replace(noisy, n_classes=5)
    for validation in (0, 0.3):
        answer = replace(SMALL, validation=validation).label(absent)
        assert find_error(answer, 100, 5) is None
        assert answer.proba[:, 3:].max() < 1e-12


@pytest.mark.parametrize(
    ("rows", "change", "reason"),
    [
        (1, {}, "one class in train"),
        (9, {"n_classes": 4}, "9 rows in train, too few for two leaves of 5"),
        (400, {"y": np.full(400, 2)}, "one class in train"),
        (400, {"blocks": {"x": Block(np.ones((500, 6), np.float32))}}, "no feature splits the rows"),
    ],
)
def test_where_nothing_can_be_split_the_class_shares_answer(noisy, rows, change, reason):
    task = replace(noisy, **change)
    task = replace(task, labelled=task.labelled[:rows], y=task.y[:rows])
    answer = replace(SMALL, validation=0).label(task)
    share = np.bincount(task.y, minlength=task.n_classes) / rows
    np.testing.assert_array_equal(answer.proba, np.tile(share, (100, 1)))
    assert answer.facts["fallback"] == f"class shares: {reason}"
    assert answer.facts["rounds"] == 0
    assert "tables" not in answer.facts


@settings(max_examples=40, deadline=None)
@given(
    labelled=st.lists(st.integers(0, 29), min_size=1, max_size=30),
    n_classes=st.integers(2, 5),
    min_child=st.integers(1, 3),
    row_sample=st.sampled_from([0.1, 0.8, 1.0]),
    choice=st.sampled_from([(0, "holdout"), (0.1, "holdout"), (0.5, "holdout"), (0.1, "folds")]),
    seed=st.sampled_from([0, 2**31, 2**64 + 5]),
    data=st.data(),
)
def test_odd_tasks_get_sound_answers(labelled, n_classes, min_child, row_sample, choice, seed, data):
    y = np.array(data.draw(st.lists(st.integers(0, n_classes - 1), min_size=30, max_size=30)))
    block = Block(np.float32(np.random.default_rng(len(labelled)).integers(0, 3, (34, 3))))
    task = Task({"x": block}, np.array(labelled), y[labelled], np.arange(30, 34), n_classes, seed=seed)
    validation, choose = choice
    gbm = GBM("x", rounds=4, min_child=min_child, row_sample=row_sample, validation=validation, choose=choose)
    answer = gbm.label(task)
    assert find_error(answer, 4, n_classes) is None
    json.dumps(answer.facts, allow_nan=False)


def test_the_same_task_gives_the_same_bytes_and_another_seed_others(noisy):
    gbm = replace(SMALL, rounds=5, validation=0)
    assert gbm.label(noisy).proba.tobytes() == gbm.label(noisy).proba.tobytes()
    assert gbm.label(replace(noisy, seed=4)).proba.tobytes() != gbm.label(noisy).proba.tobytes()


def test_it_says_nothing(noisy, capfd):
    replace(SMALL, rounds=5).label(noisy)
    replace(SMALL, rounds=5, choose="folds", early_stopping=2).label(noisy)
    GBM("x", rounds=5, min_child=100).label(noisy)
    assert capfd.readouterr() == ("", "")


def test_start_up_does_not_import_lightgbm():
    code = "import sys, harness_plugins.labelers.gbm; sys.exit('lightgbm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "gbm",
    [
        GBM("embedding", rounds=20),
        GBM(("text", "embedding"), rounds=12, min_child=2, validation=0),
        GBM("text", rounds=8, min_child=2, choose="folds"),
    ],
    ids=repr,
)
def test_its_promises_are_kept(gbm, check):
    check(gbm)


# Categories.


def shops(n=900, levels=60, seed=0):
    """A task of two numbers and the one-hot columns of a category, which decides most of three classes."""
    rng = np.random.default_rng(seed)
    code, X = rng.permutation(np.arange(n) % levels), rng.standard_normal((n, 2))
    y = np.digitize(1.5 * rng.standard_normal(levels)[code] + X[:, 0] + 0.5 * rng.standard_normal(n), [-0.7, 0.7])
    one_hot = np.eye(levels, dtype=np.float32)[code]
    names = ("size", *(f"shop={i}" for i in range(levels)), "size=null")
    block = Block(np.column_stack([X[:, :1], one_hot, X[:, 1:]]).astype(np.float32), "feature", names)
    labelled = np.arange(n // 2)
    return Task({"x": block}, labelled, y[labelled], np.arange(n // 2, n), 3), code, y


NATIVE = replace(SMALL, categories="native", validation=0)


def test_native_categories_are_those_of_lightgbm():
    task, code, _ = shops()
    scaled = task.matrix("x", np.arange(900))[0][:, [0, -1]]
    X = np.column_stack([scaled, code]).astype(np.float32)
    options = {"cat_smooth": 1, "cat_l2": 1, "min_data_per_group": 5, "max_cat_threshold": 64}
    options |= {"objective": "multiclass", "num_class": 3, "learning_rate": 0.2, "num_leaves": 7, "min_data_in_leaf": 5}
    options |= {"bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.8, "lambda_l1": 0.1, "lambda_l2": 1}
    options |= {"seed": task.seed, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    train = lightgbm.Dataset(X[:450], task.y, categorical_feature=[2], params=options)
    expected = lightgbm.train(options, train, 60).predict(X[450:])
    answer = NATIVE.label(task)
    np.testing.assert_allclose(answer.proba, expected, rtol=1e-9)
    assert sorted(row[0] for row in answer.facts["tables"]["Importances"]["rows"]) == ["shop", "size", "size=null"]


@pytest.mark.parametrize(("choose", "seeds"), [("holdout", 4), ("folds", 1)])
def test_a_category_of_many_values_is_learnt_better_as_one_feature(choose, seeds):
    gains = []
    for seed in range(seeds):
        task, _, y = shops(seed=seed)
        one_hot, native = (
            (
                replace(SMALL, min_child=20, categories=kind, choose=choose).label(task).proba.argmax(axis=1) == y[450:]
            ).mean()
            for kind in ("one_hot", "native")
        )
        gains.append(native - one_hot)
    assert min(gains) > 0.05


def test_a_rule_of_native_categories_answers_as_the_labeler():
    task, _, _ = shops()
    rule = NATIVE.learn(task)
    assert rule.label(task.blocks, task.to_label).tobytes() == NATIVE.label(task).proba.tobytes()


@given(st.lists(st.integers(0, 4), min_size=5, max_size=30), st.integers(0, 3), st.booleans())
def test_merged_columns_are_the_numbers_of_the_categories(codes, before, scaled):
    codes = np.array([0, 1, 2, 3, 4, *codes])
    one_hot = np.eye(5, dtype=np.float32)[codes]
    other = np.random.default_rng(before).normal(size=(len(codes), before)).astype(np.float32)
    names = (*(f"n{i}" for i in range(before)), *(f"c={i}" for i in range(5)), "n=null")
    X = np.column_stack([other, one_hot, other[:, :0].sum(axis=1)])
    task = Task({"x": Block(X, "feature", names)}, np.arange(len(codes)), codes % 2, np.arange(0), 2)
    categories = Categories.find(task, "x")
    assert categories.groups == ((before, before + 5),)
    if scaled:
        (X,) = task.matrix("x", task.labelled)
    merged = categories.merge(X)
    assert merged[:, -1].tolist() == codes.tolist()
    assert np.array_equal(merged[:, :before], X[:, :before])
    assert categories.places(X.shape[1]) == [merged.shape[1] - 1]
    assert categories.merge_names(list(names)) == [*names[:before], "n=null", "c"]


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (("a=0", "a=1"), [[1, 0], [0, 1]]),  # two columns: a number does as well
        (("a=0", "a=1", "a=2"), [[1, 0, 0], [0, 1, 1]]),  # two at once
        (("a=0", "a=1", "a=2"), [[1, 0, 0], [0, 0, 0]]),
        (("a=0", "a=1", "a=2"), [[1, 0, 0], [0, 0.5, 0.5]]),
        (("a=0", "b=1", "a=2"), [[1, 0, 0], [0, 1, 0]]),
        ((), [[1, 0, 0], [0, 1, 0]]),
    ],
)
def test_other_columns_are_no_categories(names, values):
    task = Task({"x": Block(np.array(values, np.float32), "feature", names)}, np.arange(2), np.arange(2), NO_ROWS, 2)
    categories = Categories.find(task, "x")
    assert categories.groups == ()
    assert categories.merge(task.blocks["x"].array) is task.blocks["x"].array
