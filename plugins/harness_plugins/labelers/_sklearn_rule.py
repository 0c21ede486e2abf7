"""The rule of a scikit-learn model: its fitted numbers and arrays."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import Block, BlockScaler, NotApplicable

PREDICTED_ROWS = 16_384  # rows answered at a time: some models hold several float64 copies of what they answer for


@dataclass(frozen=True, eq=False)
class SklearnRule:
    """The fitted numbers and arrays of a model, or of a pipeline's steps."""

    labeler: Any  # a SklearnModel, which builds the model without the state
    scaler: BlockScaler
    states: tuple[dict[str, Any], ...]  # of each step
    seen: np.ndarray  # (k,) classes of the labelled rows
    n_classes: int

    def label(self, blocks: Mapping[str, Block], rows: np.ndarray) -> np.ndarray:
        model = self.labeler.build()
        for step, state in zip(steps_of(model), self.states, strict=True):
            vars(step).update(state)
        parts = self.scaler.parts(blocks, rows, PREDICTED_ROWS)
        return predict(model, self.seen, parts, (len(rows), self.n_classes))


def predict(
    model: Any, seen: np.ndarray, parts: Iterable[tuple[slice, np.ndarray]], shape: tuple[int, int]
) -> np.ndarray:
    """Return probabilities of `shape` (rows, C) by a fitted model.

    `parts` are (slice of the rows, (len, d)); the model's classes are positions in `seen` (k,).
    """
    proba = np.zeros(shape)
    for place, part in parts:
        proba[place, seen[model.classes_]] = model.predict_proba(part)
    return proba


def steps_of(model: Any) -> list[Any]:
    """Return the steps of a pipeline, or the model alone."""
    return [step for _, step in model.steps] if hasattr(model, "steps") else [model]


def fitted_state(model: Any) -> dict[str, Any]:
    """Return what fitting has added to a model, numbers and arrays.

    Raises NotApplicable where there is anything else, such as the trees of a forest.
    """
    state = {name: value for name, value in vars(model).items() if name not in model.get_params(deep=False)}
    for name, value in state.items():
        array = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
        if not array and not isinstance(value, str | int | float | bool | np.generic | None):
            kind = f"{type(model).__module__.partition('.')[0]}'s {type(model).__name__}"
            raise NotApplicable(
                f"{kind} holds more than numbers and arrays ({name}), and is not pickled; models such as "
                "LogisticRegression and GaussianNB, and the labelers linear, knn, mlp and gbm, are saved"
            )
    return state
