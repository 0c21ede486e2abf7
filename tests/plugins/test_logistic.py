"""`linear` as it is by default: a logistic regression that is fitted to convergence, beside scikit-learn's."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression

from harness import Block, Task
from harness.plugin.task import find_error
from harness_plugins.networks import logistic
from harness_plugins.networks.plugins import Linear


def task_of(X, y, n, seed=0, kind="embedding", **more):
    order = np.random.default_rng(seed).permutation(len(y))
    pool = order[: int(0.4 * len(y))]
    train = order[len(pool) : len(pool) + n]
    return Task({"x": Block(np.float32(X), kind)}, train, y[train], pool, int(y.max()) + 1, seed=seed, **more), y[pool]


def accuracy(answer, truth):
    return (answer.proba.argmax(axis=1) == truth).mean()


def one_direction():
    """300 rows of three classes along one direction of 8 columns."""
    rng = np.random.default_rng(11)
    y = rng.choice(3, 300)
    z = rng.normal(size=(1, 8))
    z /= np.linalg.norm(z)
    return (y[:, None] - y.mean()) * z * 2.0 + rng.normal(size=(300, 8)), y


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits, one_direction])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_it_is_no_worse_than_scikit_learns(load, share):
    X, y = load() if load is one_direction else load(return_X_y=True)
    own, reference = [], []
    for seed in (1, 2, 3) if load is not load_digits else (1,):
        task, truth = task_of(X, y, int(share * len(y)), seed)
        model = LogisticRegression(max_iter=500 if load is load_digits else 3000)
        mean, scale = (
            X[task.labelled].mean(axis=0),
            X[task.labelled].std(axis=0).max(),
        )  # solvers want no numbers of 1,000
        model.fit((X[task.labelled] - mean) / scale, task.y)
        answer = Linear("x").label(task)
        assert answer.facts["settled"]
        own.append(accuracy(answer, truth))
        reference.append((model.predict((X[task.to_label] - mean) / scale) == truth).mean())
    assert np.mean(own) >= np.mean(reference) - 0.03


def test_with_a_fixed_penalty_it_equals_scikit_learns():
    X, y = one_direction()
    task, _ = task_of(X, y, 150)
    mean, scale = logistic.column_scales(np.float32(X[task.labelled]))
    model = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000).fit((X[task.labelled] - mean) / scale, task.y)
    answer = Linear("x", penalty=2.0).label(task)
    np.testing.assert_allclose(answer.proba, model.predict_proba((X[task.to_label] - mean) / scale), atol=2e-3)
    assert (answer.facts["penalty"], answer.facts["validation_log_loss"]) == (2.0, None)


def test_the_penalty_is_chosen_where_there_are_rows_for_it():
    """Rows of noise want the strongest penalty, rows whose class is certain the weakest."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5))
    noise, certain = rng.integers(0, 2, 400), (X[:, 0] > 0).astype(int)
    chosen = [Linear("x").label(task_of(X, y, 200)[0]).facts["penalty"] for y in (noise, certain)]
    assert chosen[0] > 1
    assert chosen[1] == min(logistic.PENALTIES)
    for task in (task_of(X, noise, logistic.MIN_ROWS - 1)[0], task_of(X, noise, 200)[0]):
        labeler = Linear("x") if len(task.y) < logistic.MIN_ROWS else Linear("x", validation=0)
        assert labeler.label(task).facts["penalty"] == logistic.FIXED_PENALTY


def test_scales_are_no_smaller_than_the_median():
    X = np.float32(np.random.default_rng(0).standard_normal((9_000, 3)) * [1, 10, 100] + [5, 0, -50])
    X = np.column_stack([X, np.full(9_000, np.float32(0.1))])
    mean, scale = logistic.column_scales(X)
    np.testing.assert_allclose(mean, X.mean(axis=0, dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(scale[1:3], X[:, 1:3].std(axis=0, dtype=np.float64), rtol=1e-5)
    assert scale[0] == scale[3] == scale[1]
    np.testing.assert_array_equal(logistic.column_scales(np.ones((4, 2), np.float32))[1], 1)


@pytest.mark.parametrize("labelled", [[2], [2, 2], [0, 2], [0, 2, 3, 3]])
def test_classes_that_train_lacks_get_nothing(labelled):
    y = np.array([*labelled, 0])
    X = np.random.default_rng(1).standard_normal((5, 3))[: len(y)]
    n = len(labelled)
    answer = Linear("x").label(Task({"x": Block(np.float32(X), "feature")}, np.arange(n), y[:n], np.array([n]), 5))
    assert find_error(answer, 1, 5) is None
    assert not answer.proba[:, np.setdiff1d(np.arange(5), labelled)].any()


def test_a_fit_that_stops_at_its_limit_has_not_settled(monkeypatch):
    monkeypatch.setattr(logistic, "MAX_STEPS", 2)
    X, y = load_wine(return_X_y=True)
    assert not Linear("x", penalty=1e-3).label(task_of(X, y, 80)[0]).facts["settled"]


def test_class_weight_finds_more_of_a_rare_class():
    rng = np.random.default_rng(0)
    y = (rng.random(900) < 0.05).astype(int)
    task, truth = task_of(rng.standard_normal((900, 2)) + 1.5 * y[:, None], y, 500)
    plain, weighed = (Linear("x", class_weight=flag).label(task).proba.argmax(axis=1) for flag in (False, True))
    assert (plain[truth == 1] == 1).mean() < 0.4
    assert (weighed[truth == 1] == 1).mean() > 0.7


@pytest.mark.parametrize("parameters", [{"epochs": 40}, {"dropout": 0.2}, {"loss": "focal"}, {"patience": 3}], ids=str)
def test_parameters_of_the_network_need_its_recipe(parameters):
    with pytest.raises(ValueError, match=rf"^{next(iter(parameters))} must be left out, or recipe be record"):
        Linear("x", **parameters)
    assert Linear("x", recipe="record", **parameters).network(3, 2) is not None
    with pytest.raises(ValueError, match="penalty must be left out"):
        Linear("x", recipe="record", penalty=1.0)


def test_a_plan_leaves_no_precision_in_it():
    assert Linear("x").resolve("cpu") == Linear("x")
    assert Linear("x", recipe="record").resolve("cpu").precision != "auto"


def test_it_needs_no_torch():
    code = (
        "import sys, numpy as np; from harness import Block, Task\n"
        "from harness_plugins.networks.plugins import Linear\n"
        "X = np.float32(np.random.default_rng(0).random((9, 2)))\n"
        "Linear('x').label(Task({'x': Block(X, 'feature')}, np.arange(6), np.arange(6) % 2, np.arange(6, 9), 2))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
