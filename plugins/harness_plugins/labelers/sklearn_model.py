"""Any classifier with scikit-learn's interface, or a pipeline of them.

A suite names a class and never code to run: what is imported lies in one of a few packages, under a public name, and
must turn out to be a classifier.
"""

import ast
import inspect
import os
import pkgutil
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness import BlockScaler, On, Predictions, Task, hookimpl
from harness_plugins._constant import ConstantRule
from harness_plugins.labelers._sklearn_rule import PREDICTED_ROWS, SklearnRule, fitted_state, predict, steps_of

PACKAGES = ("sklearn", "lightgbm", "xgboost", "catboost")
HIDDEN_MODULES = ("tests", "conftest")  # parts of a path that have no underscore, and are not public all the same
NO_STEPS = ("base", "callback", "datasets", "exceptions", "experimental", "externals", "metrics", "utils")

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
Step = str | dict[str, dict[str, Value]]
"""A class, or a class with its parameters: ``{PCA: {n_components: 64}}``."""


@dataclass(frozen=True)
class SklearnModel:
    """A scikit-learn classifier by import path, or a pipeline of steps.

    The steps of a pipeline are classes of scikit-learn by their short names, or import paths. ``random_state`` is the
    task's seed where a model has that parameter and none is given. Where train has one class only, that class answers
    and nothing is fitted. A model whose constructor needs another model cannot be named.
    """

    name: ClassVar[str] = "sklearn"
    preload: ClassVar[tuple[str, ...]] = ("sklearn.linear_model",)

    on: On
    model: str | None = None  # such as sklearn.linear_model.LogisticRegression
    parameters: dict[str, Value] = field(default_factory=dict, hash=False)  # of its constructor
    pipeline: tuple[Step, ...] = field(default=(), hash=False)  # such as [StandardScaler, LogisticRegression]

    def __post_init__(self) -> None:
        if (self.model is None) == (not self.pipeline):
            raise ValueError("give one of model and pipeline")
        if self.pipeline and self.parameters:
            raise ValueError("parameters are those of model; in a pipeline they stand in its steps")
        self._make()  # a wrong name or parameter is a problem of the suite, not of its cells

    def label(self, task: Task) -> Predictions:
        seen, y = np.unique(task.y, return_inverse=True)  # 0..k-1: XGBoost takes no gaps
        if len(seen) == 1:
            return Predictions(_only(seen, task.n_classes).label(task.blocks, task.to_label), {"settled": True})
        model, settled = self._fit(task, y)
        parts = task.parts(self.on, task.to_label, PREDICTED_ROWS)
        return Predictions(predict(model, seen, parts, (len(task.to_label), task.n_classes)), {"settled": settled})

    def learn(self, task: Task) -> SklearnRule | ConstantRule:
        """Learn a rule; NotApplicable where a model is more than numbers."""
        seen, y = np.unique(task.y, return_inverse=True)
        if len(seen) == 1:
            return _only(seen, task.n_classes)
        model, _ = self._fit(task, y)
        states = tuple(fitted_state(step) for step in steps_of(model))
        return SklearnRule(self, BlockScaler.fit(task, self.on), states, seen, task.n_classes)

    def build(self) -> Any:
        """Build the unfitted model, to be given a fitted state."""
        return self._make()

    def _fit(self, task: Task, y: np.ndarray) -> tuple[Any, bool]:
        """Return the fitted model, and whether its training had converged."""
        from sklearn.exceptions import ConvergenceWarning

        model = self._make(task.seed % 2**31)  # LightGBM takes 31 bits, scikit-learn 32
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(*task.matrix(self.on, task.labelled), y)  # (n, d), (n,)
        return model, not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)

    def _make(self, seed: int | None = None) -> Any:
        """Build the unfitted model or pipeline, its random states by a seed.

        Raises ValueError for a wrong class or parameter.
        """
        if self.model is not None:
            return _seeded(_make(self.model, self.parameters), self.parameters, seed)
        from sklearn.pipeline import make_pipeline

        *steps, last = [_read_step(step) for step in self.pipeline]
        models = [_seeded(_make_transformer(path, given), given, seed) for path, given in steps]
        return make_pipeline(*models, _seeded(_make(*last), last[1], seed))


