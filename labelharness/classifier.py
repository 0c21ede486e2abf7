"""Any labeler as a classifier of scikit-learn."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from harness.errors import NotApplicable, PluginError, did_you_mean
from harness.plugin.block import Block
from harness.plugin.protocols import resolve_labeler
from harness.plugin.rule import learn
from harness.plugin.task import Task, find_error
from harness.suite.catalog import Catalog, discover
from harness.suite.rule_spec import find_learn_error
from harness.suite.spec import Reader
from harness.utils.yaml_file import Place, from_mapping

BLOCK = "x"  # the name of the one block, all columns of X
OWN = ("labeler", "random_state")  # parameters that are none of the labeler
# In scikit-learn a mapping or "balanced", in a labeler true or false: among the parameters only where it is given.
OF_OTHER_TYPE = ("class_weight",)
MAX_SEED = 2**31


class LabelerClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A labeler, by its name and parameters, that classifies dense X.

    `fit` learns a rule where the labeler has one. Else it keeps the rows, and each prediction is a training. Labelers
    inside others are given as in a suite: `base={"knn": {"k": 5}}`. The columns are used as they are; to scale them,
    put a scaler before it in a Pipeline.
    """

    def __init__(self, labeler: str = "knn", *, random_state: Any = 0, **parameters: Any) -> None:
        self.labeler = labeler
        self.random_state = random_state
        self._parameters = parameters
        self._check_names(parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the labeler's name, its parameters and the random state."""
        own = {name: getattr(self, name) for name in OWN}
        defaults = {name: value for name, value in _defaults(self.labeler).items() if name not in OF_OTHER_TYPE}
        return own | defaults | self._parameters

    def set_params(self, **params: Any) -> "LabelerClassifier":
        """Set parameters; those that another labeler lacks are dropped."""
        for name in OWN:
            if name in params:
                setattr(self, name, params.pop(name))
        valid = _defaults(self.labeler)
        self._parameters = {name: value for name, value in self._parameters.items() if name in valid}
        self._check_names(params)
        self._parameters |= params
        return self

    def fit(self, X: ArrayLike, y: ArrayLike) -> "LabelerClassifier":
        """Learn from rows X (n, d) with their labels y (n,), of any kind."""
        self.X_, labels = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(labels)
        self.classes_, self.y_ = np.unique(labels, return_inverse=True)
        self.seed_ = int(check_random_state(self.random_state).randint(MAX_SEED))
        self.labeler_ = self._build()
        self.rule_ = None
        if len(self.classes_) > 1 and find_learn_error(self.labeler_) is None:
            with suppress(NotApplicable):  # a model that has no rule is trained when it is asked
                self.rule_ = learn(self.labeler_, self._task(self.X_[:0]))
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return (m, C) probabilities of rows X (m, d), by `classes_`."""
        check_is_fitted(self)
        rows: NDArray[np.float32] = validate_data(self, X, dtype=np.float32, reset=False)
        m, n_classes = len(rows), len(self.classes_)
        if n_classes == 1:
            return np.ones((m, 1))
        answer = (
            self.labeler_.label(self._task(rows))
            if self.rule_ is None
            else self.rule_.label({BLOCK: Block(rows, "embedding")}, np.arange(m))
        )
        if (error := find_error(answer, m, n_classes)) is not None:
            raise ValueError(f"labeler {self.labeler!r}: {error}")
        proba: NDArray[np.float64] = np.array(getattr(answer, "proba", answer), np.float64)
        proba /= proba.sum(axis=1, keepdims=True)  # of a labeler they may be off by a thousandth
        return proba

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the (m,) likeliest classes of rows X (m, d)."""
        check_is_fitted(self)
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _task(self, rows: NDArray[np.float32]) -> Task:
        """Return the task of labelling `rows` (m, d)."""
        n, block = len(self.X_), Block(np.concatenate([self.X_, rows]), "embedding")
        labelled, to_label = np.arange(n), np.arange(n, n + len(rows))
        return Task({BLOCK: block}, labelled, self.y_, to_label, len(self.classes_), self.seed_)

    def _check_names(self, names: Iterable[str]) -> None:
        valid = _defaults(self.labeler)
        unknown = [name for name in names if name not in valid]
        if unknown and valid:  # of a labeler that there is; of another, fit names the nearest
            suggestion = did_you_mean(unknown[0], [*OWN, *valid])
            raise ValueError(f"Invalid parameter {unknown[0]!r} for labeler {self.labeler!r}{suggestion}")

    def _build(self) -> Any:
        """Build the labeler; raises SuiteError for values that do not fit."""
        if not isinstance(self.labeler, str):
            raise ValueError(f"labeler must be the name of a labeler, got {self.labeler!r}")
        document, _ = from_mapping({self.labeler: self._parameters}, "LabelerClassifier")
        reader = _OneBlockReader(document, _catalog().find)
        labeler = reader.read_plugin("labelers", document.value, ())
        reader.finish()
        return resolve_labeler(labeler, "cpu")


class _OneBlockReader(Reader):
    """A reader of labelers that all use the one block."""

    def build_plugin(self, kind: str, name: Any, parameters: Any, place: Place, without: tuple[str, ...] = ()) -> Any:
        """Build a plugin on the block, where it is on any and names none."""
        parameters = {} if parameters is None else parameters
        if isinstance(name, str) and isinstance(parameters, dict):
            try:
                has_block = any(field.name == "on" for field in fields(self.find(kind, name)))
            except PluginError:  # the line is that of every suite
                has_block = False
            parameters = ({"on": BLOCK} if has_block else {}) | parameters
        return super().build_plugin(kind, name, parameters, place, without)


@cache
def _catalog() -> Catalog:
    return discover()


def _defaults(labeler: Any) -> dict[str, Any]:
    """Return the parameters of a labeler but `on`, with their defaults.

    One that must be given is None. {} for what is no labeler: parameters are checked by `fit`.
    """
    try:
        own = fields(_catalog().find("labelers", labeler)) if isinstance(labeler, str) else ()
    except PluginError:
        own = ()
    defaults = {}
    for field in own:
        if field.name != "on":
            value = field.default_factory() if field.default_factory is not MISSING else field.default
            defaults[field.name] = None if value is MISSING else value
    return defaults
