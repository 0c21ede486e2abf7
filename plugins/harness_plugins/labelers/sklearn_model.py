"""Any classifier with scikit-learn's interface, by import path.

A suite names a class and never code to run: what is imported lies in one of a few packages, under a public name, and
must turn out to be a classifier.
"""

import inspect
import os
import pkgutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from harness import On, Predictions, Task, hookimpl

PACKAGES = ("sklearn", "lightgbm", "xgboost", "catboost")
HIDDEN_MODULES = ("tests", "conftest")  # parts of a path that have no underscore, and are not public all the same
PREDICTED_ROWS = 16_384  # rows answered at a time: some models hold several float64 copies of what they answer for

# Left to itself LightGBM takes every core whatever the harness allows, and chooses its layout by timing; CatBoost takes
# every core, and writes files and progress.
REPEATABLE: dict[str, dict[str, Any]] = {
    "lightgbm": {"n_jobs": 0, "deterministic": True, "force_row_wise": True},
    "catboost": {
        "thread_count": int(os.environ.get("OMP_NUM_THREADS") or 1),
        "allow_writing_files": False,
        "verbose": False,
    },
}

Value = int | float | str | bool | None


@dataclass(frozen=True)
class SklearnModel:
    """A scikit-learn classifier by import path, with plain parameters.

    ``random_state`` is the task's seed where the model has that parameter and none is given. Where train has one class
    only, that class answers and nothing is fitted. A model whose constructor needs another model cannot be named.
    """

    name: ClassVar[str] = "sklearn"
    preload: ClassVar[tuple[str, ...]] = ("sklearn.linear_model",)

    on: On
    model: str  # such as sklearn.linear_model.LogisticRegression
    parameters: dict[str, Value] = field(default_factory=dict, hash=False)  # of its constructor

    def __post_init__(self) -> None:
        _make(self.model, self.parameters)  # a wrong name or parameter is a problem of the suite, not of its cells

    def label(self, task: Task) -> Predictions:
        from sklearn.exceptions import ConvergenceWarning

        proba = np.zeros((len(task.to_label), task.n_classes))
        seen, y = np.unique(task.y, return_inverse=True)  # 0..k-1: XGBoost takes no gaps
        if len(seen) == 1:
            proba[:, seen] = 1.0
            return Predictions(proba, {"settled": True})
        model = _make(self.model, self.parameters)
        if "random_state" in _parameters(model) and "random_state" not in self.parameters:
            model.set_params(random_state=task.seed % 2**31)  # LightGBM takes 31 bits, scikit-learn 32
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(*task.matrix(self.on, task.labelled), y)  # (n, d), (n,)
        settled = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
        for place, part in task.parts(self.on, task.to_label, PREDICTED_ROWS):
            proba[place, seen[model.classes_]] = model.predict_proba(part)
        return Predictions(proba, {"settled": settled})


def _make(path: str, parameters: dict[str, Value]) -> Any:
    """Build the unfitted classifier at `path`.

    Raises ValueError for a wrong path or parameter.
    """
    from sklearn.base import is_classifier

    cls = _find(path)
    signature = inspect.signature(cls).parameters.values()
    needed = [p.name for p in signature if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if needed or inspect.isabstract(cls):
        reason = f"it needs {', '.join(needed)}" if needed else "it is abstract"
        raise ValueError(f"model {path} cannot be made from plain values: {reason}")
    try:
        names = _parameters(cls())
        for name in parameters:
            if name not in names:
                raise ValueError(f"{path} has no parameter {name!r}{_nearest(name, names)}")
        model = cls(**REPEATABLE.get(path.partition(".")[0], {}) | parameters)
        classifies, answers = is_classifier(model), hasattr(model, "predict_proba")  # some with certain parameters only
    except (AttributeError, TypeError) as error:  # reason looks like an estimator and is none, or wants another inside
        raise ValueError(f"model {path} is no classifier that can be made from plain values: {error}") from None
    if not classifies:
        raise ValueError(f"model {path} is no classifier")
    if not answers:
        given = f" with {', '.join(f'{key}={value!r}' for key, value in parameters.items())}" if parameters else ""
        raise ValueError(f"model {path}{given} has no predict_proba")
    return model


def _parameters(model: Any) -> set[str]:
    """Return the names of a model's parameters.

    CatBoost's ``get_params`` has only those that are set.
    """
    return {*model.get_params(deep=False), *inspect.signature(type(model)).parameters} - {"kwargs"}


def _find(path: str) -> Any:
    """Import the estimator class that `path` names."""
    *modules, name = path.split(".")
    if not modules or not all(part.isidentifier() for part in (*modules, name)):
        raise ValueError(f"model must be an import path such as sklearn.naive_bayes.GaussianNB, got {path!r}")
    if modules[0] not in PACKAGES:
        raise ValueError(f"model must come from {', '.join(PACKAGES)}, got {path!r}")
    if any(part.startswith("_") or part in HIDDEN_MODULES for part in (*modules, name)):
        raise ValueError(f"model must have a public path, got {path!r}")
    module = _module(modules, path)
    estimator = vars(module).get(name)
    if not isinstance(estimator, type) or not hasattr(estimator, "get_params"):  # CatBoost's are no BaseEstimators
        others = [key for key, value in vars(module).items() if isinstance(value, type) and key[0] != "_"]
        offered = [key for key in others if hasattr(vars(module)[key], "predict_proba")]
        raise ValueError(f"{'.'.join(modules)} has no model {name!r}{_nearest(name, offered)}")
    return estimator


def _module(parts: list[str], path: str) -> Any:
    """Import a module part by part, to name the first wrong one."""
    module: Any = None
    for number, part in enumerate(parts, start=1):
        try:
            module = import_module(".".join(parts[:number]))
        except ImportError as error:
            if number == 1:
                raise ValueError(f"model {path} needs the package {part}: {error}") from None
            inside = [entry.name for entry in pkgutil.iter_modules(getattr(module, "__path__", ()))]
            close = _nearest(part, [entry for entry in inside if entry[0] != "_"])
            raise ValueError(f"{'.'.join(parts[: number - 1])} has no module {part!r}{close}") from None
    return module


def _nearest(name: str, names: Iterable[str]) -> str:
    spelled = {key.lower(): key for key in names}
    close = get_close_matches(name.lower(), list(spelled), n=1, cutoff=0.5)
    return f"; did you mean {spelled[close[0]]!r}?" if close else ""


@hookimpl
def harness_labelers():
    return [SklearnModel]
