"""Labelers as classifiers of scikit-learn: its own checks, and the answers of the labelers themselves."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import labelharness as lh
from harness import Block, Task
from harness_plugins.labelers.knn import KNN

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
SKIPPED = {"check_array_api_input"}  # by scikit-learn, where SCIPY_ARRAY_API is not set


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("labeler", "parameters"),
    [
        ("knn", {"k": 10}),
        ("calibrated", {"base": {"knn": {"k": 5}}}),
        pytest.param("linear", {}, marks=pytest.mark.slow),
    ],
    ids=["knn", "calibrated", "linear"],
)
def test_it_passes_the_checks_of_scikit_learn(labeler, parameters):
    results = check_estimator(lh.LabelerClassifier(labeler, **parameters), on_fail=None, on_skip=None)
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= SKIPPED
    assert len(results) > 40


def test_its_answer_is_that_of_the_labeler():
    train, test = np.arange(0, 150, 2), np.arange(1, 150, 2)
    classifier = lh.LabelerClassifier("knn", k=7, tau=0.02).fit(X[train], NAMES[train])
    order = [*train, *test]
    task = Task({"x": Block(np.float32(X[order]), "embedding")}, np.arange(75), Y[train], np.arange(75, 150), 3)
    answer = KNN("x", k=7, tau=0.02).label(task).proba
    np.testing.assert_allclose(classifier.predict_proba(X[test]), answer, atol=1e-12)
    assert classifier.classes_.tolist() == sorted(set(NAMES))
    assert classifier.predict(X[test]).tolist() == classifier.classes_[answer.argmax(axis=1)].tolist()
    assert classifier.score(X[test], NAMES[test]) == np.mean(answer.argmax(axis=1) == Y[test]) > 0.9
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(X[test]), classifier.predict_proba(X[test]))


def test_it_works_in_pipelines_searches_and_cross_validation():
    pipeline = make_pipeline(StandardScaler(), lh.LabelerClassifier("knn", tau=1e3))
    search = GridSearchCV(pipeline, {"labelerclassifier__k": np.array([1, 5, 100])}, cv=3).fit(X, NAMES)
    assert search.best_params_["labelerclassifier__k"] in (1, 5), "of 100 rows all vote alike"
    scores = search.cv_results_["mean_test_score"]
    by_hand = cross_val_score(
        make_pipeline(StandardScaler(), lh.LabelerClassifier("knn", k=5, tau=1e3)), X, NAMES, cv=3
    )
    assert scores[1] == pytest.approx(by_hand.mean())
    assert by_hand.min() > 0.8
    methods = GridSearchCV(lh.LabelerClassifier("knn", k=5), {"labeler": ["majority", "knn"]}, cv=3).fit(X, Y)
    assert methods.best_params_ == {"labeler": "knn"}
    assert methods.cv_results_["mean_test_score"][0] < 0.4 < methods.best_score_


def test_its_parameters_are_those_of_the_labeler():
    classifier = lh.LabelerClassifier("knn", k=20)
    parameters = classifier.get_params()
    assert (parameters["labeler"], parameters["k"], parameters["tau"]) == ("knn", 20, 0.1)
    assert "on" not in parameters
    assert clone(classifier).set_params(tau=0.5).get_params() == parameters | {"tau": 0.5}
    assert classifier.get_params() == parameters
    assert "k=20" in repr(classifier)
    assert "k" not in lh.LabelerClassifier("knn", k=20).set_params(labeler="majority").get_params()
    weighted = lh.LabelerClassifier("linear", class_weight=True)
    assert clone(weighted).get_params()["class_weight"] is True
    for make in (lambda: lh.LabelerClassifier("knn", kk=1), lambda: classifier.set_params(kk=1)):
        with pytest.raises(ValueError, match="Invalid parameter 'kk' for labeler 'knn'; did you mean 'k'"):
            make()


@pytest.mark.parametrize(
    ("labeler", "parameters", "words"),
    [
        ("knn", {"k": 0}, "knn: k must be positive, got 0"),
        ("knn", {"k": 1.5}, r"knn\.k: must be a whole number, got 1\.5"),
        ("knnn", {}, "did you mean 'knn'"),
        ("calibrated", {"base": {"knn": {"kk": 5}}}, r"calibrated\.base\.knn\.kk: unknown key 'kk'; did you mean 'k'"),
        ("calibrated", {}, "'base' is missing: a labeler"),
    ],
    ids=["range", "type", "name", "nested", "missing"],
)
def test_a_mistake_is_the_line_of_a_suite(labeler, parameters, words):
    with pytest.raises(lh.SuiteError, match=words):
        lh.LabelerClassifier(labeler, **parameters).fit(X, Y)


def test_the_random_state_decides_what_a_labeler_draws():
    def answer(state):
        forest = {"model": "sklearn.ensemble.RandomForestClassifier", "parameters": {"n_estimators": 3}}
        return lh.LabelerClassifier("sklearn", random_state=state, **forest).fit(X[::2], Y[::2]).predict_proba(X[1::2])

    np.testing.assert_array_equal(answer(1), answer(1))
    assert (answer(1) != answer(2)).any()
