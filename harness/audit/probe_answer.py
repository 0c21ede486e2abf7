"""The answer of a labeler to a question, and when two answers differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-4  # of a probability: sums in another order differ by less
ALPHA = 1e-3  # significance level of "better than chance"


@dataclass(frozen=True, eq=False)
class ProbeAnswer:
    """The outcome of a question, with the probabilities if it is "ok"."""

    status: str  # "ok", "failed" or "not applicable"
    reason: str
    proba: NDArray[np.float32] | None = None  # (m, C)
    digest: str = ""  # of the whole answer: probabilities, checkpoints, rows
    leftovers: tuple[str, ...] = ()  # names of files that the labeler has left behind, beside its answer

    @property
    def labels(self) -> NDArray[np.int64]:
        """The (m,) labels; ties go to the lower class."""
        assert self.proba is not None
        return np.asarray(self.proba.argmax(axis=1))


def changed_rows(base: ProbeAnswer, other: ProbeAnswer | None) -> NDArray[np.bool_]:
    """Return (m,) True where the label or a probability of a row differs.

    Empty where one of the two is no answer.
    """
    if other is None or base.proba is None or other.proba is None:
        return np.empty(0, np.bool_)
    far = np.abs(base.proba - other.proba).max(axis=1) > TOLERANCE
    return np.asarray(far | (base.labels != other.labels))
