"""Whitening: principal axes, each of deviation 1."""

from dataclasses import dataclass
from typing import Self

import numpy as np

NEGLIGIBLE = 1e-6  # of the largest deviation: an axis with less is rounding alone, and is left out


@dataclass(frozen=True, eq=False)
class Whitening:
    """The principal axes of the rows that it was fitted on.

    An axis is divided by the deviation along it.
    """

    axes: np.ndarray  # (d, k), k axes
    offset: np.ndarray  # (k,), what the mean of the rows is on the axes

    @classmethod
    def fit(cls, X: np.ndarray, dims: int) -> Self:
        """Fit at most `dims`, n - 1 and d axes of X (n, d), n at least 2."""
        from sklearn.decomposition import PCA

        if not (X.max(axis=0) > X.min(axis=0)).any():  # equal rows: whatever the axis, all are 0 on it
            return cls(np.zeros((X.shape[1], 1)), np.zeros(1))
        model = PCA(min(dims, len(X) - 1, X.shape[1]), svd_solver="full").fit(np.asarray(X, np.float64))
        deviations = np.sqrt(model.explained_variance_)  # (k,), falling
        kept = deviations > NEGLIGIBLE * deviations[0]
        axes = (model.components_[kept] / deviations[kept, None]).T
        return cls(axes, model.mean_ @ axes)

    @property
    def width(self) -> int:
        """The number of axes k."""
        return self.axes.shape[1]

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return X (rows, d) on the axes: (rows, k) float32."""
        return (X @ self.axes - self.offset).astype(np.float32)