def _only(seen: np.ndarray, n_classes: int) -> ConstantRule:
    """Return the rule of the one class that train has."""
    share = np.zeros(n_classes)
    share[seen] = 1.0
    return ConstantRule(share)


def _read_step(step: Step) -> tuple[str, Mapping[str, Value]]:
    """Return the import path and the parameters of a pipeline's step."""
    if isinstance(step, dict) and len(step) != 1:
        raise ValueError(f"a step of a pipeline must be one class with its parameters, got {step!r}")
    name, parameters = (step, {}) if isinstance(step, str) else next(iter(step.items()))
    if "." in name:
        return name, parameters
    if name not in (modules := _short_names()):
        raise ValueError(f"scikit-learn has no class {name!r}{_nearest(name, modules)}")
    return f"sklearn.{modules[name]}.{name}", parameters


@cache
def _short_names() -> dict[str, str]:
    """Return {class: module} of what scikit-learn's modules offer.

    By their source: to import all of them takes seconds.
    """
    import sklearn

    modules = {}
    for entry in pkgutil.iter_modules(sklearn.__path__):
        if entry.name[0] == "_" or entry.name in (*HIDDEN_MODULES, *NO_STEPS):
            continue
        folder = Path(sklearn.__path__[0]) / entry.name
        source = folder / "__init__.py" if entry.ispkg else folder.with_suffix(".py")
        for name in _offered(ast.parse(source.read_text(encoding="utf-8")).body):
            if name[0].isupper():
                modules.setdefault(name, entry.name)
    return modules


def _offered(lines: list[ast.stmt]) -> list[str]:
    """Return the names in a module's ``__all__``, or of its classes."""
    for line in lines:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name) and line.targets[0].id == "__all__":
            return [str(name) for name in ast.literal_eval(line.value)]
    return [line.name for line in lines if isinstance(line, ast.ClassDef)]


def _seeded(model: Any, given: Mapping[str, Value], seed: int | None) -> Any:
    """Set the random state of a model that has one and was given none."""
    if seed is not None and "random_state" in _parameters(model) and "random_state" not in given:
        model.set_params(random_state=seed)
    return model


def _make(path: str, parameters: Mapping[str, Value]) -> Any:
    """Build the unfitted classifier at `path`.

    Raises ValueError for a wrong path or parameter.
    """
    from sklearn.base import is_classifier

    model = _build(path, parameters, "classifier")
    try:
        classifies, answers = is_classifier(model), hasattr(model, "predict_proba")  # some with certain parameters only
    except (AttributeError, TypeError) as error:
        raise _unfit(path, "classifier", error) from None
    if not classifies:
        raise ValueError(f"model {path} is no classifier")
    if not answers:
        given = f" with {', '.join(f'{key}={value!r}' for key, value in parameters.items())}" if parameters else ""
        raise ValueError(f"model {path}{given} has no predict_proba")
    return model


def _make_transformer(path: str, parameters: Mapping[str, Value]) -> Any:
    """Build the unfitted transformer at `path`; ValueError if it is none."""
    model = _build(path, parameters, "transformer")
    if not hasattr(model, "fit") or not hasattr(model, "transform"):
        raise ValueError(f"model {path} is no transformer: only the last step of a pipeline classifies")
    return model


def _build(path: str, parameters: Mapping[str, Value], noun: str) -> Any:
    """Build the unfitted model at `path`, a `noun` for its messages."""
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
        return cls(**REPEATABLE.get(path.partition(".")[0], {}) | dict(parameters))
    except (AttributeError, TypeError) as error:
        raise _unfit(path, noun, error) from None


def _unfit(path: str, noun: str, error: Exception) -> ValueError:
    """Return the error of what looks like an estimator and is none."""
    return ValueError(f"model {path} is no {noun} that can be made from plain values: {error}")


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
