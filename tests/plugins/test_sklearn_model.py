"""Classifiers by import path: the same answers as by hand, and nothing but classifiers can be named."""

import contextlib
import importlib
import pkgutil
import re
import subprocess
import sys
import warnings
from dataclasses import replace

import lightgbm
import numpy as np
import pytest
import sklearn
from lightgbm import LGBMClassifier
from sklearn.base import is_classifier
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators

from harness import Block, Task
from harness.errors import SuiteError
from harness.suite.catalog import discover
from harness.suite.spec import Reader, display_name, from_spec, to_spec
from harness.testing import labeler_checks
from harness.utils.yaml_file import parse
from harness_plugins.labelers import sklearn_model
from harness_plugins.labelers.sklearn_model import SklearnModel

LOGISTIC = "sklearn.linear_model.LogisticRegression"
FOREST = "sklearn.ensemble.RandomForestClassifier"
BAYES = "sklearn.naive_bayes.GaussianNB"
BOOSTED = "lightgbm.LGBMClassifier"


@pytest.fixture(scope="module")
def task():
    """Two blobs of 12 columns and a third between them; 150 rows labelled, 50 to label."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    X = rng.standard_normal((200, 12)) + y[:, None] * np.linspace(0, 1, 12)
    block = Block(np.float32(X), "embedding")
    return Task({"x": block}, np.arange(150), y[:150], np.arange(150, 200), 3, seed=5)


def matrices(task):
    X = task.blocks["x"].array
    return X[task.labelled], X[task.to_label]


@pytest.mark.parametrize(
    ("model", "parameters", "by_hand"),
    [
        (LOGISTIC, {}, LogisticRegression(random_state=5)),
        (LOGISTIC, {"C": 0.01, "fit_intercept": False}, LogisticRegression(C=0.01, fit_intercept=False)),
        (BAYES, {}, GaussianNB()),
        (BAYES, {"var_smoothing": 0.5}, GaussianNB(var_smoothing=0.5)),
        (FOREST, {"n_estimators": 9}, RandomForestClassifier(n_estimators=9, random_state=5)),
        (FOREST, {"n_estimators": 9, "random_state": 7}, RandomForestClassifier(n_estimators=9, random_state=7)),
        (
            BOOSTED,
            {"n_estimators": 9, "subsample": 0.5, "subsample_freq": 1},
            LGBMClassifier(n_estimators=9, subsample=0.5, subsample_freq=1, random_state=5, n_jobs=1, verbose=-1),
        ),
    ],
    ids=lambda value: value.rpartition(".")[2] if isinstance(value, str) else None,
)
def test_the_answer_is_that_of_the_model(task, model, parameters, by_hand):
    X, X_pool = matrices(task)
    expected = by_hand.fit(X, task.y).predict_proba(X_pool)
    answer = SklearnModel("x", model, parameters).label(task).proba
    np.testing.assert_allclose(answer, expected, atol=1e-6)


@pytest.mark.parametrize("model", [LOGISTIC, BAYES, FOREST, BOOSTED])
def test_columns_are_those_of_the_classes_also_where_train_lacks_some(task, model):
    labeler = SklearnModel("x", model, {} if model in (LOGISTIC, BAYES) else {"n_estimators": 5})
    spread = replace(task, y=np.array([1, 4, 6])[task.y], n_classes=8)
    answer = labeler.label(spread).proba
    np.testing.assert_array_equal(answer[:, [1, 4, 6]], labeler.label(task).proba)
    assert not answer[:, [0, 2, 3, 5, 7]].any()


@pytest.mark.parametrize("model", [LOGISTIC, BAYES])
def test_a_single_class_answers_alone(task, model):
    answer = SklearnModel("x", model).label(replace(task, y=np.full(150, 2), n_classes=4)).proba
    np.testing.assert_array_equal(answer, np.tile([0.0, 0.0, 1.0, 0.0], (50, 1)))


def test_the_seed_of_the_task_is_that_of_the_model_unless_one_is_given(task):
    free, fixed = (SklearnModel("x", FOREST, {"n_estimators": 5} | more) for more in ({}, {"random_state": 1}))
    other = replace(task, seed=6)
    assert (free.label(task).proba != free.label(other).proba).any()
    np.testing.assert_array_equal(free.label(task).proba, free.label(task).proba)
    np.testing.assert_array_equal(fixed.label(task).proba, fixed.label(other).proba)
    wide = replace(task, seed=2**64 + 3)
    np.testing.assert_array_equal(free.label(wide).proba, free.label(replace(task, seed=3)).proba)


def test_rows_answered_in_several_parts(task, monkeypatch):
    whole = SklearnModel("x", LOGISTIC).label(task).proba
    monkeypatch.setattr(sklearn_model, "PREDICTED_ROWS", 7)
    np.testing.assert_allclose(SklearnModel("x", LOGISTIC).label(task).proba, whole, atol=1e-6)


def test_features_are_scaled_by_the_labelled_rows(task):
    far = replace(task, blocks={"x": Block(task.blocks["x"].array * 1000 + 5000)})
    X, X_pool = far.matrix("x")
    expected = LogisticRegression().fit(X, task.y).predict_proba(X_pool)
    np.testing.assert_allclose(SklearnModel("x", LOGISTIC).label(far).proba, expected, atol=1e-6)


@pytest.mark.parametrize("model", ["xgboost.XGBClassifier", "catboost.CatBoostClassifier"])
def test_packages_that_a_user_may_add(task, model, tmp_path, monkeypatch):
    pytest.importorskip(model.partition(".")[0], reason="some hundred MB that the harness does not need itself")
    monkeypatch.chdir(tmp_path)
    labeler = SklearnModel("x", model, {"n_estimators": 30})
    spread = replace(task, y=np.array([1, 4, 6])[task.y], n_classes=8)
    answer = labeler.label(spread).proba
    np.testing.assert_array_equal(answer, labeler.label(spread).proba)
    assert not answer[:, [0, 2, 3, 5, 7]].any()
    assert list(tmp_path.iterdir()) == []  # CatBoost left to itself writes a folder
    with pytest.raises(ValueError, match="did you mean 'n_estimators'"):
        SklearnModel("x", model, {"n_estimator": 30})


def test_lightgbm_keeps_to_the_threads_it_is_given_unless_told_otherwise():
    assert sklearn_model._make(BOOSTED, {}).get_params()["n_jobs"] == 0  # OpenMP's own limit; by default it is ignored
    assert sklearn_model._make(BOOSTED, {"n_jobs": 3}).get_params()["n_jobs"] == 3
    assert sklearn_model._make(FOREST, {}).n_jobs is None


# ---- pipelines ----------------------------------------------------------------------------------------------------

PIPELINE = ("StandardScaler", {"PCA": {"n_components": 4}}, "LogisticRegression")


def test_a_pipeline_is_that_of_its_steps(task):
    X, X_pool = matrices(task)
    by_hand = make_pipeline(StandardScaler(), PCA(4, random_state=5), LogisticRegression(random_state=5))
    answer = SklearnModel("x", pipeline=PIPELINE).label(task).proba
    np.testing.assert_allclose(answer, by_hand.fit(X, task.y).predict_proba(X_pool), atol=1e-6)
    spread = replace(task, y=np.array([1, 4, 6])[task.y], n_classes=8)
    np.testing.assert_array_equal(SklearnModel("x", pipeline=PIPELINE).label(spread).proba[:, [1, 4, 6]], answer)


def test_each_step_takes_the_seed_of_the_task_unless_it_has_one(task):
    components = {"GaussianRandomProjection": {"n_components": 3}}
    free, fixed = (
        SklearnModel("x", pipeline=({"GaussianRandomProjection": parameters}, "GaussianNB"))
        for parameters in (components["GaussianRandomProjection"], {"n_components": 3, "random_state": 1})
    )
    other = replace(task, seed=6)
    assert (free.label(task).proba != free.label(other).proba).any()
    np.testing.assert_array_equal(fixed.label(task).proba, fixed.label(other).proba)


def test_short_names_are_those_of_scikit_learn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimators = dict(all_estimators())
    modules = sklearn_model._short_names()
    for name in modules.keys() & estimators.keys():
        module = importlib.import_module(f"sklearn.{modules[name]}")
        assert getattr(module, name) is estimators[name]
    text_and_searches = {
        "CountVectorizer",
        "TfidfVectorizer",
        "HashingVectorizer",
        "TfidfTransformer",
        "PatchExtractor",
    }
    text_and_searches |= {
        "GridSearchCV",
        "RandomizedSearchCV",
        "FixedThresholdClassifier",
        "TunedThresholdClassifierCV",
    }
    usable = {name for name, cls in estimators.items() if cls.__module__.startswith("sklearn.")}
    assert usable - modules.keys() <= text_and_searches | {
        "IterativeImputer",
        "HalvingGridSearchCV",
        "HalvingRandomSearchCV",
    }


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "give one of model and pipeline"),
        ({"model": BAYES, "pipeline": PIPELINE}, "give one of model and pipeline"),
        ({"pipeline": PIPELINE, "parameters": {"C": 1}}, "in a pipeline they stand in its steps"),
        ({"pipeline": ("StandardScalar", "GaussianNB")}, "no class 'StandardScalar'; did you mean 'StandardScaler'?"),
        ({"pipeline": ("PCA", "pca")}, "no class 'pca'; did you mean 'PCA'?"),
        ({"pipeline": ({"PCA": {"n_component": 4}}, "GaussianNB")}, "no parameter 'n_component'; did you mean 'n_comp"),
        ({"pipeline": ({"PCA": {}, "SVC": {}}, "GaussianNB")}, "must be one class with its parameters"),
        ({"pipeline": ("GaussianNB", "GaussianNB")}, "only the last step of a pipeline classifies"),
        ({"pipeline": ("StandardScaler", "PCA")}, "sklearn.decomposition.PCA is no classifier"),
        ({"pipeline": ("StandardScaler", "Perceptron")}, "Perceptron has no predict_proba"),
        ({"pipeline": ("os.path", "GaussianNB")}, "must come from sklearn, lightgbm"),
        ({"pipeline": ("SelectFromModel", "GaussianNB")}, "cannot be made from plain values: it needs estimator"),
    ],
    ids=lambda value: None if isinstance(value, dict) else re.sub(r"\W+", "-", value)[:40],
)
def test_a_pipeline_that_cannot_be_made_is_refused_in_a_line(fields, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        SklearnModel("x", **fields)


# ---- what cannot be named -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("", "must be an import path such as sklearn.naive_bayes.GaussianNB, got ''"),
        ("LogisticRegression", "must be an import path"),
        ("sklearn..GaussianNB", "must be an import path"),
        ("sklearn.naive_bayes.GaussianNB()", "must be an import path"),
        (BAYES + "\n", "must be an import path"),
        ("os.system", "must come from sklearn, lightgbm, xgboost, catboost, got 'os.system'"),
        ("harness_plugins.labelers.majority.Majority", "must come from"),
        ("sklearnx.GaussianNB", "must come from"),
        ("sklearn.linear_model._logistic.LogisticRegression", "must have a public path"),
        ("sklearn.naive_bayes._BaseNB", "must have a public path"),
        ("sklearn.tests.test_base.MyEstimator", "must have a public path"),
        ("sklearn.conftest.pytest", "must have a public path"),
        ("sklearn.svm.os.system", "sklearn.svm has no module 'os'"),
        (
            "sklearn.linear_modle.LogisticRegression",
            "sklearn has no module 'linear_modle'; did you mean 'linear_model'?",
        ),
        ("sklearn.linear_model.LogisticRegresion", "no model 'LogisticRegresion'; did you mean 'LogisticRegression'?"),
        ("sklearn.linear_model.logisticregression", "did you mean 'LogisticRegression'?"),
        ("lightgbm.LGBClassifier", "lightgbm has no model 'LGBClassifier'; did you mean 'LGBMClassifier'?"),
        ("lightgbm.train", "lightgbm has no model 'train'"),
        ("lightgbm.Booster", "lightgbm has no model 'Booster'"),
        ("sklearn.base.clone", "sklearn.base has no model 'clone'"),
        ("sklearn.base.ClassifierMixin", "sklearn.base has no model 'ClassifierMixin'"),
        ("sklearn.linear_model.LinearRegression", "LinearRegression is no classifier"),
        ("sklearn.preprocessing.StandardScaler", "StandardScaler is no classifier"),
        ("lightgbm.LGBMRanker", "LGBMRanker is no classifier"),
        ("sklearn.linear_model.Perceptron", "Perceptron has no predict_proba"),
        ("sklearn.ensemble.VotingClassifier", "cannot be made from plain values: it needs estimators"),
        ("sklearn.model_selection.GridSearchCV", "it needs estimator, param_grid"),
        ("sklearn.ensemble.BaseEnsemble", "it is abstract"),
        ("sklearn.pipeline.Pipeline", "cannot be made from plain values: it needs steps"),
        ("sklearn.semi_supervised.SelfTrainingClassifier", "is no classifier that can be made from plain values: "),
        ("sklearn.gaussian_process.kernels.RBF", "is no classifier that can be made from plain values: "),
        ("lightgbm.compat.LabelEncoder", "lightgbm.compat.LabelEncoder "),
        ("sklearn.datasets.fetch_openml", "sklearn.datasets has no model 'fetch_openml'"),
        ("sklearn.utils.Bunch", "sklearn.utils has no model 'Bunch'"),
        ("sklearn.linear_model.LogisticRegression.fit", "sklearn.linear_model has no module 'LogisticRegression'"),
    ],
)
def test_only_classifiers_can_be_named(model, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        SklearnModel("x", model)


@pytest.mark.filterwarnings("ignore")  # of modules that only warn when they are imported
def test_whatever_a_public_module_holds_is_taken_or_refused_in_a_line():
    """Every name of every public module: a classifier, or a ValueError that a suite can show."""
    taken = set()
    for package in (sklearn, lightgbm):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if any(part.startswith("_") or part in sklearn_model.HIDDEN_MODULES for part in found.name.split(".")):
                continue
            try:
                module = importlib.import_module(found.name)
            except ImportError:
                continue  # what needs a package that is not there
            for name in list(vars(module)):
                with contextlib.suppress(ValueError):
                    SklearnModel("x", f"{found.name}.{name}")
                    taken.add(vars(module)[name])
    assert len(taken) > 20
    assert all(is_classifier(model()) and hasattr(model, "predict_proba") for model in taken)


def test_a_path_outside_the_packages_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "harmful.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="must come from"):
        SklearnModel("x", "harmful.Model")


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)  # what Python does for a module that must not be imported
    with pytest.raises(ValueError, match=r"^model xgboost\.XGBClassifier needs the package xgboost: "):
        SklearnModel("x", "xgboost.XGBClassifier")


@pytest.mark.parametrize(
    ("model", "parameters", "words"),
    [
        (LOGISTIC, {"max_itr": 9}, f"{LOGISTIC} has no parameter 'max_itr'; did you mean 'max_iter'?"),
        (LOGISTIC, {"c": 1.0}, "no parameter 'c'; did you mean 'C'?"),
        (BAYES, {"zzz": 1}, f"{BAYES} has no parameter 'zzz'"),
        (BOOSTED, {"num_leave": 4}, "no parameter 'num_leave'; did you mean 'num_leaves'?"),
        ("sklearn.linear_model.SGDClassifier", {"loss": "hinge"}, "with loss='hinge' has no predict_proba"),
    ],
)
def test_unknown_and_unfit_parameters_are_refused(model, parameters, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        SklearnModel("x", model, parameters)


def test_parameters_may_give_a_model_its_probabilities(task):
    labeler = SklearnModel("x", "sklearn.linear_model.SGDClassifier", {"loss": "log_loss", "max_iter": 2000})
    assert labeler.label(task).proba.shape == (50, 3)


# ---- in a suite ---------------------------------------------------------------------------------------------------


def find(kind, name):
    return SklearnModel if (kind, name) == ("labelers", "sklearn") else discover().find(kind, name)


def read(text):
    document = parse(text, "suite.yaml")
    reader = Reader(document, find)
    labeler = reader.read(sklearn_model.SklearnModel, document.value, ())
    reader.finish()
    return labeler


def test_it_is_read_from_yaml():
    labeler = read(f"on: [bge, text]\nmodel: {LOGISTIC}\nparameters: {{C: 0.5, max_iter: 200}}\n")
    assert labeler == SklearnModel(("bge", "text"), LOGISTIC, {"C": 0.5, "max_iter": 200})
    assert display_name(labeler) == f"sklearn(on=bge+text, model={LOGISTIC}, parameters={{C: 0.5, max_iter: 200}})"
    steps = read("on: bge\npipeline: [StandardScaler, {PCA: {n_components: 4}}, LogisticRegression]")
    assert steps == SklearnModel("bge", pipeline=PIPELINE)
    words = "[StandardScaler, {PCA: {n_components: 4}}, LogisticRegression]"
    assert display_name(steps) == f"sklearn(on=bge, pipeline={words})"
    assert from_spec(to_spec(steps), find) == steps
    assert display_name(read(f"on: bge\nmodel: {BAYES}")) == f"sklearn(on=bge, model={BAYES})"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"on: bge\nmodel: {LOGISTIC}\nparameters: {{c: 1}}", "has no parameter 'c'; did you mean 'C'?"),
        (f"on: bge\nmodel: {LOGISTIC}\nparameters: {{C: [1]}}", "suite.yaml:3: parameters.C: must be"),
        ("on: bge\npipeline: [StandardScaler, {PCA: 4}]", "suite.yaml:2: pipeline[1].PCA: must be a mapping"),
        ("on: bge\npipeline: [PCA, LogisticRegresion]", "'LogisticRegresion'; did you mean 'LogisticRegression'?"),
        ("on: bge\nmodel: os.system", "must come from sklearn, lightgbm, xgboost, catboost"),
    ],
)
def test_a_mistake_is_one_of_the_suite(text, words):
    with pytest.raises(SuiteError) as caught:
        read(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith("suite.yaml:")


def test_start_up_imports_no_model():
    code = "import sys, harness_plugins.labelers.sklearn_model; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "labeler",
    [
        SklearnModel("embedding", LOGISTIC, {"max_iter": 500}),
        SklearnModel(("text", "bge"), "sklearn.tree.DecisionTreeClassifier", {"max_depth": 3}),
        SklearnModel("text", BOOSTED, {"n_estimators": 5}),
        SklearnModel("text", pipeline=PIPELINE),
    ],
    ids=lambda labeler: (labeler.model or "sklearn.pipeline").rpartition(".")[2],
)
def test_its_promises_are_kept(labeler, check):
    check(labeler)
